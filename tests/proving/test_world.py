"""What is true of every customer: exactly what the service lets in, and what their consent allows to be known."""

from __future__ import annotations

import pytest
import z3

from models.bounds import YEAR_2000_MS, YEAR_2100_MS, wrong_value
from models.contact import LAST_CHANNEL, MINUTES_SINCE_LAST, contact_fields
from models.context import (
    Attribute,
    ContextSchema,
    EventType,
    Field,
    Fold,
    FoldKind,
    Purpose,
    Scalar,
    Source,
    ValueType,
)
from service.proving.symbols import Symbols
from tests.core.expressions import NOW_MS, SCHEMA
from tests.proving.customers import ALL, BASIC, LEVELS, NOTHING, found, in_world, written

NUMBERS = ContextSchema.of(
    (),
    (
        Field("past.n", ValueType.INT, Purpose.SERVICE, "", None, None, Attribute("n", ValueType.INT, low=-2.5), 1),
        Field("past.x", ValueType.DOUBLE, Purpose.SERVICE, "", None, None, Attribute("x", ValueType.DOUBLE, high=1), 2),
        Field("past.t", ValueType.TIMESTAMP, Purpose.SERVICE, "", None, None, Attribute("t", ValueType.TIMESTAMP), 3),
        Field(
            "past.s",
            ValueType.STRING,
            Purpose.SERVICE,
            "",
            None,
            None,
            Attribute("s", ValueType.STRING, values=("a", "ü")),
            4,
        ),
    ),
)


VALUES: list[tuple[str, Scalar]] = [
    *(("past.n", n) for n in (-3, -2, 0, 2**53 - 1, 2**53, 2**63 - 1, -(2**63))),
    *(("past.x", x) for x in (1.0, 1.0000000000000002, -0.0, -1e308, float("nan"), float("inf"), -float("inf"))),
    *(("past.t", t) for t in (0, -62_135_596_800_001, -62_135_596_800_000, 253_402_300_799_999, 253_402_300_800_000)),
    *(("past.s", s) for s in ("a", "ü", "b", "")),
]


@pytest.mark.parametrize(("name", "value"), VALUES, ids=[f"{name}={value}" for name, value in VALUES])
def test_what_the_service_lets_in_is_in_the_world_and_nothing_else(name: str, value: Scalar) -> None:
    """Of each value the bounds for requests and events say the same as the formulas."""
    symbols = Symbols(NUMBERS, LEVELS, [])
    declared = NUMBERS.fields[NUMBERS.index[name]].bounds
    values = [value if one.id == name else None for one in NUMBERS.fields]
    assert in_world(symbols, values) is (wrong_value(value, declared) == "")


def test_a_field_is_known_only_where_consent_allows_its_purpose() -> None:
    """Nobody's field is known without the consent to its purpose, and somebody's is with it."""
    symbols = Symbols(SCHEMA, (NOTHING, BASIC, ALL), [])
    for one in SCHEMA.fields:
        for level in (NOTHING, BASIC, ALL):
            solver = symbols.solver()
            solver.add(symbols.known(one.id), symbols.at_level(level.id))
            assert (solver.check() == z3.sat) is (one.purpose in level.purposes)
    solver = symbols.solver()
    solver.add(symbols.allows(Purpose.SERVICE), z3.Not(symbols.allows(Purpose.PROFILING)))
    assert solver.check() == z3.sat
    assert symbols.level(solver.model()) == BASIC


def folded(kind: FoldKind, of: ValueType, keep: int = 64) -> ContextSchema:
    """Return a schema with one field that an event folds into."""
    event = EventType("paid", "", (Attribute("amount", of, low=1, high=9 if of is ValueType.INT else None),))
    fold = Fold(kind, "paid", "amount", keep=keep)
    made = Field("past.f", of, Purpose.SERVICE, "", fold, None, Attribute("f", of), 1)
    return ContextSchema.of((event,), (made,))


@pytest.mark.parametrize(
    ("kind", "of", "keep", "inside", "outside"),
    [
        (FoldKind.LAST, ValueType.INT, 64, (1, 9), (0, 10)),
        (FoldKind.MAX, ValueType.INT, 64, (1, 9), (0, 10)),
        (FoldKind.COUNT, ValueType.INT, 64, (0, 10**9), (-1,)),
        (FoldKind.OPEN, ValueType.INT, 3, (0, 3), (-1, 4)),
        (FoldKind.WINDOW_COUNT, ValueType.INT, 5, (0, 5), (-1, 6)),
        (FoldKind.RATE, ValueType.DOUBLE, 5, (0.0, 1e9), (-0.1,)),
        (FoldKind.SUM, ValueType.DOUBLE, 64, (0.0, 1e9), (-1.0, float("inf"))),
        (FoldKind.WINDOW_SUM, ValueType.DOUBLE, 64, (0.0, 1e9), (-0.5,)),
        (FoldKind.WINDOW_SUM, ValueType.INT, 3, (0, 27), (-1, 28)),
        (FoldKind.DECAY, ValueType.DOUBLE, 64, (0.0, 1e9), (-0.5,)),
    ],
)
def test_what_events_fold_into_keeps_to_what_folds_can_give(
    kind: FoldKind, of: ValueType, keep: int, inside: tuple[Scalar, ...], outside: tuple[Scalar, ...]
) -> None:
    """Counts are never negative and hold no more than is kept, and a value of an event keeps to its bounds."""
    symbols = Symbols(folded(kind, of, keep), LEVELS, [])
    assert [in_world(symbols, [value]) for value in inside] == [True] * len(inside)
    assert [in_world(symbols, [value]) for value in outside] == [False] * len(outside)


