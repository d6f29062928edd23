"""Read logged decisions back as requests: who was asked about, where, and what was known then.

A log is a folder of parts (`decisions-*.parquet` or `.csv`, also `.csv.gz`) or one such file, as docs/log.md describes
it. pyarrow is imported here only when a log is read: what serves never does.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from models.context import ContextSchema, Scalar, ValueType
from models.decision_table import DECISIONS, FEATURE, KINDS, Kind, arrow_type, feature_column, readable
from service.core.strategy import Strategy
from service.evaluating.cells import LogRefused, Unreadable, opened, parts, texts, whole_moment, written
from service.evaluating.lines import lines_of

ENDS = (".parquet", ".csv", ".csv.gz")
_NEEDED = ("decision_id", "at", "customer_id", "action")
_OWN = (*_NEEDED, "placement", "channel", "level", "allowed")
_BATCH = 4_096


class Row(Struct, frozen=True):
    """One placement of one logged decision; `placement` is what the log names, and `asked` where the arms are asked:
    both may be empty, and then it may be any placement of the channel.

    `values` holds what was known, by the field's index in the schema; `allowed` what the log might have said,
    None where it does not tell.
    """

    decision_id: str
    placement: str
    channel: str
    customer: str
    level: str
    at_ms: int
    action: str
    values: Mapping[int, Scalar]
    allowed: tuple[str, ...] | None = None
    asked: str = ""


Batches = Iterator[list[Mapping[str, Any]]]


class Log(Protocol):
    """Where logged decisions lie."""

    def count(self) -> int:
        """Return about how many rows there are, for a progress bar."""

    def read(self, kinds: Mapping[str, ValueType]) -> Iterator[tuple[str, Batches]]:
        """Yield the name of each file and its rows in batches, by column; `kinds` types the columns of fields.

        Raises `LogRefused` where it cannot be read.
        """


class Reader:
    """Reads the rows of a log under one strategy; fields that the strategy lacks are passed over.

    `placement` is where it was asked in rows that do not tell.
    """

    def __init__(self, strategy: Strategy, placement: str = "") -> None:
        self._placement = placement
        self.left_out = 0
        """How many of the rows that were read did not name their placement."""
        self._strategy = strategy
        self._schema = strategy.schema
        self._levels = {level.id for level in strategy.levels}
        self._fullest = max(strategy.levels, key=lambda level: len(level.purposes)).id
        self._places = {channel.id: channel.placements for channel in strategy.channels}

    def rows(self, log: Log) -> Iterator[tuple[Row, ...]]:
        """Yield the rows of a log in their order, in batches."""
        for name, batches in log.read(_kinds(self._schema)):
            number = 1
            for cells in batches:
                yield tuple(self._row(name, number + place, one) for place, one in enumerate(cells))
                number += len(cells)

    def _row(self, name: str, number: int, cells: Mapping[str, Any]) -> Row:
        own: dict[str, Any] = {column: cells.get(column) for column in _OWN}
        see_needed(f"{name}:{number}", cells)
        self.left_out += not own["placement"]
        channel, asked = self._place(own["channel"], own["placement"] or self._placement, f"{name}:{number}")
        level = own["level"] if own["level"] in self._levels else self._fullest
        index = self._schema.index
        known = {i: v for field, i in index.items() if (v := cells.get(feature_column(field))) is not None}
        return Row(
            decision_id=own["decision_id"],
            placement=own["placement"] or "",
            channel=channel,
            customer=own["customer_id"],
            level=level,
            at_ms=cells["at"],
            action=own["action"],
            values=known,
            allowed=None if own["allowed"] is None else tuple(own["allowed"]),
            asked=asked,
        )

    def _place(self, channel: object, placement: object, where: str) -> tuple[str, str]:
        """Return where it was asked; a channel that a log leaves out must be the only one that the strategy has."""
        if not channel and len(self._places) == 1:
            channel = next(iter(self._places))
        if not isinstance(channel, str) or channel not in self._places:
            raise LogRefused(f"{where}: the channel is {channel!r}; the strategy has {', '.join(self._places)}")
        placements = self._places[channel]
        if placement and placement not in placements:
            raise LogRefused(f"{where}: the placement is {placement!r}; {channel} has {', '.join(placements)}")
        return channel, str(placement or "")


def see_needed(where: str, cells: Mapping[str, Any]) -> None:
    """Raise `LogRefused` for a row that lacks what every row needs; `where` says which it is."""
    for column in ("decision_id", "customer_id", "action"):
        if not isinstance(cells.get(column), str) or not cells[column]:
            raise LogRefused(f"{where}: `{column}` is empty, or no text")
    if not isinstance(cells.get("at"), int):
        raise LogRefused(f"{where}: `at` is no moment with a time zone")


@dataclass(frozen=True, slots=True)
class TableLog:
    """A log as a table of these files; `also` names further columns that are read, lists and structs of texts."""

    files: tuple[Path, ...]
    also: tuple[str, ...] = ()

    def count(self) -> int:
        """See `Log`."""
        return sum(_parquet(f).metadata.num_rows if f.suffix == ".parquet" else _lines_in(f) for f in self.files)

    def read(self, kinds: Mapping[str, ValueType]) -> Iterator[tuple[str, Batches]]:
        """See `Log`."""
        for file in self.files:
            yield file.name, _batches(file, kinds, self.also)

    def otherwise(self, kinds: Mapping[str, ValueType]) -> tuple[str, ...]:
        """Return the columns of fields that the log has in another type, which cannot be read as the one wanted."""
        parquet = [_parquet(file).schema_arrow for file in self.files if file.suffix == ".parquet"]
        told = {(name, table.field(name).type) for table in parquet for name in table.names if name in kinds}
        return tuple(sorted({name for name, kind in told if not _readable_as(kind, kinds[name])}))


@dataclass(frozen=True, slots=True)
class LinesLog:
    """A log as decisions in JSON lines, and the table of what was known at each of them."""

    decisions: Path
    known: Path

    def count(self) -> int:
        """See `Log`."""
        return _lines_in(self.decisions)

    def read(self, kinds: Mapping[str, ValueType]) -> Iterator[tuple[str, Batches]]:
        """See `Log`."""
        yield self.decisions.name, lines_of(self.decisions, self.known, kinds)


def files_of(log: Path) -> tuple[Path, ...]:
    """Return the files with decisions of a log; raise `LogRefused` where there are none."""
    if log.is_dir():
        found = tuple(sorted(f for f in log.iterdir() if f.name.startswith(DECISIONS) and f.name.endswith(ENDS)))
        if not found:
            raise LogRefused(f"{log} holds no {DECISIONS}*.parquet; name the folder that `tact log export` wrote")
        return found
    if not log.is_file() or not log.name.endswith(ENDS):
        raise LogRefused(f"{log} is no folder of a log and no file in {', '.join(ENDS)}")
    return (log,)


def _lines_in(file: Path) -> int:
    with opened(file) as lines:
        return sum(1 for _ in lines)


def _kinds(schema: ContextSchema) -> dict[str, ValueType]:
    return {feature_column(field.id): field.type for field in schema.fields}


def _columns(file: Path) -> tuple[str, ...]:
    if file.suffix == ".parquet":
        return tuple(_parquet(file).schema_arrow.names)
    with opened(file) as lines:
        return tuple(next(csv.reader(lines), ()))


def _readable_as(told: Any, wanted: ValueType) -> bool:  # noqa: ANN401  pyarrow has no types
    """Tell whether a column of one type holds values of another: whole numbers are numbers, too."""
    import pyarrow as pa

    if wanted is ValueType.TIMESTAMP:
        return bool(pa.types.is_timestamp(told))
    return bool(told == arrow_type(KINDS[wanted]) or (wanted is ValueType.DOUBLE and told == arrow_type(Kind.WHOLE)))


def _batches(file: Path, kinds: Mapping[str, ValueType], also: tuple[str, ...]) -> Iterator[list[Mapping[str, Any]]]:
    there = _columns(file)
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        raise LogRefused(f"{file.name}: the log has no column {missing[0]!r}, which every row needs")
    told = [name for name in there if name.startswith(FEATURE)]
    if told and not any(name in kinds for name in told):
        raise LogRefused(
            f"{file.name}: this is the log of another strategy: none of its {len(told)} feature columns, such as "
            f"{told[0]}, is a field of this one; name its own with --strategy"
        )
    wanted = [name for name in there if name in _OWN or name in kinds or name in also]
    yield from (_of_parquet if file.suffix == ".parquet" else _of_csv)(file, wanted, kinds)


def _parquet(file: Path) -> Any:  # noqa: ANN401  pyarrow has no types
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise LogRefused(f"{file.name}: this is no Parquet file ({error})") from None
    if not readable(opened.schema_arrow.metadata):
        raise LogRefused(f"{file.name}: a newer Tact wrote this log; read it with that one")
    return opened


def _of_parquet(file: Path, wanted: list[str], kinds: Mapping[str, ValueType]) -> Iterator[list[Mapping[str, Any]]]:
    import pyarrow as pa

    try:
        for batch in _parquet(file).iter_batches(batch_size=_BATCH, columns=wanted, use_threads=False):
            columns = {name: _told(batch.column(name), kinds.get(name)) for name in wanted}
            yield [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    except (pa.ArrowException, OSError) as error:
        raise LogRefused(f"{file.name}: the file is damaged ({error})") from None


def _told(column: Any, kind: ValueType | None) -> list[Any]:  # noqa: ANN401  pyarrow has no types
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        if column.type.tz is None:
            return [None] * len(column)
        column = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
    values = column.to_pylist()
    as_known: Callable[[Any], Scalar | None] | None = _AS_KNOWN.get(kind) if kind else None
    return [None if value is None else as_known(value) for value in values] if as_known else values


def _of_csv(file: Path, wanted: list[str], kinds: Mapping[str, ValueType]) -> Iterator[list[Mapping[str, Any]]]:
    made: list[Mapping[str, Any]] = []
    with opened(file) as lines:
        rows = csv.reader(lines)
        head = next(rows, [])
        places = {name: head.index(name) for name in wanted}
        for number, row in enumerate(rows, 1):
            if len(row) != len(head):
                raise LogRefused(f"{file.name}:{number}: the row has {len(row)} cells, and the head has {len(head)}")
            made.append({name: _cell(file, number, name, row[place], kinds) for name, place in places.items()})
            if len(made) == _BATCH:
                yield made
                made = []
    if made:
        yield made


def _cell(file: Path, number: int, name: str, cell: str, kinds: Mapping[str, ValueType]) -> object:
    if not cell:
        return None
    try:
        if name == "at":
            return whole_moment(cell)
        if name == "allowed":
            return texts(cell)
        if name == "seen":
            return parts(cell)
        return written(cell, kinds[name]) if name in kinds else cell
    except Unreadable as wrong:
        raise LogRefused(f"{file.name}:{number}: `{name}` {wrong}") from None


_AS_KNOWN: Mapping[ValueType, Callable[[Any], Scalar | None]] = {
    ValueType.DOUBLE: lambda value: None if value != value else float(value),
    ValueType.INT: lambda value: None if value != value else int(value),
    ValueType.STRINGS: tuple,
}
