"""How a customer's context becomes the numbers that a model sees; training and serving call the same code."""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

from .clock import BUILT_IN, NO_CLOCK
from .context import ContextSchema, Field, Source, ValueType

LIMIT = 1e12
"""A number beyond this counts as unknown: no real quantity is so large, and its product with a weight stays finite."""

_ENCODING = 1  # raise it whenever the same declarations give other columns
_DAY_MS = 86_400_000

Row: TypeAlias = npt.NDArray[np.float64]
_Pairs: TypeAlias = tuple[tuple[int, int], ...]


class FeatureRefused(ValueError):
    """A field cannot be a feature; the message names the field and says what would be right."""


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSpace:
    """The columns that models see, in order, and how a context is written into them.

    Every field ends in a column that is 1 where the field is unknown. Before it stand: for a number or a truth its
    value, for a text one column a declared value, for a moment in time its age in days. `hash` tells whether a model
    was made for the same columns with the same meaning: it covers types, declared values, folds and maximum ages.

    >>> from models.context import Attribute, ContextSchema, Field, Purpose, ValueType
    >>> def declared(name, type, values=()):
    ...     bounds = Attribute(name, type, values=values)
    ...     return Field(name, type, Purpose.SERVICE, "", None, None, bounds, 0)
    >>> fields = declared("present.visits", ValueType.INT), declared("past.tier", ValueType.STRING, ("basic", "gold"))
    >>> space = FeatureSpace.of(ContextSchema.of((), fields), ("past.tier", "present.visits"))
    >>> space.columns
    ('past.tier=basic', 'past.tier=gold', 'past.tier?', 'present.visits', 'present.visits?')
    >>> space.encode((3, "gold"), now_ms=0).tolist()
    [0.0, 1.0, 0.0, 3.0, 0.0]
    >>> space.encode((None, None), now_ms=0).tolist()
    [0.0, 0.0, 1.0, 0.0, 1.0]
    """

    features: tuple[str, ...]
    columns: tuple[str, ...]
    hash: str
    _numbers: tuple[tuple[int, int], ...]
    _moments: tuple[tuple[int, int], ...]
    _texts: tuple[tuple[int, int, Mapping[object, int]], ...]
    _blank: array[float]

    @classmethod
    def of(cls, schema: ContextSchema, feature_ids: Sequence[str]) -> FeatureSpace:
        """Lay out the columns of these fields in this order; raise `FeatureRefused` for a field that cannot be one."""
        fields = tuple(_feature(schema, feature_id) for feature_id in feature_ids)
        if len({field.id for field in fields}) < len(fields):
            raise FeatureRefused(f"the features name a field twice: {', '.join(feature_ids)}")
        numbers: list[tuple[int, int]] = []
        moments: list[tuple[int, int]] = []
        texts: list[tuple[int, int, Mapping[object, int]]] = []
        columns: list[str] = []
        for field in fields:
            index, first = schema.index[field.id], len(columns)
            columns += _columns(field)
            if field.type is ValueType.STRING:
                texts.append((index, len(columns) - 1, {v: first + i for i, v in enumerate(field.bounds.values)}))
            else:
                (moments if field.type is ValueType.TIMESTAMP else numbers).append((index, first))
        blank = array("d", bytes(8 * len(columns)))
        meaning = _hash(schema, fields)
        return cls(tuple(feature_ids), tuple(columns), meaning, tuple(numbers), tuple(moments), tuple(texts), blank)

    @property
    def layout(self) -> tuple[_Pairs, _Pairs, tuple[tuple[int, int, Mapping[object, int]], ...]]:
        """The indexes of the numbers and of the moments in time with their first columns, and those of the texts with
        the column of the unknown and the columns of their values.
        """
        return self._numbers, self._moments, self._texts

    def encode(self, values: Sequence[object], now_ms: int) -> Row:
        """Write a context into a new row of shape (columns,).

        `values` holds one value a field of the schema, in the schema's order; None is unknown. A text outside the
        declared values and a number beyond `LIMIT` count as unknown.
        """
        row = self._blank[:]
        numbers = cast("Sequence[float | None]", values)
        low, high = -LIMIT, LIMIT
        for index, column in self._numbers:
            number = numbers[index]
            if number is not None and low < number < high:
                row[column] = number
            else:
                row[column + 1] = 1.0
        for index, column in self._moments:
            moment = numbers[index]
            if moment is not None and low < (days := (now_ms - moment) / _DAY_MS) < high:
                row[column] = days
            else:
                row[column + 1] = 1.0
        for index, unknown, places in self._texts:
            row[places.get(values[index], unknown)] = 1.0
        return np.frombuffer(row)


def _feature(schema: ContextSchema, feature_id: str) -> Field:
    position = schema.index.get(feature_id)
    if position is None:
        wrong = NO_CLOCK if feature_id in BUILT_IN else "is not a declared field; declare it or take it out"
        raise FeatureRefused(f"feature {feature_id!r} {wrong}")
    field = schema.fields[position]
    if field.type is ValueType.STRINGS:
        raise FeatureRefused(f"feature {feature_id!r} is a list of texts, which models cannot see; take it out")
    if field.type is ValueType.STRING and not field.bounds.values:
        raise FeatureRefused(f"feature {feature_id!r} is a text without declared values; add `values: [...]` to it")
    return field


def _columns(field: Field) -> tuple[str, ...]:
    known: tuple[str, ...] = (field.id,)
    if field.type is ValueType.STRING:
        known = tuple(f"{field.id}={value}" for value in field.bounds.values)
    elif field.type is ValueType.TIMESTAMP:
        known = (f"{field.id}:days",)
    return (*known, f"{field.id}?")


def _meaning(field: Field) -> list[object]:
    return [field.id, field.type, field.bounds.values, field.max_age_ms, field.fold and asdict(field.fold)]


def _hash(schema: ContextSchema, fields: tuple[Field, ...]) -> str:
    meaning = [_meaning(field) for field in fields]
    if schema.time_zone and any(field.source is Source.CLOCK for field in fields):
        zone = schema.index.get(schema.time_zone.field)
        meaning.append([schema.time_zone.default, None if zone is None else _meaning(schema.fields[zone])])
    return sha256(json.dumps([_ENCODING, meaning], sort_keys=True).encode()).hexdigest()
