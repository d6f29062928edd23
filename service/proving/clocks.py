"""Hour and weekday for the solver: what the clock where the customer is shows at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import z3

from models.clock import HOUR, WEEKDAY, Clock, zone_names
from models.context import ContextSchema, Scalar
from service.proving.fields import Symbol
from service.proving.logic import Bool, both, either, implies, same
from service.proving.numbers import whole, within
from service.proving.zones import FARTHEST, QUARTER_MS, offset_ms, offsets_ms, unchanged

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


class Clocks:
    """What the fields of the clock can be. Where a strategy has no time zone there is nothing to say."""

    def __init__(
        self, schema: ContextSchema, symbols: Mapping[str, Symbol], now: z3.BitVecRef, span: tuple[int, int]
    ) -> None:
        self._schema = schema
        self._symbols = symbols
        self._now = now
        self._span = span
        self._offset = z3.BitVec("clock offset", 64)
        self._clock = Clock.of(schema)
        named = schema.time_zone
        self._default = named.default if named else ""
        self._zone = symbols[named.field] if named and named.field else None

    def world(self, served: Bool) -> Iterator[Bool]:
        """Yield what holds of hour and weekday, given when the consent allows them to be read."""
        if self._clock is None:
            return
        hour, weekday = self._symbols[HOUR], self._symbols[WEEKDAY]
        yield same(hour.known, weekday.known)
        yield from self._shown(hour.value, weekday.value)
        yield from self._where(hour.known, served)

    def _shown(self, hour: z3.BitVecRef, weekday: z3.BitVecRef) -> Iterator[Bool]:
        """Yield how hour and weekday follow from the moment and from how far the clock is from UTC.

        Each number has as few bits as it needs, for the solver multiplies bit by bit.
        """
        first = self._span[0] // _DAY_MS - 1
        first -= (first + 3) % 7  # a Monday: 1 January 1970 was a Thursday
        weeks = (self._span[1] // _DAY_MS + 2 - first) // 7
        week, day = _few("clock week", weeks), _few("clock day", 6)
        of_day, rest = _few("clock hour", 23), _few("clock rest", _HOUR_MS - 1)
        began = self._now + self._offset - whole(first * _DAY_MS)
        days = _wide(week) * 7 + _wide(day)
        yield began == days * _DAY_MS + _wide(of_day) * _HOUR_MS + _wide(rest)
        yield both(z3.ULE(week, weeks), z3.ULE(rest, _HOUR_MS - 1))  # the fields bound the others
        yield both(hour == _wide(of_day), weekday == _wide(day) + 1)

    def _where(self, known: Bool, served: Bool) -> Iterator[Bool]:
        """Yield how far the clock is from UTC, as far as the solver needs to know; `lemma` tells the rest."""
        elsewhere = self._zone.known if self._zone else False
        if self._default:
            yield implies(z3.Not(elsewhere) if self._zone else True, self._at(self._default))
            yield implies(both(served, z3.Not(elsewhere) if self._zone else True), known)
        elif self._zone:
            yield implies(known, elsewhere)
        if self._zone and self._zone.alphabet and not self._zone.alphabet.spelled:
            yield from self._by_code(self._zone, known, served)
        elif self._zone:
            yield either(*(self._offset == whole(q * QUARTER_MS) for q in range(-FARTHEST, FARTHEST + 1)))

    def _by_code(self, zone: Symbol, known: Bool, served: Bool) -> Iterator[Bool]:
        alphabet = zone.alphabet
        texts = alphabet.literals if alphabet else ()
        zones = [(text, zone.value == alphabet.constant(text)) for text in texts if alphabet and text in zone_names()]
        for text, there in zones:
            yield implies(both(zone.known, there), self._at(text))
        somewhere = either(*(there for _, there in zones))
        yield implies(both(served, zone.known), same(known, somewhere))

    def _at(self, zone: str) -> Bool:
        return either(*(self._offset == whole(offset) for offset in offsets_ms(zone, *self._span)))

    # -------------------------------------------------------------------------------------------------- the real clock

    def lemma(self, values: Sequence[Scalar | None], now_ms: int, served: Bool) -> Bool | None:
        """Return what the real clock shows that these values contradict, or None where they agree with it.

        The values are those of a customer whose consent allows the clock; `served` says when it does.
        """
        if self._clock is None:
            return None
        real = list(values)
        self._clock.fill(real, now_ms)
        hour, weekday = self._clock.tells
        if values[hour] is None or (real[hour], real[weekday]) == (values[hour], values[weekday]):
            known = real[hour] is not None
            return None if known == (values[hour] is not None) else self._known(values, known, served)
        return self._known(values, False, served) if real[hour] is None else self._unchanged(values, now_ms)

    def _known(self, values: Sequence[Scalar | None], known: bool, served: Bool) -> Bool:
        found = self._symbols[HOUR].known
        return implies(both(self._same_zone(values), served), found if known else z3.Not(found))

    def _unchanged(self, values: Sequence[Scalar | None], now_ms: int) -> Bool:
        zone = self._named(values) or self._default
        since, until = unchanged(zone, now_ms)
        span = within(self._now, since, until - 1)
        return implies(both(self._same_zone(values), span), self._offset == whole(offset_ms(zone, now_ms)))

    def _same_zone(self, values: Sequence[Scalar | None]) -> Bool:
        if self._zone is None:
            return True
        name = self._named(values)
        if not name:
            return z3.Not(self._zone.known)
        return both(self._zone.known, self._zone.value == _constant(self._zone, name))

    def _named(self, values: Sequence[Scalar | None]) -> str:
        found = None if self._zone is None else values[self._schema.index[self._zone.field.id]]
        return "" if found is None else str(found)


def _few(name: str, most: int) -> z3.BitVecRef:
    """Return a number from 0 to `most` in as few bits as that takes."""
    return z3.BitVec(name, most.bit_length())


def _wide(number: z3.BitVecRef) -> z3.BitVecRef:
    return z3.ZeroExt(64 - number.size(), number)


def _constant(zone: Symbol, name: str) -> z3.ExprRef:
    if zone.alphabet is None:
        raise ValueError(f"{zone.field.id} is no text")
    return zone.alphabet.constant(name)
