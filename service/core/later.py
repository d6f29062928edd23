"""Later: what would be known of somebody at a later moment, if nothing happened until then.

With the packed states of what is kept it is as exact as any look at them. A logged decision has values alone: then what
ages by a rule is reckoned, and of the rest it is told that it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from models.clock import Clock
from models.contact import LAST_CHANNEL, MINUTES_SINCE_LAST, ContactBefore
from models.context import Field, FoldKind, Purpose, Scalar, Source
from service.core.again import Again
from service.core.engine import Engine
from service.core.snapshot import Snapshot
from service.core.strategy import ConsentLevel, Strategy

DAY_MS, MINUTE_MS = 86_400_000, 60_000
_WINDOWS = (FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM, FoldKind.RATE)
_AGING = (*_WINDOWS, FoldKind.SINCE, FoldKind.DECAY)
_Moved = tuple[Scalar | None, bool]
"""A value at a later moment, and whether that is no more than a guess."""


def ages(field: Field) -> bool:
    """Tell whether time alone changes what is known of a field."""
    folded = field.fold is not None and field.fold.kind in _AGING
    return folded or field.max_age_ms is not None or field.source in (Source.CLOCK, Source.MEMORY)


class Seen(Struct, frozen=True):
    """A snapshot of a later moment or another consent, and the fields (indexes) that are taken as they were."""

    snapshot: Snapshot
    guessed: frozenset[int] = frozenset()


class Later:
    """Sees the customer of one decision at other moments, and under other consent levels."""

    def __init__(self, engine: Engine, made: Again) -> None:
        schema = engine.strategy.schema
        self._engine, self._made, self._fields, self._index = engine, made, schema.fields, schema.index
        self._clock, self._before = Clock.of(schema), ContactBefore.of(schema)
        self._supplied = [i for i, field in enumerate(schema.fields) if field.supplied]
        self._aging = [
            (i, field)
            for i, (field, value) in enumerate(zip(schema.fields, made.snapshot.values, strict=True))
            if value is not None and field.fold is not None and ages(field)
        ]
        self._seen: dict[tuple[str, int], Seen] = {}

    def at(self, level: ConsentLevel, now_ms: int) -> Seen:
        """Return what would be seen at a moment (ms), not before that of the decision, under a consent level."""
        key = level.id, now_ms
        if key not in self._seen:
            known = self._made.known.groups or self._made.request.context
            self._seen[key] = self._looked(*key) if known else self._reckoned(level, now_ms)
        return self._seen[key]

    def _looked(self, level: str, now_ms: int) -> Seen:
        made, base = self._made, self._made.snapshot
        seen = self._engine.see(replace(made.known, level=level), replace(made.request, as_of_ms=now_ms))
        values = list(seen.values)
        for index in self._supplied:
            values[index] = base.values[index]
        late = frozenset(self._supplied) if now_ms != base.now_ms else frozenset()
        seen = replace(seen, values=tuple(values), permitted=base.permitted, observed=base.observed)
        return Seen(seen, late | self._widened(seen, base))

    def _reckoned(self, level: ConsentLevel, now_ms: int) -> Seen:
        base = self._made.snapshot
        values, guessed = list(base.values), set()
        if now_ms != base.now_ms:
            for index, field in self._aging:
                value = values[index]
                values[index], guess = (None, False) if value is None else _moved(field, value, base.now_ms, now_ms)
                if guess:
                    guessed.add(index)
            guessed.update(self._supplied)
            self._contacted(values, base, now_ms)
        if self._clock is not None and Purpose.SERVICE in level.purposes:
            self._clock.fill(values, now_ms)
        seen = replace(base, values=tuple(values), now_ms=now_ms, level=level)
        return Seen(seen, frozenset(guessed) | self._widened(seen, base))

    def _widened(self, seen: Snapshot, base: Snapshot) -> frozenset[int]:
        """Return the fields that a wider consent lets be read, and of which nothing is known here."""
        more = set(seen.level.purposes) - set(base.level.purposes)
        if not more:
            return frozenset()
        both = zip(self._fields, seen.values, strict=True)
        return frozenset(i for i, (field, value) in enumerate(both) if field.purpose in more and value is None)

    def _contacted(self, values: list[Scalar | None], base: Snapshot, now_ms: int) -> None:
        if self._before is None:
            return
        channel, minutes = self._index[LAST_CHANNEL], self._index[MINUTES_SINCE_LAST]
        said, ago = values[channel], values[minutes]
        values[channel] = values[minutes] = None
        if isinstance(said, str) and isinstance(ago, float):
            self._before.fill(values, said, base.now_ms - round(ago * MINUTE_MS), now_ms)


def _moved(field: Field, value: Scalar, now_ms: int, then_ms: int) -> _Moved:
    """Return what the value of a field becomes by a later moment."""
    passed, longest = then_ms - now_ms, field.max_age_ms
    if field.fold is None:
        return value, False
    if longest is not None and passed > longest:
        return None, False
    move = _MOVES.get(field.fold.kind)
    moved, guess = move(field, value, now_ms, then_ms) if move else (value, longest is not None)
    return moved, guess or (longest is not None and field.fold.kind is not FoldKind.SINCE)


def _since(field: Field, value: Scalar, now_ms: int, then_ms: int) -> _Moved:
    if not isinstance(value, float):
        return None, False
    age = then_ms - (now_ms - round(value * DAY_MS))
    return (None if field.max_age_ms is not None and age > field.max_age_ms else age / DAY_MS), False


def _windowed(field: Field, value: Scalar, now_ms: int, then_ms: int) -> _Moved:
    gone = field.fold is not None and then_ms - now_ms >= field.fold.window_ms
    none = field.fold is not None and field.fold.kind is not FoldKind.WINDOW_SUM and not value
    return (type(value)(0), False) if gone or none else (value, True)  # type: ignore[arg-type]  # a number


def _decayed(field: Field, value: Scalar, now_ms: int, then_ms: int) -> _Moved:
    half_life = field.fold.half_life_ms if field.fold is not None else 0
    return (value * 2.0 ** ((now_ms - then_ms) / half_life) if isinstance(value, float) else None), False


_MOVES: Mapping[FoldKind, Callable[[Field, Scalar, int, int], _Moved]] = {
    FoldKind.SINCE: _since,
    FoldKind.DECAY: _decayed,
    **dict.fromkeys(_WINDOWS, _windowed),
}


def moments(strategy: Strategy) -> tuple[int, ...]:
    """Return when rules begin and end (ms), in order."""
    rules: Sequence[object] = (
        *(*strategy.guardrails, *strategy.eligibility, *strategy.caps, *strategy.weights),
        *(*strategy.cool_offs, *strategy.promises, *strategy.exemptions),
    )
    ends = {end for rule in rules for end in (rule.valid.from_ms, rule.valid.until_ms)}  # type: ignore[attr-defined]
    return tuple(sorted(end for end in ends if end is not None))
