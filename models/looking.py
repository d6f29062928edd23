"""Where the fields of a schema stand in what is kept of a customer, and how each of them is read."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from models import folds
from models.context import ContextSchema, Field, Fold, Purpose, ValueType


@dataclass(frozen=True, slots=True)
class Looked:
    """One field: its key in the groups, its index in the schema, and how what is kept of it is read.

    `plain` is the type that is the value as it is kept, unset where `look` must be asked; beyond `longest_ms` since its
    date a value is unknown.
    """

    key: int
    index: int
    kind: ValueType
    fold: Fold
    plain: type[object] | None
    longest_ms: float
    look: folds.Look


def looked_at(schema: ContextSchema, purpose: Purpose) -> tuple[Looked, ...]:
    """Return each field that is kept for a purpose; what else stands under its key is not the field's."""
    return tuple(
        Looked(field.key, index, field.type, field.fold, folds.kept_as(field), _longest_ms(field), folds.look(field))
        for index, field in enumerate(schema.fields)
        if field.fold is not None and field.purpose is purpose
    )


def _longest_ms(field: Field) -> float:
    return inf if field.max_age_ms is None else field.max_age_ms
