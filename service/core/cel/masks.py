"""Compile conditions over actions: of each, as two bit masks, the actions for which it holds and does not hold.

For the rest it is unknown. What depends on the customer alone is computed once a decision, what depends on the action
alone once a strategy. A comparison of the two is one look into a table over all actions; only what is left, such as
`action.price * past.discount < past.limit`, is computed for each distinct combination of the actions' values.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

from service.core.cel import columns
from service.core.cel.columns import Rows
from service.core.cel.emit import Program
from service.core.cel.tree import Call, Const, Node, names, parts
from service.core.cel.ways import Way, about_actions, about_customers, sign_of, way

Pair = tuple[str, str]
"""The terms of the masks for which a condition holds, and for which it does not."""

_MIRRORED = {"less": "greater", "less_equals": "greater_equals", "greater": "less", "greater_equals": "less_equals"}
_BELOW = {
    "less": ("bisect_left", "{below}"),
    "less_equals": ("bisect_right", "{below}"),
    "greater": ("bisect_right", "{number} ^ {below}"),
    "greater_equals": ("bisect_left", "{number} ^ {below}"),
}
_OF_TRUTHS = {
    "equals": ("{a} & {b} | {not_a} & {not_b}", "{a} & {not_b} | {not_a} & {b}"),
    "not_equals": ("{a} & {not_b} | {not_a} & {b}", "{a} & {b} | {not_a} & {not_b}"),
    "less": ("{not_a} & {b}", "{a} & ({b} | {not_b}) | {not_a} & {not_b}"),
    "less_equals": ("{not_a} & ({b} | {not_b}) | {a} & {b}", "{a} & {not_b}"),
    "greater": ("{a} & {not_b}", "{not_a} & ({b} | {not_b}) | {a} & {b}"),
    "greater_equals": ("{a} & ({b} | {not_b}) | {not_a} & {not_b}", "{not_a} & {b}"),
}


class Masks:
    """Adds conditions over actions to a program, each distinct part of them once."""

    def __init__(self, program: Program, rows: Rows) -> None:
        self._program = program
        self._rows = rows
        self._all = hex(rows.all)
        self._pairs: dict[Node, Pair] = {}
        program.scope |= {"bisect_left": bisect_left, "bisect_right": bisect_right, "any_of": any_of}

    def add(self, node: Node) -> Pair:
        """Add a condition and return the terms of its two masks."""
        if node not in self._pairs:
            self._pairs[node] = self._compute(node)
        return self._pairs[node]

    def _compute(self, node: Node) -> Pair:
        found = way(node)
        if found is Way.CUSTOMER:
            truth = self._program.add(node)
            return self._assign(f"{self._all} if {truth} else 0", f"{self._all} if {truth} is False else 0")
        if found is Way.ACTION or not isinstance(node, Call):
            column = self._column(node)
            return hex(columns.mask(v is True for v in column)), hex(columns.mask(v is False for v in column))
        ways: dict[Way, Callable[[Call], Pair]] = {
            Way.AND: self._and,
            Way.OR: self._or,
            Way.NOT: lambda node: self.add(node.args[0])[::-1],
            Way.CHOICE: self._choice,
            Way.TRUTHS: self._of_truths,
            Way.EQUAL: self._equal,
            Way.ITEM: self._item,
            Way.ITEMS: self._items,
            Way.ORDERED: self._ordered,
            Way.COMPUTED: self._computed,
        }
        return ways[found](node)

    # -------------------------------------------------------------------------------------------------- connections

    def _and(self, node: Call) -> Pair:
        truth, (a, not_a), (b, not_b) = self._sides(node)
        if truth:
            return self._assign(f"{a} if {truth} else 0", f"{self._all} if {truth} is False else {not_a}")
        return self._assign(f"{a} & {b}", f"{not_a} | {not_b}")

    def _or(self, node: Call) -> Pair:
        truth, (a, not_a), (b, not_b) = self._sides(node)
        if truth:
            return self._assign(f"{self._all} if {truth} else {a}", f"{not_a} if {truth} is False else 0")
        return self._assign(f"{a} | {b}", f"{not_a} & {not_b}")

    def _sides(self, node: Call) -> tuple[str, Pair, Pair]:
        """Return both sides; where one is about the customer alone, its truth and twice the other side."""
        for side, other in (node.args, node.args[::-1]):
            if not about_actions(side):
                pair = self.add(other)
                return self._program.add(side), pair, pair
        return "", self.add(node.args[0]), self.add(node.args[1])

    def _choice(self, node: Call) -> Pair:
        ((test, not_test), (a, not_a), (b, not_b)) = map(self.add, node.args)
        return self._assign(f"{test} & {a} | {not_test} & {b}", f"{test} & {not_a} | {not_test} & {not_b}")

    def _of_truths(self, node: Call) -> Pair:
        ((a, not_a), (b, not_b)) = map(self.add, node.args)
        holds, fails = _OF_TRUTHS[sign_of(node)]
        names = {"a": a, "not_a": not_a, "b": b, "not_b": not_b}
        return self._assign(holds.format(**names), fails.format(**names))

    # -------------------------------------------------------------------------------------------------- comparisons

    def _equal(self, node: Call) -> Pair:
        action, customer = node.args if about_actions(node.args[0]) else node.args[::-1]
        column = self._column(action)
        found = self._look(customer, columns.known(column), f"{self._constant(columns.by_value(column))}.get({{0}}, 0)")
        return found if node.overload == "equals" else found[::-1]

    def _item(self, node: Call) -> Pair:
        item, items = node.args
        column = self._column(items)
        return self._look(item, columns.known(column), f"{self._constant(columns.by_item(column))}.get({{0}}, 0)")

    def _items(self, node: Call) -> Pair:
        item, items = node.args
        column = self._column(item)
        table = self._constant(columns.by_value(column))
        return self._look(items, columns.known(column), f"any_of({table}.get, {{0}})")

    def _ordered(self, node: Call) -> Pair:
        action, customer = node.args
        sign = sign_of(node)
        if about_actions(customer):
            action, customer, sign = customer, action, _MIRRORED[sign]
        column = self._column(action)
        values, below = columns.ascending(column)
        search, holds = _BELOW[sign]
        found = f"{self._constant(below)}[{search}({self._constant(values)}, {{0}})]"
        holds = holds.format(below=found, number=hex(below[-1]))
        return self._look(customer, columns.known(column), holds, numbers=action.kind == "double")

    def _look(self, customer: Node, known: int, holds: str, numbers: bool = False) -> Pair:
        """Look for what a customer has: for unknown nothing is known, and nothing compares with what is no number."""
        term = self._program.add(customer)
        name = len(self._program.lines)
        yes, no = f"y{name}", f"n{name}"
        found = holds.format(term)
        if numbers:
            found = f"{found} if {term} == {term} else 0"
        self._program.lines += [
            f"if {term} is None: {yes} = {no} = 0",
            f"else: {yes} = {found}; {no} = {known:#x} ^ {yes}",
        ]
        return yes, no

    # ---------------------------------------------------------------------------------------------------- the rest

    def _computed(self, node: Call) -> Pair:
        """Compute a condition for each distinct combination of the action's values that it depends on."""
        given: dict[Node, str] = {}
        of_action: list[Node] = []
        self._lift(node, given, of_action)
        each = Program(given, "u")
        result = each.add(node)
        name = len(self._program.lines)
        yes, no = f"y{name}", f"n{name}"
        table = self._constant(columns.alike([self._column(part) for part in of_action]))
        self._program.lines += [
            f"{yes} = {no} = 0",
            f"for {''.join(f'{given[part]}, ' for part in of_action)}found in {table}:",
            *(f"    {line}" for line in each.lines),
            f"    if {result}: {yes} |= found",
            f"    elif {result} is False: {no} |= found",
        ]
        return yes, no

    def _lift(self, node: Node, given: dict[Node, str], of_action: list[Node]) -> None:
        """Take out the largest parts that depend on the customer alone, and those that depend on the action alone."""
        if isinstance(node, Const) or node in given:
            return
        if not about_actions(node):
            given[node] = self._program.add(node)
        elif not about_customers(node):
            given[node] = f"a{len(of_action)}"
            of_action.append(node)
        else:
            for part in parts(node):
                self._lift(part, given, of_action)

    def _column(self, node: Node) -> columns.Column:
        return self._rows.column(node, names(node))

    def _constant(self, value: object) -> str:
        name = f"k{len(self._program.scope)}"
        self._program.scope[name] = value
        return name

    def _assign(self, holds: str, fails: str) -> Pair:
        name = len(self._program.lines)
        self._program.lines += [f"y{name} = {holds}", f"n{name} = {fails}"]
        return f"y{name}", f"n{name}"


def any_of(masks: Callable[[object, int], int], items: Iterable[object]) -> int:
    """Return the actions that have one of these items."""
    found = 0
    for item in items:
        found |= masks(item, 0)
    return found
