"""Read which item a field of `source: supply` is about, and where; and check that its place can be known."""

from __future__ import annotations

from collections.abc import Container, Mapping

from models.context import Field, Purpose, Source, Supplied, ValueType
from models.records import Record
from models.shapes import Text

SUPPLY_NAME = Text("write a name of 1 to 64 characters, such as truck", longest=64)
PRESENT = "present."


def read_supplied(record: Record, field_id: str, kind: ValueType | None, purpose: Purpose | None) -> Supplied:
    """Return the item and the place of a field that says how much there is of it."""
    item = record.text("item", None, SUPPLY_NAME)
    place, place_from = "", ""
    if record.has("place") == record.has("place_from"):
        record.refuse("write either `place`, a name, or `place_from`, the field that holds it", "place")
    elif record.has("place"):
        place = record.text("place", None, SUPPLY_NAME)
    else:
        place_from = record.text("place_from")
    for bound in ("low", "high"):
        if record.has(bound):
            record.refuse(f"`{bound}` checks values that come with a request; remove it", bound)
    if kind and kind is not ValueType.INT:
        record.refuse(f"what there is of an item is a whole number, and the field is of type {kind}; write `type: int`")
    if purpose and purpose is not Purpose.SERVICE:
        record.refuse("what there is of an item is about nobody; write `purpose: service`", "purpose")
    if field_id and not field_id.startswith(PRESENT):
        record.refuse(f"what there is of an item is present; write `{PRESENT}{field_id.partition('.')[2]}`", "id")
    return Supplied(item, place, place_from)


def check_places(fields: Mapping[str, Field], unread: Container[str], records: Mapping[str, Record]) -> None:
    """Refuse each supply field whose place is a field that is no text, or none at all."""
    for field in fields.values():
        name = field.supplied.place_from if field.supplied else ""
        if not name or name in unread:
            continue
        holder = fields.get(name)
        if holder is None:
            records[field.id].refuse(f"`place_from` names `{name}`, which is no field; declare it", "place_from")
        elif holder.type is not ValueType.STRING or holder.source is Source.CLOCK:
            records[field.id].refuse(f"`place_from` names `{name}`, which is no text; name one that is", "place_from")
