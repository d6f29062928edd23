"""Type-check conditions with Google's CEL checker and say in plain words what is wrong with bad ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from models.clock import BUILT_IN, NO_CLOCK
from models.context import ContextSchema, ValueType
from service.core.cel import emit, refused, tree
from service.core.cel.attributes import PREFIX, variables
from service.core.strategy import ActionAttribute

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
    """A condition that is known to be well typed: its tree, and the ids of the fields it reads, sorted.

    `attributes` are what it reads of the action that it is asked about, such as `action.price`, sorted.
    """

    source: str
    node: tree.Node
    fields: tuple[str, ...]
    attributes: tuple[str, ...] = ()


def check_condition(
    source: str, schema: ContextSchema, attributes: tuple[ActionAttribute, ...] | None = None
) -> Checked:
    """Return the checked tree of a condition over the context; an empty one always holds.

    With `attributes`, be they none, it may also read `action.NAME`: these, and what every action has.

    Raises ConditionRefused when it does not parse, is not of type bool, names an unknown field or uses a part of CEL
    that Tact does not evaluate.
    """
    if not source.strip():
        return Checked("", tree.constant(True), ())
    if len(source) > LONGEST:
        raise ConditionRefused(f"the condition has {len(source)} characters; split it into rules of at most {LONGEST}")
    for message, offset in refused.by_name(source):
        raise ConditionRefused(message, *_place(source, offset))
    try:
        expression = environment(schema, attributes).compile(source)
    except RuntimeError as error:
        raise _refusal(str(error), schema, attributes) from None
    if expression.return_type() != cel.Type.BOOL:
        kind = str(expression.return_type()).lower()
        raise ConditionRefused(f"the condition is of type {kind}; compare it with something, so it is true or false")
    node = _supported(expression.serialize())
    read = sorted(set(tree.names(node)) - {"now"})
    of_action = tuple(name for name in read if name.startswith(PREFIX))
    return Checked(source, node, tuple(name for name in read if name not in of_action), of_action)


def environment(schema: ContextSchema, attributes: tuple[ActionAttribute, ...] | None = None) -> Any:  # noqa: ANN401  the CEL library ships no type for it
    """Return the CEL environment that declares all that a condition may read: the oracle of the tests."""
    fields = tuple((field.id, field.type) for field in schema.fields)
    return _environment(fields + (() if attributes is None else tuple(variables(attributes).items())))


@lru_cache(maxsize=8)
def _environment(signature: tuple[tuple[str, ValueType], ...]) -> Any:  # noqa: ANN401  as above
    declared = {name: _TYPES[kind] for name, kind in signature}
    return cel.NewEnv(variables={**declared, "now": cel.Type.TIMESTAMP})


def _supported(serialized: bytes) -> tree.Node:
    try:
        node = tree.parse(serialized)
        emit.Program().add(node)
    except tree.NotInLanguage as error:
        raise ConditionRefused(f"{error} is not part of Tact's conditions; {emit.LANGUAGE}") from None
    return node


def _place(source: str, offset: int) -> tuple[int, int]:
    before = source[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def _refusal(text: str, schema: ContextSchema, attributes: tuple[ActionAttribute, ...] | None) -> ConditionRefused:
    found = _POSITION.search(text)
    if not found:
        return ConditionRefused("the condition cannot be read; compare it with the examples in docs/strategies.md")
    line, column, message = int(found[1]), int(found[2]), found[3]
    undeclared = _UNDECLARED.search(message)
    said = _unknown(undeclared[1], schema, attributes) if undeclared else _in_plain_words(message)
    return ConditionRefused(said, line, column)


def _unknown(name: str, schema: ContextSchema, attributes: tuple[ActionAttribute, ...] | None) -> str:
    if name in BUILT_IN:
        return f"{name} {NO_CLOCK}"
    if f"{name}.".startswith(PREFIX):
        if attributes is None:
            return (
                f"{name} is asked of an action, and only guardrails, eligibility, applicability and suitability do "
                "so; select the actions instead"
            )
        known = variables(attributes)
        return f"actions have no attribute {name}; {_nearest(name, known, PREFIX) or 'declare it under attributes'}"
    fields = [*(field.id for field in schema.fields), "now"]
    return f"there is no field {name}; {_nearest(name, fields) or 'declare it under fields'}"


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name.removeprefix(prefix), [one.removeprefix(prefix) for one in known], 1)
    return f"did you mean {prefix}{near[0]}?" if near else ""


def _in_plain_words(message: str) -> str:
    if "no matching overload" in message:
        remedy = "both sides need the same type"
        if "double" in message and "int" in message:
            remedy = "write numbers beside a double with a point, such as 1.0"
        return f"{message.removesuffix(' [INVALID_ARGUMENT]')}; {remedy}"
    message = message.partition(" expecting ")[0].replace("'<EOF>'", "the end")
    return f"{message}; see docs/strategies.md for what a condition may say"
