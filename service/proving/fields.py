"""The fields of a schema as z3 symbols: of each a value of its type and whether it is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import z3

from models.bounds import MAX_TEXTS
from models.clock import Clock, zone_names
from models.context import ContextSchema, Field, FoldKind, ValueType
from service.proving.texts import Alphabet, Items, Members
from service.proving.usage import Family, Usage
from service.proving.zones import REPRESENTATIVE

Value: TypeAlias = z3.ExprRef | Members | Items


@dataclass(frozen=True, slots=True)
class Symbol:
    """One field: `value` counts only where it is `known`. `alphabet` is set for texts and lists of texts."""

    field: Field
    known: z3.BoolRef
    value: Value
    alphabet: Alphabet | None = None


def symbols(schema: ContextSchema, usage: Usage, alphabets: Alphabets) -> dict[str, Symbol]:
    """Return the symbol of each field by its id, in the order of the schema."""
    return {field.id: _symbol(field, usage.of_field(field.id), alphabets) for field in schema.fields}


def most_items(field: Field) -> int:
    """Return how many texts a list can hold."""
    return field.fold.keep if field.fold and field.fold.kind is FoldKind.RECENT else MAX_TEXTS


def _symbol(field: Field, family: Family, alphabets: Alphabets) -> Symbol:
    known = z3.Bool(f"known {field.id}")
    if field.type is ValueType.BOOL:
        return Symbol(field, known, z3.Bool(field.id))
    if field.type not in (ValueType.STRING, ValueType.STRINGS):
        return Symbol(field, known, z3.BitVec(field.id, 64))
    alphabet = alphabets.of(family)
    if field.type is ValueType.STRING:
        return Symbol(field, known, alphabet.symbol(field.id), alphabet)
    return Symbol(field, known, _list(field, alphabet, family), alphabet)


def _list(field: Field, alphabet: Alphabet, family: Family) -> Members | Items:
    size = z3.BitVec(f"size {field.id}", 64)
    if family.ordered or family.spelled:
        items = tuple(alphabet.symbol(f"{field.id}[{place}]") for place in range(most_items(field)))
        return Items(items, size)
    flags = tuple(z3.Bool(f"{alphabet.read(code)!r} in {field.id}") for code in range(alphabet.size))
    return Members(alphabet, flags, size if family.sized else None)


class Alphabets:
    """Gives every family its alphabet, large enough for all of its fields to be different."""

    def __init__(self, schema: ContextSchema) -> None:
        self._schema = schema
        self._found: dict[int, tuple[Family, Alphabet]] = {}
        clock = Clock.of(schema)
        self._zones = {schema.fields[index].id for index in clock.looks_at} if clock else set()

    def of(self, family: Family) -> Alphabet:
        """Return the alphabet of a family."""
        if id(family) not in self._found:
            self._found[id(family)] = family, self._made(family)
        return self._found[id(family)][1]

    def _made(self, family: Family) -> Alphabet:
        fields = [self._schema.fields[self._schema.index[name]] for name in family.fields]
        literals = family.literals.union(*(field.bounds.values for field in fields))
        if not family.spelled and self._zones & family.fields:
            literals |= set(REPRESENTATIVE) & zone_names()
        return Alphabet(tuple(sorted(literals)), _room(fields, family), family.spelled)


def _room(fields: Iterable[Field], family: Family) -> int:
    """Return how many texts can be different from all literals and from each other."""
    texts = [field for field in fields if field.type is ValueType.STRING]
    lists = [field for field in fields if field.type is ValueType.STRINGS] if family.ordered else []
    return len(texts) + sum(map(most_items, lists)) if family.ordered else max(1, len(texts))
