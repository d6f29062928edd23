"""Made-up events for the tests of folds: every kind of fold over every type of value, with ties and odd texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from models import folds
from models.context import Attribute, Field, Fold, FoldKind, Purpose, Scalar, ValueType

DETERMINISTIC = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
START_MS = 1_790_000_000_000
WINDOW_MS = 3_600_000
HALF_LIFE_MS = 86_400_000
TEXTS = ("", "a", "ab", "b", "Z", "z", "é", "1", "2", "\uffff", "\U0001f600", "a\x00b")
NUMBERS = (0, 1, 2, -1, 2.5, -0.25, 1e300, -1e300, 3.0, folds.LARGEST_INT, -folds.LARGEST_INT, 0.1, 1 / 3)
MILLIONTHS = (0, 1, -1, 2_500_000, 10**12, -(10**12))
AMOUNTS = (0.0, 1.0, 0.1, 99.99, -3.5, 1e6)
MOMENTS_MS = tuple(START_MS + ms for ms in (0, 1, 2, 1000, WINDOW_MS, 25 * WINDOW_MS, 26 * WINDOW_MS, 60 * WINDOW_MS))


@dataclass(frozen=True, slots=True)
class Happening:
    """One event with the value that each kind of fold takes from it."""

    event_id: str
    t_ms: int
    text: str
    flag: bool
    number: float
    millionths: int
    amount: float
    closed: bool

    def operations(self, keep: int, keep_open: int) -> tuple[folds.Operation, ...]:
        """Return one operation a field: every kind, and every type for the kinds that compare."""
        kinds = FoldKind
        plain: tuple[tuple[FoldKind, Scalar], ...] = (
            *((kind, self.text) for kind in (kinds.LAST, kinds.FIRST, kinds.MIN, kinds.MAX)),
            *((kind, self.flag) for kind in (kinds.LAST, kinds.FIRST, kinds.MIN, kinds.MAX)),
            *((kind, self.number) for kind in (kinds.LAST, kinds.FIRST, kinds.MIN, kinds.MAX)),
            (kinds.COUNT, 1),
            (kinds.SUM, self.millionths),
            (kinds.DISTINCT, self.text),
            (kinds.RECENT, self.text),
            (kinds.WINDOW_COUNT, 1),
            (kinds.WINDOW_SUM, self.millionths),
            (kinds.SINCE, 1),
            (kinds.OPEN, self.text),
            (kinds.DECAY, self.amount),
            (kinds.RATE, 1),
            *((kinds.MODEL, value) for value in (self.text, self.flag, self.number, (self.text, "x"))),
        )
        return tuple(
            folds.Operation(
                key, "spf"[key % 3], kind, value, WINDOW_MS, HALF_LIFE_MS,
                keep_open if kind is FoldKind.OPEN else keep, kind is FoldKind.OPEN and self.closed,
                self.text[:1] + "v" if kind is FoldKind.MODEL else "",
            )
            for key, (kind, value) in enumerate(plain, 1)
        )  # fmt: skip


def happenings(most: int = 24) -> st.SearchStrategy[list[Happening]]:
    """Return lists of events with ids of their own and many equal times and values."""
    one = st.tuples(
        st.sampled_from(MOMENTS_MS), st.sampled_from(TEXTS), st.booleans(), st.sampled_from(NUMBERS),
        st.sampled_from(MILLIONTHS), st.sampled_from(AMOUNTS), st.booleans(),
    )  # fmt: skip
    return st.lists(one, min_size=1, max_size=most).map(
        lambda drawn: [Happening(f"event-{n}", *values) for n, values in enumerate(drawn)]
    )


def folded(events: Iterable[Happening], keep: int, keep_open: int) -> dict[int, folds.State]:
    """Return the states after these events in this order, as Python folds them."""
    states: dict[int, folds.State] = {}
    for event in events:
        for operation in event.operations(keep, keep_open):
            states[operation.key] = folds.apply(states.get(operation.key), operation, event.t_ms)
    return states


def drawn(dice: Random, most: int = 40) -> list[Happening]:
    """Return a history drawn with dice: events of a few days, some late, with equal times and values among them."""
    size = dice.randint(1, most)
    moments = [START_MS + dice.choice((dice.randrange(3 * 24) * WINDOW_MS, dice.randrange(3 * HALF_LIFE_MS)))
               for _ in range(size)]  # fmt: skip
    return [
        Happening(
            f"event-{n}", t_ms, dice.choice(TEXTS), dice.random() < 0.5, dice.choice(NUMBERS), dice.choice(MILLIONTHS),
            dice.choice(AMOUNTS), dice.random() < 0.5,
        )
        for n, t_ms in enumerate(moments)
    ]  # fmt: skip


def plain_values(events: Sequence[Happening], now_ms: int) -> list[Scalar | None]:
    """Return what the fields of `Happening.operations` say at a moment, straight from all events: no fold, no state."""
    found: list[Scalar | None] = []
    for values in ([(e.t_ms, e.text) for e in events], [(e.t_ms, e.flag) for e in events],
                   [(e.t_ms, float(e.number)) for e in events]):  # fmt: skip
        ordered: list[tuple[int, Any]] = sorted(values)
        only = [value for _, value in ordered]
        found += [ordered[-1][1], ordered[0][1], min(only), max(only)]
    latest = sorted(((e.t_ms, e.text) for e in events), reverse=True)
    inside = [e for e in events if now_ms - WINDOW_MS <= e.t_ms < now_ms]
    found += [len(events), sum(e.millionths for e in events) / 1_000_000, len({e.text for e in events})]
    found += [tuple(text for _, text in latest), len(inside), sum(e.millionths for e in inside) / 1_000_000]
    found += [(now_ms - latest[0][0]) / 86_400_000, sum(_is_open(events, text) for text in {e.text for e in events})]
    found += [sum(e.amount * 2 ** -((now_ms - e.t_ms) / HALF_LIFE_MS) for e in events), len(inside) / 60]
    return found


def _is_open(events: Sequence[Happening], text: str) -> bool:
    opened = max((e.t_ms for e in events if e.text == text and not e.closed), default=0)
    return opened >= max((e.t_ms for e in events if e.text == text and e.closed), default=0)


def fields(keep: int) -> list[Field]:
    """Return the fields of `Happening.operations` but for those of models, in the order of their keys."""
    operations = Happening("", 0, "", False, 0, 0, 0.0, False).operations(keep, keep)
    types = [*[ValueType.STRING] * 4, *[ValueType.BOOL] * 4, *[ValueType.DOUBLE] * 4]
    types += [_GIVES[one.kind] for one in operations[len(types) :] if one.kind is not FoldKind.MODEL]
    return [
        Field(
            f"past.f{one.key}", type_, Purpose.SERVICE, "",
            Fold(one.kind, "e", "x", window_ms=one.window_ms, half_life_ms=one.half_life_ms, keep=keep, per_ms=60_000),
            None, Attribute("x", type_), one.key,
        )
        for one, type_ in zip(operations, types, strict=False)
    ]  # fmt: skip


_GIVES = {
    FoldKind.COUNT: ValueType.INT,
    FoldKind.SUM: ValueType.DOUBLE,
    FoldKind.DISTINCT: ValueType.INT,
    FoldKind.RECENT: ValueType.STRINGS,
    FoldKind.WINDOW_COUNT: ValueType.INT,
    FoldKind.WINDOW_SUM: ValueType.DOUBLE,
    FoldKind.SINCE: ValueType.DOUBLE,
    FoldKind.OPEN: ValueType.INT,
    FoldKind.DECAY: ValueType.DOUBLE,
    FoldKind.RATE: ValueType.DOUBLE,
}
