"""The shapes that values of a document can have: what is read, and what is said when something else stands there."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import yaml
from yaml.resolver import Resolver

from models.trees import NOT_PRINTABLE, Items, Leaf, Node, shown

T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=StrEnum)

LONGEST_TEXT = 4_000
LONGEST_DURATION_MS = 3_650 * 86_400_000

_RESOLVER = Resolver()
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_NUMBER_ELSEWHERE = re.compile(r"[-+]?[0-9][0-9_.]*([eE][-+]?[0-9]+)?|0[oxb][0-9A-Fa-f]+")
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_READ_AS = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date"}


class Misfit(Exception):
    """A value that has not the shape that is wanted: its text says what is there and what would be right."""


class Shape(Protocol[T_co]):
    """What a value must look like."""

    @property
    def wanted(self) -> str:
        """What to write, as a request: `write a number from 0 to 1`."""
        ...

    def read(self, node: Node) -> T_co:
        """Return the value that the node holds. Raises Misfit."""
        ...


def described(node: Node) -> str:
    """Say what stands there, for a message: a short value itself, or what it is."""
    if not isinstance(node, Leaf):
        return "a list" if isinstance(node, Items) else "a mapping"
    if not node.text:
        return "empty"
    if not node.quoted:
        return "something else"
    return f"`{shown(node.text)}`" if node.plain else f"the text `{shown(node.text)}`"


def nearest(text: str, known: Collection[str]) -> str:
    """Return what would be right instead of an unknown word: the nearest known one, or what there is to choose from."""
    near = get_close_matches(text[:64], known, 1)
    if near:
        return f"did you mean `{near[0]}`?"
    if not known:
        return "there are none so far"
    some = ", ".join(f"`{word}`" for word in list(known)[:12])
    return f"known are {some}" + (" and more" if len(known) > 12 else "")


def a(what: str) -> str:
    """Return a word with its article: `an event`."""
    return f"{'an' if what[:1] in 'aeiou' else 'a'} {what}"


def listed(words: Collection[str]) -> str:
    """Return words as a choice: `a, b or c`."""
    first, last = list(words)[:-1], list(words)[-1]
    return f"{', '.join(first)} or {last}" if first else last


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not blank; with a pattern, one that matches it whole."""

    wanted: str = "write a text"
    pattern: re.Pattern[str] | None = None
    longest: int = LONGEST_TEXT

    def read(self, node: Node) -> str:
        """Return the text. Raises Misfit, also for what YAML reads as something else than text."""
        if not isinstance(node, Leaf) or not node.text.strip():
            raise Misfit(f"is {described(node)}; {self.wanted}")
        if len(node.text) > self.longest:
            raise Misfit(f"has {len(node.text):,} characters; write at most {self.longest:,}")
        _refuse_yaml_trap(node)
        odd = NOT_PRINTABLE.search(node.text)
        if odd:
            raise Misfit(f"holds the control character U+{ord(odd[0]):04X}; {self.wanted}")
        text = node.text.strip()
        if self.pattern and not self.pattern.fullmatch(text):
            raise Misfit(f"is {described(node)}; {self.wanted}")
        return text


def _refuse_yaml_trap(leaf: Leaf) -> None:
    if not leaf.plain:
        return
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, leaf.text, (True, False))  # type: ignore[no-untyped-call]  # PyYAML
    kind = tag.rpartition(":")[2]
    if kind == "str" and _NUMBER_ELSEWHERE.fullmatch(leaf.text[:64]):
        kind = "float"
    if kind == "null":
        raise Misfit("is empty; write a text")
    if kind != "str":
        meant = _READ_AS.get(kind, "a sign of its own")
        if not leaf.quoted:
            raise Misfit(f"is written so that YAML reads it as {meant}; put it in quotes")
        raise Misfit(f'is {described(leaf)}, which YAML reads as {meant}; put it in quotes: "{shown(leaf.text)}"')


NAME = Text(
    "write a name of small letters, digits, '.', '_' and '-', at most 64, such as fibre-upgrade",
    re.compile(r"[a-z0-9][a-z0-9._-]{0,63}"),
)


CATEGORY = Text("write a text of at most 128 characters", longest=128)


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within bounds."""

    low: float = -1e15
    high: float = 1e15

    @property
    def wanted(self) -> str:
        """See Shape."""
        return "write a number" + _between(self.low, self.high)

    def read(self, node: Node) -> float:
        """See Shape."""
        if not isinstance(node, Leaf) or not node.plain or not _NUMBER.fullmatch(node.text):
            raise Misfit(f"is {described(node)}; {self.wanted}")
        value = float(node.text)
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise Misfit(f"is {described(node)}; {self.wanted}")
        return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    low: int = -(1 << 63)
    high: int = (1 << 63) - 1

    @property
    def wanted(self) -> str:
        """See Shape."""
        return "write a whole number" + _between(self.low, self.high)

    def read(self, node: Node) -> int:
        """See Shape."""
        if not isinstance(node, Leaf) or not node.plain or not _WHOLE.fullmatch(node.text):
            raise Misfit(f"is {described(node)}; {self.wanted}")
        if not self.low <= int(node.text) <= self.high:
            raise Misfit(f"is {described(node)}; {self.wanted}")
        return int(node.text)


def _between(low: float, high: float) -> str:
    if abs(low) < 1e15 and abs(high) < 1e15:
        return f" from {_figure(low)} to {_figure(high)}"
    if abs(low) < 1e15:
        return f" of at least {_figure(low)}"
    return f" of at most {_figure(high)}" if abs(high) < 1e15 else ""


def _figure(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    wanted: str = "write true or false"

    def read(self, node: Node) -> bool:
        """See Shape."""
        if isinstance(node, Leaf) and node.plain and node.text in ("true", "false"):
            return node.text == "true"
        raise Misfit(f"is {described(node)}; {self.wanted}")


@dataclass(frozen=True, slots=True)
class Duration:
    """A time span, in milliseconds."""

    wanted: str = "write a time such as 45s, 30m, 12h or 7d, at most 3650d"

    def read(self, node: Node) -> int:
        """See Shape."""
        found = _DURATION.fullmatch(node.text) if isinstance(node, Leaf) else None
        milliseconds = int(found[1]) * _UNIT_MS[found[2]] if found else 0
        if 0 < milliseconds <= LONGEST_DURATION_MS:
            return milliseconds
        raise Misfit(f"is {described(node)}; {self.wanted}")


@dataclass(frozen=True, slots=True)
class Choice(Generic[E]):
    """A member of an enum, by its value."""

    options: type[E]

    @property
    def wanted(self) -> str:
        """See Shape."""
        return f"write {listed([option.value for option in self.options])}"

    def read(self, node: Node) -> E:
        """See Shape."""
        if isinstance(node, Leaf) and node.text in set(self.options):
            return self.options(node.text)
        raise Misfit(f"is {described(node)}; {self.wanted}")


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of something that the documents declare: `what` says of what kind."""

    known: Collection[str]
    what: str
    text: Text = field(default_factory=Text)

    @property
    def wanted(self) -> str:
        """See Shape."""
        return f"name {a(self.what)}"

    def read(self, node: Node) -> str:
        """See Shape."""
        word = self.text.read(node)
        if word not in self.known:
            raise Misfit(f"names `{shown(word)}`, which is no known {self.what}; {nearest(word, self.known)}")
        return word
