"""Features of the past are what serving would have seen then: never from the future, counted once, in schema order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from models import folds
from models.clock import HOUR, WEEKDAY, clock_fields
from models.context import Attribute, ContextSchema, Field, Fold, FoldKind, Purpose, Scalar, TimeZone, ValueType
from models.features import FeatureSpace
from models.history import as_of
from tests.folding import DETERMINISTIC

DAY_MS = 86_400_000
T = 1_790_000_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as training reads it."""

    id: str
    customer: str
    type: str
    at_ms: int
    attributes: Mapping[str, Scalar]


def field(name: str, type_: ValueType, fold: Fold | None, key: int, max_age_ms: int | None = None) -> Field:
    """Return a field of the schema below."""
    return Field(name, type_, Purpose.SERVICE, "", fold, max_age_ms, Attribute(name, type_), key)


SCHEMA = ContextSchema.of(
    (),
    (
        field("past.spend", ValueType.DOUBLE, Fold(FoldKind.SUM, "buy", "amount"), 1),
        field("present.mood", ValueType.DOUBLE, None, 2),
        field("past.week", ValueType.INT, Fold(FoldKind.WINDOW_COUNT, "buy", window_ms=7 * DAY_MS, keep=256), 3),
        field("past.first", ValueType.DOUBLE, Fold(FoldKind.FIRST, "buy", "amount"), 4, max_age_ms=3 * DAY_MS),
        field("past.visits", ValueType.INT, Fold(FoldKind.COUNT, "visit"), 5),
    ),
)
FEATURES = ("past.week", "past.spend", "past.first")


def buy(event_id: str, customer: str, at_ms: int, amount: float = 1.0) -> Event:
    """Return a purchase."""
    return Event(event_id, customer, "buy", at_ms, {"amount": amount})


def test_an_event_at_the_moment_itself_is_not_known_yet() -> None:
    """Only what happened strictly before a moment is known at it."""
    events = [buy("1", "anna", T, 2.0), buy("2", "anna", T + 1, 3.0)]
    known = as_of(SCHEMA, ["past.spend"], events, [("anna", T), ("anna", T + 1), ("anna", T + 2)])
    assert [values[0] for values in known] == [None, 2.0, 5.0]


def test_values_stand_in_the_order_of_the_schema() -> None:
    """A result has a place for each field of the schema, and only the features asked for are filled."""
    events = [buy("1", "anna", T), Event("2", "anna", "visit", T, {})]
    (values,) = as_of(SCHEMA, FEATURES, events, [("anna", T + 1)])
    assert values == (1.0, None, 1, 1.0, None)
    space = FeatureSpace.of(SCHEMA, FEATURES)
    assert space.encode(values, T + 1).tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]


def test_windows_and_ages_are_taken_at_the_moment() -> None:
    """A window moves with the moment, and a value that was too old then is unknown then."""
    known = as_of(SCHEMA, FEATURES, [buy("1", "anna", T)], [("anna", T + 3 * DAY_MS), ("anna", T + 8 * DAY_MS)])
    assert known == [(1.0, None, 1, 1.0, None), (1.0, None, 0, None, None)]


def test_a_repeated_event_counts_once_and_only_for_its_customer() -> None:
    """An event id that comes twice is folded once a customer."""
    events = [buy("1", "anna", T), buy("1", "anna", T), buy("1", "bob", T), buy("2", "eve", T)]
    known = as_of(SCHEMA, ["past.spend"], events, [("anna", T + 1), ("bob", T + 1), ("nobody", T + 1)])
    assert [values[0] for values in known] == [1.0, 1.0, None]


def test_only_what_was_asked_for_is_told_of_a_request() -> None:
    """What came with a request is told where it was asked for, and stays unknown where it was not."""
    given = [{SCHEMA.index["present.mood"]: 0.5}]
    for names, mood in ((["past.spend"], None), (["past.spend", "present.mood"], 0.5)):
        (values,) = as_of(SCHEMA, names, [buy("1", "anna", T)], [("anna", T + 1)], given)
        assert values == (1.0, mood, None, None, None)


def test_the_clock_looks_at_the_zone_and_tells_only_what_was_asked_for() -> None:
    """With the hour alone asked for, the zone decides it, and neither the zone nor the weekday is told."""
    zone = field("past.zone", ValueType.STRING, Fold(FoldKind.LAST, "move", "zone"), 6)
    schema = ContextSchema.of((), (*SCHEMA.fields, zone, *clock_fields()), TimeZone("past.zone", "UTC"))
    moved = Event("1", "anna", "move", T, {"zone": "Asia/Kathmandu"})
    for names, told in {
        (HOUR,): {HOUR: 19},
        (WEEKDAY,): {WEEKDAY: 1},
        (HOUR, "past.zone"): {HOUR: 19, "past.zone": "Asia/Kathmandu"},
        ("past.zone",): {"past.zone": "Asia/Kathmandu"},
    }.items():
        (values,) = as_of(schema, names, [moved, buy("2", "anna", T)], [("anna", T + 1)])
        assert {one.id: known for one, known in zip(schema.fields, values, strict=True) if known is not None} == told


@DETERMINISTIC
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.sampled_from([0.5, 1.0, -2.0])), max_size=25),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 22)), max_size=10),
    st.randoms(use_true_random=False),
)
def test_each_moment_is_as_if_nothing_had_happened_after_it(
    drawn: list[tuple[str, int, float]], asked: list[tuple[str, int]], dice: Random
) -> None:
    """Whatever the order of the events and moments, each result is that of folding what came before, alone."""
    events = [buy(str(n), customer, T + day * DAY_MS, amount) for n, (customer, day, amount) in enumerate(drawn)]
    moments = [(customer, T + day * DAY_MS) for customer, day in asked]
    shuffled = list(events)
    dice.shuffle(shuffled)
    wanted = [folded_before(events, customer, moment) for customer, moment in moments]
    assert as_of(SCHEMA, FEATURES, shuffled, moments) == wanted


def folded_before(events: list[Event], customer: str, moment: int) -> tuple[Scalar | None, ...]:
    """Return what one customer's events before a moment say at it, by the plain rule."""
    states: dict[int, folds.State] = {}
    for event in events:
        if event.customer == customer and event.at_ms < moment:
            for operation in folds.operations(SCHEMA, event.type, event.attributes):
                states[operation.key] = folds.apply(states.get(operation.key), operation, event.at_ms)
    return tuple(folds.known(one, states.get(one.key), moment) if one.id in FEATURES else None for one in SCHEMA.fields)
