"""The store folds as models/folds.py does: the same states, whatever arrives, however often and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from models import folds
from models.context import Attribute, ContextSchema, Field, Fold, FoldKind, Purpose, ValueType
from models.states import packed, unpacked
from service.core.records import EventFate, EventToFold
from service.store import keys
from service.store.functions import read_functions
from tests.folding import DETERMINISTIC, START_MS, TEXTS, Happening, folded, happenings
from tests.store.made_up import new_customer, operation
from tests.store.running import Running, running

STORED, REPEATED, ERASED = EventFate.STORED, EventFate.REPEATED, EventFate.ERASED
_numbers = count()


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


def events(found: Sequence[Happening], keep: int, keep_open: int) -> list[EventToFold]:
    """Return events as the edge hands them to the store."""
    return [EventToFold(one.event_id, one.t_ms, one.operations(keep, keep_open)) for one in found]


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
        new += store.wait(store.store.events.fold(customer, part)).count(STORED)
    assert new == len(happened)
    in_order = sorted(happened, key=lambda one: one.t_ms)
    assert store.states(customer) == folded(in_order, 3, len(TEXTS))


@settings(DETERMINISTIC, max_examples=60)
@given(happenings(), st.integers(1, 3), st.integers(1, 3))
def test_the_same_order_gives_the_same_states_beyond_all_bounds(
    store: Running, happened: list[Happening], keep: int, keep_open: int
) -> None:
    """Where bounds make the order matter, the store and Python still forget the same."""
    customer = new_customer(store)
    store.wait(store.store.events.fold(customer, events(happened, keep, keep_open)))
    assert store.states(customer) == folded(happened, keep, keep_open)


def test_sums_stop_at_what_is_kept_exactly(store: Running) -> None:
    """A sum that leaves the range of exact whole numbers stays at its end, in the store and in Python."""
    customer, most = new_customer(store), folds.LARGEST_INT
    adding = operation(FoldKind.SUM, most - 1)
    store.wait(store.store.events.fold(customer, [EventToFold(str(n), START_MS, (adding,)) for n in range(3)]))
    assert store.states(customer)[1] == [START_MS, most]
    assert folds.apply([START_MS, most - 1], adding, START_MS) == [START_MS, most]


@pytest.mark.parametrize("kind", list(FoldKind))
@pytest.mark.parametrize(
    "rest",
    [
        [], [2], ["text"], [True], [[[START_MS, "a"]]], [[[START_MS, 5]]], [{"a": START_MS}], [{"a": [1, 0]}],
        [[[20_717, 5]], 86_400_000], [[[497_222, 5]], 3_600_000], [["a"], "version 1"], [7, "version 1"],
    ],
)  # fmt: skip
def test_a_state_of_another_fold_counts_as_none(store: Running, raw: Redis, kind: FoldKind, rest: list[object]) -> None:
    """What another fold left under the same key is taken or left alike by the store and by Python."""
    before = [START_MS, *rest]
    text = kind in (FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.RECENT)
    folding = operation(kind, "b" if text else 7)
    customer = new_customer(store)
    raw.hset(keys.context_key(customer), "s", packed({1: before}))
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


@pytest.mark.parametrize("kind", [FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.RECENT])
def test_long_texts_that_begin_alike_do_not_hold_the_store_up(store: Running, raw: Redis, kind: FoldKind) -> None:
    """The largest batch of long texts that differ only at their end, all at one moment, makes no call that is long."""
    schema = ContextSchema.of((), (a_field(kind),))
    batch = [
        EventToFold(str(n), START_MS, folds.operations(schema, "told", {"text": f"{'x' * 1_000}{n}"}))
        for n in range(1_000)
    ]
    most = str(raw.config_get("slowlog-max-len")["slowlog-max-len"])
    raw.config_set("slowlog-max-len", 128)
    raw.config_set("slowlog-log-slower-than", 0)
    raw.slowlog_reset()
    try:
        store.wait(store.store.events.fold(new_customer(store), batch, 60.0))
        calls = [entry["duration"] for entry in raw.slowlog_get(100) if b"FCALL" in entry["command"]]
    finally:
        raw.config_set("slowlog-log-slower-than", 10_000)
        raw.config_set("slowlog-max-len", most)
    assert calls
    assert max(calls) < 150_000, "microseconds"


def a_field(kind: FoldKind) -> Field:
    """Declare a field that folds the text of an event."""
    fold = Fold(kind, "told", "text", keep=64)
    return Field("past.told", ValueType.INT, Purpose.SERVICE, "", fold, None, Attribute("text", ValueType.STRING), 1)


def test_functions_are_named_after_their_content() -> None:
    """Another source has other names, so that two versions of the service share a store."""
    functions = read_functions()
    assert functions == read_functions()
    assert functions.name("read") != "tact_read"
    other = type(functions).of(functions.source + "-- another")
    assert other.name("read") != functions.name("read")
    with pytest.raises(KeyError):
        functions.name("redo")


WHOLE = packed({1: [START_MS, 1], 2: [START_MS - 5, "text"], 3: [START_MS, [[START_MS, 5]]]})


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 3))
def test_a_group_cut_short_is_put_aside(store: Running, raw: Redis, cut: int) -> None:
    """However little is left of a group, it is unreadable to Python and to the store, and neither guesses."""
    with pytest.raises(ValueError, match="cannot be read"):
        unpacked(WHOLE[:cut])
    customer = new_customer(store)
    raw.hset(keys.context_key(customer), "s", WHOLE[:cut])
    store.wait(store.store.events.fold(customer, [EventToFold("e", START_MS, (operation(FoldKind.COUNT, 1),))]))
    assert store.states(customer) == {1: [START_MS, 1]}
    assert raw.hget(keys.context_key(customer), "qs") == WHOLE[:cut]


def test_dates_that_no_state_has_any_more_are_forgotten(store: Running, raw: Redis) -> None:
    """A field that changes again and again takes no more room than one that changed once."""
    customer, sizes = new_customer(store), []
    for n in range(40):
        event = EventToFold(str(n), START_MS + n * 1_000, (operation(FoldKind.LAST, n % 100),))
        store.wait(store.store.events.fold(customer, [event]))
        sizes.append(len(raw.hget(keys.context_key(customer), "s") or b""))
    assert set(sizes) == {sizes[0]}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (3, 0, 2, 1)])
def test_the_newest_forty_half_lives_are_kept(store: Running, order: tuple[int, ...]) -> None:
    """In whatever order they come, amounts from more than 40 periods before the latest one leave the sum."""
    day_ms, customer = 86_400_000, new_customer(store)
    start_ms = START_MS - START_MS % day_ms
    happened = [EventToFold(str(n), start_ms + period * day_ms, (operation(FoldKind.DECAY, 1.005),))
                for n, period in enumerate((0, 1, 2, 41))]  # fmt: skip
    for n in order:
        store.wait(store.store.events.fold(customer, [happened[n]]))
    first, amount = start_ms // day_ms, 1_005_000
    wanted = [start_ms + 41 * day_ms, [[first + 41, amount], [first + 2, amount]], day_ms]
    state: folds.State | None = None
    for n in order:
        state = folds.apply(state, happened[n].operations[0], happened[n].occurred_ms)
    assert store.states(customer)[1] == state == wanted
