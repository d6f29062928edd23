"""Which answers are kept: of each action and kind as many as can matter, and never is forgotten last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from msgspec import msgpack

from service.core.memory import Refusal
from service.core.records import OutcomeRecord
from service.errors import CustomerErased
from tests.store import identities
from tests.store.identities import agree, link, new_ids, unlink
from tests.store.running import Running
from tests.store.test_memory import NEVER, NOT_NOW, ONCE_SHOWN, REFUSED, known, said

START_MS = 1_790_000_000_000
MOST_OF_A_KIND, MOST = 16, 256


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store."""
    with identities.merging(store_url) as one:
        yield one


def tell(store: Running, customer: str, answers: Iterable[tuple[str, int, int]]) -> None:
    """Let a customer answer: an action, the kind of the answer and how long after the start (ms)."""

    async def told() -> None:
        for action, kind, after_ms in answers:
            one: object = (action, "", (), kind, START_MS + after_ms, f"{after_ms:012x}", START_MS + after_ms, {})
            await store.store.memory._remember(customer, msgpack.encode(one), None)

    store.wait(told())


def kept(store: Running, customer: str) -> list[tuple[str, int, int]]:
    """Return what is kept of the answers, in the same words."""
    refusals: tuple[Refusal, ...] = known(store, customer).memory.refusals
    return [(one.action, one.kind, one.at_ms - START_MS) for one in refusals]


@pytest.mark.parametrize("kind", [REFUSED, NOT_NOW, NEVER])
def test_an_answer_pushes_out_none_of_another_action_or_kind(store: Running, kind: int) -> None:
    """However often a greeting is answered, and however, the one refusal of an offer stays."""
    (customer,) = new_ids(1)
    greetings = [("hello", kind, n) for n in range(1, 80)]
    tell(store, customer, [("offer", REFUSED, 0), *greetings, ("hello", 4 if kind != 4 else 5, 99)])
    assert kept(store, customer) == [
        ("offer", REFUSED, 0), *greetings[-MOST_OF_A_KIND:], ("hello", 4 if kind != 4 else 5, 99)
    ]  # fmt: skip


def test_an_answer_that_comes_late_takes_its_place_in_time(store: Running) -> None:
    """Answers stand in the order of time; one that is older than the latest sixteen of its kind is none of them, also
    when it is told again.
    """
    (customer,) = new_ids(1)
    answers = [("a", REFUSED, n) for n in range(10, 10 + MOST_OF_A_KIND)]
    tell(store, customer, [*answers[:3], *answers[4:], answers[3], ("b", REFUSED, 12)])
    assert kept(store, customer) == [*answers[:3], ("b", REFUSED, 12), *answers[3:]]
    before = known(store, customer).memory
    tell(store, customer, [("a", REFUSED, 9), ("a", REFUSED, 9)])
    assert known(store, customer).memory == before


@pytest.fixture(scope="module")
def nevers(store: Running) -> str:
    """Return a customer who has said never to as many actions as are remembered."""
    (customer,) = new_ids(1)
    tell(store, customer, [(f"n{n}", NEVER, n) for n in range(1, MOST + 1)])
    assert len(kept(store, customer)) == MOST
    return customer


def test_the_newest_answer_is_always_kept(store: Running, nevers: str) -> None:
    """Where everything that is remembered says never, the oldest goes for a new answer, even if that is for now."""
    tell(store, nevers, [("offer", REFUSED, 0)])
    assert kept(store, nevers)[:2] == [("offer", REFUSED, 0), ("n2", NEVER, 2)]
    tell(store, nevers, [("n256", NEVER, 999)])
    assert ("offer", REFUSED, 0) not in kept(store, nevers), "the one that does not say never goes first"
    tell(store, nevers, [("more", NEVER, 1_000)])
    names = [action for action, _, _ in kept(store, nevers)]
    assert (names.count("n256"), names[0], names[-1], len(names)) == (1, "n2", "more", MOST)


def test_beyond_the_bound_the_most_answered_action_gives_way(store: Running) -> None:
    """The oldest answer of the action that has most goes, never a never; of all others nothing does."""
    (customer,) = new_ids(1)
    never = [("never", NEVER, n) for n in range(MOST_OF_A_KIND)]
    many = [(f"m{n // MOST_OF_A_KIND}", REFUSED, n) for n in range(MOST_OF_A_KIND, MOST_OF_A_KIND * 15)]
    few = [(f"f{n}", NOT_NOW, 1_000 + n) for n in range(MOST_OF_A_KIND)]
    more = [("m7", NOT_NOW, 5_000), ("f3", NOT_NOW, 5_001)]
    tell(store, customer, [*never, *many, *few, *more])
    gone = {*never, *many, *few, *more} - {*kept(store, customer)}
    assert gone == {("m7", REFUSED, 112), ("m1", REFUSED, 16)}


def test_a_link_keeps_what_its_rule_keeps(store: Running) -> None:
    """Two ids together keep the latest sixteen of an action and kind, and all else, also after they part."""
    alias, person = new_ids(2)
    odd, even = ([("a", REFUSED, n) for n in range(start, 40, 2)][:MOST_OF_A_KIND] for start in (1, 2))
    tell(store, alias, [("mine", NEVER, 0), *odd])
    tell(store, person, even)
    link(store, alias, person)
    wanted = [("mine", NEVER, 0), *sorted([*odd, *even], key=lambda one: one[2])[-MOST_OF_A_KIND:]]
    assert kept(store, person) == wanted
    unlink(store, alias)
    assert kept(store, person) == wanted


def test_nothing_is_remembered_of_who_was_erased(store: Running) -> None:
    """An answer that comes after the erasure is nobody's."""
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, counters=(ONCE_SHOWN,))
    outcome = OutcomeRecord(decision, "a", REFUSED, None, 0.0)
    store.wait(store.store.outcomes.record_outcome(outcome))
    told = store.store.memory._answered(customer, decision, "a", REFUSED, None)
    decided_ms, came_ms, packed, _ = store.wait(told) or (0, 0, b"", "")
    store.wait(store.store.rights.erase(customer))
    store.wait(store.store.memory.remember(customer, decision, "a", REFUSED, None, "", (), None))  # nobody decided it
    assert (decided_ms > 0, came_ms > 0, packed != b"") == (True, True, True)
    late = b"\x98\xa1a\xa0\x90\x04\x00\xac000000000000\x00\x80"
    with pytest.raises(CustomerErased):
        store.wait(store.store.memory._remember(customer, late, None))
    assert known(store, customer).erased


def test_what_was_answered_before_an_erasure_is_not_remembered_after_it(store: Running) -> None:
    """Who comes back after an erasure begins with nothing: a late answer from before is nobody's."""
    (customer,) = new_ids(1)
    store.wait(store.store.rights.erase(customer))
    erased_ms = known(store, customer).now_ms
    agree(store, customer, "service", "web", given_ms=erased_ms + 1)
    assert not known(store, customer).erased
    mark = "000000000000"
    told: list[object] = [
        ("a", "", (), REFUSED, at_ms, mark, erased_ms, {}) for at_ms in (erased_ms - 60_000, erased_ms + 60_000)
    ]
    with pytest.raises(CustomerErased):
        store.wait(store.store.memory._remember(customer, msgpack.encode(told[0]), None))
    assert known(store, customer).memory.refusals == ()
    store.wait(store.store.memory._remember(customer, msgpack.encode(told[1]), None))
    assert len(known(store, customer).memory.refusals) == 1
