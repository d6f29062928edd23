"""Read what can be brought about, so that it may be told of as what would change an answer."""

from __future__ import annotations

from typing import cast

from models.context import ContextSchema, Field, FoldKind, Scalar, Source, Tense, Told, ValueType
from models.documents import Documents, Problem
from models.records import Record, section_records
from models.shapes import CATEGORY, Flag, Number, Reference, Shape, Text, Whole
from service.core.actionable import ACTIONABLE, WAIT_MS, Actionable, Fact

MOST_FACTS = 32
_BUILT_IN = ("wait", "consent", "permission")
_WANTED = "write `field:`, or `wait:`, `consent:` or `permission:` for what is actionable anyway"
_COUNTING = (FoldKind.COUNT, FoldKind.OPEN, FoldKind.DISTINCT, FoldKind.WINDOW_COUNT, FoldKind.RATE, FoldKind.SINCE)
_NUMBERS = (ValueType.INT, ValueType.DOUBLE)
_NOBODY = {
    Source.CLOCK: "is told by the clock, and whoever waits changes it; remove it here",
    Source.MEMORY: "tells of the contact before, and whoever waits changes it; remove it here",
    Source.MODEL: "is what a model makes of other fields; name those",
}


def read_actionable(
    documents: Documents, schema: ContextSchema, unread: tuple[str, ...], problems: list[Problem]
) -> Actionable:
    """Return what the section `actionable` declares; all that needs no declaration where there is none."""
    records = section_records(documents, "actionable", "actionable fact", problems)
    for record in records[MOST_FACTS : MOST_FACTS + 1]:
        record.refuse(f"there are {len(records)} actionable facts; keep {MOST_FACTS} or fewer")
    facts: dict[str, Fact] = {}
    built_in: dict[str, int] = {}
    for record in records:
        if fact := _entry(record, schema, unread, built_in):
            if fact.field in facts:
                record.refuse(f"`{fact.field}` is actionable already; keep one of them", "field")
            facts[fact.field] = fact
    if not records:
        return ACTIONABLE
    wait_ms, consent, permission = (built_in.get(key, WAIT_MS) for key in _BUILT_IN)
    return Actionable(tuple(facts.values()), wait_ms, bool(consent), bool(permission))


def _entry(record: Record, schema: ContextSchema, unread: tuple[str, ...], built_in: dict[str, int]) -> Fact | None:
    kinds = [kind for kind in ("field", *_BUILT_IN) if record.has(kind)]
    if len(kinds) != 1:
        record.refuse(f"the actionable fact {'is of several kinds' if kinds else 'names nothing'}; {_WANTED}")
        record.allow(*record.node.nodes)
        return None
    if kinds == ["field"]:
        return _fact(record, schema, unread)
    if kinds[0] in built_in:
        record.refuse(f"`{kinds[0]}` is written twice; keep one of them", kinds[0])
    built_in[kinds[0]] = _wait(record) if kinds == ["wait"] else int(record.flag(kinds[0]))
    record.rest_is_refused()
    return None


def _wait(record: Record) -> int:
    """Return how long one may wait (ms); `false` is not at all."""
    leaf = record.leaf("wait")
    return 0 if leaf is not None and leaf.plain and leaf.text == "false" else record.duration("wait")


def _fact(record: Record, schema: ContextSchema, unread: tuple[str, ...]) -> Fact | None:
    name = record.text("field", None, Reference([*schema.index, *unread], "field"))
    says = record.text("says", None, Text("write a sentence that says what is done, such as: The ticket is closed."))
    if name not in schema.index or name in unread:
        record.allow("set", "add", "at_least", "at_most")
        record.rest_is_refused()
        return None
    field = schema.fields[schema.index[name]]
    if why := _why_nobody_changes(field):
        record.refuse(f"`{field.id}` {why}", "field")
        record.allow("set", "add", "at_least", "at_most")
        record.rest_is_refused()
        return None
    changes = [key for key in ("set", "add") if record.has(key)]
    if len(changes) != 1:
        both = "both `set` and `add`" if changes else "neither `set` nor `add`"
        record.refuse(f"the actionable fact has {both}; write `set:` with values, or `add:` with a step such as -1")
        record.allow("at_least", "at_most")
    fact = _settable(record, field, says) if changes == ["set"] else None
    fact = _in_steps(record, field, says) if changes == ["add"] else fact
    record.rest_is_refused()
    return fact


def _why_nobody_changes(field: Field) -> str:
    if field.source in _NOBODY:
        return _NOBODY[field.source]
    if field.tense is Tense.PREDICTED:
        return "is a prediction, and nobody changes what is likely; remove it"
    if field.told is Told.SENSITIVE:
        return "is sensitive, and nobody is told what would come of changing it; remove it"
    if field.type in (ValueType.TIMESTAMP, ValueType.STRINGS):
        return f"is of type {field.type}, of which nothing can be set or added; remove it"
    return ""


def _settable(record: Record, field: Field, says: str) -> Fact:
    low, high, values = field.bounds.low, field.bounds.high, field.bounds.values
    number, whole = Number(*_within(low, high, 1e15)), Whole(*_whole(low, high))
    text = Reference(values, "value of the field", CATEGORY) if values else CATEGORY
    shapes = {ValueType.BOOL: Flag(), ValueType.INT: whole, ValueType.DOUBLE: number}
    to = record.values("set", cast("Shape[Scalar]", shapes.get(field.type, text)), True)
    for key in ("at_least", "at_most"):
        if record.has(key):
            record.refuse(f"`{key}` bounds what is added, and this is set; remove it", key)
    return Fact(field.id, says, to)


def _in_steps(record: Record, field: Field, says: str) -> Fact | None:
    if field.type not in _NUMBERS:
        record.refuse(f"`add` is for numbers, and `{field.id}` is of type {field.type}; write `set`", "add")
        record.allow("at_least", "at_most")
        return None
    step = _number(record, "add", field.type)
    if not step:
        record.refuse("`add` is 0, which changes nothing; write a step such as 1 or -1", "add")
    counted = field.fold is not None and field.fold.kind in _COUNTING
    low = 0.0 if counted and field.bounds.low is None else field.bounds.low
    least = _number(record, "at_least", field.type) if record.has("at_least") else low
    most = _number(record, "at_most", field.type) if record.has("at_most") else field.bounds.high
    if least is not None and most is not None and least > most:
        record.refuse("`at_least` is above `at_most`; write the smaller number as `at_least`", "at_least")
    return Fact(field.id, says, (), step, least, most)


def _number(record: Record, key: str, kind: ValueType) -> float:
    """Return a number; a wrong one reads as 1, of which no other problem follows."""
    shape: Shape[float] = Whole(-(10**9), 10**9) if kind is ValueType.INT else Number(-1e9, 1e9)
    return record.value(key, shape, None, 1.0)


def _within(low: float | None, high: float | None, most: float) -> tuple[float, float]:
    return (-most if low is None else low), (most if high is None else high)


def _whole(low: float | None, high: float | None) -> tuple[int, int]:
    return (-(1 << 63) if low is None else int(low)), ((1 << 63) - 1 if high is None else int(high))
