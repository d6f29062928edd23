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

    @property
    def kind(self) -> str:
        """Return its type, as `Name.kind` does."""
        return {bool: "bool", int: "int", float: "double", str: "string"}[type(self.value)]


@dataclass(frozen=True, slots=True)
class Name:
    """A variable: the id of a context field, `now`, or `action.NAME`.

    `kind` is its type: bool, int, double, string, timestamp, duration, or `list(…)` of one of these; `dyn` where CEL
    leaves it open.
    """

    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal of the type `kind`."""

    items: tuple[Node, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function, named by the overload that the checker chose, such as `greater_int64`.

    `kind` is the type of what it gives.
    """

    overload: str
    function: str
    args: tuple[Node, ...]
    kind: str


Node = Const | Name | ListOf | Call

_PRIMITIVE = {1: "bool", 2: "int", 4: "double", 5: "string"}
_WELL_KNOWN = {2: "timestamp", 3: "duration"}


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
    kinds = dict(_typed(entry) for entry in _all(checked, 3))
    return _Parser(overloads, kinds).node(_only(checked, 4))


def constant(value: bool | int | float | str) -> Const:
    """Return the literal of a value."""
    return Const(value, repr(value))


def parts(node: Node) -> tuple[Node, ...]:
    """Return what a node is made of, itself left out."""
    return node.items if isinstance(node, ListOf) else node.args if isinstance(node, Call) else ()


def names(node: Node) -> Iterator[str]:
    """Yield every variable that the tree reads, with repeats."""
    if isinstance(node, Name):
        yield node.id
    for child in parts(node):
        yield from names(child)


@dataclass(frozen=True, slots=True)
class _Parser:
    """Reads expressions, whose overloads and types stand apart, by the expression's number."""

    overloads: Mapping[int, str]
    kinds: Mapping[int, str]

    def node(self, message: bytes) -> Node:
        parts = dict(wire.fields(message))
        for number, name in ((5, "a field of a field"), (8, "a message or map"), (9, "a macro such as exists()")):
            if number in parts:
                raise NotInLanguage(name)
        found = parts.get(2, 0)
        ident = found if isinstance(found, int) else 0
        kind = self.kinds.get(ident, "dyn")
        if 3 in parts:
            return _const(_bytes(parts[3]))
        if 4 in parts:
            return Name(_only(_bytes(parts[4]), 1).decode(), kind)
        if 7 in parts:
            return self._list(_bytes(parts[7]), kind)
        if 6 in parts:
            return self._call(_bytes(parts[6]), self.overloads.get(ident, ""), kind)
        raise NotInLanguage("an empty expression")

    def _list(self, message: bytes, kind: str) -> ListOf:
        items = tuple(self.node(item) for item in _all(message, 1))
        if items and "dyn" in kind:
            raise NotInLanguage("a list whose items are of different types")
        return ListOf(items, kind)

    def _call(self, message: bytes, overload: str, kind: str) -> Call:
        args = [*_all(message, 1), *_all(message, 3)]
        function = _only(message, 2).decode()
        return Call(overload, function, tuple(self.node(arg) for arg in args), kind)


def _typed(entry: bytes) -> tuple[int, str]:
    parts = dict(wire.fields(entry))
    key = parts.get(1, 0)
    return key if isinstance(key, int) else 0, _kind(_bytes(parts.get(2, b"")))


def _kind(message: bytes) -> str:
    number, value = next(wire.fields(message), (1, b""))
    if number == 3 and isinstance(value, int):
        return _PRIMITIVE.get(value, "dyn")
    if number == 5 and isinstance(value, int):
        return _WELL_KNOWN.get(value, "dyn")
    return f"list({_kind(_only(_bytes(value), 1))})" if number == 6 else "dyn"


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
