"""Read whose clock tells hour and weekday: the section `time_zone` of a strategy's documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.clock import zone_names
from models.context import Field, Source, TimeZone, ValueType
from models.documents import Documents, Problem
from models.records import Record, record_of
from models.shapes import Reference, a
from models.trees import Node

_WANTED = "write `time_zone: {field: past.time_zone, default: Europe/Berlin}`; one of the two is enough"
_OF_A_CUSTOMER = (Source.EVENTS, Source.REQUEST)


def read_time_zone(
    documents: Documents, fields: Mapping[str, Field], unread: Sequence[str], problems: list[Problem]
) -> TimeZone | None:
    """Return whose clock counts, or None where no document says so.

    `unread` names fields with problems of their own; naming one of them is no second problem.
    """
    sections = list(documents.section("time_zone"))
    for again in sections[1:]:
        message = f"the section `time_zone` stands in {sections[0].file}:{sections[0].line} already; keep one of them"
        problems.append(Problem(again.file, again.line, message))
    return _time_zone(sections[0], fields, unread, problems) if sections else None


def _time_zone(section: Node, fields: Mapping[str, Field], unread: Sequence[str], problems: list[Problem]) -> TimeZone:
    record = record_of(section, "time_zone", problems)
    if record is None:
        return TimeZone("", "")
    by_field, by_default = record.has("field"), record.has("default")
    if not by_field and not by_default:
        record.refuse(f"the time_zone has neither `field` nor `default`; {_WANTED}")
    name = record.text("field", None, Reference([*fields, *unread], "field")) if by_field else ""
    default = record.text("default", None, Reference(sorted(zone_names()), "IANA time zone")) if by_default else ""
    if name in fields:
        _check_zone_field(record, fields[name])
    record.rest_is_refused()
    return TimeZone(name, default)


def _check_zone_field(record: Record, field: Field) -> None:
    if field.type is not ValueType.STRING:
        record.refuse(f"`{field.id}` is {a(field.type)}; name a field of type string that holds the zone", "field")
    elif field.source not in _OF_A_CUSTOMER:
        record.refuse(f"`{field.id}` comes from {field.source}; name a field from events or from the request", "field")
