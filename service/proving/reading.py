"""What a model of z3 says of a customer, and the other way round: the formula of one customer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import z3

from models.context import Scalar, ValueType
from service.proving.doubles import double, read_double
from service.proving.fields import Symbol
from service.proving.numbers import whole
from service.proving.texts import Alphabet, Items, Members, fresh, read_spelled, spelled


def value(model: z3.ModelRef, symbol: Symbol) -> Scalar | None:
    """Return the value of a field in a model; None where it is unknown, or may be."""
    if not z3.is_true(model.eval(symbol.known)):
        return None
    if isinstance(symbol.value, Members):
        return _members(model, symbol.value)
    if isinstance(symbol.value, Items):
        size = _number(model, symbol.value.size)
        return tuple(_text(model, one, symbol.alphabet) for one in symbol.value.items[:size])
    if symbol.field.type is ValueType.STRING:
        return _text(model, symbol.value, symbol.alphabet)
    found = model.eval(symbol.value, model_completion=True)
    if symbol.field.type is ValueType.BOOL:
        return bool(z3.is_true(found))
    return read_double(found) if symbol.field.type is ValueType.DOUBLE else int(found.as_signed_long())


def _text(model: z3.ModelRef, found: z3.ExprRef, alphabet: Alphabet | None) -> str:
    told = model.eval(found, model_completion=True)
    if alphabet is None or alphabet.spelled:
        return read_spelled(told)
    return alphabet.read(told.as_long())


def _members(model: z3.ModelRef, members: Members) -> tuple[str, ...]:
    """Return the members, and as many others as the number of items asks for."""
    codes = [code for code, flag in enumerate(members.flags) if z3.is_true(model.eval(flag))]
    found = [members.alphabet.read(code) for code in codes]
    lacking = 0 if members.size is None else _number(model, members.size) - len(found)
    everything = [members.alphabet.read(code) for code in range(members.alphabet.size)]
    return (*found, *islice(fresh(everything), max(0, lacking)))


def _number(model: z3.ModelRef, found: z3.BitVecRef) -> int:
    return int(model.eval(found, model_completion=True).as_signed_long())


# ------------------------------------------------------------------------------------------------------ one customer


class Pins:
    """Says that fields have given values. Texts that are in no condition get a code of their own, each the same one."""

    def __init__(self) -> None:
        self._codes: dict[tuple[int, str], int] = {}
        self._taken: dict[int, int] = {}

    def pinned(self, symbols: Sequence[Symbol], values: Sequence[Scalar | None]) -> tuple[z3.BoolRef, ...]:
        """Return that each field has its value; None is unknown."""
        in_order = sorted(zip(symbols, values, strict=True), key=lambda pair: isinstance(pair[0].value, Members))
        return tuple(pin for symbol, told in in_order for pin in self._pin(symbol, told))

    def _pin(self, symbol: Symbol, told: Scalar | None) -> Iterator[z3.BoolRef]:
        if told is None:
            yield z3.Not(symbol.known)
            return
        yield symbol.known
        if isinstance(told, tuple):
            yield from self._list(symbol, told)
        elif isinstance(told, str):
            yield symbol.value == self._coded(symbol.alphabet, told)
        elif isinstance(told, bool):
            yield symbol.value == told
        else:
            yield symbol.value == (double(told) if isinstance(told, float) else whole(told))

    def _list(self, symbol: Symbol, told: tuple[str, ...]) -> Iterator[z3.BoolRef]:
        found = symbol.value
        if isinstance(found, Items):
            yield found.size == len(told)
            for one, text in zip(found.items, told, strict=False):
                yield one == self._coded(symbol.alphabet, text)
        elif isinstance(found, Members):
            members = {self._code(found.alphabet, text) for text in told}
            yield from (flag if code in members else z3.Not(flag) for code, flag in enumerate(found.flags))
            if found.size is not None:
                yield found.size == len(told)

    def _coded(self, alphabet: Alphabet | None, text: str) -> z3.ExprRef:
        if alphabet is None or alphabet.spelled:
            return spelled(text)
        return alphabet.constant(text) if alphabet.has(text) else alphabet.coded(self._code(alphabet, text))

    def _code(self, alphabet: Alphabet, text: str) -> int:
        """Return the code of a text; beyond all codes where it is one that no field can be equal to."""
        if alphabet.has(text):
            return alphabet.literals.index(text)
        key = (id(alphabet), text)
        if key not in self._codes:
            self._codes[key] = len(alphabet.literals) + self._taken.get(id(alphabet), 0)
            self._taken[id(alphabet)] = self._taken.get(id(alphabet), 0) + 1
        return self._codes[key]