def test_supply_is_never_negative() -> None:
    """Of an item there is none, or some."""
    made = Field(
        "present.t", ValueType.INT, Purpose.SERVICE, "", None, None, Attribute("t", ValueType.INT), 1, Source.SUPPLY
    )
    symbols = Symbols(ContextSchema.of((), (made,)), LEVELS, [])
    assert [in_world(symbols, [units]) for units in (0, 1, -1)] == [True, True, False]


@pytest.mark.parametrize("keep", [2, 3])
def test_a_recent_list_holds_no_more_than_it_keeps(keep: int) -> None:
    """Three texts are never in a list of two."""
    made = Field(
        "past.f",
        ValueType.STRINGS,
        Purpose.SERVICE,
        "",
        Fold(FoldKind.RECENT, "seen", "what", keep=keep),
        None,
        Attribute("f", ValueType.STRINGS),
        1,
    )
    schema = ContextSchema.of((EventType("seen", "", (Attribute("what", ValueType.STRING),)),), (made,))
    world = written("'a' in past.f && 'b' in past.f && 'c' in past.f", schema=schema, attributes=False)
    assert bool(list(found(world, world.asked[0].formula.holds))) is (keep == 3)


def test_the_contact_before_is_known_as_a_whole_and_within_a_day() -> None:
    """Channel and minutes are told together or not at all."""
    schema = ContextSchema.of((), contact_fields())
    symbols = Symbols(schema, LEVELS, [])
    values: list[Scalar | None] = [None, None]
    channel, minutes = schema.index[LAST_CHANNEL], schema.index[MINUTES_SINCE_LAST]
    cases: list[tuple[str | None, float | None, bool]] = [
        (None, None, True),
        ("web", 5.0, True),
        ("web", None, False),
        (None, 5.0, False),
        ("web", 1_440.0, False),
        ("web", -1.0, False),
    ]
    for where, ago, possible in cases:
        values[channel], values[minutes] = where, ago
        assert in_world(symbols, values) is possible


def test_moments_outside_the_years_are_not_asked_about() -> None:
    """What is proven is proven from 2000 up to 2099, or between other moments where these are given."""
    nothing = [None] * len(SCHEMA.fields)
    symbols = Symbols(SCHEMA, LEVELS, [])
    moments = (YEAR_2000_MS - 1, YEAR_2000_MS, YEAR_2100_MS - 1, YEAR_2100_MS)
    assert [in_world(symbols, nothing, at_ms) for at_ms in moments] == [False, True, True, False]
    short = Symbols(SCHEMA, LEVELS, [], from_ms=5, until_ms=6)
    assert [in_world(short, nothing, at_ms) for at_ms in (4, 5, 6)] == [False, True, False]


@pytest.mark.parametrize(("low", "high", "inside", "outside"), [(None, 9, (-1.0, 1.0), ()), (-9, 0, (-1.0,), (1.0,))])
def test_a_sum_has_the_sign_of_what_is_added(
    low: float | None, high: float, inside: tuple[Scalar, ...], outside: tuple[Scalar, ...]
) -> None:
    """Of what can be of both signs a sum is of any; of what is never above zero it is not either."""
    event = EventType("paid", "", (Attribute("amount", ValueType.DOUBLE, low=low, high=high),))
    made = Field("past.f", ValueType.DOUBLE, Purpose.SERVICE, "", Fold(FoldKind.SUM, "paid", "amount"), None,
                 Attribute("f", ValueType.DOUBLE), 1)  # fmt: skip
    symbols = Symbols(ContextSchema.of((event,), (made,)), LEVELS, [])
    assert [in_world(symbols, [value]) for value in (*inside, *outside)] == [True] * len(inside) + [False] * len(
        outside
    )


def test_what_was_kept_may_lie_outside_what_is_declared_now() -> None:
    """Of what events say the bounds hold only for what came in under them; a count is never negative all the same."""
    solver_of = (
        Symbols(folded(FoldKind.LAST, ValueType.INT), LEVELS, []),
        Symbols(folded(FoldKind.COUNT, ValueType.INT), LEVELS, []),
    )
    found = []
    for symbols, value in zip(solver_of, (10, -1), strict=True):
        solver = symbols.solver()
        solver.add(*symbols.pinned([value], NOW_MS))
        found.append(solver.check() == z3.sat)
    assert found == [True, False]
