"""What each fold remembers and says, and that the order of arrival does not matter."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import folds
from models.context import Attribute, ContextSchema, EventType, Field, Fold, FoldKind, Purpose, Scalar, ValueType
from tests.folding import DETERMINISTIC, TEXTS, Happening, folded, happenings

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
T = 1_790_000_000_000
NIGHTS = T // DAY_MS
MIDNIGHT = NIGHTS * DAY_MS


def field(
    kind: FoldKind,
    type_: ValueType = ValueType.INT,
    *,
    max_age_ms: int | None = None,
    key: int = 1,
    **fold: Any,  # noqa: ANN401 - what `Fold` takes
) -> Field:
    """Return a field that folds the attribute `x` of the event `e`."""
    plain = kind in (FoldKind.COUNT, FoldKind.WINDOW_COUNT, FoldKind.RATE, FoldKind.SINCE)
    how = Fold(kind, "e", **{"attribute": None if plain else "x", **fold})
    return Field("past.x", type_, Purpose.SERVICE, "", how, max_age_ms, Attribute("x", type_), key)


def after(one: Field, *events: tuple[int, Scalar] | tuple[int, Scalar, str]) -> folds.State:
    """Return the field's state after events (t, value[, event type])."""
    schema = ContextSchema.of((), (one,))
    state: folds.State | None = None
    for t, x, *kind in events:
        for operation in folds.operations(schema, kind[0] if kind else "e", {"x": x}):
            state = folds.apply(state, operation, t)
    assert state is not None
    return state


K, V = FoldKind, ValueType
TICKETS: dict[str, Any] = {"closed_by": "c", "closed_key": "x"}


