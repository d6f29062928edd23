"""What was said and how it was answered is remembered with the person, once, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from msgspec.structs import replace
from redis import Redis

from service.core import plan
from service.core.decision import Bound, Commit, Committed, Counter, Known
from service.core.memory import Contact, Give, Promised, Refusal
from service.core.plan import Entry
from service.core.records import OutcomeRecord, OutcomeStatus
from service.errors import MemoryChanged
from service.store import keys
from service.store.calls import StoreUnreadable
from service.store.connection import StoreReplied
from service.store.remembered import mark_of
from tests.store import identities
from tests.store.identities import agree, link, new_ids
from tests.store.running import Running

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
SHOWN, CLICKED, ACCEPTED, REFUSED, NOT_NOW, NEVER = 1, 2, 3, 4, 5, 6
FACTS = b"\x00\xffof then"
ONCE_SHOWN = Counter("shown", 1, 1_000, hold_ms=60_000, on=SHOWN)
_numbers = count()


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store that can erase."""
    with identities.merging(store_url) as one:
        yield one


def said(
    store: Running,
    customer: str,
    action: str = "a",
    counters: Sequence[Counter] = (),
    gives: Sequence[Give] = (),
    now_ms: int = NOW_MS,
    memory: int | None = None,
    channel: str = "",
    asked: str = "",
) -> tuple[str, Committed]:
    """Commit a decision that says one action; return its id and what was done."""
    decision = keys.repeatable_decision_id(customer, f"{next(_numbers)}")
    entry = Entry(decision, customer, channel, now_ms, "small@1", "", "full", (), None, (), (), (), ())
    commit = Commit(
        customer, decision, b"digest", now_ms, plan.pack(entry), (((action, tuple(counters)),),),
        gives=tuple(gives), memory=memory, channel=channel, asked=asked,
    )  # fmt: skip
    return decision, store.wait(store.store.customers.commit(commit))


def answer(
    store: Running, customer: str, decision: str, kind: int, at_ms: int | None = None, action: str = "a"
) -> OutcomeStatus:
    """Record an outcome and let it count."""
    outcome = OutcomeRecord(decision, action, kind, at_ms, 0.0)
    status = store.wait(store.store.outcomes.record_outcome(outcome))
    told = decision, action, kind, at_ms
    store.wait(store.store.memory.remember(customer, *told, "group", ("upsell",), None))
    return status


def known(store: Running, customer: str) -> Known:
    """Return what is known of a customer."""
    return store.wait(store.store.customers.context(customer))


def a_give(action: str = "a", key: str = "rule", until_ms: int = NOW_MS + DAY_MS, facts: bytes = FACTS) -> Give:
    """Return a promise to be given."""
    return Give(action, key, until_ms, facts)


def test_nothing_is_remembered_of_who_was_told_nothing(store: Running) -> None:
    """Where no action promises, reserves or is answered, a customer's memory is empty and costs no field."""
    (customer,) = new_ids(1)
    said(store, customer, counters=(Counter("cap", 3, 1_000),), memory=0)
    assert known(store, customer).memory == identities.known(store, new_ids(1)[0]).memory


def test_a_promise_is_given_by_what_is_said_alone(store: Running) -> None:
    """Of the promises of all candidates, those of the action that is taken are given; the version rises."""
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, gives=(a_give(), a_give("b", "other")), memory=0)
    memory = known(store, customer).memory
    assert memory.promised == (Promised("rule", "a", NOW_MS, NOW_MS + DAY_MS, decision, FACTS),)
    assert memory.version == 1


def test_a_promise_that_is_kept_stands_as_it_was_given(store: Running) -> None:
    """The same action again under the same facts changes nothing: neither since when it holds, nor the version."""
    (customer,) = new_ids(1)
    said(store, customer, gives=(a_give(),))
    first = known(store, customer).memory
    said(store, customer, gives=(a_give(until_ms=NOW_MS + 2 * DAY_MS),), now_ms=NOW_MS + 5, memory=1)
    assert known(store, customer).memory == first


@pytest.mark.parametrize(
    ("action", "facts", "after_ms"), [("b", FACTS, 1), ("a", b"others", 1), ("a", FACTS, DAY_MS)],
    ids=["another action", "other facts", "run out"],
)  # fmt: skip
def test_a_promise_gives_way_to_another(store: Running, action: str, facts: bytes, after_ms: int) -> None:
    """Another action, other facts or a promise that has run out: the new one is given now, under the same key."""
    (customer,) = new_ids(1)
    said(store, customer, gives=(a_give(),))
    now_ms = NOW_MS + after_ms
    new = a_give(action, facts=facts, until_ms=now_ms + DAY_MS)
    decision, _ = said(store, customer, action, gives=(new,), now_ms=now_ms, memory=1)
    memory = known(store, customer).memory
    assert memory.promised == (Promised("rule", action, now_ms, now_ms + DAY_MS, decision, facts),)
    assert memory.version == 2


