"""What the actions of a strategy say of themselves, as columns: tables from values to the actions that have them.

A set of actions is a bit mask: bit i stands for the action of index i.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import or_

from models.context import Scalar
from service.core.cel.attributes import row
from service.core.cel.emit import Program
from service.core.cel.tree import Node
from service.core.strategy import Action

Column = Sequence[object]
"""The value of a term for each action, in the order of the actions; None is unknown."""


@dataclass(frozen=True, slots=True)
class Rows:
    """All actions of a strategy, each with what it says of itself by the name that conditions know it by."""

    rows: tuple[Mapping[str, Scalar], ...]

    @classmethod
    def of(cls, actions: Iterable[Action]) -> Rows:
        """Return the rows of a strategy's actions."""
        return cls(tuple(row(action) for action in actions))

    @property
    def all(self) -> int:
        """The mask of all actions."""
        return (1 << len(self.rows)) - 1

    def column(self, node: Node, names: Iterable[str]) -> Column:
        """Return the value of a term that reads these names, all of them of actions."""
        index = {name: place for place, name in enumerate(sorted(set(names)))}
        program = Program()
        term = program.over([program.add(node)], index)
        return [term([row.get(name) for name in index], 0)[0] for row in self.rows]


def known(column: Column) -> int:
    """Return the actions of which something is known."""
    return mask(value is not None for value in column)


def mask(flags: Iterable[bool]) -> int:
    """Return the actions whose flag is set."""
    return sum(1 << index for index, flag in enumerate(flags) if flag)


def by_value(column: Column) -> dict[object, int]:
    """Return the actions that have each value. What is no number equals nothing, and is left out."""
    table: dict[object, int] = {}
    for index, value in enumerate(column):
        if value is not None and value == value:
            table[value] = table.get(value, 0) | 1 << index
    return table


def by_item(column: Column) -> dict[object, int]:
    """Return the actions whose list has each item."""
    table: dict[object, int] = {}
    for index, items in enumerate(column):
        for item in items if isinstance(items, tuple) else ():
            if item == item:
                table[item] = table.get(item, 0) | 1 << index
    return table


def ascending(column: Column) -> tuple[list[object], list[int]]:
    """Return the distinct values in their order, and for each number of them the actions with one of the first ones."""
    table = sorted(by_value(column).items(), key=lambda entry: entry[0])  # type: ignore[arg-type,return-value]  # of one type
    return [value for value, _ in table], list(accumulate((found for _, found in table), or_, initial=0))


def alike(columns: Sequence[Column]) -> list[tuple[object, ...]]:
    """Return each distinct combination of values, followed by the actions that have it."""
    table: dict[tuple[object, ...], tuple[tuple[object, ...], int]] = {}
    for index, values in enumerate(zip(*columns, strict=True)):
        spelled = tuple(repr(value) for value in values)  # keeps 0.0 and -0.0 apart
        _, found = table.get(spelled, (values, 0))
        table[spelled] = (values, found | 1 << index)
    return [(*values, found) for values, found in table.values()]
