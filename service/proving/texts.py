"""Texts in z3: codes of a small alphabet where conditions only ask whether they are equal, else z3 strings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import z3

from service.proving.logic import Bool

_LAST_CHARACTER = 0x2FFFF
_LAST_OF_LITERALS = 0x1FFFF
"""A customer's text may hold characters that z3 does not have. They can stand for those between these two, in their
order: what looks into texts and orders them tells both alike, as long as no literal is among or beyond them.
"""


class NotInSolver(Exception):
    """What a condition says goes beyond the solver; the message says in words what and why."""


@dataclass(frozen=True)
class Alphabet:
    """The texts of one family: each of `literals` has a code, and so have as many `others` as can be told apart.

    A family that is `spelled` holds z3 strings in place of codes.
    """

    literals: tuple[str, ...]
    others: int
    spelled: bool

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {text: code for code, text in enumerate(self.literals)}

    @property
    def size(self) -> int:
        """The number of codes."""
        return len(self.literals) + self.others

    @property
    def _sort(self) -> z3.SortRef:
        return z3.StringSort() if self.spelled else z3.BitVecSort(max(1, self.size.bit_length()))

    def symbol(self, name: str) -> z3.ExprRef:
        """Return a new text of the family."""
        return z3.Const(name, self._sort)

    def coded(self, code: int) -> z3.ExprRef:
        """Return the text of a code."""
        return z3.BitVecVal(code, self._sort)

    def constant(self, text: str) -> z3.ExprRef:
        """Return a literal. Raises ValueError for one that was not announced, NotInSolver for one beyond z3."""
        if self.spelled:
            return literal(text)
        if text not in self._codes:
            raise ValueError(f"the text {text!r} was not announced")
        return self.coded(self._codes[text])

    def has(self, text: str) -> bool:
        """Tell whether a text is one of the literals."""
        return text in self._codes

    def in_it(self, symbol: z3.ExprRef) -> Bool:
        """Return that a symbol is one of the codes."""
        return True if self.spelled else z3.ULT(symbol, self.coded(self.size))

    def read(self, code: int) -> str:
        """Return the text of a code; an other one is one that is not among the literals."""
        if code < len(self.literals):
            return self.literals[code]
        return next(fresh(self.literals, code - len(self.literals)))


def fresh(taken: Iterable[str], skip: int = 0) -> Iterator[str]:
    """Yield texts that are not among those taken."""
    known, number = set(taken), 0
    while True:
        number += 1
        text = f"other {number}"
        if text not in known:
            if skip == 0:
                yield text
            else:
                skip -= 1


def literal(text: str) -> z3.SeqRef:
    """Return a text of a condition as a z3 string. Raises NotInSolver where that would not be told from others."""
    if any(ord(character) > _LAST_OF_LITERALS for character in text):
        raise NotInSolver("a text with characters beyond U+1FFFF, for z3 has none beyond U+2FFFF to tell from them")
    return spelled(text)


def spelled(text: str) -> z3.SeqRef:
    """Return a text as a z3 string, whose characters end at U+2FFFF."""
    if any(ord(character) > _LAST_CHARACTER for character in text):
        raise NotInSolver("a text with characters beyond U+2FFFF, which z3 does not have")
    return z3.StringVal("".join(map(_escaped, text)))


def _escaped(character: str) -> str:
    plain = " " <= character <= "~" and character != "\\"
    return character if plain else f"\\u{{{ord(character):x}}}"


def read_spelled(value: z3.SeqRef) -> str:
    """Return the text of a z3 string."""
    context, expression = value.ctx_ref(), value.as_ast()
    length = z3.Z3_get_string_length(context, expression)
    contents = (z3.ctypes.c_uint * length)()
    z3.Z3_get_string_contents(context, expression, length, contents)
    return "".join(map(chr, contents))


@dataclass(frozen=True, slots=True)
class Members:
    """A list of texts of which only its members and their number matter: by code, whether it has it.

    `size` is 64 bits; None where nobody asks.
    """

    alphabet: Alphabet
    flags: tuple[z3.BoolRef, ...]
    size: z3.BitVecRef | None


@dataclass(frozen=True, slots=True)
class Items:
    """A list of texts, numbers or lists, item by item; those from the `size`th on (64 bits) are not there."""

    items: Sequence[object]
    size: z3.BitVecRef