@pytest.mark.parametrize(
    ("one", "events", "state", "now_ms", "value"),
    [
        pytest.param(field(K.LAST, V.STRING), [(T, "b"), (T - 1, "z"), (T, "c")], [T, "c"], T, "c", id="last"),
        pytest.param(field(K.FIRST, V.STRING), [(T, "b"), (T, "a"), (T + 1, "A")], [T, "a"], T, "a", id="first"),
        pytest.param(field(K.MIN, V.DOUBLE), [(T, 2.0), (T + 5, 3.0)], [T + 5, 2.0], T, 2.0, id="min"),
        pytest.param(field(K.MAX, V.INT), [(T, 2), (T - 5, 3)], [T, 3], T, 3, id="max"),
        pytest.param(field(K.COUNT), [(T, 1), (T - 9, 1)], [T, 2], T, 2, id="count"),
        pytest.param(field(K.SUM, V.DOUBLE), [(T, 0.1), (T, 0.2)], [T, 300_000], T, 0.3, id="sum in whole millionths"),
        pytest.param(
            field(K.OPEN, **TICKETS),
            [(T, "a"), (T + 1, "b"), (T + 2, "a", "c")],
            [T + 2, {"a": [T, T + 2], "b": [T + 1, 0]}],
            T,
            1,
            id="open",
        ),
        pytest.param(
            field(K.OPEN, **TICKETS),
            [(T + 2, 7, "c"), (T, 7)],
            [T + 2, {"7": [T, T + 2]}],
            T,
            0,
            id="closed before it was heard of",
        ),
        pytest.param(
            field(K.DISTINCT), [(T, "a"), (T + 1, "b"), (T + 2, "a")], [T + 2, {"a": T + 2, "b": T + 1}], T, 2,
            id="distinct",
        ),
        pytest.param(
            field(K.RECENT, V.STRINGS, keep=2), [(T, "a"), (T + 2, "c"), (T + 1, "b")],
            [T + 2, [[T + 2, "c"], [T + 1, "b"]]], T, ("c", "b"), id="recent",
        ),
        pytest.param(
            field(K.WINDOW_COUNT, window_ms=HOUR_MS), [(T, 1), (T - HOUR_MS, 1), (T - HOUR_MS - 1, 1)],
            [T, [[T - HOUR_MS - 1, 1], [T - HOUR_MS, 1], [T, 1]]], T, 1,
            id="a window holds its beginning and not its end",
        ),
        pytest.param(
            field(K.WINDOW_SUM, V.DOUBLE, window_ms=HOUR_MS), [(T, 1.5), (T - DAY_MS - HOUR_MS - 1, 9.0)],
            [T, [[T, 1_500_000]]], T + 1, 1.5, id="a window forgets after a day more",
        ),
        pytest.param(
            field(K.DECAY, V.DOUBLE, half_life_ms=DAY_MS), [(MIDNIGHT, 8.0), (MIDNIGHT + DAY_MS, 1.0)],
            [MIDNIGHT + DAY_MS, [[NIGHTS + 1, 1_000_000], [NIGHTS, 8_000_000]], DAY_MS],
            MIDNIGHT + 2 * DAY_MS, 2.5, id="decay",
        ),
        pytest.param(
            field(K.RATE, V.DOUBLE, window_ms=HOUR_MS, per_ms=60_000), [(T, 1), (T + 5, 1), (T + 9, 1)],
            [T + 9, [[T, 1], [T + 5, 1], [T + 9, 1]]], T + 10, 0.05, id="rate: three an hour are a twentieth a minute",
        ),
        pytest.param(field(K.SINCE, V.DOUBLE), [(T, 1), (T - 5, 1)], [T], T + DAY_MS // 2, 0.5, id="since, in days"),
    ],
)  # fmt: skip
def test_what_a_fold_remembers_and_says(
    one: Field, events: list[tuple[int, Scalar]], state: folds.State, now_ms: int, value: Scalar
) -> None:
    """Each kind keeps what its table in models/folds.py says, and reads it as the strategy's author expects."""
    found = after(one, *events)
    assert found == state
    assert folds.value(one, found, now_ms) == value
    assert type(folds.value(one, found, now_ms)) is type(value)


@DETERMINISTIC
@given(happenings(), st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(events: list[Happening], dice: Random) -> None:
    """Whatever the order, the states are those of the events in the order in which they happened."""
    in_order = sorted(events, key=lambda event: event.t_ms)
    shuffled = list(events)
    dice.shuffle(shuffled)
    assert folded(shuffled, 3, len(TEXTS)) == folded(in_order, 3, len(TEXTS))


def test_too_many_items_push_out_what_is_closed_longest() -> None:
    """An open set that is full forgets the item that is closed longest, and an open one only when all are open."""
    one = field(K.OPEN, keep=2, **TICKETS)
    closed_first = after(one, (T, "a"), (T + 1, "b"), (T + 2, "b", "c"), (T + 3, "a", "c"), (T + 4, "c"))
    assert closed_first[1] == {"a": [T, T + 3], "c": [T + 4, 0]}
    open_stays = after(one, (T, "a"), (T + 1, "b"), (T + 2, "b", "c"), (T + 3, "c"))
    assert open_stays[1] == {"a": [T, 0], "c": [T + 3, 0]}
    assert after(one, (T, "a"), (T + 1, "b"), (T + 2, "c"))[1] == {"b": [T + 1, 0], "c": [T + 2, 0]}


def test_an_event_touches_only_the_fields_that_fold_it() -> None:
    """Other events, other values than `where` asks for and absent attributes leave a field alone."""
    schema = ContextSchema.of(
        (EventType("e", "", ()),),
        (
            field(K.SUM, V.DOUBLE, key=1),
            field(K.COUNT, key=2, where=(("kind", "phone"),)),
            field(K.OPEN, key=3, where=(("kind", "phone"),), **TICKETS),
            Field("present.x", V.INT, Purpose.SERVICE, "", None, None, Attribute("x", V.INT), 4),
        ),
    )

    def touched(event: str, **attributes: Scalar) -> list[int]:
        return [operation.key for operation in folds.operations(schema, event, attributes)]

    assert touched("e", x=1.0, kind="phone") == [1, 2, 3]
    assert touched("e", kind="phone") == [2]
    assert touched("e", x=1.0) == [1]
    assert touched("c", x="a") == [3]
    assert touched("other", x=1.0) == []


def test_operations_name_the_store_group_of_the_purpose() -> None:
    """An operation carries the letter of its field's purpose, so that consent can hold it back."""
    personal = Field("past.x", V.INT, Purpose.PERSONALIZATION, "", Fold(K.COUNT, "e"), None, Attribute("x", V.INT), 9)
    (operation,) = folds.operations(ContextSchema.of((), (personal,)), "e", {})
    assert (operation.key, operation.group, operation.kind) == (9, "p", K.COUNT)


def test_what_lua_would_change_never_reaches_it() -> None:
    """Negative zero becomes zero, and a whole number that a double cannot hold is refused."""
    zero = after(field(K.LAST, V.DOUBLE), (T, -0.0))
    assert str(zero[1]) == "0.0"
    with pytest.raises(OverflowError, match=str(2**53)):
        after(field(K.LAST, V.INT), (T, 2**53))


def test_a_value_is_known_until_it_is_too_old() -> None:
    """At the maximum age a value is known, a millisecond later it is not; its plain value stays."""
    one = field(K.COUNT, max_age_ms=10)
    assert folds.known(one, [T, 3], T + 10) == 3
    assert folds.known(one, [T, 3], T + 11) is None
    assert folds.value(one, [T, 3], T + 11) == 3
    assert folds.age_ms([T, 3], T + 11) == 11
    assert folds.known(one, None, T) is None


def test_a_field_of_the_request_is_never_known_from_a_state() -> None:
    """A field without a fold has no value in the store."""
    request = Field("present.x", V.INT, Purpose.SERVICE, "", None, None, Attribute("x", V.INT), 4)
    assert folds.known(request, [T, 3], T) is None


@pytest.mark.parametrize(
    "state",
    [[], [T], ["t", 1], [T, "text"], [T, None], [T, [1]], [T, {"a": "b"}], [None, {}], [T, float("inf")], [T, True]],
)
@pytest.mark.parametrize("one", [
    field(K.LAST, V.INT), field(K.MAX, V.DOUBLE), field(K.COUNT), field(K.SUM, V.DOUBLE), field(K.OPEN, **TICKETS),
    field(K.RECENT, V.STRINGS), field(K.WINDOW_COUNT, window_ms=5), field(K.WINDOW_SUM, V.DOUBLE, window_ms=5),
    field(K.LAST, V.TIMESTAMP),
], ids=lambda one: str(one.fold and one.fold.kind))  # fmt: skip
def test_a_malformed_state_is_unknown(one: Field, state: folds.State) -> None:
    """A state that has not the shape of the field's fold gives no value, and no error."""
    assert folds.known(one, state, T + 1) is None


@pytest.mark.parametrize(
    ("one", "before"),
    [
        (field(K.OPEN, **TICKETS), [T, {"a": T}]), (field(K.DISTINCT), [T, {"a": [T, 0]}]),
        (field(K.RECENT, V.STRINGS), [T, [[T, 5]]]), (field(K.WINDOW_SUM, V.DOUBLE), [T, [[T, "a"]]]),
        (field(K.SUM, V.DOUBLE), [T, "a"]), (field(K.LAST, V.DOUBLE), [T + 9, {"a": T}]), (field(K.SINCE), [T + 9, 4]),
        (field(K.COUNT), [T, [[T, 1]]]), (field(K.MIN, V.DOUBLE), [T, "a"]),
    ],
    ids=lambda one: str(one.fold and one.fold.kind) if isinstance(one, Field) else "",
)  # fmt: skip
def test_a_state_of_another_fold_counts_as_none(one: Field, before: folds.State) -> None:
    """When a field's fold was changed, what the old one left is not misread: folding starts anew."""
    schema = ContextSchema.of((), (one,))
    (operation,) = folds.operations(schema, "e", {"x": 2.0})
    assert folds.apply(before, operation, T) == folds.apply(None, operation, T)


@pytest.mark.parametrize("kind", [FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM])
def test_a_window_that_may_have_lost_items_is_unknown(kind: FoldKind) -> None:
    """As many items inside a window as are kept at all: older ones may have gone, so no number is told."""
    one = field(kind, V.INT if kind is K.WINDOW_COUNT else V.DOUBLE, keep=3, window_ms=50)
    state = after(one, *((t, 1.0) for t in (10, 20, 30)))
    assert folds.value(one, state, 40) is None
    assert folds.value(one, state, 65) == 2  # the oldest has left the window, so nothing inside it is missing


def test_what_was_opened_and_closed_at_once_counts_as_open() -> None:
    """Of two moments that are the same it is not known which came last, and an open ticket is the careful answer."""
    one = field(K.OPEN, **TICKETS)
    assert folds.value(one, after(one, (5, "t"), (5, "t", "c")), 9) == 1
    assert folds.value(one, after(one, (5, "t"), (6, "t", "c")), 9) == 0


def test_a_window_holds_its_start_and_not_its_end() -> None:
    """Events from `now - window` on count; what happens at `now` does not: it is the future of that moment."""
    one = field(K.WINDOW_COUNT, V.INT, window_ms=50)
    state = after(one, (9, 1), (10, 1), (59, 1), (60, 1))
    assert folds.value(one, state, 60) == 2
