"""What is true of every customer: the bounds of what can be known, what their consent allows, and the clock.

Bounds and declared values are those that the service checks when a value comes in, so they hold for what was kept as
long as it came in under the same declarations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, floor

import z3

from models.bounds import MAX_CHARACTERS, YEAR_1_MS, YEAR_10000_MS
from models.contact import LAST_CHANNEL, MINUTES_SINCE_LAST, REMEMBERED_MS
from models.context import Attribute, ContextSchema, Field, FoldKind, Source, ValueType
from models.operations import LARGEST_INT
from service.proving import doubles
from service.proving.fields import Symbol, most_items
from service.proving.logic import Bool, both, either, same
from service.proving.numbers import within
from service.proving.texts import Items, Members

_COUNTING = (FoldKind.COUNT, FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.WINDOW_COUNT)
_AS_IT_WAS = (FoldKind.LAST, FoldKind.FIRST, FoldKind.MIN, FoldKind.MAX)
_KEPT = (FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.WINDOW_COUNT)


def bounds(schema: ContextSchema, symbols: Mapping[str, Symbol]) -> Iterator[Bool]:
    """Yield what holds of each field's value, known or not."""
    for field in schema.fields:
        symbol = symbols[field.id]
        match field.type:
            case ValueType.INT:
                yield _whole(schema, symbol)
            case ValueType.DOUBLE:
                yield _double(schema, symbol)
            case ValueType.TIMESTAMP:
                yield within(symbol.value, YEAR_1_MS, YEAR_10000_MS - 1)
            case ValueType.STRING:
                yield _text(symbol)
            case ValueType.STRINGS:
                yield from _texts(symbol)
            case ValueType.BOOL:
                pass
    if LAST_CHANNEL in symbols:
        yield from _contact(symbols[LAST_CHANNEL], symbols[MINUTES_SINCE_LAST])


def _whole(schema: ContextSchema, symbol: Symbol) -> Bool:
    declared, fold = _declared(schema, symbol.field), symbol.field.fold
    low, high = -LARGEST_INT, LARGEST_INT
    if symbol.field.source is Source.SUPPLY or (fold and fold.kind in _COUNTING):
        low = 0
    if fold and fold.kind in _KEPT:
        high = fold.keep
    low = low if declared.low is None else max(low, ceil(declared.low))
    high = high if declared.high is None else min(high, floor(declared.high))
    return within(symbol.value, low, high)


def _double(schema: ContextSchema, symbol: Symbol) -> Bool:
    declared, fold = _declared(schema, symbol.field), symbol.field.fold
    low = 0.0 if fold and fold.kind is FoldKind.RATE else declared.low
    above = True if low is None else doubles.less(doubles.double(low), symbol.value, or_equal=True)
    high = declared.high
    below = True if high is None else doubles.less(symbol.value, doubles.double(high), or_equal=True)
    return both(doubles.finite(symbol.value), above, below)


def _declared(schema: ContextSchema, field: Field) -> Attribute:
    """Return the bounds of a field: of what an event says of it, where that is what it holds."""
    fold = field.fold
    if fold is None or fold.kind not in _AS_IT_WAS or fold.event not in schema.events:
        return field.bounds
    attributes = schema.events[fold.event].attributes
    return next((one for one in attributes if one.name == fold.attribute), field.bounds)


def _text(symbol: Symbol) -> Bool:
    alphabet, values = symbol.alphabet, symbol.field.bounds.values
    if alphabet is None:
        return True
    if values:
        return either(*(symbol.value == alphabet.constant(text) for text in values))
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
