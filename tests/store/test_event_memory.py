"""What the store remembers of events beside what they fold into: their ids, their arrival, whose they were."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis import Redis

from models.context import FoldKind
from models.states import arrivals, unpacked
from service.core.records import EventFate, EventToFold
from service.store import keys
from service.store.events import EventStore
from service.store.retention import Retention
from service.store.suppression import Suppression
from tests.folding import START_MS
from tests.store.made_up import new_customer, operation
from tests.store.running import Running, running

STORED, REPEATED, ERASED = EventFate.STORED, EventFate.REPEATED, EventFate.ERASED
CONFLICT = EventFate.CONFLICT


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


@pytest.fixture
def raw(store_url: str) -> Iterator[Redis]:
    """Return the store without Tact."""
    with Redis.from_url(store_url) as client:
        yield client


def test_the_memory_of_event_ids_is_bounded(store: Running, raw: Redis) -> None:
    """At least the last 4,096 event ids of a customer are remembered, and never more than 4,735."""
    customer, most = new_customer(store), 0
    batch = [EventToFold(str(n), START_MS, ()) for n in range(9_400)]
    for start in range(0, len(batch), 100):
        assert store.wait(store.store.events.fold(customer, batch[start : start + 100])) == (STORED,) * 100
        most = max(most, remembered(raw, customer))
    assert store.wait(store.store.events.fold(customer, batch[-4_096:])) == (REPEATED,) * 4_096
    assert store.wait(store.store.events.fold(customer, batch[: 9_400 - 4_735])) == (STORED,) * (9_400 - 4_735)
    assert most <= 4_735


def remembered(raw: Redis, customer: str) -> int:
    """Return how many event ids of a customer are remembered."""
    beside, beyond = raw.hget(keys.context_key(customer), "e") or b"", raw.get(keys.events_key(customer)) or b""
    return (len(beside) + len(beyond)) // keys.EVENT_DIGEST_BYTES


def test_an_event_that_changes_no_field_is_still_remembered(store: Running) -> None:
    """An event that nothing folds is new once and repeated from then on."""
    customer = new_customer(store)
    assert store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, ())])) == (STORED,)
    assert store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, ())])) == (REPEATED,)


def test_the_same_event_id_of_two_customers_is_two_events(store: Running) -> None:
    """Event ids are remembered per customer."""
    event = EventToFold("e", START_MS, (operation(FoldKind.COUNT, 1),))
    for customer in (new_customer(store), new_customer(store)):
        assert store.wait(store.store.events.fold(customer, [event])) == (STORED,)
        assert store.states(customer) == {1: [START_MS, 1]}


def test_the_store_refuses_what_happened_to_an_erased_customer(raw: Redis, store_url: str) -> None:
    """Of an erased customer nothing is folded; after a new consent what happened since is, and nothing from before."""
    customer, suppression = "erased", Suppression(b"k" * 32)
    with running(store_url) as open_store:
        guarded = EventStore(open_store.store.calls, Retention(), suppression)
        raw.delete(*keys.fold_keys(customer)[:2])
        raw.hset(keys.suppression_key(keys.bucket(customer)), suppression.digest(customer), START_MS)
        counting = (operation(FoldKind.COUNT, 1),)
        happened = [EventToFold(str(n), START_MS + n - 1, counting) for n in range(3)]
        assert open_store.wait(guarded.fold(customer, happened)) == (ERASED,) * 3
        assert not raw.exists(*keys.fold_keys(customer)[:2])
        raw.hset(keys.context_key(customer), "i", customer)
        assert open_store.wait(guarded.fold(customer, happened)) == (ERASED, ERASED, STORED)
        assert unpacked(group(raw, customer)) == {1: [START_MS + 1, 1]}


@pytest.mark.parametrize("marking", [False, True])
def test_customers_whose_context_changed_are_marked_where_that_is_wanted(
    store: Running, raw: Redis, *, marking: bool
) -> None:
    """Only an event that is stored marks its customer, and only where somebody looks at the marks."""
    customer, event = new_customer(store), EventToFold("e", START_MS, (operation(FoldKind.COUNT, 1),))
    marks = keys.changed_key(keys.bucket(customer))
    raw.delete(marks)
    events = EventStore(store.store.calls, Retention(), mark_changes=marking)
    assert store.wait(events.fold(customer, [event])) == (STORED,)
    assert raw.exists(marks) == marking
    raw.delete(marks)
    assert store.wait(events.fold(customer, [event])) == (REPEATED,)
    assert not raw.exists(marks)


def test_the_arrival_of_what_dates_a_state_is_kept(store: Running, raw: Redis) -> None:
    """Beside its date a state keeps when the event arrived that it dates from, to the second by the store's clock."""
    customer = new_customer(store)
    counting, first = (operation(FoldKind.COUNT, 1), operation(FoldKind.FIRST, 5, key=2)), time_of(raw)
    store.wait(store.store.events.fold(customer, [EventToFold("new", first - 5_000, counting)]))
    before = arrivals(group(raw, customer))
    while time_of(raw) < first + 1_100:
        pass
    store.wait(store.store.events.fold(customer, [EventToFold("late", first - 86_400_000, counting)]))
    after = arrivals(group(raw, customer))
    assert first - 1_000 < before[1] == before[2] <= time_of(raw)
    assert after[1] == before[1], "the late event does not date the count"
    assert after[2] > before[2], "but what came first"


