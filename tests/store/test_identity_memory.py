"""What was promised, refused and reserved follows the person: through links, through their end, and once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from service.core.decision import Counter
from service.core.memory import Contact, Memory
from service.errors import CustomerLinked, LinkRefused, MemoryChanged
from service.store.identities import SKEW_MS
from tests.store import identities
from tests.store.identities import agree, link, new_ids, step, unlink
from tests.store.persons import Meanwhile
from tests.store.running import Running
from tests.store.test_memory import ACCEPTED, DAY_MS, NEVER, REFUSED, SHOWN, a_give, answer, known, said


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store."""
    with identities.merging(store_url) as one:
        yield one


@dataclass(frozen=True, slots=True)
class Two:
    """Two ids, and the store's clock."""

    alias: str
    person: str
    now_ms: int


@pytest.fixture
def two(store: Running) -> Two:
    """Return two ids that nobody has heard of."""
    alias, person = new_ids(2)
    return Two(alias, person, known(store, person).now_ms)


def memory(store: Running, customer: str) -> Memory:
    """Return what is remembered of a customer."""
    return known(store, customer).memory


def test_a_refusal_of_either_is_the_persons_once(store: Running, two: Two) -> None:
    """A link makes one list of both; linked again, told again and seen under either id it is the same."""
    for who in (two.alias, two.person):
        decision, _ = said(store, who, now_ms=two.now_ms)
        answer(store, who, decision, REFUSED)
    for _ in range(2):
        link(store, two.alias, two.person)
        assert len(memory(store, two.person).refusals) == 2
        assert memory(store, two.alias).refusals == memory(store, two.person).refusals
        unlink(store, two.alias)
    assert len(memory(store, two.person).refusals) == 2


def test_of_two_promises_the_one_given_first_holds(store: Running, two: Two) -> None:
    """Under one key only the older promise stands, whichever id it comes from; other keys stand beside it."""
    said(store, two.alias, "a", gives=(a_give("a", until_ms=two.now_ms + DAY_MS),), now_ms=two.now_ms - 5)
    said(store, two.person, "b", gives=(a_give("b", until_ms=two.now_ms + DAY_MS),), now_ms=two.now_ms - 4)
    said(store, two.person, "c", gives=(a_give("c", "other", two.now_ms + DAY_MS),), now_ms=two.now_ms - 9)
    link(store, two.alias, two.person)
    assert {one.key: one.action for one in memory(store, two.person).promised} == {"rule": "a", "other": "c"}


def test_a_promise_that_has_run_out_gives_way_to_one_that_holds(store: Running, two: Two) -> None:
    """What was promised first but holds no more does not end what holds."""
    said(store, two.alias, "a", gives=(a_give("a", until_ms=two.now_ms - 1),), now_ms=two.now_ms - 10)
    said(store, two.person, "b", gives=(a_give("b", until_ms=two.now_ms + DAY_MS),), now_ms=two.now_ms - 5)
    link(store, two.alias, two.person)
    assert [one.action for one in memory(store, two.person).promised] == ["b"]


def test_a_link_and_its_end_refuse_what_was_decided_before(store: Running, two: Two) -> None:
    """The version rises on both sides when ids are linked and when they part, if either remembers anything."""
    said(store, two.alias, gives=(a_give(until_ms=two.now_ms + DAY_MS),), now_ms=two.now_ms)
    before = memory(store, two.person).version
    link(store, two.alias, two.person)
    with pytest.raises(MemoryChanged):
        said(store, two.person, memory=before)
    linked = memory(store, two.person).version
    unlink(store, two.alias)
    with pytest.raises(MemoryChanged):
        said(store, two.person, memory=linked)
    with pytest.raises(MemoryChanged):
        said(store, two.alias, memory=1)


def test_who_remembers_nothing_pays_nothing_for_a_link(store: Running, two: Two) -> None:
    """Two ids of which nothing is remembered have no version after a link and its end."""
    said(store, two.person, now_ms=two.now_ms)
    link(store, two.alias, two.person)
    unlink(store, two.alias)
    assert (memory(store, two.person), memory(store, two.alias)) == (Memory(), Memory())


def test_who_leaves_takes_along_what_was_said_meanwhile(store: Running, two: Two) -> None:
    """An alias that leaves keeps what was promised and refused while it was linked, and nothing from before."""
    long_ago = two.now_ms - SKEW_MS - 60_000
    for who in (two.alias, two.person):
        agree(store, who, "service", "phone")
    said(store, two.person, "a", gives=(a_give("a", "old", two.now_ms + DAY_MS),), now_ms=long_ago)
    old, _ = said(store, two.person, "b", now_ms=long_ago)
    answer(store, two.person, old, NEVER, long_ago, "b")
    link(store, two.alias, two.person)
    now_ms = known(store, two.person).now_ms
    said(store, two.person, "c", gives=(a_give("c", "new", now_ms + DAY_MS),), now_ms=now_ms, channel="phone")
    new, _ = said(store, two.person, "d", now_ms=now_ms)
    answer(store, two.person, new, REFUSED, None, "d")
    unlink(store, two.alias)
    taken = memory(store, two.alias)
    assert [one.key for one in taken.promised] == ["new"]
    assert [one.action for one in taken.refusals] == ["d"]
    assert taken.last == Contact("phone", now_ms, ("c",))
    assert {one.key for one in memory(store, two.person).promised} == {"old", "new"}


