"""z3's connectives, with what is plainly true or false left out, so that formulas stay small."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import z3

Bool: TypeAlias = Any
"""A `z3.BoolRef`, or a plain True or False."""


def both(*parts: Bool) -> Bool:
    """Return when all of these hold."""
    left = [part for part in dict.fromkeys(map(plain, parts)) if part is not True]
    if any(part is False for part in left):
        return False
    return z3.And(*left) if len(left) > 1 else left[0] if left else True


def either(*parts: Bool) -> Bool:
    """Return when one of these holds."""
    left = [part for part in dict.fromkeys(map(plain, parts)) if part is not False]
    if any(part is True for part in left):
        return True
    return z3.Or(*left) if len(left) > 1 else left[0] if left else False


def deny(part: Bool) -> Bool:
    """Return when this does not hold."""
    part = plain(part)
    if isinstance(part, bool):
        return not part
    return part.arg(0) if z3.is_not(part) else z3.Not(part)


def implies(test: Bool, then: Bool) -> Bool:
    """Return when this follows."""
    return either(deny(test), then)


def same(a: Bool, b: Bool) -> Bool:
    """Return when both hold or neither does."""
    a, b = plain(a), plain(b)
    if isinstance(a, bool):
        return b if a else deny(b)
    if isinstance(b, bool):
        return a if b else deny(a)
    return a == b


def choose(options: Iterable[tuple[Bool, z3.ExprRef]]) -> z3.ExprRef:
    """Return the value whose guard holds, the last one where none of the others does. There is at least one."""
    *first, (_, chosen) = options
    for guard, value in reversed(first):
        guard = plain(guard)
        chosen = (value if guard else chosen) if isinstance(guard, bool) else z3.If(guard, value, chosen)
    return chosen


def plain(part: Bool) -> Bool:
    """Return z3's true and false as Python's."""
    if isinstance(part, bool):
        return part
    return True if z3.is_true(part) else False if z3.is_false(part) else part


def formula(part: Bool) -> z3.BoolRef:
    """Return Python's true and false as z3's."""
    return z3.BoolVal(part) if isinstance(part, bool) else part