def time_of(raw: Redis) -> int:
    """Return the store's clock in milliseconds."""
    seconds, micros = raw.time()
    return int(seconds) * 1000 + int(micros) // 1000


def test_an_event_id_is_found_only_as_a_whole(store: Running, raw: Redis) -> None:
    """Bytes of two remembered ids that together look like a third do not make an event a repeated one."""
    customer, event = new_customer(store), EventToFold("e", START_MS, ())
    digest = keys.event_digest("e")
    raw.hset(keys.context_key(customer), "e", b"\0" * 3 + digest + b"\0" * 3)
    assert store.wait(store.store.events.fold(customer, [event])) == (STORED,)
    raw.hset(keys.context_key(customer), "e", b"\0" * 3 + digest + b"\0" * 3 + digest)
    assert store.wait(store.store.events.fold(customer, [event])) == (REPEATED,)


def group(raw: Redis, customer: str) -> bytes:
    """Return what is packed of a customer under the purpose of service."""
    found = raw.hget(keys.context_key(customer), "s")
    assert isinstance(found, bytes)
    return found


def test_an_event_renews_how_long_the_customer_is_kept(store: Running, raw: Redis) -> None:
    """After each event the context lives as long as it should, short by a thousandth at most."""
    customer, context_ms = new_customer(store), Retention().context // timedelta(milliseconds=1)
    for left in (1_000, context_ms * 99 // 100, context_ms * 9_995 // 10_000):
        raw.pexpire(keys.context_key(customer), left)
        store.wait(store.store.events.fold(customer, [EventToFold(str(left), START_MS, ())]))
        assert context_ms * 0.999 <= raw.pttl(keys.context_key(customer)) <= context_ms


def test_another_event_under_the_same_id_is_a_conflict(store: Running, raw: Redis) -> None:
    """The first one holds; the same again is a repetition, in the same batch as well as later; nothing is counted."""
    customer, counting = new_customer(store), (operation(FoldKind.COUNT, 1),)
    first, other = EventToFold("e", START_MS, counting, b"aa"), EventToFold("e", START_MS + 1, counting, b"bb")
    assert store.wait(store.store.events.fold(customer, [first, other, first])) == (STORED, CONFLICT, REPEATED)
    before = group(raw, customer)
    assert store.wait(store.store.events.fold(customer, [other, first])) == (CONFLICT, REPEATED)
    untold = EventToFold("e", START_MS, counting)
    assert store.wait(store.store.events.fold(customer, [untold])) == (REPEATED,)
    assert group(raw, customer) == before


def test_what_events_said_is_remembered_of_the_last_ones_only(store: Running, raw: Redis) -> None:
    """At least the last 64 are compared, never more than 128 are kept, and older ones are taken for the same."""
    customer, most = new_customer(store), 0
    batch = [EventToFold(str(n), START_MS, (), b"aa") for n in range(300)]
    for start in range(0, len(batch), 50):
        store.wait(store.store.events.fold(customer, batch[start : start + 50]))
        most = max(most, len(raw.hget(keys.context_key(customer), "x") or b""))
    others = [EventToFold(event.event_id, START_MS, (), b"bb") for event in batch]
    assert store.wait(store.store.events.fold(customer, others[-64:])) == (CONFLICT,) * 64
    assert store.wait(store.store.events.fold(customer, others[:50])) == (REPEATED,) * 50
    assert most <= 6 * 127
