"""Read what actions consume, and which events say that something is wanted."""

from __future__ import annotations

from models.context import Attribute, ContextSchema, EventType, ValueType
from models.documents import Documents, Problem
from models.records import Record, section_records
from models.schema_supply import SUPPLY_NAME
from models.shapes import Reference
from service.core.strategy import Consumes, DemandKind, DemandRule

MOST_UNITS = 1_000_000
MOST_AVAILABLE = 1_000_000_000
SHORTEST_HOLD_MS = 1_000
LONGEST_HOLD_MS = 7 * 86_400_000
QUARTER_OF_AN_HOUR_MS = 900_000


def read_consumes(record: Record, schema: ContextSchema) -> Consumes | None:
    """Return what an action consumes, or None."""
    parts = record.record("consumes", "`consumes`", "")
    if parts is None:
        return None
    known = [field.id for field in schema.fields if field.supplied]
    supply = parts.value("supply", Reference(known, "field of source supply"), None, "")
    units = parts.whole("units", 1, 1, MOST_UNITS)
    hold = parts.duration("hold", QUARTER_OF_AN_HOUR_MS)
    below = parts.whole("throttle_below", 0, 0, MOST_AVAILABLE)
    if parts.has("hold") and hold and not SHORTEST_HOLD_MS <= hold <= LONGEST_HOLD_MS:
        parts.refuse("`hold` is longer than units are held; write 7d at the most", "hold")
    parts.rest_is_refused()
    return Consumes(supply, units, hold, below) if supply in schema.index else None


def read_demand(documents: Documents, schema: ContextSchema, problems: list[Problem]) -> tuple[DemandRule, ...]:
    """Return the rules by which events say that something is wanted, each checked against its event."""
    taken: dict[str, str] = {}
    records = section_records(documents, "demand", "demand rule", problems)
    return tuple(rule for record in records if (rule := _demand(record, taken, schema)))


def _demand(record: Record, taken: dict[str, str], schema: ContextSchema) -> DemandRule | None:
    rule_id, says = record.id(taken), record.text("says")
    event = schema.events.get(record.reference("event", list(schema.events), "event"))
    kind = record.choice("kind", DemandKind)
    item, item_from = _named(record, "item", event, required=True)
    place, place_from = _named(record, "place", event, required=False)
    units_from = _attribute(record, "units_from", event, ValueType.INT)
    _check_told(record, event, item_from)
    record.rest_is_refused()
    if not event or not kind:
        return None
    return DemandRule(rule_id, says, event.id, kind, item, item_from, place, place_from, units_from)


def _named(record: Record, key: str, event: EventType | None, required: bool) -> tuple[str, str]:
    """Read a name, or the attribute that holds it."""
    fixed, given = record.has(key), record.has(f"{key}_from")
    if (fixed and given) or (required and not fixed and not given):
        record.refuse(f"write either `{key}`, a name, or `{key}_from`, the attribute that holds it", key)
        return "", ""
    if fixed:
        return record.text(key, None, SUPPLY_NAME), ""
    return "", _attribute(record, f"{key}_from", event, ValueType.STRING)


def _check_told(record: Record, event: EventType | None, item_from: str) -> None:
    """Refuse items that nobody could be told of: any text, at no place at which the ERP could report it."""
    attributes = event.attributes if event else ()
    has_place = record.has("place") or record.has("place_from")
    if not has_place and any(one.name == item_from and not one.values for one in attributes):
        record.refuse(
            f"`{item_from}` can hold any text, also about a person; give it `values`, or name a place, so that only "
            "what is reported there counts",
            "item_from",
        )


def _attribute(record: Record, key: str, event: EventType | None, wanted: ValueType) -> str:
    """Return the name of an attribute of a type; empty where there is none."""
    if not record.has(key):
        return ""
    attributes: dict[str, Attribute] = {a.name: a for a in event.attributes} if event else {}
    name = record.value(key, Reference(list(attributes), "attribute of the event"), None, "") if event else ""
    if name and attributes[name].type is not wanted:
        record.refuse(f"`{key}` names `{name}`, which is of type {attributes[name].type}; name one of {wanted}", key)
    return name
