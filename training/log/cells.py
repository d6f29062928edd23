"""Tables in CSV: the same columns as in Parquet, lists as JSON, moments as RFC 3339, an empty cell for null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from models.context import Attribute, ContextSchema, Scalar, ValueType
from training.errors import InputRefused
from training.progress import unseen
from training.rows import lines_of
from training.tables import cells_of, plain, whole
from training.values import Misfit, moment_ms, typed

from .reading import Batch, Outcome, Usable, Wanted, came, decided, refuse_missing
from .rows import Decided

_ROWS = 4_096
_Cells = Mapping[str, str]


def csv_columns(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns."""
    import csv

    number, line = next(lines_of(path, unseen), (1, b""))
    try:
        return tuple(next(csv.reader([line.decode("utf-8-sig")]), []))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputRefused([f"{path.name}:{number}: this is no CSV in UTF-8 ({error})"]) from None


def csv_decisions(path: Path, schema: ContextSchema, wanted: Wanted) -> Iterator[Batch]:
    """See `read_table`."""
    refuse_missing(path.name, csv_columns(path))
    usable = Usable(path.name)
    rows = (usable.made(number, _decided, cells, wanted) for number, cells in _rows(path))
    while batch := tuple(islice((row for row in rows if isinstance(row, Decided)), _ROWS)):
        yield batch
    usable.end()


def csv_outcomes(path: Path) -> Iterator[tuple[Outcome, ...]]:
    """See `read_outcomes`."""
    usable = Usable(path.name)
    rows = (usable.made(number, _outcome, cells) for number, cells in _rows(path))
    while batch := tuple(islice((row for row in rows if row), _ROWS)):
        yield batch
    usable.end()


def _rows(path: Path) -> Iterator[tuple[int, _Cells | Misfit]]:
    return cells_of(path.name, lines_of(path, unseen))


def _decided(cells: _Cells | Misfit, wanted: Wanted) -> Decided:
    if isinstance(cells, Misfit):
        raise cells
    told = {index: _value(cells.get(column, ""), column, kind) for column, index, kind in wanted.fields}
    named: dict[str, Any] = {**cells, "at": _moment("at", cells.get("at", "")), "probability": _number(cells)}
    for column in ("allowed", "outcomes"):
        named[column] = _json(column, cells[column]) if column in cells else None
    return decided(named, told)


def _outcome(cells: _Cells | Misfit) -> Outcome:
    if isinstance(cells, Misfit):
        raise cells
    amount = plain(cells["amount"], ValueType.DOUBLE) if "amount" in cells else None
    at = _moment("at", cells["at"]) if "at" in cells else None
    if "decision_id" not in cells:
        raise Misfit("decision_id is empty, or no text")
    return cells["decision_id"], came({**cells, "at": at, "amount": amount})


def _value(cell: str, column: str, kind: ValueType) -> Scalar | None:
    if not cell:
        return None
    try:
        return typed(plain(cell, kind), Attribute(column, kind))
    except Misfit as misfit:
        raise Misfit(f"{column!r}: {misfit}") from None


def _number(cells: _Cells) -> object:
    return plain(cells.get("probability", ""), ValueType.DOUBLE)


def _moment(name: str, cell: str) -> int:
    try:
        return moment_ms(whole(cell))
    except Misfit as misfit:
        raise Misfit(f"{name}: {misfit}") from None


def _json(column: str, cell: str) -> object:
    try:
        return msgspec.json.decode(cell)
    except msgspec.DecodeError:
        raise Misfit(f"`{column}` is no JSON; write a list") from None
