"""What was decided and not shown is taken back: its uses, what it reserved and promised; of others nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from service.core.decision import Counter
from service.core.standing import Holds
from tests.store import identities
from tests.store.identities import new_ids
from tests.store.running import Running
from tests.store.test_memory import NOW_MS, ONCE_SHOWN, SHOWN, a_give, answer, known, said
from tests.store.test_supply import HOUR_MS, granted, new_place, now_ms, report, take

CAP, OTHER = Counter("a-cap-of-a-week", 3, HOUR_MS), Counter("another-cap", 3, HOUR_MS)


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store."""
    with identities.merging(store_url) as one:
        yield one


def unsay(store: Running, customer: str, decision: str, *counters: Counter, at_ms: int = NOW_MS) -> bool:
    """Take a decision back that said one action."""
    return store.wait(store.store.unsaying.unsay(Holds(decision, customer, at_ms, ("a",), counters)))


def uses(store: Running, customer: str) -> dict[str, tuple[int, ...]]:
    """Return the uses of caps."""
    return {key: times for key, times in known(store, customer).counters.items() if times}


def test_its_uses_are_free_again_and_those_of_others_stay(store: Running) -> None:
    """Of each of its counters one use of its moment goes; another decision's stays, also of the same moment."""
    (customer,) = new_ids(1)
    said(store, customer, counters=(CAP,), now_ms=NOW_MS - 5)
    first, _ = said(store, customer, counters=(CAP, OTHER))
    said(store, customer, counters=(OTHER,))
    assert uses(store, customer) == {CAP.key: (NOW_MS - 5, NOW_MS), OTHER.key: (NOW_MS, NOW_MS)}
    assert unsay(store, customer, first, CAP, OTHER)
    assert uses(store, customer) == {CAP.key: (NOW_MS - 5,), OTHER.key: (NOW_MS,)}


def test_where_nothing_is_left_nothing_stands_there(store: Running) -> None:
    """The last use goes, and the customer can be read and told something again."""
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, counters=(CAP,))
    assert unsay(store, customer, decision, CAP)
    assert uses(store, customer) == {}
    assert said(store, customer, counters=(CAP,))[1].chosen == (0,)
    assert uses(store, customer) == {CAP.key: (NOW_MS,)}


def test_what_it_reserved_and_promised_is_free_again(store: Running) -> None:
    """The reservation and the promise go, the version rises; another decision's stand."""
    (customer,) = new_ids(1)
    other, _ = said(store, customer, "b", gives=(a_give("b", "other"),), memory=0)
    decision, _ = said(store, customer, counters=(ONCE_SHOWN,), gives=(a_give(),), memory=1)
    assert unsay(store, customer, decision, ONCE_SHOWN)
    after = known(store, customer)
    assert [one.decision_id for one in after.memory.promised] == [other]
    assert after.memory.version == 3
    assert said(store, customer, counters=(ONCE_SHOWN,))[1].chosen == (0,)


def test_what_something_came_of_stays(store: Running) -> None:
    """An outcome says that it was shown: nothing of it is taken back."""
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, counters=(CAP, ONCE_SHOWN), gives=(a_give(),), memory=0)
    answer(store, customer, decision, SHOWN)
    before = known(store, customer)
    assert not unsay(store, customer, decision, CAP, ONCE_SHOWN)
    assert uses(store, customer)[CAP.key] == (NOW_MS,)
    assert known(store, customer).memory == before.memory


def test_what_was_never_decided_is_not_taken_back(store: Running) -> None:
    """A decision that there is not frees nothing, also where a counter has a use of that moment."""
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, counters=(CAP,))
    unknown = decision[:3] + "0" * 23
    assert not unsay(store, customer, unknown, CAP)
    assert uses(store, customer) == {CAP.key: (NOW_MS,)}


def test_many_uses_are_taken_back_alike(store: Running) -> None:
    """Also where so many counters are kept that commits look for single ones in there."""
    (customer,) = new_ids(1)
    many = tuple(Counter(f"a-counter-with-a-long-name-{n}", 9, HOUR_MS) for n in range(40))
    said(store, customer, counters=many, now_ms=NOW_MS - 1)
    decision, _ = said(store, customer, counters=many)
    assert unsay(store, customer, decision, *many)
    assert uses(store, customer) == {one.key: (NOW_MS - 1,) for one in many}


def test_units_stand_as_long_as_no_more_are_promised_than_there_are(store: Running) -> None:
    """What a decision holds stands at the last unit, not when the report says that there is less, and stands for good
    once it was accepted.
    """
    place, supply = new_place(), store.store.supply
    store.wait(supply.report(report(place, 1, now_ms())))
    assert not store.wait(supply.stands(take(place), "d1"))
    assert granted(store, take(place), "d1")
    assert store.wait(supply.stands(take(place), "d1"))
    time.sleep(0.002)
    store.wait(supply.report(report(place, 0, now_ms())))
    assert not store.wait(supply.stands(take(place), "d1"))
    store.wait(supply.accept(take(place), "d1", None))
    assert store.wait(supply.stands(take(place), "d1"))