def test_a_decision_of_an_older_memory_is_refused(store: Running) -> None:
    """Who decided before the last promise was given commits nothing; who does not ask is let through."""
    (customer,) = new_ids(1)
    said(store, customer, gives=(a_give(),), memory=0)
    before = known(store, customer)
    with pytest.raises(MemoryChanged):
        said(store, customer, "b", (Counter("cap", 1, 1_000),), (a_give("b"),), memory=0)
    after = known(store, customer)
    assert replace(after, now_ms=0) == replace(before, now_ms=0)
    assert said(store, customer, "b", memory=None)[1].chosen == (0,)
    assert said(store, customer, "b", memory=1)[1].chosen == (0,)


def test_the_latest_contact_is_that_in_which_something_was_said(store: Running) -> None:
    """The channel, the moment and the actions of the latest decision that said something; silence is no contact."""
    (customer,) = new_ids(1)
    agree(store, customer, "service", "web")
    said(store, customer, channel="chat")
    assert known(store, customer).memory.last == Contact("chat", NOW_MS, ("a",))
    never = Counter("never", 0, 1)
    assert said(store, customer, "b", (never,), channel="phone", now_ms=NOW_MS + 1)[1].chosen == (-1,)
    assert known(store, customer).memory.last == Contact("chat", NOW_MS, ("a",))
    assert known(store, customer).memory.version == 0


@pytest.mark.parametrize(("level", "told"), [("", False), ("none", False), ("service", True), ("full", True)])
def test_the_latest_contact_leaves_the_store_for_service_alone(
    store: Running, store_url: str, level: str, told: bool
) -> None:
    """It is a fact about the customer: without a consent to service nobody is told, though it stands there; so for the
    person behind an alias.
    """
    alias, person = new_ids(2)
    if level:
        agree(store, person, level, "web")
    link(store, alias, person)
    said(store, person, channel="chat")
    with Redis.from_url(store_url) as raw:
        assert raw.hexists(keys.context_key(person), "h")
    wanted = Contact("chat", NOW_MS, ("a",)) if told else None
    assert [known(store, who).memory.last for who in (person, alias)] == [wanted, wanted]


@pytest.mark.parametrize("kind", [REFUSED, NOT_NOW, NEVER])
def test_a_no_is_remembered_once_and_ends_promises_of_its_action(store: Running, kind: int) -> None:
    """The answer stands with its action, group, intents and time; told again it is the same, and only its own action's
    promises end.
    """
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, gives=(a_give(),))
    said(store, customer, "b", gives=(a_give("b", "other"),))
    assert answer(store, customer, decision, kind, NOW_MS - 1) is OutcomeStatus.STORED
    memory = known(store, customer).memory
    (refusal,) = memory.refusals
    mark = bytes.fromhex(mark_of(decision, "a"))
    assert refusal == Refusal("a", "group", ("upsell",), kind, refusal.at_ms, mark)
    assert [one.action for one in memory.promised] == ["b"]
    assert memory.version == 3
    assert answer(store, customer, decision, kind, NOW_MS - 1) is OutcomeStatus.REPEATED
    assert known(store, customer).memory == memory


def test_a_yes_ends_the_promise_and_is_no_refusal(store: Running) -> None:
    """What was accepted is not promised any more; what is promised after that stays, should the yes be told again."""
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, gives=(a_give(),), now_ms=NOW_MS)
    answer(store, customer, decision, ACCEPTED)
    assert (known(store, customer).memory.promised, known(store, customer).memory.refusals) == ((), ())
    later_ms = known(store, customer).now_ms + 3_600_000
    said(store, customer, gives=(a_give(until_ms=later_ms + DAY_MS),), now_ms=later_ms)
    answer(store, customer, decision, ACCEPTED)
    assert [one.given_ms for one in known(store, customer).memory.promised] == [later_ms]


@pytest.mark.parametrize("kind", [ACCEPTED, REFUSED, NOT_NOW, NEVER])
def test_an_answer_ends_what_was_promised_before_it_alone(store: Running, kind: int) -> None:
    """An answer that is remembered late, or again, ends no promise that was given after it was recorded."""
    (customer,) = new_ids(1)
    decision, _ = said(store, customer, gives=(a_give(),))
    store.wait(store.store.outcomes.record_outcome(OutcomeRecord(decision, "a", kind, None, 0.0)))  # then nothing more
    later_ms = known(store, customer).now_ms + 3_600_000
    new = a_give(until_ms=later_ms + DAY_MS, facts=b"newer")
    said(store, customer, gives=(new,), now_ms=later_ms)
    for _ in range(2):
        answer(store, customer, decision, kind)
        assert [one.given_ms for one in known(store, customer).memory.promised] == [later_ms]


