"""Templates: texts with slots, and what may stand in a slot. The creepy line runs here: what is inferred or sensitive
may steer what is said, and is never said itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from models.context import ContextSchema, Field, Fold, Source, Told, ValueType

MOST_DECIMALS = 6

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<slot>[^{}]*)\}|[{}]")
_SLOT = re.compile(r"(?P<field>[^:!\s]+)(:\.(?P<decimals>[0-9])f)?")
_FILLED = (ValueType.STRING, ValueType.INT, ValueType.DOUBLE, ValueType.TIMESTAMP)


class BadWords(ValueError):
    """A text that cannot be said: the message says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a text that the value of a field fills; `decimals` is set for numbers with so many of them."""

    field: str
    decimals: int | None = None


def pieces(text: str) -> tuple[str | Slot, ...]:
    """Take a text apart into plain texts and slots. Raises BadWords.

    >>> pieces("Good day {past.name}, {{that}} is {past.due:.2f} €")
    ('Good day ', Slot(field='past.name', decimals=None), ', {that} is ', Slot(field='past.due', decimals=2), ' €')
    """
    found: list[str | Slot] = []
    plain, at = "", 0
    for piece in _PIECE.finditer(text):
        plain, at = plain + text[at : piece.start()], piece.end()
        if piece["slot"] is None:
            plain += _brace(piece[0])
            continue
        found += [plain, _slot(piece["slot"])]
        plain = ""
    return tuple(part for part in (*found, plain + text[at:]) if part != "")


def _brace(piece: str) -> str:
    if len(piece) == 1:
        wanted = f"write `{piece * 2}` for a brace itself, or a slot such as {{past.first_name}}"
        raise BadWords(f"has a single `{piece}`; {wanted}")
    return piece[0]


def _slot(inside: str) -> Slot:
    found = _SLOT.fullmatch(inside)
    if found is None or int(found["decimals"] or 0) > MOST_DECIMALS:
        raise BadWords(
            f"has the slot `{{{inside[:64]}}}`; write a field between the braces, such as {{past.first_name}},"
            f" and for a number of type double its decimals, such as {{past.spend:.2f}}, at most {MOST_DECIMALS}"
        )
    return Slot(found["field"], None if found["decimals"] is None else int(found["decimals"]))


def slots_of(text: str) -> tuple[Slot, ...]:
    """Return the slots of a text. Raises BadWords."""
    return tuple(piece for piece in pieces(text) if isinstance(piece, Slot))


def check_slot(slot: Slot, schema: ContextSchema) -> None:
    """See that the value of a slot may be said, and can be. Raises BadWords."""
    field = schema.fields[schema.index[slot.field]]
    _check_told(field, schema)
    if field.type not in _FILLED:
        raise BadWords(
            f"names `{field.id}` of type {field.type}, which has no words; fill slots from string, int, double or"
            " timestamp, and write another action with an eligibility rule for what depends on it"
        )
    if field.type is ValueType.DOUBLE and slot.decimals is None:
        raise BadWords(f"does not say how many decimals `{field.id}` has; write {{{field.id}:.2f}}")
    if field.type is not ValueType.DOUBLE and slot.decimals is not None:
        raise BadWords(f"gives decimals to `{field.id}` of type {field.type}; write {{{field.id}}}")
    if field.type is ValueType.TIMESTAMP and schema.time_zone is None:
        raise BadWords(
            f"says the date of `{field.id}`, and no document says where the customer is; write the section"
            " `time_zone`, such as time_zone: {field: past.time_zone, default: Europe/Berlin}"
        )


def unspoken(field: Field) -> str:
    """Return why the value of a field is never said, such as `inferred`; empty where it may be said."""
    if field.source is Source.MODEL:
        return Told.INFERRED
    return "" if field.told is Told.EXPECTED else field.told


def told_by(field: Field, schema: ContextSchema) -> tuple[str, str] | None:
    """Return the field that must not be said and that a field would tell, itself or by way of it, and why; or None."""
    return next(((one.id, why) for one in (field, *_behind(field, schema)) if (why := unspoken(one))), None)


def _check_told(field: Field, schema: ContextSchema) -> None:
    """Refuse what the customer does not expect to hear, also where it comes by way of another field."""
    if field.supplied is not None:
        raise BadWords(f"names `{field.id}`, which counts a supply and is about nobody; leave it out")
    name, why = told_by(field, schema) or ("", "")
    if name == field.id:
        raise BadWords(
            f"names `{field.id}`, which is {why}: that may steer what is said, and is never said itself; leave it out"
        )
    if name:
        raise BadWords(f"names `{field.id}`, which tells the same as `{name}`, and that is {why}; leave it out")


def _behind(field: Field, schema: ContextSchema) -> list[Field]:
    """Return the other fields that the words of a field would tell: those of the same facts, and of its clock."""
    found = [other for other in schema.fields if _tells(field.fold, other.fold)]
    zone = schema.time_zone.field if schema.time_zone else ""
    if zone in schema.index and (field.source is Source.CLOCK or field.type is ValueType.TIMESTAMP):
        found.append(schema.fields[schema.index[zone]])
    return found


def _tells(said: Fold | None, kept: Fold | None) -> bool:
    """Tell whether what is said is folded from what is kept: from such events alone, and from the same attribute; or
    from those that end what is kept.
    """
    if said is None or kept is None or not kept.event:
        return False
    if kept.closed_by is not None and said.event == kept.closed_by:
        return True
    if said.event != kept.event or not set(kept.where) <= set(said.where):
        return False
    return kept.attribute is None or kept.attribute in (said.attribute, *(name for name, _ in said.where))
