"""The operations of conditions on terms of z3, by the overload that the type checker chose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import z3

from service.core.cel.tree import Call
from service.proving import doubles, lists, numbers
from service.proving.lists import Listing
from service.proving.logic import Bool, both, choose, deny, either
from service.proving.texts import NotInSolver


@dataclass(frozen=True, slots=True)
class Logic:
    """When a condition is known to hold, and when it is known to fail."""

    holds: Bool
    fails: Bool


@dataclass(frozen=True, slots=True)
class Term:
    """A value that counts only where it is `known`.

    It is 64 bits for a whole number, moment or span, 64 bits or IEEE 754 for a double, a code or z3 string for a text,
    a z3 bool for a truth value, and a `Listing` for a list.
    """

    value: Any
    known: Bool


Part: TypeAlias = Logic | Term


def operation(node: Call, parts: Sequence[Part]) -> Part:
    """Return what an operation gives, of the terms of its arguments. Raises NotInSolver for one that is not known."""
    if node.overload in _CONNECTED:
        return _CONNECTED[node.overload](*parts)
    if node.overload == "conditional":
        return _chosen(node.kind, *parts)
    terms = [plain(part) for part in parts]
    known, values = both(*(term.known for term in terms)), [term.value for term in terms]
    if (test := _tested(node)) is not None:
        holds = test(*values)
        return Logic(both(known, holds), both(known, deny(holds)))
    value, within = _calculated(node, values)
    return Term(value, both(known, within))


def plain(part: Part) -> Term:
    """Return a part as a value, a condition as its truth value."""
    return Term(part.holds, either(part.holds, part.fails)) if isinstance(part, Logic) else part


# ---------------------------------------------------------------------------------------------------------- connections


def _and(a: Logic, b: Logic) -> Logic:
    return Logic(both(a.holds, b.holds), either(a.fails, b.fails))


def _or(a: Logic, b: Logic) -> Logic:
    return Logic(either(a.holds, b.holds), both(a.fails, b.fails))


def _not(a: Logic) -> Logic:
    return Logic(a.fails, a.holds)


_CONNECTED: dict[str, Callable[..., Logic]] = {"logical_and": _and, "logical_or": _or, "logical_not": _not}


def _chosen(kind: str, test: Part, then: Part, otherwise: Part) -> Part:
    yes, no = (test.holds, test.fails) if isinstance(test, Logic) else (False, False)
    if isinstance(then, Logic) and isinstance(otherwise, Logic):
        holds = either(both(yes, then.holds), both(no, otherwise.holds))
        return Logic(holds, either(both(yes, then.fails), both(no, otherwise.fails)))
    a, b = plain(then), plain(otherwise)
    known = either(both(yes, a.known), both(no, b.known))
    if isinstance(a.value, Listing):
        return Term(Listing((*a.value.when(yes), *b.value.when(no))), known)
    values = doubles.alike(a.value, b.value) if kind == "double" else (a.value, b.value)
    return Term(choose([(yes, values[0]), (no, values[1])]), known)


# ---------------------------------------------------------------------------------------------------------------- tests

_ORDERED = ("less_equals", "less", "greater_equals", "greater")
_LOOKS: dict[str, Callable[[z3.SeqRef, z3.SeqRef], Bool]] = {
    "starts_with_string": lambda text, start: z3.PrefixOf(start, text),
    "ends_with_string": lambda text, end: z3.SuffixOf(end, text),
    "contains_string": z3.Contains,
}


def _tested(node: Call) -> Callable[[Any, Any], Bool] | None:
    """Return how two values are compared, or None for what is no comparison."""
    overload = node.overload
    if overload == "equals":
        return lambda a, b: lists.equal(a, b, _kind(node))
    if overload == "not_equals":
        return lambda a, b: deny(lists.equal(a, b, _kind(node)))
    if overload == "in_list":
        return lambda item, items: lists.has(items, item, node.args[0].kind)
    if overload in _LOOKS:
        return _LOOKS[overload]
    sign = next((sign for sign in _ORDERED if overload.startswith(sign)), None)
    return None if sign is None else _order(sign, node.args[0].kind)


def _kind(node: Call) -> str:
    """Return the type of what is compared; an empty list has that of the other one."""
    return next((arg.kind for arg in node.args if "dyn" not in arg.kind), "list(bool)")


def _order(sign: str, kind: str) -> Callable[[Any, Any], Bool]:
    or_equal = sign.endswith("equals")
    less = {"bool": _less_truth, "double": doubles.less}.get(kind, _less)
    if sign.startswith("greater"):
        return lambda a, b: less(b, a, or_equal)
    return lambda a, b: less(a, b, or_equal)


def _less_truth(a: Bool, b: Bool, or_equal: bool) -> Bool:
    return either(deny(a), b) if or_equal else both(deny(a), b)


def _less(a: Any, b: Any, or_equal: bool) -> Bool:  # noqa: ANN401  z3 has no types
    return a <= b if or_equal else a < b


# --------------------------------------------------------------------------------------------------------- calculations


def _calculated(node: Call, values: Sequence[Any]) -> tuple[Any, Bool]:
    """Return what a calculation gives and when that is within what CEL allows."""
    overload = node.overload
    if overload in numbers.CALCULATED:
        return numbers.CALCULATED[overload](values[0], values[1])
    if overload == "negate_int64":
        return numbers.negated(values[0])
    if overload.endswith("_double") and overload != "int64_to_double":
        sign = overload.removesuffix("_double")
        return (doubles.negated(values[0]) if sign == "negate" else doubles.calculated(sign, *values)), True
    if overload in _MADE:
        return _MADE[overload](*values), True
    raise NotInSolver(f"{node.function.strip('_')}() is beyond the solver")


_MADE: dict[str, Callable[..., Any]] = {
    "int64_to_double": doubles.of_whole,
    "add_string": z3.Concat,
    "size_string": lambda text: z3.Int2BV(z3.Length(text), 64),
    "string_size": lambda text: z3.Int2BV(z3.Length(text), 64),
    "size_list": lists.size,
    "list_size": lists.size,
}
