"""What random conditions were made of: each operation with each of its results, and what stands inside what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from models.context import Scalar
from service.core.cel import Program
from service.core.cel.attributes import PREFIX
from service.core.cel.emit import STRICT
from service.core.cel.tree import Call, Const, ListOf, Name, Node, parts
from service.core.cel.ways import Way, about_actions, way
from tests.core.expressions import NOW_MS, SCHEMA

CONSTANTS = ("string_to_duration", "string_to_timestamp")
OVERLOADS = (*STRICT, "logical_and", "logical_or", "conditional", *CONSTANTS)
RESULTS = ("true", "false", "unknown", "known")
CLASSES = {
    "connection": ("logical_", "conditional"),
    "equality": ("equals", "not_equals"),
    "order": ("less", "greater"),
    "membership": ("in_list",),
    "text test": ("starts_", "ends_", "contains_"),
    "calculation": ("add_", "subtract_", "multiply_", "divide_", "modulo_", "negate_"),
    "size": ("size_", "string_size", "list_size"),
    "conversion": ("int64_to_double", "string_to_"),
}
"""Operations by the beginnings of their overloads."""
_GIVES = {
    "connection": ("bool", "int", "double", "string", "timestamp", "duration", "list"),
    "equality": ("bool",),
    "order": ("bool",),
    "membership": ("bool",),
    "text test": ("bool",),
    "calculation": ("int", "double", "string", "timestamp", "duration"),
    "size": ("int",),
    "conversion": ("double", "timestamp", "duration"),
    "literal": ("bool", "int", "double", "string"),
    "field": ("bool", "int", "double", "string", "timestamp", "list"),
    "attribute": ("bool", "int", "double", "string", "timestamp", "list"),
    "list": ("list",),
}
_TAKES = {
    "connection": ("bool", "int", "double", "string", "timestamp", "duration", "list"),
    "equality": ("bool", "int", "double", "string", "timestamp", "duration", "list"),
    "order": ("bool", "int", "double", "string", "timestamp", "duration"),
    "membership": ("bool", "int", "double", "string", "timestamp", "duration", "list"),
    "text test": ("string",),
    "calculation": ("int", "double", "string", "timestamp", "duration"),
    "size": ("string", "list"),
    "list": ("bool", "int", "double", "string", "timestamp", "duration"),
}


@dataclass(slots=True)
class Coverage:
    """Counts what was generated and which results it had."""

    operations: Counter[str] = field(default_factory=Counter)
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    inside: Counter[tuple[str, str]] = field(default_factory=Counter)
    ways: Counter[Way] = field(default_factory=Counter)

    def add(self, nodes: Sequence[Node]) -> None:
        """Count what conditions are made of."""
        for node in nodes:
            for whole in _all(node):
                if isinstance(whole, Call):
                    self.operations[whole.overload] += 1
                self.inside.update((class_of(whole), class_of(part)) for part in parts(whole))
            if about_actions(node):
                self.ways.update(_ways(node))

    def see(self, nodes: Sequence[Node], seen: Iterable[tuple[Scalar | None, ...]], index: Mapping[str, int]) -> None:
        """Count the results that every operation of these conditions has for these values."""
        program = Program()
        calls = dict.fromkeys(part for node in nodes for part in _all(node) if isinstance(part, Call))
        term = program.over([program.add(call) for call in calls], index)
        kinds = [(call.overload, call.kind == "bool") for call in calls]
        for values in seen:
            self.results.update(
                (overload, "unknown" if value is None else str(value).lower() if is_truth else "known")
                for (overload, is_truth), value in zip(kinds, term(values, NOW_MS), strict=True)
            )

    def missing(self) -> list[str]:
        """Return what the language has and no condition had."""
        found = [f"{overload}: never" for overload in OVERLOADS if not self.operations[overload]]
        found += [f"{o}: never {r}" for o in OVERLOADS for r in _possible(o) if not self.results[o, r]]
        found += [f"{inner} in {outer}: never" for outer, inner in pairs() if not self.inside[outer, inner]]
        return found + [f"computed as {one.value!r}: never" for one in Way if not self.ways[one]]

    def table(self) -> str:
        """Return all counts, to be printed."""
        lines = [f"{'operation':32}{'':>10}" + "".join(f"{result:>12}" for result in RESULTS)]
        for overload in OVERLOADS:
            row = (f"{self.results[overload, r]:>12,}" if r in _possible(overload) else f"{'':>12}" for r in RESULTS)
            lines.append(f"{overload:32}{self.operations[overload]:>10,}" + "".join(row))
        lines += ["", "inside".ljust(14) + "".join(f"{inner:>13}" for inner in _GIVES)]
        for outer in _TAKES:
            lines.append(outer.ljust(14) + "".join(f"{self._said(outer, inner):>13}" for inner in _GIVES))
        lines += ["", "conditions over actions, and parts of them"]
        return "\n".join(lines + [f"{one.value:78}{self.ways[one]:>10,}" for one in Way])

    def _said(self, outer: str, inner: str) -> str:
        return f"{self.inside[outer, inner]:,}" if (outer, inner) in pairs() else ""


def class_of(node: Node) -> str:
    """Return what sort of thing a part of a condition is."""
    if isinstance(node, Const):
        return "literal"
    if isinstance(node, Name):
        return "attribute" if node.id.startswith(PREFIX) else "field"
    if isinstance(node, ListOf):
        return "list"
    return next(name for name, starts in CLASSES.items() if node.overload.startswith(starts))


def pairs() -> list[tuple[str, str]]:
    """Return what can stand inside what, by the types alone."""
    return [(outer, inner) for outer, takes in _TAKES.items() for inner, gives in _GIVES.items() if {*takes} & {*gives}]


def extended(names: Iterable[str]) -> dict[str, int]:
    """Return where values stand when those of an action follow those of the customer."""
    return {name: place for place, name in enumerate((*(field.id for field in SCHEMA.fields), *names))}


def _possible(overload: str) -> tuple[str, ...]:
    if overload in CONSTANTS:
        return ("known",)
    if overload == "conditional":
        return RESULTS
    calculates = class_of(Call(overload, "", (), "")) in ("calculation", "size", "conversion")
    return ("unknown", "known") if calculates else ("true", "false", "unknown")


def _all(node: Node) -> Iterator[Node]:
    yield node
    if not isinstance(node, Call) or node.overload not in CONSTANTS:
        for part in parts(node):
            yield from _all(part)


def _ways(node: Node) -> Iterator[Way]:
    found = way(node)
    yield found
    if found in (Way.AND, Way.OR, Way.NOT, Way.CHOICE, Way.TRUTHS):
        for part in parts(node):
            yield from _ways(part)
