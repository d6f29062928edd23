"""What is true of every customer: the bounds of what can be known, what their consent allows, and the clock.

Bounds and declared values are those that the service checks when a value comes in. What comes with a request keeps to
them; of what is kept they are only true as long as it came in under the same declarations, so they are facts under the
condition `today`: what is proven without it holds also for what was kept under wider ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil, floor

import z3

from models.bounds import MAX_CHARACTERS, YEAR_1_MS, YEAR_10000_MS
from models.contact import LAST_CHANNEL, MINUTES_SINCE_LAST, REMEMBERED_MS
from models.context import Attribute, ContextSchema, Field, FoldKind, Scalar, Source, ValueType
from models.operations import LARGEST_INT
from service.proving import doubles
from service.proving.fields import Symbol, most_items
from service.proving.logic import Bool, both, either, implies, same
from service.proving.numbers import within
from service.proving.texts import Items, Members, NotInSolver

_COUNTING = (FoldKind.COUNT, FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.WINDOW_COUNT)
_AS_IT_WAS = (FoldKind.LAST, FoldKind.FIRST, FoldKind.MIN, FoldKind.MAX)
_ADDED = (FoldKind.SUM, FoldKind.WINDOW_SUM, FoldKind.DECAY)
_KEPT = (FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.WINDOW_COUNT)


def bounds(schema: ContextSchema, symbols: Mapping[str, Symbol], today: z3.BoolRef) -> Iterator[Bool]:
    """Yield what holds of each field's value, known or not; `today` is that all came in as it is declared today."""
    for field in schema.fields:
        symbol = symbols[field.id]
        yield from _always(symbol)
        if field.type in (ValueType.INT, ValueType.DOUBLE, ValueType.STRING):
            said = _said(declared(schema, field), symbol)
            yield said if field.fold is None else implies(today, said)
    if LAST_CHANNEL in symbols:
        yield from _contact(symbols[LAST_CHANNEL], symbols[MINUTES_SINCE_LAST])


def declared(schema: ContextSchema, field: Field) -> Attribute:
    """Return the bounds of a field: of what an event says of it, or of what comes of adding that up."""
    fold, said = field.fold, field.bounds
    if fold is None or fold.event not in schema.events:
        return said
    attributes = schema.events[fold.event].attributes
    folded = next((one for one in attributes if one.name == fold.attribute), None)
    if fold.kind in _AS_IT_WAS and folded is not None:
        return replace(said, low=folded.low, high=folded.high)
    if fold.kind in _ADDED and folded is not None:
        kept = fold.keep if fold.kind is FoldKind.WINDOW_SUM else None
        return replace(said, low=_least_sum(folded, kept), high=_largest_sum(folded, kept))
    return replace(said, high=float(fold.keep)) if fold.kind in _KEPT else said


def _least_sum(added: Attribute, kept: int | None) -> float | None:
    """Return 0 where nothing negative is ever added, else what as much comes to as is `kept`, if that is bounded."""
    if added.low is None:
        return None
    return 0.0 if added.low >= 0.0 else added.low * kept if kept is not None else None


def _largest_sum(added: Attribute, kept: int | None) -> float | None:
    if added.high is None:
        return None
    return 0.0 if added.high <= 0.0 else added.high * kept if kept is not None else None


def comes_in(schema: ContextSchema, field: Field, value: Scalar | None) -> bool:
    """Tell whether a value can come of what is let in today; what is unknown can."""
    said = declared(schema, field)
    if value is None or isinstance(value, bool | tuple):
        return True
    if isinstance(value, str):
        return not said.values or value in said.values
    if field.type is ValueType.TIMESTAMP:
        return True
    return (said.low is None or value >= said.low) and (said.high is None or value <= said.high)


def _always(symbol: Symbol) -> Iterator[Bool]:
    match symbol.field.type:
        case ValueType.INT:
            yield _whole(symbol)
        case ValueType.DOUBLE:
            yield _double(symbol)
        case ValueType.TIMESTAMP:
            yield within(symbol.value, YEAR_1_MS, YEAR_10000_MS - 1)
        case ValueType.STRING:
            yield _text(symbol)
        case ValueType.STRINGS:
            yield from _texts(symbol)
        case ValueType.BOOL:
            pass


def _whole(symbol: Symbol) -> Bool:
    fold = symbol.field.fold
    counted = symbol.field.source is Source.SUPPLY or (fold is not None and fold.kind in _COUNTING)
    return within(symbol.value, 0 if counted else -LARGEST_INT, LARGEST_INT)


def _double(symbol: Symbol) -> Bool:
    fold = symbol.field.fold
    never_below = fold is not None and fold.kind is FoldKind.RATE
    above = doubles.less(doubles.double(0.0), symbol.value, or_equal=True) if never_below else True
    return both(doubles.finite(symbol.value), above)


def _said(said: Attribute, symbol: Symbol) -> Bool:
    """Return that a value keeps to what is declared."""
    low, high, value = said.low, said.high, symbol.value
    if symbol.field.type is ValueType.INT:
        return within(value, None if low is None else ceil(low), None if high is None else floor(high))
    if symbol.field.type is ValueType.STRING:
        return _one_of(said.values, symbol)
    above = True if low is None else doubles.less(doubles.double(low), value, or_equal=True)
    return both(above, True if high is None else doubles.less(value, doubles.double(high), or_equal=True))


def _one_of(texts: tuple[str, ...], symbol: Symbol) -> Bool:
    """Return that a text is one of these; where z3 does not have them all, it may be any."""
    alphabet = symbol.alphabet
    if alphabet is None or not texts:
        return True
    try:
        return either(*(symbol.value == alphabet.constant(text) for text in texts))
    except NotInSolver:
        return True


def _text(symbol: Symbol) -> Bool:
    alphabet = symbol.alphabet
    if alphabet is None:
        return True
    return z3.Length(symbol.value) <= MAX_CHARACTERS if alphabet.spelled else alphabet.in_it(symbol.value)


def _texts(symbol: Symbol) -> Iterator[Bool]:
    value, most = symbol.value, most_items(symbol.field)
    if isinstance(value, Items):
        yield within(value.size, 0, most)
        if symbol.alphabet:
            yield from map(symbol.alphabet.in_it, value.items)
    elif isinstance(value, Members):
        if len(value.flags) > most:
            yield z3.PbLe([(flag, 1) for flag in value.flags], most)
        if value.size is not None:
            yield within(value.size, 0, most)
            yield number(value) <= value.size


def number(members: Members) -> z3.BitVecRef:
    """Return how many members of the alphabet are in a list."""
    width = max(1, len(members.flags)).bit_length()
    ones = [z3.If(flag, z3.BitVecVal(1, width), z3.BitVecVal(0, width)) for flag in members.flags]
    total = ones[0] if ones else z3.BitVecVal(0, width)
    for one in ones[1:]:
        total = total + one
    return z3.ZeroExt(64 - width, total)


def _contact(channel: Symbol, minutes: Symbol) -> Iterator[Bool]:
    """Yield that the contact before is known as a whole or not at all, and was within a day."""
    yield same(channel.known, minutes.known)
    yield doubles.less(doubles.double(0.0), minutes.value, or_equal=True)
    yield doubles.less(minutes.value, doubles.double(REMEMBERED_MS / 60_000))
