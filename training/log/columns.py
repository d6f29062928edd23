"""Tables in Parquet, read a batch at a time: only the wanted columns, each checked against the type it should have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.context import ContextSchema, Scalar, ValueType
from models.decision_table import readable
from training.errors import InputRefused
from training.values import Misfit

from .reading import Batch, Outcome, Usable, Wanted, came, decided, refuse_missing
from .rows import Decided

_ROWS = 1_024
_BUFFER = 65_536
_OWN = ("decision_id", "placement", "at", "customer_id", "action", "probability", "allowed", "outcomes")
_OUTCOME = ("decision_id", "action", "kind", "at", "amount")
_BROKEN = (pa.ArrowException, OSError)


def parquet_columns(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns."""
    return tuple(_opened(path).schema_arrow.names)


def parquet_rows(path: Path) -> int:
    """Return how many rows a file has."""
    return int(_opened(path).metadata.num_rows)


def parquet_decisions(path: Path, schema: ContextSchema, wanted: Wanted) -> Iterator[Batch]:
    """See `read_table`."""
    opened, usable = _opened(path), Usable(path.name)
    there = opened.schema_arrow.names
    refuse_missing(path.name, there)
    _check_moments(path.name, opened.schema_arrow)
    for column, _, kind in wanted.fields:
        _check_type(path.name, column, opened.schema_arrow.field(column).type, kind)
    own = [name for name in _OWN if name in there]
    names = [*own, *(column for column, _, _ in wanted.fields)]
    start = 0
    for batch in _batches(opened, path, names):
        yield _decisions(batch, own, wanted, usable, start)
        start += batch.num_rows
    usable.end()


def parquet_outcomes(path: Path) -> Iterator[tuple[Outcome, ...]]:
    """See `read_outcomes`."""
    opened, usable = _opened(path), Usable(path.name)
    missing = [name for name in _OUTCOME if name not in opened.schema_arrow.names]
    if missing:
        raise InputRefused([f"{path.name}: the outcomes have no column {missing[0]!r}"])
    _check_moments(path.name, opened.schema_arrow)
    start = 0
    for batch in _batches(opened, path, list(_OUTCOME)):
        cells = [_plain(batch.column(place)) for place in range(len(_OUTCOME))]
        rows = (dict(zip(_OUTCOME, row, strict=True)) for row in zip(*cells, strict=True))
        made = [usable.made(start + n, _outcome, row) for n, row in enumerate(rows, 1)]
        yield tuple(row for row in made if row)
        start += batch.num_rows
    usable.end()


def _outcome(row: dict[str, Any]) -> Outcome:
    if not isinstance(row["decision_id"], str):
        raise Misfit("decision_id is empty, or no text")
    return row["decision_id"], came(row)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        opened = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)  # else a whole file is held
    except _BROKEN as error:
        raise InputRefused([f"{path.name}: this is no Parquet file ({error})"]) from None
    if not readable(opened.schema_arrow.metadata):
        raise InputRefused([f"{path.name}: a newer Tact wrote this table; read it with that one"])
    return opened


def _batches(opened: pq.ParquetFile, path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    try:
        for batch in opened.iter_batches(batch_size=_ROWS, columns=names, use_threads=False):
            yield batch.select(names)
    except _BROKEN as error:
        raise InputRefused([f"{path.name}: the file is damaged ({error})"]) from None


def _decisions(batch: pa.RecordBatch, own: list[str], wanted: Wanted, usable: Usable, start: int) -> Batch:
    cells = [_plain(batch.column(place)) for place in range(len(own))]
    told = [_values(batch.column(len(own) + n)) for n in range(len(wanted.fields))]
    indexes = [index for _, index, _ in wanted.fields]
    known: Iterator[tuple[Scalar | None, ...]] = zip(*told, strict=True) if told else iter([()] * batch.num_rows)
    made = []
    for number, (row, values) in enumerate(zip(zip(*cells, strict=True), known, strict=True), start + 1):
        named, by_field = dict(zip(own, row, strict=True)), dict(zip(indexes, values, strict=True))
        made.append(usable.made(number, decided, named, by_field))
    return tuple(one for one in made if isinstance(one, Decided))


# -------------------------------------------------------------------------------------------------------------- values


def _plain(column: pa.Array) -> list[Any]:
    """Return the values of a column as JSON would hold them, moments as milliseconds."""
    return _lists(column) if _is_list(column.type) else list(_moments(column).to_pylist())


def _moments(column: pa.Array) -> pa.Array:
    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())


def _lists(column: pa.Array) -> list[Any]:
    """Return lists, of which those of structs have moments inside."""
    inner = column.values
    if not pa.types.is_struct(inner.type):
        return list(column.to_pylist())
    parts = {inner.type.field(n).name: _plain(inner.field(n)) for n in range(inner.type.num_fields)}
    dicts = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    edges = column.offsets.to_pylist()
    return [
        None if null else dicts[low:high]
        for low, high, null in zip(edges, edges[1:], column.is_null().to_pylist(), strict=False)
    ]


def _values(column: pa.Array) -> list[Scalar | None]:
    """Return the values of a feature. Numbers may stay of another width, and NaN: they are encoded alike."""
    return list(_moments(column).to_pylist())


def _is_list(found: pa.DataType) -> bool:
    return bool(pa.types.is_list(found) or pa.types.is_large_list(found))


def _is_number(found: pa.DataType) -> bool:
    return bool(pa.types.is_integer(found) or pa.types.is_floating(found))  # whole ones are floats where some lack


def _is_text(found: pa.DataType) -> bool:
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_dictionary(found))


def _is_moment(found: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(found) or pa.types.is_integer(found))


_FITS: dict[ValueType, Callable[[pa.DataType], bool]] = {
    ValueType.BOOL: pa.types.is_boolean,
    ValueType.INT: _is_number,
    ValueType.DOUBLE: _is_number,
    ValueType.STRING: _is_text,
    ValueType.TIMESTAMP: _is_moment,
    ValueType.STRINGS: _is_list,  # no feature, for now
}


def _check_moments(name: str, schema: pa.Schema) -> None:
    for column in schema:
        if pa.types.is_timestamp(column.type) and column.type.tz is None:
            raise InputRefused([f"{name}: the moments in {column.name!r} name no time zone; write timestamps in UTC"])


def _check_type(name: str, column: str, found: pa.DataType, kind: ValueType) -> None:
    if pa.types.is_null(found):
        return
    if not _FITS[kind](found):
        raise InputRefused([f"{name}: the column {column!r} is of type {found}, and the strategy says {kind}"])