def test_an_answer_to_an_alias_counts_for_the_person_and_is_taken_along(store: Running, two: Two) -> None:
    """What was decided under an id before its link, and answered after it, is the person's; and the alias's later."""
    long_ago = two.now_ms - SKEW_MS - 60_000
    decision, _ = said(store, two.alias, now_ms=long_ago)
    said(store, two.person, gives=(a_give(until_ms=two.now_ms + DAY_MS),), now_ms=long_ago)
    link(store, two.alias, two.person)
    answer(store, two.alias, decision, NEVER, long_ago + 1)
    (refusal,) = memory(store, two.person).refusals
    assert (refusal.action, memory(store, two.person).promised) == ("a", ())
    unlink(store, two.alias)
    assert memory(store, two.alias).refusals == (refusal,)


def test_a_yes_on_one_id_ends_the_promise_of_the_other(store: Running, two: Two) -> None:
    """What was promised to the person is taken once, whichever of their ids accepts it."""
    decision, _ = said(store, two.alias, now_ms=two.now_ms)
    said(store, two.person, gives=(a_give(until_ms=two.now_ms + DAY_MS),), now_ms=two.now_ms)
    link(store, two.alias, two.person)
    answer(store, two.alias, decision, ACCEPTED)
    assert memory(store, two.person).promised == ()


HELD = Counter("shown", 3, DAY_MS, hold_ms=3_600_000, on=SHOWN)


def test_what_is_reserved_counts_once_for_the_person(store: Running, two: Two) -> None:
    """Reservations of both ids count together, and again linked no more often; shown, each is one use."""
    decisions = [said(store, who, counters=(HELD,), now_ms=two.now_ms)[0] for who in (two.alias, two.person)]
    for _ in range(2):
        link(store, two.alias, two.person)
        assert len(known(store, two.person).counters["shown"]) == 2
        unlink(store, two.alias)
    link(store, two.alias, two.person)
    for who, decision in zip((two.alias, two.person), decisions, strict=True):
        answer(store, who, decision, SHOWN)
    unlink(store, two.alias)
    link(store, two.alias, two.person)
    assert len(known(store, two.person).counters["shown"]) == 2
    later_ms = two.now_ms + HELD.hold_ms
    assert said(store, two.person, counters=(HELD,), now_ms=later_ms)[1].chosen == (0,)
    assert said(store, two.person, "b", counters=(HELD,), now_ms=later_ms)[1].chosen == (-1,)


@pytest.mark.parametrize("first", ["link", "unlink"])
def test_an_answer_that_meets_a_link_counts_all_the_same(store: Running, two: Two, first: str) -> None:
    """The ids are linked, or part, between two looks of one call: it is repeated, and counts once."""
    decision, _ = said(store, two.alias, now_ms=two.now_ms)
    if first == "unlink":
        link(store, two.alias, two.person)

    async def meanwhile() -> None:
        if first == "link":
            await store.store.identities.link(two.alias, two.person)
        else:
            await store.store.identities.unlink(two.alias)

    store.store.memory._calls, calls = Meanwhile(store.store.calls, "remember", meanwhile), store.store.memory._calls  # type: ignore[assignment]  # it has all that is used
    try:
        answer(store, two.alias, decision, REFUSED)
    finally:
        store.store.memory._calls = calls
    whose = two.person if first == "link" else two.alias
    assert len(memory(store, whose).refusals) == 1
    if first == "unlink":
        assert memory(store, two.person).refusals == ()


@pytest.mark.parametrize("half", ["marked", "parted"])
def test_half_a_link_loses_no_answer(store: Running, two: Two, half: str) -> None:
    """An answer that finds a link half made, or half undone, takes the next step, and counts for whoever it is."""
    decision, _ = said(store, two.alias, now_ms=two.now_ms)
    if half == "marked":
        step(store, "mark", two.alias, two.person, "origin")
    else:
        link(store, two.alias, two.person)
        step(store, "part", two.alias, "", "u")
    answer(store, two.alias, decision, REFUSED)
    assert len(memory(store, two.alias).refusals) == 1
    assert len(memory(store, two.person).refusals) == (1 if half == "marked" else 0)


def test_nothing_is_given_in_the_name_of_who_has_left(store: Running, two: Two) -> None:
    """A decision for an alias that has left since gives no promise and reserves nothing."""
    link(store, two.alias, two.person)
    unlink(store, two.alias)
    step(store, "mark", two.alias, two.person, "origin")
    with pytest.raises(CustomerLinked):
        said(store, two.alias, counters=(HELD,), gives=(a_give(),))
    assert replace(memory(store, two.person), version=0) == Memory()


