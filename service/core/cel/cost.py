"""Estimate what a condition costs at most, before it ever decides.

The unit is one operation on plain values, such as `past.open_tickets > 0`: 0.0125 µs on a 2-core Debian machine with
Python 3.11, warm and otherwise idle (22 November 2026), and two to three times as much in a loaded service. The factors
below were measured there in the same way, each at its worst.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.bounds import MAX_CHARACTERS, MAX_TEXTS
from models.context import ContextSchema, Field, FoldKind
from service.core.cel.attributes import PREFIX
from service.core.cel.columns import Rows
from service.core.cel.tree import Call, Const, ListOf, Name, Node, names, parts
from service.core.cel.ways import Way, about_actions, about_customers, way

LIMIT = 20_000
"""What all conditions of a strategy may cost together: a quarter of a millisecond, warm."""

_COMPARED_AT_ONCE = 128  # characters a unit
_HASHED_AT_ONCE = 25
_SEARCHED_AT_ONCE = 40  # pairs of characters a unit: the search of a text in another one goes over both, at worst
_LONGEST_SEARCHED = 256  # from there on the search takes no longer
_ITEM = 3
_COMBINATION, _IN_COMBINATION = 4, 4
_LOOK = 20
_CONNECTION = 6
_ACTIONS_AT_ONCE = 1_000  # of a mask
_AND_SO_ON = frozenset((Way.AND, Way.OR, Way.NOT, Way.CHOICE, Way.TRUTHS))


class Costs:
    """Estimates the conditions of one strategy, whose fields and actions say how long and how many values are."""

    def __init__(self, schema: ContextSchema, rows: Rows) -> None:
        self._rows = rows
        self._texts = {**{field.id: _longest(field) for field in schema.fields}, **_longest_of_actions(rows)}
        self._items = {field.id: _most_items(field) for field in schema.fields}

    def of(self, node: Node) -> int:
        """Return what a condition costs, in units; parts that occur twice count twice."""
        return round(self._over_actions(node) if about_actions(node) else self._plain(node))

    def _over_actions(self, node: Node) -> float:
        found = way(node)
        if found is Way.ACTION:
            return 0.0
        if found is Way.CUSTOMER:
            return self._plain(node) + self._wide(2)
        below = sum(map(self._over_actions if found in _AND_SO_ON else self._of_customer, parts(node)))
        if found in _AND_SO_ON:
            return below + self._wide(_CONNECTION)
        if found is Way.COMPUTED:
            return below + self._combinations(node) * (_COMBINATION + _IN_COMBINATION * self._mixed(node))
        looks = self._most(node) if found is Way.ITEMS else 1
        return below + self._wide(_LOOK) + looks * (_ITEM + self._longest(node) / _HASHED_AT_ONCE)

    def _wide(self, operations: int) -> float:
        return operations * (1 + len(self._rows.rows) / _ACTIONS_AT_ONCE)

    def _of_customer(self, node: Node) -> float:
        """Return what the parts cost that depend on the customer alone, and are computed once."""
        if not about_actions(node):
            return self._plain(node)
        return sum(map(self._of_customer, parts(node)))

    def _combinations(self, node: Node) -> int:
        read = sorted({name for name in names(node) if name.startswith(PREFIX)})
        return len({tuple(row.get(name) for name in read) for row in self._rows.rows})

    def _mixed(self, node: Node) -> float:
        """Return what has to be computed for each combination."""
        if not about_actions(node) or not about_customers(node):
            return 0.0
        return self._operation(node) + sum(map(self._mixed, parts(node)))

    # ------------------------------------------------------------------------------------------------ of one customer

    def _plain(self, node: Node) -> float:
        return self._operation(node) + sum(map(self._plain, parts(node)))

    def _operation(self, node: Node) -> float:
        if not isinstance(node, Call):
            return len(node.items) if isinstance(node, ListOf) else 0.0
        if node.overload == "contains_string":
            text, sought = map(self._longest, node.args)
            return 1 + text * min(sought, _LONGEST_SEARCHED) / _SEARCHED_AT_ONCE
        if node.overload == "in_list":
            return 1 + self._most(node) * (_ITEM + self._longest(node) / _COMPARED_AT_ONCE)
        items = max(map(self._most, node.args), default=1)
        return 1 + items * max(map(self._longest, node.args), default=0) / _COMPARED_AT_ONCE

    def _longest(self, node: Node) -> int:
        """Return the length of the longest text that a term can be, or has in it."""
        if isinstance(node, Const):
            return len(node.value) if isinstance(node.value, str) else 0
        if isinstance(node, Name):
            return self._texts.get(node.id, 0)
        lengths = [self._longest(part) for part in parts(node)]
        return sum(lengths) if isinstance(node, Call) and node.overload == "add_string" else max(lengths, default=0)

    def _most(self, node: Node) -> int:
        """Return the number of items of the longest list that a term can be, or has in it; 1 without lists."""
        if isinstance(node, Name):
            return self._items.get(node.id, MAX_TEXTS if "list" in node.kind else 1)
        own = len(node.items) if isinstance(node, ListOf) else 1
        return max([own, *map(self._most, parts(node))])


def _longest(field: Field) -> int:
    if "string" not in field.type.value:
        return 0
    return max(map(len, field.bounds.values), default=MAX_CHARACTERS)


def _most_items(field: Field) -> int:
    if field.type.value != "strings":
        return 1
    kept = field.fold.keep if field.fold and field.fold.kind is FoldKind.RECENT else 0
    return max(kept, MAX_TEXTS)


def _longest_of_actions(rows: Rows) -> Mapping[str, int]:
    longest: dict[str, int] = {}
    for row in rows.rows:
        for name, value in row.items():
            texts = value if isinstance(value, tuple) else (value,)
            lengths = [len(text) for text in texts if isinstance(text, str)]
            longest[name] = max([longest.get(name, 0), *lengths])
    return longest
