"""A small demo world, and its pilot as a log in every form that can be read."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

from models.context import ContextSchema, ValueType
from models.decision_table import DECISIONS, NOTHING, decision_schema, feature_column
from models.schema import load_context
from training.asof import Order, features
from training.tables import plain
from training.worlds.demo import MOMENT, World, write_world
from training.worlds.files import moment_ms
from training.worlds.tastes import STRATEGY

_OWN = ("customer_id", "at")


@dataclass(frozen=True, slots=True)
class Pilot:
    """Where the pilot of a small demo world lies: as lines, with what was known at each, and as rows of a table."""

    folder: Path
    rows: tuple[Mapping[str, Any], ...]

    @property
    def decisions(self) -> Path:
        """The decisions in JSON lines."""
        return self.folder / "decisions.jsonl"

    @property
    def events(self) -> Path:
        """The events in JSON lines."""
        return self.folder / "events.jsonl"

    @property
    def known(self) -> Path:
        """What was known at each decision, as `features` tells it."""
        return self.folder / "known.csv"

    @property
    def table(self) -> Path:
        """A log as a folder of parts."""
        return self.folder / "log"

    @property
    def cells(self) -> Path:
        """The same log in one file of CSV."""
        return self.folder / "log.csv"

    @property
    def packed(self) -> Path:
        """The same, packed."""
        return self.folder / "log.csv.gz"


def make_pilot(folder: Path, customers: int = 30, cells: bool = True) -> Pilot:
    """Write the pilot of a demo world in every form; those of CSV only where they are wanted."""
    write_world(World(customers, 1, moment_ms(MOMENT), STRATEGY), folder)
    features(
        Order(STRATEGY, folder / "events.jsonl", folder / "decisions.jsonl", folder / "known.csv"),
        Progress(disable=True),
    )
    schema = load_context(STRATEGY)
    rows = tuple(_rows(folder, schema))
    pilot = Pilot(folder, rows)
    write_table(pilot.table, rows, schema)
    if not cells:
        return pilot
    write_cells(pilot.cells, rows, schema)
    pilot.packed.write_bytes(gzip.compress(pilot.cells.read_bytes()))
    return pilot


def _rows(folder: Path, schema: ContextSchema) -> list[dict[str, Any]]:
    decided = [json.loads(line) for line in (folder / "decisions.jsonl").read_text("utf-8").splitlines()]
    with (folder / "known.csv").open(encoding="utf-8", newline="") as cells:
        known = list(csv.DictReader(cells))
    made = []
    for one, told in zip(decided, known, strict=True):
        values = {
            feature_column(name): plain(cell, schema.fields[schema.index[name]].type)
            for name, cell in told.items()
            if name not in _OWN and cell
        }
        accepted = one["outcomes"].get(one["action"], 0)
        outcomes = [{"action": one["action"], "kind": "accepted", "at": one["at"], "amount": one["amount"]}]
        head = {name: one[name] for name in ("decision_id", "customer_id", "at", "channel", "action", "probability")}
        made.append({**head, "level": "full", **values, "outcomes": outcomes if accepted else []})
    return made


def table_schema(schema: ContextSchema) -> pa.Schema:
    """Return the columns of a log of the demo strategy."""
    return decision_schema({field.id: field.type for field in schema.fields})


def write_table(folder: Path, rows: tuple[Mapping[str, Any], ...], schema: ContextSchema) -> None:
    """Write rows as two parts of a log."""
    folder.mkdir()
    half = len(rows) // 2
    for place, part in enumerate((rows[:half], rows[half:])):
        wanted = table_schema(schema)
        arrays = [_array([row.get(name) for row in part], wanted.field(name).type) for name in wanted.names]
        pq.write_table(pa.Table.from_arrays(arrays, schema=wanted), folder / f"{DECISIONS}{place}.parquet")


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array([None if value is None else _ms(value) for value in values], pa.int64()).cast(kind)
    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        values = [[{**one, "at": _ms(one["at"])} if "at" in one else one for one in cell or ()] for cell in values]
    return pa.array(values, kind)


def _ms(value: object) -> int:
    return moment_ms(value) if isinstance(value, str) else int(str(value))


def write_cells(path: Path, rows: tuple[Mapping[str, Any], ...], schema: ContextSchema) -> None:
    """Write rows as one file of CSV."""
    kinds = {feature_column(field.id): field.type for field in schema.fields}
    names = [name for name in table_schema(schema).names if any(name in row for row in rows)]
    text = io.StringIO()
    out = csv.DictWriter(text, names, restval="")
    out.writeheader()
    for row in rows:
        out.writerow({name: _cell(value, kinds.get(name)) for name, value in row.items()})
    path.write_text(text.getvalue(), "utf-8")


def _cell(value: object, kind: ValueType | None) -> object:
    if isinstance(value, list | tuple):
        return json.dumps(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is ValueType.TIMESTAMP and not isinstance(value, str):
        from training.worlds.files import rfc3339

        return rfc3339(int(str(value)))
    return value


__all__ = ["NOTHING", "Pilot", "make_pilot", "table_schema", "write_cells", "write_table"]