def promises(store: Running, customer: str) -> dict[str, str]:
    """Return what is promised under which key."""
    return {one.key: one.action for one in memory(store, customer).promised}


@pytest.mark.parametrize("kind", [ACCEPTED, REFUSED, NEVER])
@pytest.mark.parametrize("died", [False, True], ids=["at once", "in two goes"])
def test_a_promise_that_ended_meanwhile_does_not_come_back(store: Running, two: Two, kind: int, died: bool) -> None:
    """What the alias was promised before the link, and was answered during it, is no promise after it; another is."""
    long_ago, until_ms = two.now_ms - SKEW_MS - 60_000, two.now_ms + DAY_MS
    decision, _ = said(store, two.alias, gives=(a_give(until_ms=until_ms),), now_ms=long_ago)
    said(store, two.alias, "b", gives=(a_give("b", "other", until_ms),), now_ms=long_ago)
    link(store, two.alias, two.person)
    answer(store, two.alias, decision, kind)
    if died:
        leaving = step(store, "part", two.alias, "", "u")[1]
        step(store, "leave", two.person, two.alias, leaving[1:].split(b" ")[0], SKEW_MS)
        known(store, two.alias)
    else:
        unlink(store, two.alias)
    assert promises(store, two.alias) == promises(store, two.person) == {"other": "b"}


def test_a_promise_that_gave_way_does_not_come_back(store: Running, two: Two) -> None:
    """Of two stories the person's was the older one: the alias's ended with the link."""
    until_ms = two.now_ms + DAY_MS
    said(store, two.person, "b", gives=(a_give("b", until_ms=until_ms),), now_ms=two.now_ms - SKEW_MS - 60_000)
    said(store, two.alias, "a", gives=(a_give("a", until_ms=until_ms),), now_ms=two.now_ms)
    link(store, two.alias, two.person)
    unlink(store, two.alias)
    assert (promises(store, two.alias), promises(store, two.person)) == ({}, {"rule": "b"})


@pytest.mark.parametrize("marked", [False, True], ids=["refused", "never joined"])
def test_who_was_never_taken_in_keeps_what_was_promised(store: Running, two: Two, marked: bool) -> None:
    """A link that the person refused, or that nobody finished, ends no promise of the alias."""
    said(store, two.alias, gives=(a_give(until_ms=two.now_ms + DAY_MS),), now_ms=two.now_ms)
    if marked:
        step(store, "mark", two.alias, two.person, "origin")
        unlink(store, two.alias)
    else:
        link(store, two.person, new_ids(1)[0])
        with pytest.raises(LinkRefused):
            link(store, two.alias, two.person)
    assert promises(store, two.alias) == {"rule": "a"}


@pytest.mark.parametrize("again", [False, True], ids=["alone", "linked elsewhere"])
@pytest.mark.parametrize("kind", [ACCEPTED, REFUSED, NEVER])
def test_an_answer_reaches_the_id_that_was_asked_about(store: Running, two: Two, kind: int, again: bool) -> None:
    """What was decided for a person under an alias, and is answered when that has left, ends the promise for both."""
    link(store, two.alias, two.person)
    given = (a_give(until_ms=two.now_ms + DAY_MS),)
    decision, _ = said(store, two.person, gives=given, now_ms=two.now_ms, asked=two.alias, counters=(HELD,))
    unlink(store, two.alias)
    (other,) = new_ids(1)
    if again:
        link(store, two.alias, other)
    assert promises(store, two.alias) == promises(store, two.person) == {"rule": "a"}
    for _ in range(2):
        answer(store, two.person, decision, kind)
    assert promises(store, two.alias) == promises(store, two.person) == {}
    wanted = [] if kind == ACCEPTED else [("a", kind)]
    for who in (two.alias, two.person):
        assert [(one.action, one.kind) for one in memory(store, who).refusals] == wanted
    unlink(store, two.alias)
    link(store, two.alias, two.person)
    assert len(known(store, two.person).counters["shown"]) == 1, "seen by both, it is one use"


def test_an_answer_under_an_alias_that_stayed_counts_once(store: Running, two: Two) -> None:
    """While the ids are linked the answer is the person's, once; erased, the alias hears of nothing."""
    link(store, two.alias, two.person)
    decisions = [said(store, two.person, now_ms=two.now_ms, asked=two.alias)[0] for _ in range(2)]
    answer(store, two.person, decisions[0], REFUSED)
    assert len(memory(store, two.person).refusals) == 1
    unlink(store, two.alias)
    store.wait(store.store.rights.erase(two.alias))
    answer(store, two.person, decisions[1], REFUSED)
    assert (len(memory(store, two.person).refusals), known(store, two.alias).erased) == (2, True)
