"""The checked syntax tree of a condition: what Google's type checker made of it, as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.core.cel import wire


@dataclass(frozen=True, slots=True)
class Const:
    """A literal: a truth value, whole number, double or text. `spelling` keeps 1, 1.0 and true apart."""

    value: bool | int | float | str
    spelling: str


@dataclass(frozen=True, slots=True)
class Name:
    """A variable: the id of a context field, or `now`."""

    id: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function, named by the overload that the checker chose, such as `greater_int64`."""

    overload: str
    function: str
    args: tuple[Node, ...]


Node = Const | Name | ListOf | Call


class NotInLanguage(Exception):
    """A construct that CEL knows and Tact does not, by the name a strategist knows it by."""


def parse(serialized: bytes) -> Node:
    """Return the tree of an expression as `cel_expr_python` serializes it: an Any with a CheckedExpr.

    Raises NotInLanguage for constructs that Tact refuses, such as macros.
    """
    checked = _only(serialized, 2)
    overloads: dict[int, str] = {}
    for entry in _all(checked, 2):
        key, names = _reference(entry)
        if names:
            overloads[key] = names[0]
    return _node(_only(checked, 4), overloads)


def constant(value: bool | int | float | str) -> Const:
    """Return the literal of a value."""
    return Const(value, repr(value))


def names(node: Node) -> Iterator[str]:
    """Yield every variable that the tree reads, with repeats."""
    if isinstance(node, Name):
        yield node.id
    elif isinstance(node, ListOf | Call):
        for child in node.items if isinstance(node, ListOf) else node.args:
            yield from names(child)


def _node(message: bytes, overloads: Mapping[int, str]) -> Node:
    parts = dict(wire.fields(message))
    for number, name in ((5, "a field of a field"), (8, "a message or map"), (9, "a macro such as exists() or all()")):
        if number in parts:
            raise NotInLanguage(name)
    if 3 in parts:
        return _const(_bytes(parts[3]))
    if 4 in parts:
        return Name(_only(_bytes(parts[4]), 1).decode())
    if 7 in parts:
        return ListOf(tuple(_node(item, overloads) for item in _all(_bytes(parts[7]), 1)))
    if 6 in parts:
        ident = parts.get(2, 0)
        return _call(_bytes(parts[6]), overloads.get(ident if isinstance(ident, int) else 0, ""), overloads)
    raise NotInLanguage("an empty expression")


def _call(message: bytes, overload: str, overloads: Mapping[int, str]) -> Call:
    args = [*_all(message, 1), *_all(message, 3)]
    function = _only(message, 2).decode()
    return Call(overload, function, tuple(_node(arg, overloads) for arg in args))


def _const(message: bytes) -> Const:
    number, value = next(wire.fields(message), (1, 0))
    if number == 2:
        return constant(bool(value))
    if number == 3 and isinstance(value, int):
        return constant(wire.signed(value))
    if number == 5 and isinstance(value, bytes):
        return constant(wire.double(value))
    if number == 6 and isinstance(value, bytes):
        return constant(value.decode())
    raise NotInLanguage({1: "null", 4: "an unsigned number", 7: "bytes"}.get(number, "a literal of this sort"))


def _reference(entry: bytes) -> tuple[int, list[str]]:
    key, overload_ids = 0, []
    for number, value in wire.fields(entry):
        if number == 1 and isinstance(value, int):
            key = value
        elif number == 2 and isinstance(value, bytes):
            overload_ids = [text.decode() for text in _all(value, 3)]
    return key, overload_ids


def _all(message: bytes, number: int) -> list[bytes]:
    return [value for found, value in wire.fields(message) if found == number and isinstance(value, bytes)]


def _only(message: bytes, number: int) -> bytes:
    found = _all(message, number)
    return found[0] if found else b""


def _bytes(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else b""
