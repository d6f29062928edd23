"""Read facts: values of the strategy's fields, by their ids, as they are known of a customer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from models.context import Attribute, ContextSchema, Field, Scalar, Source, ValueType
from models.records import Record
from models.shapes import (
    LONGEST_TEXT,
    Duration,
    Flag,
    Misfit,
    Number,
    Reference,
    Shape,
    Text,
    Whole,
    described,
    nearest,
)
from models.trees import Items, Leaf, Node, Problem, shown
from service.core.loader_when import Moment

UNKNOWN: Final = "unknown"
_BY_ITSELF = "Tact tells by itself; write `now:` for the time, and `said:` for what went before"
_GIVEN = frozenset({Source.EVENTS, Source.REQUEST, Source.SUPPLY, Source.MODEL})


def read_facts(record: Record, key: str, schema: ContextSchema, now_ms: int) -> dict[int, Scalar | None]:
    """Return the facts under a key by field index; `unknown` is None. Moments may be told from `now_ms` on."""
    facts = record.record(key, f"`{key}` mapping", "") if record.has(key) else None
    found: dict[int, Scalar | None] = {}
    for name, node in facts.node.nodes.items() if facts else ():
        field = _field(record, facts.node.key_lines[name], name, schema) if facts else None
        if field is None:
            continue
        try:
            found[schema.index[name]] = _value(field, node, now_ms)
        except Misfit as misfit:
            record.problems.append(Problem(node.file, node.line, f"`{name}` {misfit}"))
    return found


def _field(record: Record, line: int, name: str, schema: ContextSchema) -> Field | None:
    index = schema.index.get(name)
    if index is None:
        message = f"there is no field `{shown(name)}`; {nearest(name, list(schema.index))}"
    elif schema.fields[index].source not in _GIVEN:
        message = f"`{name}` is a field that {_BY_ITSELF}"
    else:
        return schema.fields[index]
    record.problems.append(Problem(record.node.file, line, message))
    return None


def _value(field: Field, node: Node, now_ms: int) -> Scalar | None:
    if isinstance(node, Leaf) and node.plain and node.text == UNKNOWN:
        return None
    return shape_of(field.bounds, field.type, field.id, now_ms).read(node)


def shape_of(bounds: Attribute, kind: ValueType, name: str, now_ms: int) -> Shape[Scalar]:
    """Return the shape of values of a type within bounds; moments may be told from `now_ms` on."""
    low = -1e15 if bounds.low is None else bounds.low
    high = 1e15 if bounds.high is None else bounds.high
    words: Shape[str] = Reference(bounds.values, f"value of {name}") if bounds.values else Text()
    shapes: dict[ValueType, Shape[Scalar]] = {
        ValueType.BOOL: Flag(),
        ValueType.INT: Whole(round(low), round(high)),
        ValueType.DOUBLE: Number(low, high),
        ValueType.STRING: words,
        ValueType.STRINGS: _Texts(words),
        ValueType.TIMESTAMP: Near(now_ms),
    }
    return shapes[kind]


@dataclass(frozen=True, slots=True)
class _Texts:
    """A list of texts."""

    each: Shape[str]
    wanted: str = "write a list of texts in brackets"

    def read(self, node: Node) -> tuple[str, ...]:
        """See models.shapes.Shape."""
        if not isinstance(node, Items):
            raise Misfit(f"is {described(node)}; {self.wanted}")
        return tuple(self.each.read(one) for one in node.nodes)


@dataclass(frozen=True, slots=True)
class Near:
    """A moment (ms): one with its zone, a date, or so long before or after `now_ms`."""

    now_ms: int
    wanted: str = "write `in 30d`, `30d ago`, a date such as 2026-12-01, or a moment with its zone"

    def read(self, node: Node) -> int:
        """See models.shapes.Shape."""
        text = node.text.strip() if isinstance(node, Leaf) and len(node.text) < LONGEST_TEXT else ""
        if text.startswith("in ") or text.endswith(" ago"):
            ahead = text.startswith("in ")
            span = text.removeprefix("in ") if ahead else text.removesuffix(" ago")
            try:
                length_ms = Duration().read(Leaf(node.file, node.line, span.strip(), True, span))
            except Misfit:
                raise Misfit(f"is {described(node)}; {self.wanted}") from None
            return self.now_ms + (length_ms if ahead else -length_ms)
        return Moment(self.wanted).read(node)
