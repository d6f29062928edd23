"""Lists in z3: how many items they have, whether one is among them, and whether two lists are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import z3

from service.proving import doubles, logic
from service.proving.logic import Bool, both, choose, either
from service.proving.numbers import whole
from service.proving.texts import Items, Members


@dataclass(frozen=True, slots=True)
class Listing:
    """One of several lists, each with when it is that one; where none is, it does not count."""

    options: tuple[tuple[Bool, Members | Items], ...]

    def when(self, guard: Bool) -> tuple[tuple[Bool, Members | Items], ...]:
        """Return the options, each only while the guard holds."""
        return tuple((both(guard, test), found) for test, found in self.options)


def item_kind(kind: str) -> str:
    """Return the type of the items of a list."""
    return kind.removeprefix("list(").removesuffix(")")


def size(listing: Listing) -> z3.BitVecRef:
    """Return the number of items. Raises ValueError where it was not announced that anybody asks."""
    sizes = [(guard, found.size) for guard, found in listing.options]
    if any(number is None for _, number in sizes):
        raise ValueError("that the size of this list matters was not announced")
    return choose(sizes)


def has(listing: Listing, item: Any, kind: str) -> Bool:  # noqa: ANN401  z3 has no types
    """Return when an item of this type is among those of a list."""
    return either(*(both(guard, _has(found, item, kind)) for guard, found in listing.options))


def _has(found: Members | Items, item: Any, kind: str) -> Bool:  # noqa: ANN401  as above
    if isinstance(found, Items):
        return either(*(both(_there(found, place), equal(one, item, kind)) for place, one in enumerate(found.items)))
    codes = range(found.alphabet.size)
    return either(*(both(_is(item, found.alphabet.coded(code)), found.flags[code]) for code in codes))


def _is(a: z3.ExprRef, b: z3.ExprRef) -> Bool:
    return z3.simplify(a == b)


def _there(found: Items, place: int) -> Bool:
    return z3.simplify(whole(place) < found.size)


def equal(a: Any, b: Any, kind: str) -> Bool:  # noqa: ANN401  as above
    """Return when two values of one type are equal: of doubles, what is no number equals nothing."""
    if kind == "bool":
        return logic.same(a, b)
    if kind == "double":
        return doubles.equal(a, b)
    if not kind.startswith("list"):
        return _is(a, b)
    pairs = ((g, one, h, other) for g, one in a.options for h, other in b.options)
    return either(*(both(g, h, _alike(one, other, item_kind(kind))) for g, one, h, other in pairs))


def _alike(a: Members | Items, b: Members | Items, kind: str) -> Bool:
    if isinstance(a, Members) or isinstance(b, Members):
        raise ValueError("that this list is compared as a whole was not announced")
    pairs = enumerate(zip(a.items, b.items, strict=False))
    items = (either(logic.deny(_there(a, place)), equal(one, other, kind)) for place, (one, other) in pairs)
    return both(_is(a.size, b.size), *items)
