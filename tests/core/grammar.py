"""Random well-typed conditions over customers and actions, by the whole grammar, and contexts near their boundaries.

Hypothesis finds small counterexamples; this finds many. A seed always draws the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from models.context import Scalar, ValueType
from service.core.cel.attributes import variables
from service.core.cel.tree import Const, Node, parts
from service.core.strategy import Action
from tests.core.expressions import ATTRIBUTES, NOW_MS, SCHEMA, WORDS, quoted
from tests.core.worlds import HELLO

KIND_OF = {
    ValueType.BOOL: "bool",
    ValueType.INT: "int",
    ValueType.DOUBLE: "double",
    ValueType.STRING: "string",
    ValueType.TIMESTAMP: "timestamp",
    ValueType.STRINGS: "list(string)",
}
_TYPES = {attribute.name: attribute.type for attribute in ATTRIBUTES}
_ORDERED = ("==", "!=", "<", "<=", ">", ">=")
_SIGNS = {
    "int": ("+", "-", "*", "/", "%"),
    "double": ("+", "-", "*", "/"),
    "string": ("+",),
}
SCALARS = ("bool", "int", "double", "string", "timestamp", "duration")
LISTS = ("list(string)", "list(int)", "list(double)", "list(bool)", "list(timestamp)", "list(duration)")

INTS = (0, 1, 2, 3, -1, -7, 10**6, 2**53, 2**63 - 1, -(2**63))
DOUBLES = (0.0, -0.0, 1.0, -1.5, 0.1, 2.25, 1e308, -1e308, 1e-300, math.inf, -math.inf, math.nan)
MOMENTS = (NOW_MS, NOW_MS - 1, NOW_MS - 86_400_000, 0, -2_208_988_800_000, 4_102_444_800_000, 253_402_300_799_999)
DURATIONS = ("24h", "1h30m", "-5s", "250ms", "0s")
TIMESTAMPS = ("2026-01-31T12:00:00Z", "1970-01-01T00:00:00Z", "2026-02-02T02:40:00+01:00")


@dataclass(frozen=True, slots=True)
class Grammar:
    """Draws conditions over customers, and over what actions say of themselves, as `actions` and `customers` say."""

    random: Random
    actions: bool = False
    customers: bool = True

    def condition(self) -> str:
        """Draw a condition."""
        return self._of("bool", self.random.choice((2, 3, 3, 4)))

    def _of(self, kind: str, depth: int) -> str:
        if depth <= 0 or self.random.random() < 0.12:
            return self._leaf(kind)
        made = self.random.choice(_MAKERS["list" if kind.startswith("list") else kind])
        return made(self, kind, depth - 1)

    def _leaf(self, kind: str) -> str:
        names = self._names(kind)
        if names and self.random.random() < 0.75:
            return self.random.choice(names)
        return self._literal(kind)

    def _names(self, kind: str) -> Sequence[str]:
        sides = [_FIELDS] * self.customers + [_OF_ACTIONS] * self.actions
        return self.random.choice(sides).get(kind, ()) if sides else ()

    def _literal(self, kind: str) -> str:
        random = self.random
        if kind.startswith("list"):
            item = kind[5:-1]
            return "[" + ", ".join(self._literal(item) for _ in range(random.randrange(4))) + "]"
        spellings: Mapping[str, Callable[[], str]] = {
            "bool": lambda: random.choice(("true", "false")),
            "int": lambda: str(random.choice((*range(-9, 10), *range(-3, 4), 2**63 - 1, 10**6))),
            "double": lambda: random.choice(("0.0", "1.0", "1.5", "-2.25", "1e10", "0.1", "2.25", "1e308")),
            "string": lambda: quoted(random.choice(WORDS)),
            "timestamp": lambda: f"timestamp('{random.choice(TIMESTAMPS)}')",
            "duration": lambda: f"duration('{random.choice(DURATIONS)}')",
        }
        return spellings[kind]()

    # ---------------------------------------------------------------------------------------------------- operations

    def _infix(self, signs: Sequence[str], left: str, right: str, depth: int) -> str:
        sign = self.random.choice(signs)
        return f"({self._of(left, depth)} {sign} {self._of(right, depth)})"

    def connected(self, kind: str, depth: int) -> str:
        """Join two conditions."""
        return self._infix(("&&", "||"), "bool", "bool", depth)

    def negated(self, kind: str, depth: int) -> str:
        """Deny a condition."""
        return f"!({self._of('bool', depth)})"

    def chosen(self, kind: str, depth: int) -> str:
        """Choose one of two by a condition."""
        return f"({self._of('bool', depth)} ? {self._of(kind, depth)} : {self._of(kind, depth)})"

    def compared(self, kind: str, depth: int) -> str:
        """Compare two plain values."""
        of = self.random.choice(SCALARS)
        return self._infix(_ORDERED, of, of, depth)

    def alike(self, kind: str, depth: int) -> str:
        """Compare two lists."""
        of = self.random.choice(LISTS)
        return self._infix(("==", "!="), of, of, depth)

    def listed(self, kind: str, depth: int) -> str:
        """Look for a value in a list."""
        of = self.random.choice((*LISTS, "list(string)", "list(string)"))
        return self._infix(("in",), of[5:-1], of, depth)

    def text_tested(self, kind: str, depth: int) -> str:
        """Look into a text."""
        test = self.random.choice(("startsWith", "endsWith", "contains"))
        return f"({self._of('string', depth)}).{test}({self._of('string', depth)})"

    def faced(self, kind: str, depth: int) -> str:
        """Compare what an action says with what is known of the customer, either way round."""
        if not (self.actions and self.customers):
            return self.compared(kind, depth)
        sides = [replace(self, customers=False), replace(self, actions=False)]
        self.random.shuffle(sides)
        of = self.random.choice((*SCALARS, "list(string)"))
        signs: Sequence[str] = _ORDERED if of in SCALARS else ("==", "!=")
        other = of
        if self.random.random() < 0.3:
            of, signs, other = "string", ("in",), "list(string)"
        sign = self.random.choice(signs)
        return f"({sides[0]._of(of, depth - 1)} {sign} {sides[1]._of(other, depth - 1)})"

    def calculated(self, kind: str, depth: int) -> str:
        """Calculate with numbers, or join texts."""
        return self._infix(_SIGNS[kind], kind, kind, depth)

    def signed(self, kind: str, depth: int) -> str:
        """Change the sign."""
        return f"(-({self._of(kind, depth)}))"

    def sized(self, kind: str, depth: int) -> str:
        """Count characters or items."""
        of = self._of(self.random.choice(("string", "list(string)", "list(int)")), depth)
        return self.random.choice((f"size({of})", f"({of}).size()"))

    def made_double(self, kind: str, depth: int) -> str:
        """Make a double of a whole number."""
        return f"double({self._of('int', depth)})"

    def moved(self, kind: str, depth: int) -> str:
        """Move a moment."""
        if self.random.random() < 0.3:
            return self._infix(("+",), "duration", "timestamp", depth)
        return self._infix(("+", "-"), "timestamp", "duration", depth)

    def spanned(self, kind: str, depth: int) -> str:
        """Take the span between two moments."""
        return self._infix(("-",), "timestamp", "timestamp", depth)

    def lengthened(self, kind: str, depth: int) -> str:
        """Add spans."""
        return self._infix(("+", "-"), "duration", "duration", depth)

    def written(self, kind: str, depth: int) -> str:
        """Write a list."""
        items = (self._of(kind[5:-1], depth) for _ in range(self.random.randrange(1, 4)))
        return "[" + ", ".join(items) + "]"

    def leaf(self, kind: str, depth: int) -> str:
        """Take a name or a literal."""
        return self._leaf(kind)


_Maker = Callable[[Grammar, str, int], str]
_G = Grammar
_MAKERS: Mapping[str, Sequence[_Maker]] = {
    "bool": (*[_G.connected] * 4, *[_G.compared] * 5, *[_G.faced] * 3, *[_G.listed] * 2, _G.negated, _G.chosen,
             _G.alike, _G.text_tested, _G.leaf),
    "int": (*[_G.calculated] * 3, _G.signed, _G.sized, _G.sized, _G.chosen, _G.leaf, _G.leaf),
    "double": (*[_G.calculated] * 3, _G.signed, _G.made_double, _G.chosen, _G.leaf, _G.leaf),
    "string": (_G.calculated, _G.chosen, _G.leaf, _G.leaf),
    "timestamp": (_G.moved, _G.moved, _G.chosen, _G.leaf, _G.leaf),
    "duration": (_G.spanned, _G.spanned, _G.lengthened, _G.chosen, _G.leaf),
    "list": (_G.written, _G.written, _G.chosen, _G.leaf, _G.leaf),
}  # fmt: skip


def _by_kind(types: Mapping[str, ValueType]) -> dict[str, tuple[str, ...]]:
    return {
        kind: tuple(name for name, found in types.items() if found is value_type)
        for value_type, kind in KIND_OF.items()
    }


_FIELDS = _by_kind({field.id: field.type for field in SCHEMA.fields})
_FIELDS["timestamp"] += ("now",)
_OF_ACTIONS = _by_kind(variables(ATTRIBUTES))


# ----------------------------------------------------------------------------------------------------------- contexts


@dataclass(frozen=True, slots=True)
class Values:
    """Draws values, often those beside which a condition changes its truth."""

    random: Random
    pools: Mapping[str, Sequence[Scalar]]

    @classmethod
    def near(cls, random: Random, nodes: Sequence[Node], actions: Sequence[Action] = ()) -> Values:
        """Collect the literals of conditions and what actions say, with their neighbours."""
        pools: dict[str, list[Scalar]] = {kind: [] for kind in KIND_OF.values()}
        for value, kind in _literals(nodes):
            pools[kind] += _around(value)
        for action in actions:
            for name, value in action.attributes:
                pools[KIND_OF[_TYPES[name]]] += _around(value)
        return cls(random, pools)

    def value(self, kind: ValueType) -> Scalar:
        """Draw a value of a type."""
        near = self.pools.get(KIND_OF[kind], ())
        if near and self.random.random() < 0.4:
            return self.random.choice(near)
        random = self.random
        anywhere: Mapping[ValueType, Callable[[], Scalar]] = {
            ValueType.BOOL: lambda: random.random() < 0.5,
            ValueType.INT: lambda: random.choice((*INTS, *range(-5, 6), *range(-5, 6))),
            ValueType.DOUBLE: lambda: random.choice(
                (*DOUBLES, *(round(random.uniform(-10, 10), 2) for _ in range(12)))
            ),
            ValueType.STRING: lambda: random.choice(WORDS),
            ValueType.TIMESTAMP: lambda: random.choice((*MOMENTS, NOW_MS - random.randrange(10**10))),
            ValueType.STRINGS: lambda: tuple(random.choice(WORDS) for _ in range(random.randrange(4))),
        }
        return anywhere[kind]()

    def context(self) -> tuple[Scalar | None, ...]:
        """Draw the values of a snapshot, about one in seven of them unknown."""
        return tuple(self.value(field.type) if self.random.random() > 0.14 else None for field in SCHEMA.fields)

    def actions(self, number: int) -> tuple[Action, ...]:
        """Draw actions; each lacks about one in seven of its attributes."""
        return tuple(self._action(index) for index in range(number))

    def _action(self, index: int) -> Action:
        has = ((one.name, self.value(one.type)) for one in ATTRIBUTES if self.random.random() > 0.14)
        words = self.random.choice
        return replace(
            HELLO,
            index=index,
            id=words(WORDS),
            group=words(WORDS),
            intents=tuple(words(WORDS) for _ in range(self.random.randrange(3))),
            tags=tuple(words(WORDS) for _ in range(self.random.randrange(3))),
            value=words((0.0, 1.0, 2.25, 10.0)),
            cost=words((0.0, 0.1, 1.5)),
            attributes=tuple(has),
        )


def _literals(nodes: Sequence[Node]) -> Iterator[tuple[Scalar, str]]:
    for node in nodes:
        if isinstance(node, Const):
            yield node.value, node.kind
        yield from _literals(parts(node))


def _around(value: Scalar) -> list[Scalar]:
    if isinstance(value, bool | str | tuple):
        return [value]
    if isinstance(value, int):
        return [one for one in (value - 1, value, value + 1) if -(2**63) <= one < 2**63 and one != MOMENTS[-1] + 1]
    return [value, math.nextafter(value, math.inf), math.nextafter(value, -math.inf), -value]
