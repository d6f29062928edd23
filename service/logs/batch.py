"""Rows of one table, written as Parquet or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from models.context import ValueType
from models.decision_table import (
    COLUMNS,
    DECISIONS,
    KINDS,
    OUTCOME_ROW,
    OUTCOMES,
    PARTS,
    Kind,
    decision_schema,
    feature_of,
    outcome_schema,
)

Row: TypeAlias = dict[str, Any]
"""A row by column; moments are milliseconds since 1970, features stand under their column's name."""

Types: TypeAlias = Mapping[str, ValueType]
"""The fields of rows and their types."""


@dataclass(slots=True)
class Batch:
    """Rows of decisions with these fields, or of outcomes."""

    prefix: str
    fields: dict[str, ValueType] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the rows."""
        return decision_schema(self.fields) if self.prefix == DECISIONS else outcome_schema()

    def takes(self, fields: Types) -> bool:
        """Tell whether rows of these fields fit: none of them has another type here."""
        return all(self.fields.get(name, kind) is kind for name, kind in fields.items())

    def table(self) -> pa.Table:
        """Return the rows as a table; raise `pyarrow.ArrowInvalid` or `ArrowTypeError` where a value does not fit."""
        schema = self.schema
        return pa.table({name: [row.get(name) for row in self.rows] for name in schema.names}, schema=schema)

    def write(self, file: BinaryIO, form: str) -> None:
        """Write the rows as `parquet` or `csv`."""
        if form == "parquet":
            pq.write_table(self.table(), file, compression="zstd")
        else:
            file.write(_csv(self))


@dataclass(slots=True)
class Batches:
    """Rows that wait to be written, in as few parts as their types allow."""

    decisions: list[Batch] = field(default_factory=list)
    outcomes: Batch = field(default_factory=lambda: Batch(OUTCOMES))
    size: int = 0

    def decided(self, row: Row, fields: Types) -> None:
        """Take a row of a decision whose features have these types."""
        self.into(fields).rows.append(row)
        self.size += 1

    def into(self, fields: Types) -> Batch:
        """Return the batch for rows with these fields."""
        for batch in self.decisions:
            if batch.takes(fields):
                break
        else:
            batch = Batch(DECISIONS)
            self.decisions.append(batch)
        batch.fields.update(fields)
        return batch

    def came(self, row: Row) -> None:
        """Take a row of an outcome."""
        self.outcomes.rows.append(row)
        self.size += 1

    def ready(self) -> list[Batch]:
        """Return the batches that hold something."""
        return [batch for batch in (*self.decisions, self.outcomes) if batch.rows]


def moment_text(ms: int) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds."""
    seconds, rest = divmod(ms, 1000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _csv(batch: Batch) -> bytes:
    names = batch.schema.names
    cells = [_cell_of(name, batch) for name in names]
    text = io.StringIO(newline="")
    written = csv.writer(text, lineterminator="\n")
    written.writerow(names)
    for row in batch.rows:
        values = [row.get(name) for name in names]
        written.writerow(["" if v is None else cell(v) for v, cell in zip(values, cells, strict=True)])
    return text.getvalue().encode()


def _cell_of(name: str, batch: Batch) -> Callable[[Any], str]:
    field = feature_of(name)
    return _CELLS.get(KINDS[batch.fields[field]] if field is not None else _KINDS[name], _json)


def _json(value: Any) -> str:  # noqa: ANN401 - a list or a struct
    return json.dumps(_worded(value), ensure_ascii=False, separators=(",", ":"))


def _worded(value: Any) -> Any:  # noqa: ANN401 - a part of one
    """Return a part of a cell with its moments as texts."""
    if isinstance(value, list):
        return [_worded(item) for item in value]
    if isinstance(value, dict):
        return {name: _moments(part) if name in _MOMENTS else _worded(part) for name, part in value.items()}
    return value


def _moments(part: Any) -> Any:  # noqa: ANN401 - one moment, several, or none
    """Return moments as texts."""
    if isinstance(part, list):
        return [_moments(one) for one in part]
    return None if part is None else moment_text(part)


_MOMENTS = {one.name for parts in PARTS.values() for one in parts if one.kind in (Kind.MOMENT, Kind.MOMENTS)}


_KINDS = {column.name: column.kind for column in (*COLUMNS, *OUTCOME_ROW)}
_CELLS: Mapping[Kind, Callable[[Any], str]] = {
    Kind.TEXT: str,
    Kind.REAL: lambda value: repr(float(value)),
    Kind.WHOLE: str,
    Kind.TRUTH: lambda value: "true" if value else "false",
    Kind.MOMENT: moment_text,
}
