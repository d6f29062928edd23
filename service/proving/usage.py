"""How conditions use texts: which ones meet, whether they are only compared, and with which literals.

Texts that meet in a comparison form a family. Where a family is only compared for equality, each text is one of the
literals or one of some others, and it does not matter which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from models.context import Scalar
from service.core.cel.columns import Rows
from service.core.cel.tree import Call, Const, ListOf, Name, Node, names, parts
from service.core.cel.ways import about_customers

_CONSTANT_TIME = ("string_to_duration", "string_to_timestamp")
_LOOKS_INTO = ("starts_with_string", "ends_with_string", "contains_string", "size_string", "string_size", "add_string")
_CALCULATES = ("add_double", "subtract_double", "multiply_double", "divide_double", "int64_to_double")
_SIZES = ("size_list", "list_size")


@dataclass(slots=True)
class Family:
    """Texts that meet. `spelled` where conditions look into one of them, `ordered` lists are compared as a whole, and
    of `sized` ones the length matters. `literals` are all texts that they meet, `fields` all fields among them.
    """

    spelled: bool = False
    ordered: bool = False
    sized: bool = False
    literals: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)

    def join(self, other: Family) -> Family:
        """Take in another family."""
        self.spelled |= other.spelled
        self.ordered |= other.ordered
        self.sized |= other.sized
        self.literals |= other.literals
        self.fields |= other.fields
        return self


class Usage:
    """The families of texts of all conditions of a strategy, and whether any `calculates` with doubles."""

    def __init__(self, nodes: Iterable[Node], rows: Sequence[Mapping[str, Scalar]]) -> None:
        self._rows = Rows(tuple(rows) or ({},))
        self._families: dict[Node, Family] = {}
        self._seen: set[Node] = set()
        self.calculates = False
        for node in nodes:
            self._look(node)
        self._of_field = {name: family for family in self._families.values() for name in family.fields}

    def of_field(self, name: str) -> Family:
        """Return the family of a field, alone where no condition compares it."""
        return self._of_field.setdefault(name, Family(fields={name}))

    def of_node(self, node: Node) -> Family | None:
        """Return the family of a text or list that depends on the customer; None for any other."""
        return self._families.get(node)

    @property
    def spells(self) -> bool:
        """Tell whether any condition looks into texts."""
        return any(family.spelled for family in self._families.values())

    def announced(self, node: Node) -> bool:
        """Tell whether a condition, or one that it is part of, was looked at."""
        return node in self._seen

    def _look(self, node: Node) -> None:
        if node in self._seen:
            return
        self._seen.add(node)
        if isinstance(node, Call) and node.overload in _CONSTANT_TIME:
            return
        if about_customers(node):
            self.calculates |= isinstance(node, Call) and node.overload in _CALCULATES
            self._meet(node)
        for part in parts(node):
            self._look(part)

    def _meet(self, node: Node) -> None:
        """Join what meets in a part of a condition into one family."""
        together = [part for part in parts(node) if _of_texts(part)]
        if isinstance(node, Call) and node.overload == "conditional":
            together = [part for part in node.args[1:] if _of_texts(part)]
        if _of_texts(node):
            together.append(node)
        if not together:
            return
        family = Family()
        for part in together:
            family = self._take_in(family, part)
        if isinstance(node, Call):
            lists = any(part.kind.startswith("list") for part in together)
            family.spelled |= node.overload in _LOOKS_INTO or node.overload.startswith(("less", "greater"))
            family.ordered |= lists and node.overload in ("equals", "not_equals")
            family.ordered |= node.overload == "in_list" and node.args[0].kind.startswith("list")
            family.sized |= node.overload in _SIZES

    def _take_in(self, family: Family, part: Node) -> Family:
        if not about_customers(part):
            family.literals |= self._texts(part)
            return family
        found = self._families.setdefault(part, family)
        if isinstance(part, Name):
            found.fields.add(part.id)
        if found is family:
            return family
        found.join(family)
        for member, joined in self._families.items():
            if joined is family:
                self._families[member] = found
        return found

    def _texts(self, node: Node) -> set[str]:
        """Return every text that a part can be which depends on no customer."""
        column = self._rows.column(node, names(node))
        return {text for value in column for text in _flat(value)}


def _of_texts(node: Node) -> bool:
    if isinstance(node, Const):
        return isinstance(node.value, str)
    return "string" in node.kind or (isinstance(node, ListOf) and "dyn" in node.kind)


def _flat(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _flat(item)
