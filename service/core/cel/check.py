"""Type-check conditions with Google's CEL checker and say in plain words what is wrong with bad ones."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from models.clock import BUILT_IN, NO_CLOCK
from models.context import ContextSchema, ValueType
from service.core.cel import emit, tree

LONGEST = 2_000

_TYPES = {
    ValueType.BOOL: cel.Type.BOOL,
    ValueType.INT: cel.Type.INT,
    ValueType.DOUBLE: cel.Type.DOUBLE,
    ValueType.STRING: cel.Type.STRING,
    ValueType.TIMESTAMP: cel.Type.TIMESTAMP,
    ValueType.STRINGS: cel.Type.List(cel.Type.STRING),
}
_POSITION = re.compile(r"<input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")


class ConditionRefused(Exception):
    """A condition that cannot be used: `message` says what is wrong and what would be right.

    `line` and `column` count from 1 inside the condition's text.
    """

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition that is known to be well typed: its tree and the ids of the fields it reads, sorted."""

    source: str
    node: tree.Node
    fields: tuple[str, ...]


def check_condition(source: str, schema: ContextSchema) -> Checked:
    """Return the checked tree of a condition over the context; an empty one always holds.

    Raises ConditionRefused when it does not parse, is not of type bool, names an unknown field or uses a part of CEL
    that Tact does not evaluate.
    """
    if not source.strip():
        return Checked("", tree.constant(True), ())
    if len(source) > LONGEST:
        raise ConditionRefused(f"the condition has {len(source)} characters; split it into rules of at most {LONGEST}")
    signature = tuple((field.id, field.type) for field in schema.fields)
    try:
        expression = _environment(signature).compile(source)
    except RuntimeError as error:
        raise _refusal(str(error), source, schema) from None
    if expression.return_type() != cel.Type.BOOL:
        kind = str(expression.return_type()).lower()
        raise ConditionRefused(f"the condition is of type {kind}; compare it with something, so it is true or false")
    node = _supported(expression.serialize())
    read = sorted(set(tree.names(node)) - {"now"})
    return Checked(source, node, tuple(read))


def environment(schema: ContextSchema) -> Any:  # noqa: ANN401  the CEL library ships no type for it
    """Return the CEL environment that declares the schema's fields and `now`: the oracle of the tests."""
    return _environment(tuple((field.id, field.type) for field in schema.fields))


@lru_cache(maxsize=8)
def _environment(signature: tuple[tuple[str, ValueType], ...]) -> Any:  # noqa: ANN401  as above
    variables = {name: _TYPES[kind] for name, kind in signature}
    return cel.NewEnv(variables={**variables, "now": cel.Type.TIMESTAMP})


def _supported(serialized: bytes) -> tree.Node:
    try:
        node = tree.parse(serialized)
        emit.Program().add(node)
    except tree.NotInLanguage as error:
        raise ConditionRefused(f"{error} is not part of Tact's conditions; {emit.LANGUAGE}") from None
    return node


def _refusal(text: str, source: str, schema: ContextSchema) -> ConditionRefused:
    found = _POSITION.search(text)
    if not found:
        return ConditionRefused("the condition cannot be read; compare it with the examples in docs/strategies.md")
    line, column, message = int(found[1]), int(found[2]), found[3]
    return ConditionRefused(_in_plain_words(message, schema), line, column)


def _in_plain_words(message: str, schema: ContextSchema) -> str:
    undeclared = _UNDECLARED.search(message)
    if undeclared:
        if undeclared[1] in BUILT_IN:
            return f"{undeclared[1]} {NO_CLOCK}"
        near = difflib.get_close_matches(undeclared[1], [*(f.id for f in schema.fields), "now"], 1)
        remedy = f"did you mean {near[0]}?" if near else "declare it under fields"
        return f"there is no field {undeclared[1]}; {remedy}"
    if "no matching overload" in message:
        remedy = "both sides need the same type"
        if "double" in message and "int" in message:
            remedy = "write numbers beside a double with a point, such as 1.0"
        return f"{message.removesuffix(' [INVALID_ARGUMENT]')}; {remedy}"
    message = message.partition(" expecting ")[0].replace("'<EOF>'", "the end")
    return f"{message}; see docs/strategies.md for what a condition may say"