def test_what_is_reserved_counts_until_its_hold_ends(store: Running) -> None:
    """A reserved use binds until the end of its hold, and the answer says that it frees then; then it is given back."""
    (customer,) = new_ids(1)
    said(store, customer, counters=(ONCE_SHOWN,))
    ends_ms = NOW_MS + 60_000
    assert said(store, customer, "b", (ONCE_SHOWN,), now_ms=ends_ms - 1)[1].bound == (Bound(0, 0, "shown", ends_ms),)
    assert said(store, customer, "b", (ONCE_SHOWN,), now_ms=ends_ms)[1].chosen == (0,)


@pytest.mark.parametrize("late_ms", [10, 61_000], ids=["in time", "late"])
def test_what_was_shown_counts_from_then_on(store: Running, late_ms: int) -> None:
    """What was reserved becomes a use when it is shown, also after the hold has ended; told again it is one use."""
    (customer,) = new_ids(1)
    now_ms = identities.known(store, customer).now_ms - 120_000
    counter = replace(ONCE_SHOWN, within_ms=3_600_000)
    decision, _ = said(store, customer, counters=(counter,), now_ms=now_ms)
    shown_ms = now_ms + late_ms
    if late_ms > counter.hold_ms:
        said(store, customer, "b", (replace(counter, key="other"),), now_ms=now_ms + 180_000)  # what ended is forgotten
    for _ in range(2):
        answer(store, customer, decision, SHOWN, shown_ms)
    assert known(store, customer).counters.get("shown") == (shown_ms,)
    refused = said(store, customer, "b", (counter,), now_ms=shown_ms + 3_599_999)[1]
    assert refused.bound == (Bound(0, 0, "shown", shown_ms + 3_600_000),)
    assert said(store, customer, "b", (counter,), now_ms=shown_ms + 3_600_000)[1].chosen == (0,)


def test_a_click_is_waited_for_by_what_counts_clicks(store: Running) -> None:
    """Of what counts clicks only a click makes a use; who answers has been shown it, so all answers count as shown."""
    (customer,) = new_ids(1)
    now_ms = identities.known(store, customer).now_ms
    clicked = replace(ONCE_SHOWN, key="clicked", on=CLICKED, hold_ms=1)
    shown = replace(ONCE_SHOWN, key="seen", hold_ms=1)
    decision, _ = said(store, customer, counters=(clicked, shown), now_ms=now_ms - 10)
    assert set(known(store, customer).counters) == set()
    answer(store, customer, decision, REFUSED)
    assert set(known(store, customer).counters) == {"seen"}
    answer(store, customer, decision, CLICKED)
    assert set(known(store, customer).counters) == {"seen", "clicked"}


def test_what_is_reserved_on_a_day_counts_on_this_one(store: Running) -> None:
    """Of a day's counter a contact that may still be shown counts as shown today, however short its hold is."""
    (customer,) = new_ids(1)
    now_ms = known(store, customer).now_ms
    day = Counter("day", 1, DAY_MS + 3_600_000, now_ms - 5, now_ms + DAY_MS, hold_ms=60_000, on=SHOWN)
    said(store, customer, counters=(day,), now_ms=now_ms)
    seen = known(store, customer)
    assert seen.counters == {"day": (seen.now_ms,)}


def test_a_day_counts_what_was_said_on_it(store: Running) -> None:
    """A counter of a day counts uses since its midnight and frees at the next one, however long ago they were."""
    (customer,) = new_ids(1)
    day = Counter("day", 1, DAY_MS + 3_600_000, NOW_MS, NOW_MS + DAY_MS)
    said(store, customer, counters=(day,), now_ms=NOW_MS - 1)
    assert said(store, customer, counters=(day,), now_ms=NOW_MS)[1].chosen == (0,), "that was the day before"
    assert said(store, customer, counters=(day,), now_ms=NOW_MS + 5)[1].bound == (Bound(0, 0, "day", NOW_MS + DAY_MS),)
    tomorrow = replace(day, since_ms=NOW_MS + DAY_MS, frees_ms=NOW_MS + 2 * DAY_MS)
    assert said(store, customer, counters=(tomorrow,), now_ms=NOW_MS + DAY_MS)[1].chosen == (0,)


@pytest.mark.parametrize("field", ["z", "v", "r", "h", "g"])
@pytest.mark.parametrize("written", [b"\xc1", b"", b"\x81\x01\x02"], ids=["garbage", "empty", "something else"])
def test_a_memory_that_cannot_be_read_is_no_empty_one(
    store: Running, store_url: str, field: str, written: bytes
) -> None:
    """Then nothing is known to have been promised or refused: the read is an error, and nothing is committed."""
    (customer,) = new_ids(1)
    agree(store, customer, "service", "web")
    said(store, customer, counters=(ONCE_SHOWN,), gives=(a_give(),), channel="web")
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.context_key(customer), field, written)
    with pytest.raises(StoreUnreadable):
        known(store, customer)
    if field in "vrg" and not (field == "r" and written.startswith(b"\x81")):
        with pytest.raises(StoreReplied):
            said(store, customer, "b", gives=(a_give("b"),), memory=1)
