"""Read the events and fields of a strategy's documents, and check that every fold fits its event and its field."""

from __future__ import annotations

import collections.abc as abc
import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from models import context
from models.clock import BUILT_IN, clock_fields
from models.contact import OF_CONTACTS, contact_fields, names_contacts
from models.context import (
    Attribute,
    Audience,
    ContextSchema,
    CustomerData,
    EventType,
    Field,
    Fold,
    FoldKind,
    Purpose,
    Tense,
    Told,
    ValueType,
    field_key,
)
from models.documents import Documents, DocumentsRefused, Problem, read_folder
from models.records import Record, record_of, section_records
from models.schema_clock import read_time_zone
from models.schema_folds import NUMBERS, read_fold
from models.schema_journey import read_stages
from models.schema_supply import check_places, read_supplied
from models.shapes import CATEGORY, Number, Text, a, described
from models.trees import Items, Leaf, Mapping

EVENT_ID = Text(
    "write a name of small letters, digits, '_' and '.', at most 64, such as ticket.opened",
    re.compile(r"[a-z][a-z0-9_.]{0,63}"),
)
FIELD_ID = Text(
    "write a tense (past, present or predicted), a dot and a name of small letters, digits and '_',"
    " such as past.open_tickets",
    re.compile(r"(past|present|predicted)\.[a-z][a-z0-9_]{0,63}"),
)
ATTRIBUTE = Text("write a name of small letters, digits and '_', such as amount", re.compile(r"[a-z][a-z0-9_]{0,63}"))


class Source(StrEnum):
    """Where the value of a field comes from when no event folds into it."""

    REQUEST = "request"
    SUPPLY = "supply"
    MODEL = "model"


def load_context(folder: Path) -> ContextSchema:
    """Return the events and fields of a strategy's folder. Raises DocumentsRefused with every problem of theirs."""
    documents = read_folder(folder)
    problems = list(documents.problems)
    schema = parse_context(documents, problems)
    if problems:
        raise DocumentsRefused(problems)
    return schema


def parse_context(documents: Documents, problems: list[Problem]) -> ContextSchema:
    """Return the events and fields that could be read; with new problems it must only serve to find more."""
    events: dict[str, EventType] = {}
    stages = read_stages(documents, problems)
    taken: dict[str, str] = {}
    for record in section_records(documents, "events", "event", problems):
        event = _event(record, taken, stages)
        events.setdefault(event.id, event)
    fields: dict[str, Field] = {}
    places: dict[str, str] = {}
    keys: dict[int, str] = {}
    read: dict[str, Record] = {}
    for record in section_records(documents, "fields", "field", problems):
        field = _field(record, places, events)
        if field and field.id in BUILT_IN:
            record.refuse(f"`{field.id}` is built in, by the section `time_zone`; remove it here", "id")
        elif field and field.id in OF_CONTACTS:
            record.refuse(f"`{field.id}` is built in, wherever a document names it; remove it here", "id")
        elif field and field.id not in fields:
            _claim_key(record, field, keys)
            fields[field.id] = field
            read[field.id] = record
    check_places(fields, _undeclared(documents, fields), read)
    happening = tuple(event for event in events.values() if event.id)
    time_zone = read_time_zone(documents, fields, _undeclared(documents, fields), problems)
    told = clock_fields() if time_zone else ()
    before = contact_fields() if names_contacts(documents) else ()
    return ContextSchema.of(happening, (*fields.values(), *told, *before), time_zone, stages)


def unread_fields(documents: Documents, schema: ContextSchema) -> tuple[str, ...]:
    """Return the ids of the fields that are declared but could not be read, so that nobody calls them unknown."""
    return _undeclared(documents, schema.index)


def _undeclared(documents: Documents, known: abc.Container[str]) -> tuple[str, ...]:
    nodes = [node for section in documents.section("fields") if isinstance(section, Items) for node in section.nodes]
    ids = [node.nodes.get("id") for node in nodes if isinstance(node, Mapping)]
    declared = [leaf.text for leaf in ids if isinstance(leaf, Leaf) and leaf.text]
    return tuple(name for name in declared if name not in known)


# ------------------------------------------------------------------------------------------------------------ events


def _event(record: Record, taken: dict[str, str], stages: tuple[str, ...]) -> EventType:
    event_id, says = record.id(taken, EVENT_ID), record.text("says")
    attributes = record.record("attributes", "list of attributes", "")
    stage = record.reference("stage", stages, "stage of the journey") if record.has("stage") else ""
    data = record.choice("data", CustomerData) if record.has("data") else None
    record.rest_is_refused()
    return EventType(event_id, says, _attributes(attributes) if attributes else (), stage, data)


def _attributes(record: Record) -> tuple[Attribute, ...]:
    found = []
    for name, node in record.node.nodes.items():
        if not ATTRIBUTE.pattern or not ATTRIBUTE.pattern.fullmatch(name):
            key = Leaf(node.file, record.node.key_lines[name], name, True, "")
            record.problems.append(Problem(key.file, key.line, f"an attribute is {described(key)}; {ATTRIBUTE.wanted}"))
        elif isinstance(node, Leaf):
            kind = record.choice(name, ValueType)
            found += [Attribute(name, kind)] if kind else []
        else:
            long_form = record_of(node, "attribute", record.problems)
            attribute = _attribute(name, long_form) if long_form else None
            found += [attribute] if attribute else []
    return tuple(found)


def _attribute(name: str, record: Record) -> Attribute | None:
    kind, optional = record.choice("type", ValueType), record.flag("optional", False)
    bounds = _bounds(record, name, kind)
    record.rest_is_refused()
    return replace(bounds, optional=optional) if kind else None


