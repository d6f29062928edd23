"""Read mappings of documents key by key, with every problem collected instead of raised."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from models.documents import MOST_PROBLEMS, Documents
from models.shapes import (
    NAME,
    Choice,
    Duration,
    Flag,
    Misfit,
    Number,
    Reference,
    Shape,
    Text,
    Whole,
    a,
    described,
    nearest,
)
from models.trees import Items, Leaf, Mapping, Node, Problem, shown

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


@dataclass(slots=True)
class Record:
    """One mapping of a document; `what` names it in messages.

    A value that is missing or wrong becomes a problem and reads as its default or as something empty, so that reading
    can go on: whoever reads must not use the result while there are problems.
    """

    node: Mapping
    what: str
    problems: list[Problem]
    asked: list[str] = field(default_factory=list)

    def has(self, key: str) -> bool:
        """Say whether the key is there."""
        self.asked.append(key)
        return key in self.node.nodes

    def allow(self, *keys: str) -> None:
        """Accept keys whose meaning cannot be known because of another problem."""
        self.asked.extend(keys)

    @property
    def place(self) -> str:
        """Return file and line."""
        return f"{self.node.file}:{self.node.line}"

    def refuse(self, message: str, key: str = "") -> None:
        """Note a problem at a key's value, or at the record where it has no such key."""
        node = self.node.nodes.get(key, self.node)
        self.problems.append(Problem(node.file, node.line, message))

    def value(self, key: str, shape: Shape[T], default: T | None, empty: T) -> T:
        """Return a value; without a default it must be there, and a wrong one reads as `empty`."""
        if not self.has(key):
            if default is not None:
                return default
            self.refuse(f"the {self.what} has no `{key}`; {shape.wanted}")
            return empty
        return self._read(key, self.node.nodes[key], shape, empty)

    def _read(self, key: str, node: Node, shape: Shape[T], empty: T) -> T:
        try:
            return shape.read(node)
        except Misfit as misfit:
            self.problems.append(Problem(node.file, node.line, f"`{key}` {misfit}"))
            return empty

    def text(self, key: str, default: str | None = None, shape: Shape[str] | None = None) -> str:
        """Return a text; a wrong one reads as empty."""
        return self.value(key, shape or Text(), default, "")

    def number(self, key: str, default: float | None = None, low: float = -1e15, high: float = 1e15) -> float:
        """Return a finite number within bounds; a wrong one reads as `low`."""
        return self.value(key, Number(low, high), default, low)

    def whole(self, key: str, default: int | None = None, low: int = -(1 << 63), high: int = (1 << 63) - 1) -> int:
        """Return a whole number within bounds; a wrong one reads as `low`."""
        return self.value(key, Whole(low, high), default, low)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """Return true or false."""
        return self.value(key, Flag(), default, False)

    def duration(self, key: str, default: int | None = None) -> int:
        """Return a time span in milliseconds; a wrong one reads as 0."""
        return self.value(key, Duration(), default, 0)

    def choice(self, key: str, options: type[E]) -> E | None:
        """Return a member of an enum, or None when there is none."""
        return self.value(key, Choice(options), None, None)

    def reference(self, key: str, known: Collection[str], what: str) -> str:
        """Return the name of something known, such as a channel."""
        return self.text(key, None, Reference(known, what))

    def texts(self, key: str, shape: Shape[str] = NAME, required: bool = False) -> tuple[str, ...]:
        """Return a list of different names (or texts of another shape); where it is required it must not be empty."""
        return self.values(key, shape, required)

    def choices(self, key: str, options: type[E], required: bool = False) -> tuple[E, ...]:
        """Return a list of different members of an enum; where it is required it must be there, though maybe empty."""
        if required and not self.has(key):
            self.refuse(f"the {self.what} has no `{key}`; {_list_of(Choice(options))}")
        return self.values(key, Choice(options), False)

    def values(self, key: str, shape: Shape[T], required: bool) -> tuple[T, ...]:
        """Return the values of a list that fit; repeated ones are refused."""
        nodes = self.items(key, _list_of(shape), required)
        found: dict[T, None] = {}
        for node in nodes:
            value = self._read(key, node, shape, None)
            if value is not None and value in found:
                self.problems.append(Problem(node.file, node.line, f"`{key}` repeats {described(node)}; remove one"))
            elif value is not None:
                found[value] = None
        return tuple(found)

    def items(self, key: str, wanted: str, required: bool) -> tuple[Node, ...]:
        """Return the nodes of a list."""
        if not self.has(key):
            if required:
                self.refuse(f"the {self.what} has no `{key}`; {wanted}")
            return ()
        node = self.node.nodes[key]
        if not isinstance(node, Items):
            self.refuse(f"`{key}` is {described(node)}, not a list; {wanted}", key)
            return ()
        if required and not node.nodes:
            self.refuse(f"`{key}` is an empty list; {wanted}", key)
        return node.nodes

    def record(self, key: str, what: str, wanted: str) -> Record | None:
        """Return the mapping under a key, or None when there is none; without `wanted` it may be missing."""
        if not self.has(key):
            if wanted:
                self.refuse(f"the {self.what} has no `{key}`; {wanted}")
            return None
        return record_of(self.node.nodes[key], what, self.problems)

    def records(self, key: str, what: str, wanted: str) -> tuple[Record, ...]:
        """Return the mappings of a list, which must be there and not empty."""
        nodes = self.items(key, wanted, True)
        return tuple(r for node in nodes if (r := record_of(node, what, self.problems)))

    def id(self, taken: dict[str, str], shape: Text = NAME) -> str:
        """Return the value of `id`, which must not be taken; remember its place in `taken`. Wrong ones are empty."""
        name = self.text("id", None, shape)
        if name in taken:
            self.refuse(f"the id `{name}` is taken by {taken[name]}; give this {self.what} another", "id")
        elif name:
            taken[name] = self.place
        return name

    def leaf(self, key: str) -> Leaf | None:
        """Return the scalar under a key as it is written, or None."""
        node = self.node.nodes.get(key)
        return node if isinstance(node, Leaf) else None

    def rest_is_refused(self) -> None:
        """Refuse every key that nobody asked for, and name the nearest that somebody did."""
        known = list(dict.fromkeys(self.asked))
        for key, line in self.node.key_lines.items():
            # To look for the nearest name costs time, and nobody reads the thousandth problem.
            if key not in known and len(self.problems) < MOST_PROBLEMS:
                named = f"key `{shown(key)}`" if self.node.quoted else "such key"
                message = f"{a(self.what)} has no {named}; {nearest(key, known)}"
                self.problems.append(Problem(self.node.file, line, message))


def _list_of(shape: Shape[object]) -> str:
    return f"write a list in brackets, and in it {shape.wanted.removeprefix('write ')}"


def record_of(node: Node, what: str, problems: list[Problem]) -> Record | None:
    """Return a node as a record, or None with a problem when it is no mapping."""
    if isinstance(node, Mapping):
        return Record(node, what, problems)
    problems.append(Problem(node.file, node.line, f"the {what} is {described(node)}; write `key: value` pairs"))
    return None


def section_records(documents: Documents, key: str, what: str, problems: list[Problem]) -> tuple[Record, ...]:
    """Return the records of a list section, joined over all documents that have it."""
    records = []
    for node in documents.section(key):
        if isinstance(node, Items):
            records += [record for item in node.nodes if (record := record_of(item, what, problems))]
        else:
            message = f"the section `{key}` is {described(node)}; write a list, each {what} after a dash"
            problems.append(Problem(node.file, node.line, message))
    return tuple(records)
