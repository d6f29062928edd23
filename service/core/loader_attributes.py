"""Read the attributes that actions can have, and what they are of each action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from models.context import Scalar, ValueType
from models.documents import Documents, Problem
from models.records import Record, section_records
from models.schema import ATTRIBUTE
from models.shapes import CATEGORY, Flag, Number, Shape, Whole, nearest
from models.trees import shown
from service.core.cel.attributes import BUILT_IN
from service.core.loader_when import Moment
from service.core.strategy import ActionAttribute

MOST_ATTRIBUTES = 64
_NO_NAMES = (
    *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"),
    *("namespace", "null", "package", "return", "true", "var", "void", "while"),
)
_SHAPES = cast(
    "dict[ValueType, Shape[Scalar]]",
    {
        ValueType.BOOL: Flag(),
        ValueType.INT: Whole(),
        ValueType.DOUBLE: Number(),
        ValueType.STRING: CATEGORY,
        ValueType.TIMESTAMP: Moment(),
    },
)


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes that could be read, and the names of those that have problems of their own."""

    read: tuple[ActionAttribute, ...]
    unread: tuple[str, ...]


def read_attributes(documents: Documents, problems: list[Problem]) -> Attributes:
    """Return the attributes that the section `attributes` declares."""
    taken: dict[str, str] = {}
    records = section_records(documents, "attributes", "attribute", problems)
    for record in records[MOST_ATTRIBUTES : MOST_ATTRIBUTES + 1]:
        record.refuse(f"there are {len(records)} attributes; keep {MOST_ATTRIBUTES} or fewer")
    found: dict[str, ActionAttribute] = {}
    for record in records:
        if attribute := _attribute(record, taken):
            found.setdefault(attribute.name, attribute)
    written = (leaf.text for record in records if (leaf := record.leaf("id")))
    return Attributes(tuple(found.values()), tuple(name for name in written if name and name not in found))


def _attribute(record: Record, taken: dict[str, str]) -> ActionAttribute | None:
    name, kind, says = record.id(taken, ATTRIBUTE), record.choice("type", ValueType), record.text("says")
    if name in BUILT_IN:
        record.refuse(f"every action has `action.{name}` already; give the attribute another id", "id")
    elif name in _NO_NAMES:
        record.refuse(f"`{name}` is a word of the conditions' language; give the attribute another id", "id")
    record.rest_is_refused()
    fine = name and kind and name not in (*BUILT_IN, *_NO_NAMES)
    return ActionAttribute(name, kind, says) if fine and kind else None


def read_values(record: Record, attributes: Attributes) -> tuple[tuple[str, Scalar], ...]:
    """Return the attributes of one action, in the order of their declaration; what it leaves out it lacks."""
    parts = record.record("attributes", "`attributes`", "")
    if parts is None:
        return ()
    known = [one.name for one in attributes.read]
    for name, line in parts.node.key_lines.items():
        if name not in known and name not in attributes.unread:
            message = f"there is no attribute `{shown(name)}`; declare it under attributes ({nearest(name, known)})"
            parts.problems.append(Problem(parts.node.file, line, message))
    found = [(one.name, _value(parts, one)) for one in attributes.read if parts.has(one.name)]
    return tuple((name, value) for name, value in found if value is not None)


def _value(parts: Record, one: ActionAttribute) -> Scalar | None:
    if one.type is ValueType.STRINGS:
        return parts.values(one.name, CATEGORY, required=False)
    return parts.value(one.name, _SHAPES[one.type], None, None)