def _bounds(record: Record, name: str, kind: ValueType | None) -> Attribute:
    """Read the bounds of a number or the values of a text."""
    low = record.value("low", Number(), None, None) if record.has("low") else None
    high = record.value("high", Number(), None, None) if record.has("high") else None
    values = record.values("values", CATEGORY, record.has("values"))
    if kind and kind not in NUMBERS:
        for key in ("low", "high"):
            if record.has(key):
                record.refuse(f"`{key}` bounds a number, and `{name}` is {a(kind)}; remove it", key)
    if kind and kind is not ValueType.STRING and record.has("values"):
        record.refuse(f"`values` are texts, and `{name}` is {a(kind)}; remove them or write `type: string`", "values")
    if low is not None and high is not None and low > high:
        record.refuse(f"`low` {low:g} is above `high` {high:g}; write the smaller number as `low`", "low")
    return Attribute(name, kind or ValueType.STRING, False, low, high, values)


# ------------------------------------------------------------------------------------------------------------ fields


def _field(record: Record, places: dict[str, str], events: abc.Mapping[str, EventType]) -> Field | None:
    field_id, says = record.id(places, FIELD_ID), record.text("says")
    kind, purpose = record.choice("type", ValueType), record.choice("purpose", Purpose)
    max_age = record.duration("max_age") if record.has("max_age") else None
    bounds = _bounds(record, field_id, kind)
    key = record.whole("key", field_key(field_id), 0, 0xFFFF)
    fold, folded = _origin(record, kind, events)
    given_by = _given_by(record)
    told = _told(record, given_by)
    told_to, known_as = _told_to(record, told), record.text("known_as", "")
    supplied = read_supplied(record, field_id, kind, purpose) if given_by is context.Source.SUPPLY else None
    record.rest_is_refused()
    if not field_id or not kind or not purpose:
        return None
    if fold and folded:
        bounds = _categories(record, bounds, folded)
    if given_by is context.Source.MODEL and fold is None:
        fold = _written_by_a_model(record, field_id)
    return Field(field_id, kind, purpose, says, fold, max_age, bounds, key, given_by, supplied, told, told_to, known_as)


def _told(record: Record, given_by: context.Source) -> Told:
    """Return whether words may name the field; nobody expects to hear what a model guesses."""
    modelled = given_by is context.Source.MODEL
    if not record.has("told"):
        return Told.INFERRED if modelled else Told.EXPECTED
    told = record.choice("told", Told) or Told.SENSITIVE
    if modelled and told is Told.EXPECTED:
        record.refuse("what a model writes is inferred, and words never name it; write `told: inferred`", "told")
    return told


def _told_to(record: Record, told: Told) -> Audience | None:
    """Return whom explanations tell the field, where that is written; customers only hear what they expect."""
    if not record.has("told_to"):
        return None
    told_to = record.choice("told_to", Audience) or Audience.AUDITOR
    if told_to is Audience.CUSTOMER and told is not Told.EXPECTED:
        record.refuse(f"what is {told} is never told to customers; write `told_to: agent` or `auditor`", "told_to")
    return told_to


def _written_by_a_model(record: Record, field_id: str) -> Fold:
    """Return the fold of what models write, which only a field of the third tense can have."""
    if not field_id.startswith(f"{Tense.PREDICTED}."):
        record.refuse(f"`{field_id}` is not predicted, and models write only what is; call it predicted.…", "source")
    return Fold(FoldKind.MODEL, "")


def _given_by(record: Record) -> context.Source:
    """Return the source that is written, which `_origin` checks; the request where it is none."""
    written = record.leaf("source")
    known = written is not None and written.text in set(Source)
    return context.Source(written.text) if written and known else context.Source.REQUEST


def _origin(
    record: Record, kind: ValueType | None, events: abc.Mapping[str, EventType]
) -> tuple[Fold | None, Attribute | None]:
    """Read where a field's value comes from, and the attribute that is folded into it."""
    has_fold, has_source = record.has("fold"), record.has("source")
    if has_fold == has_source:
        wrong = "both `fold` and `source`" if has_fold else "neither `fold` nor `source`"
        record.refuse(f"the field has {wrong}; write `fold` for what events say or `source: request`", "source")
    if has_source:
        record.choice("source", Source)
    if not has_fold:
        return None, None
    for key in ("low", "high"):
        if record.has(key) and not has_source:
            record.refuse(f"`{key}` checks values that come with a request; write it at the event's attribute", key)
    folding = record.record("fold", "fold", "")
    return read_fold(folding, kind, events) if folding else (None, None)


def _categories(record: Record, bounds: Attribute, folded: Attribute) -> Attribute:
    """Take the values of a text from the attribute that is folded, or see that they are all there."""
    if bounds.type is not ValueType.STRING or not folded.values:
        return bounds
    missing = [value for value in folded.values if value not in bounds.values]
    if bounds.values and missing:
        record.refuse(f"`values` lacks `{missing[0]}`, which `{folded.name}` can be; add it", "values")
    return replace(bounds, values=bounds.values or folded.values)


def _claim_key(record: Record, field: Field, keys: dict[int, str]) -> None:
    if field.key in keys:
        free = next(key for key in range(1, 0x10000) if key not in keys)
        remedy = f"give one of them a key of its own, such as `key: {free}`"
        record.refuse(f"`{field.id}` has the store key {field.key} of `{keys[field.key]}`; {remedy}", "key")
    keys.setdefault(field.key, field.id)
