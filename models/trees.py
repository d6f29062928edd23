"""Grow a tree from one YAML document, whose nodes know where they stand.

Only the plain part of YAML is read: mappings, lists and scalars. Anchors, aliases, tags and repeated keys are refused,
and depth and number of nodes are bounded while the parser's events come in, so a hostile document costs little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

DEEPEST = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML allows in a stream; the parsers give the place of other characters in different units.
NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong at a place of a document and what would be right; lines count from 1."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar as it is written: `plain` is false in quotes and blocks, `raw` is its text in the file.

    What is not `quoted` may be a secret, and stands in no message.
    """

    file: str
    line: int
    text: str
    plain: bool
    raw: str = field(repr=False)
    quoted: bool = True

    def line_of(self, line: int, column: int) -> int:
        """Return the line in the file of a position (from 1) inside the text.

        Folding changes only white space, so the characters that are not white space are counted in both.
        """
        lines = self.text.split("\n")
        before = "".join([*lines[: line - 1], *(part[: column - 1] for part in lines[line - 1 : line])])
        count = len("".join(before.split()))
        found = 0
        skipped = self.raw.find("\n") if self.raw[:1] in ("|", ">") else 0
        for position, character in enumerate(self.raw):
            if position >= skipped and not character.isspace():
                found = position
                if count == 0:
                    break
                count -= 1
        return self.line + self.raw.count("\n", 0, found)


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    file: str
    line: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping: keys, as they are written and in their order, to nodes."""

    file: str
    line: int
    nodes: dict[str, Node]
    key_lines: dict[str, int]
    quoted: bool = True


Node: TypeAlias = Leaf | Items | Mapping


@dataclass(slots=True)
class Budget:
    """How many more nodes may be built, over all documents that share it, and whether messages quote them."""

    nodes: int
    quoted: bool = True


class _Broken(Exception):
    """The rest of this document cannot be read."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def grow(name: str, text: str, budget: Budget, problems: list[Problem]) -> Mapping | None:
    """Return the mapping that a document holds, or None when it is broken; say in `problems` what is wrong."""
    try:
        odd = NOT_PRINTABLE.search(text)
        if odd:
            line = 1 + text.count("\n", 0, odd.start())
            raise _Broken(line, f"holds the control character U+{ord(odd[0]):04X}; remove it")
        root = _Builder(name, text, budget, problems).build()
        if isinstance(root, Mapping):
            return root
        raise _Broken(root.line if root else 1, "holds no sections; write keys such as `actions:` at the left margin")
    except _Broken as broken:
        problems.append(Problem(name, broken.line, str(broken)))
    except yaml.YAMLError as error:
        line, message = _syntax(error)
        problems.append(Problem(name, min(line, 1 + text.rstrip().count("\n")), message))
    return None


def _syntax(error: yaml.YAMLError) -> tuple[int, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = ": ".join(part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    return (
        mark.line + 1 if mark else 1,
        f"is not YAML here ({said or 'unreadable'}); look at indents, quotes and colons",
    )


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been read; `key` waits for its value."""

    line: int
    mapping: bool
    nodes: list[Node] = field(default_factory=list)
    named: dict[str, Node] = field(default_factory=dict)
    key_lines: dict[str, int] = field(default_factory=dict)
    key: Leaf | None = None


@dataclass(slots=True)
class _Builder:
    """Builds one document's tree from the parser's events, with a stack of its own instead of recursion."""

    file: str
    text: str
    budget: Budget
    problems: list[Problem]
    stack: list[_Open] = field(default_factory=list)
    root: Node | None = None

    def build(self) -> Node | None:
        documents = 0
        events: Iterator[Any] = yaml.parse(self.text, Loader=_LOADER)
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Broken(line, "starts a second document; put it into a file of its own")
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
        return self.root

    def _node(self, event: Any, line: int) -> None:  # noqa: ANN401  PyYAML's events have no common typed form
        if not self.budget.nodes:
            raise _Broken(line, "has more values than a strategy may have; make the documents smaller")
        self.budget.nodes -= 1
        raw = self.text[event.start_mark.index : event.end_mark.index]
        if isinstance(event, yaml.AliasEvent):
            raise _Broken(line, f"uses the alias *{self._shown(str(event.anchor))}; write the value out")
        if event.anchor:
            self._refuse(line, f"sets the anchor &{self._shown(event.anchor)}; remove it and write values out")
        if event.tag:
            tag = self._shown(event.tag.replace("tag:yaml.org,2002:", "!!"))
            self._refuse(line, f"uses the tag {tag}; remove it, types come from the strategy's own words")
        if isinstance(event, yaml.ScalarEvent):
            self._put(Leaf(self.file, line, event.value, not event.style, raw, self.budget.quoted))
        elif len(self.stack) >= DEEPEST:
            raise _Broken(line, f"is nested deeper than {DEEPEST} levels; make it flatter")
        else:
            self.stack.append(_Open(line, isinstance(event, yaml.MappingStartEvent)))

    def _close(self) -> None:
        done = self.stack.pop()
        if done.mapping:
            self._put(Mapping(self.file, done.line, done.named, done.key_lines, self.budget.quoted))
        else:
            self._put(Items(self.file, done.line, tuple(done.nodes)))

    def _put(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if not parent.mapping:
            parent.nodes.append(node)
        elif parent.key is None:
            parent.key = self._key(parent, node)
        else:
            parent.named.setdefault(parent.key.text, node)
            parent.key_lines.setdefault(parent.key.text, parent.key.line)
            parent.key = None

    def _key(self, parent: _Open, node: Node) -> Leaf:
        if not isinstance(node, Leaf):
            raise _Broken(node.line, "uses a list or mapping as a key; keys are words")
        if node.text in parent.named:
            first = parent.key_lines[node.text]
            self._refuse(node.line, f"repeats the key `{self._shown(node.text)}` of line {first}; keep one of them")
        return node

    def _shown(self, text: str) -> str:
        return shown(text) if self.budget.quoted else "…"

    def _refuse(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.file, line, message))


def shown(text: str) -> str:
    """Return text for use in a message: on one line, without control characters, at most 60 characters."""
    plain = "".join(c if c.isprintable() else "?" for c in text[:61])
    return plain if len(plain) <= 60 else plain[:57] + "..."
