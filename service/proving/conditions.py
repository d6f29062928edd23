"""Turn checked conditions into terms of z3, with the meaning that service/core/cel/emit.py gives them, bit by bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import z3

from models.context import Scalar
from service.core.cel.attributes import PREFIX
from service.core.cel.emit import Conditions as Compiled
from service.core.cel.emit import Program
from service.core.cel.tree import Call, ListOf, Name, Node, names
from service.core.cel.ways import about_customers
from service.proving.doubles import double
from service.proving.fields import Alphabets, Symbol
from service.proving.lists import Listing, item_kind
from service.proving.logic import both
from service.proving.numbers import whole
from service.proving.operations import Logic, Part, Term, operation, plain
from service.proving.texts import Alphabet, Items, Members, literal
from service.proving.usage import Usage

Row: TypeAlias = Mapping[str, Scalar]
_NO_ACTION: Row = {}


class Conditions:
    """Turns the conditions of one strategy into terms. Each distinct part is turned once for what it reads."""

    def __init__(self, symbols: Mapping[str, Symbol], now: z3.BitVecRef, usage: Usage, alphabets: Alphabets) -> None:
        self._symbols = symbols
        self._now = now
        self._usage = usage
        self._alphabets = alphabets
        self._parts: dict[tuple[object, ...], Part] = {}

    def logic(self, node: Node, row: Row = _NO_ACTION) -> Logic:
        """Return when a condition holds and fails. Raises NotInSolver and ValueError as `Symbols.truth` does."""
        found = self._part(node, row)
        if not isinstance(found, Logic):
            raise ValueError(f"what is of type {node.kind} is no condition")
        return found

    def _part(self, node: Node, row: Row, alphabet: Alphabet | None = None) -> Part:
        """Return the term of a part; `alphabet` is that of what it meets, for texts which are constant."""
        key = (node, id(alphabet), *(repr(row.get(name)) for name in of_action(node)))
        if key not in self._parts:
            self._parts[key] = self._made(node, row, alphabet)
        return self._parts[key]

    def _made(self, node: Node, row: Row, alphabet: Alphabet | None) -> Part:
        if not about_customers(node):
            return constant(node, row, alphabet)
        if isinstance(node, Name):
            return self._named(node)
        if isinstance(node, ListOf):
            terms = [plain(part) for part in self._below(node, node.items, row)]
            items = Items(tuple(term.value for term in terms), whole(len(terms)))
            return Term(Listing(((True, items),)), both(*(term.known for term in terms)))
        if not isinstance(node, Call):
            raise TypeError("a literal depends on no customer")
        return operation(node, self._below(node, node.args, row))

    def _below(self, node: Node, below: Sequence[Node], row: Row) -> list[Part]:
        """Return the terms of the parts, constant texts among them in the form of what they meet."""
        families = (self._usage.of_node(one) for one in (node, *below) if not _is_test(node, one))
        family = next((found for found in families if found is not None), None)
        alphabet = self._alphabets.of(family) if family else None
        return [self._part(one, row, None if about_customers(one) else alphabet) for one in below]

    def _named(self, node: Name) -> Part:
        if node.id == "now":
            return Term(self._now, True)
        if node.id not in self._symbols:
            raise ValueError(f"there is no field {node.id}")
        symbol = self._symbols[node.id]
        if node.kind == "bool":
            return Logic(both(symbol.known, symbol.value), both(symbol.known, z3.Not(symbol.value)))
        if isinstance(symbol.value, Members | Items):
            return Term(Listing(((True, symbol.value),)), symbol.known)
        return Term(symbol.value, symbol.known)


def _is_test(node: Node, part: Node) -> bool:
    return isinstance(node, Call) and node.overload == "conditional" and part is node.args[0]


@lru_cache(maxsize=16_384)
def of_action(node: Node) -> tuple[str, ...]:
    """Return what a part reads of the action, sorted."""
    return tuple(sorted({name for name in names(node) if name.startswith(PREFIX)}))


def constant(node: Node, row: Row, alphabet: Alphabet | None) -> Part:
    """Return the term of a part that depends on no customer, as compiled conditions compute it."""
    value = _compiled(node)([row.get(name) for name in of_action(node)], 0)[0]
    if node.kind == "bool":
        return Logic(value is True, value is False)
    return Term(_form(value, node.kind, alphabet), value is not None)


@lru_cache(maxsize=4_096)
def _compiled(node: Node) -> Compiled:
    program = Program()
    return program.over([program.add(node)], {name: place for place, name in enumerate(of_action(node))})


def _form(value: object, kind: str, alphabet: Alphabet | None) -> Any:  # noqa: ANN401  z3 has no types
    """Return a constant of a type as z3 knows it; any, where it is not known."""
    if kind.startswith("list"):
        items = value if isinstance(value, tuple) else ()
        of = tuple(_form(item, item_kind(kind), alphabet) for item in items)
        return Listing(((True, Items(of, whole(len(of)))),))
    if kind == "string":
        return _text("" if value is None else str(value), value is not None, alphabet)
    if kind == "double":
        return double(value if isinstance(value, float) else 0.0)
    if kind == "bool":
        return value is True
    return whole(value if isinstance(value, int) else 0)


def _text(text: str, known: bool, alphabet: Alphabet | None) -> z3.ExprRef:
    if alphabet is None:
        return literal(text)
    return alphabet.constant(text) if known or alphabet.spelled else alphabet.coded(0)
