"""The store folds as models/folds.py does: the same states, whatever arrives, however often and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from models import folds
from models.context import Attribute, ContextSchema, Field, Fold, FoldKind, Purpose, ValueType
from service.core.records import ConsentRecord, EventToFold
from service.store import keys
from service.store.functions import read_functions
from tests.folding import DETERMINISTIC, START_MS, TEXTS, Happening, assert_equal, folded, happenings
from tests.store.running import Running, running

_numbers = count()
_pack = msgspec.msgpack.encode


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


def new_customer(store: Running) -> str:
    """Return a customer whom nobody knows but for a consent to everything."""
    customer = f"folder-{next(_numbers)}"
    store.wait(store.store.consents.set_consent(customer, ConsentRecord("full", (), 1, "test")))
    return customer


def events(found: Sequence[Happening], keep: int, keep_open: int) -> list[EventToFold]:
    """Return events as the edge hands them to the store."""
    return [EventToFold(one.event_id, one.t_ms, one.operations(keep, keep_open)) for one in found]


def operation(kind: FoldKind, value: bool | int | float | str, key: int = 1, group: str = "s") -> folds.Operation:
    """Return an operation with ordinary bounds."""
    return folds.Operation(key, group, kind, value, 3_600_000, 86_400_000, 64, False)


@settings(DETERMINISTIC, max_examples=60)
@given(happenings(), st.randoms(use_true_random=False), st.integers(1, 9))
def test_any_order_and_repetition_gives_the_states_of_the_plain_order(
    store: Running, happened: list[Happening], dice: Random, batch: int
) -> None:
    """Events shuffled, repeated and in batches give what Python gives for each once, in the order of their times."""
    arriving = [*happened, *dice.choices(happened, k=len(happened))]
    dice.shuffle(arriving)
    customer, new = new_customer(store), 0
    for start in range(0, len(arriving), batch):
        part = events(arriving[start : start + batch], 3, len(TEXTS))
        new += sum(store.wait(store.store.events.fold(customer, part)))
    assert new == len(happened)
    in_order = sorted(happened, key=lambda one: one.t_ms)
    sizes = sum(abs(one.amount) for one in happened)
    assert_equal(store.states(customer), folded(in_order, 3, len(TEXTS)), sizes)


@settings(DETERMINISTIC, max_examples=60)
@given(happenings(), st.integers(1, 3), st.integers(1, 3))
def test_the_same_order_gives_the_same_states_beyond_all_bounds(
    store: Running, happened: list[Happening], keep: int, keep_open: int
) -> None:
    """Where bounds make the order matter, the store and Python still forget the same."""
    customer = new_customer(store)
    store.wait(store.store.events.fold(customer, events(happened, keep, keep_open)))
    assert_equal(store.states(customer), folded(happened, keep, keep_open), sum(abs(one.amount) for one in happened))


def test_sums_stop_at_what_is_kept_exactly(store: Running) -> None:
    """A sum that leaves the range of exact whole numbers stays at its end, in the store and in Python."""
    customer, most = new_customer(store), folds.LARGEST_INT
    adding = operation(FoldKind.SUM, most - 1)
    store.wait(store.store.events.fold(customer, [EventToFold(str(n), START_MS, (adding,)) for n in range(3)]))
    assert store.states(customer)[1] == [START_MS, most]
    assert folds.apply([START_MS, most - 1], adding, START_MS) == [START_MS, most]


@pytest.mark.parametrize("kind", list(FoldKind))
@pytest.mark.parametrize("value", [2, "text", [[START_MS, "a"]], [[START_MS, 5]], {"a": START_MS}, {"a": [1, 0]}, None])
def test_a_state_of_another_fold_counts_as_none(store: Running, raw: Redis, kind: FoldKind, value: object) -> None:
    """What another fold left under the same key is taken or left alike by the store and by Python."""
    before = [START_MS] if value is None else [START_MS, value]
    text = kind in (FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.RECENT)
    folding = operation(kind, "b" if text else 7)
    customer = new_customer(store)
    raw.hset(keys.context_key(customer), "s", _pack({1: before}))
    store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, (folding,))]))
    assert store.states(customer)[1] == folds.apply(before, folding, START_MS)


def test_states_that_cannot_be_read_are_put_aside_and_folding_goes_on(store: Running, raw: Redis) -> None:
    """A group that somebody else overwrote is kept for inspection, and new events are folded all the same."""
    customer = new_customer(store)
    context = keys.context_key(customer)
    raw.hset(context, "s", b"\xc1 no msgpack")
    store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, (operation(FoldKind.COUNT, 1),))]))
    assert store.states(customer) == {1: [START_MS, 1]}
    assert raw.hget(context, "qs") == b"\xc1 no msgpack"


@pytest.mark.parametrize("fields", [1, 15, 16, 255, 256, 300])
def test_a_group_holds_any_number_of_fields(store: Running, fields: int) -> None:
    """Few or many fields under whatever keys, all come back under their own."""
    for first_key in (1, 65_000):
        customer = new_customer(store)
        counting = tuple(operation(FoldKind.COUNT, 1, first_key + n) for n in range(fields))
        store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, counting)]))
        assert store.states(customer) == {first_key + n: [START_MS, 1] for n in range(fields)}


def test_one_bad_event_in_a_batch_writes_nothing(store: Running, raw: Redis) -> None:
    """A batch that fails inside the store leaves no half of it behind, so that it can be sent again."""
    customer = new_customer(store)
    good, bad = operation(FoldKind.COUNT, 1), operation(FoldKind.RECENT, 5)
    bad = folds.Operation(bad.key, bad.group, "no such kind", 5, 1, 1, 64, False)  # type: ignore[arg-type]  # on purpose
    batch = [EventToFold("good", START_MS, (good,)), EventToFold("bad", START_MS, (bad,))]
    with pytest.raises(Exception, match="The store refused a command"):
        store.wait(store.store.events.fold(customer, batch))
    assert store.states(customer) == {}
    assert not raw.exists(keys.events_key(customer))


def test_the_memory_of_event_ids_is_bounded(store: Running, raw: Redis) -> None:
    """The last 4,096 event ids of a customer are remembered, and no more."""
    customer = new_customer(store)
    batch = [EventToFold(str(n), START_MS, ()) for n in range(4_200)]
    assert store.wait(store.store.events.fold(customer, batch)) == (True,) * 4_200
    assert store.wait(store.store.events.fold(customer, batch[-4_000:])) == (False,) * 4_000
    assert raw.zcard(keys.events_key(customer)) == 4_096


@pytest.mark.parametrize("kind", [FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.RECENT])
def test_long_texts_that_begin_alike_do_not_hold_the_store_up(store: Running, raw: Redis, kind: FoldKind) -> None:
    """The largest batch of long texts that differ only at their end, all at one moment, makes no call that is long."""
    schema = ContextSchema.of((), (a_field(kind),))
    batch = [
        EventToFold(str(n), START_MS, folds.operations(schema, "told", {"text": f"{'x' * 1_000}{n}"}))
        for n in range(1_000)
    ]
    raw.config_set("slowlog-log-slower-than", 0)
    raw.slowlog_reset()
    try:
        store.wait(store.store.events.fold(new_customer(store), batch, 60.0))
        calls = [entry["duration"] for entry in raw.slowlog_get(100) if b"FCALL" in entry["command"]]
    finally:
        raw.config_set("slowlog-log-slower-than", 10_000)
    assert calls
    assert max(calls) < 150_000, "microseconds"


def a_field(kind: FoldKind) -> Field:
    """Declare a field that folds the text of an event."""
    fold = Fold(kind, "told", "text", keep=64)
    return Field("past.told", ValueType.INT, Purpose.SERVICE, "", fold, None, Attribute("text", ValueType.STRING), 1)


def test_an_event_that_changes_no_field_is_still_remembered(store: Running) -> None:
    """An event that nothing folds is new once and repeated from then on."""
    customer = new_customer(store)
    assert store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, ())])) == (True,)
    assert store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, ())])) == (False,)


def test_the_same_event_id_of_two_customers_is_two_events(store: Running) -> None:
    """Event ids are remembered per customer."""
    event = EventToFold("e", START_MS, (operation(FoldKind.COUNT, 1),))
    for customer in (new_customer(store), new_customer(store)):
        assert store.wait(store.store.events.fold(customer, [event])) == (True,)
        assert store.states(customer) == {1: [START_MS, 1]}


def test_functions_are_named_after_their_content() -> None:
    """Another source has other names, so that two versions of the service share a store."""
    functions = read_functions()
    assert functions == read_functions()
    assert functions.name("read") != "tact_read"
    other = type(functions).of(functions.source + "-- another")
    assert other.name("read") != functions.name("read")
    with pytest.raises(KeyError):
        functions.name("redo")
