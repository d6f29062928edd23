"""Rows of files that others wrote, CSV (plain or gzip) or Parquet, without holding them in memory."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 10_000
LONGEST_CELL = 1_000_000


class SourceRefused(Exception):
    """A file cannot be read: the message names it, the line, and what to do."""


def rows_of(path: Path, separator: str, columns: Collection[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Yield each row with its line (in Parquet its number) and how far through the file it is, in parts of a thousand.

    Raises `SourceRefused`.
    """
    try:
        yield from _parquet(path, columns) if path.suffix == ".parquet" else _csv(path, separator, columns)
    except (OSError, EOFError, zlib.error, pa.ArrowInvalid) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is damaged, or of another format"
        raise SourceRefused(f"{path}: cannot be read ({why})") from None
    except UnicodeDecodeError:
        raise SourceRefused(f"{path}: is not UTF-8; save it as UTF-8") from None


def _csv(path: Path, separator: str, columns: Collection[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    csv.field_size_limit(LONGEST_CELL)
    size = max(1, path.stat().st_size)
    with open(path, "rb") as raw, gzip.open(raw) if path.suffix == ".gz" else raw as unpacked:
        lines = (line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(unpacked))
        read = csv.reader(lines, delimiter=separator, strict=True)
        try:
            names = next(read, [])
            _check(path, names, columns, separator)
            for cells in read:
                if len(cells) != len(names) and cells:
                    raise SourceRefused(
                        f"{path}:{read.line_num}: has {len(cells)} cells, the head has {len(names)}; mend the line, "
                        "or name another `separator` under `csv`"
                    )
                if cells:
                    yield read.line_num, raw.tell() * 1000 // size, dict(zip(names, cells, strict=True))
        except csv.Error as error:
            raise SourceRefused(f"{path}:{read.line_num}: {error}; mend the quotes of this line") from None


def _parquet(path: Path, columns: Collection[str]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    file = pq.ParquetFile(path)
    _check(path, file.schema_arrow.names, columns, "")
    number, rows = 0, max(1, file.metadata.num_rows)
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=[name for name in file.schema_arrow.names if name in columns]):
        for row in batch.to_pylist():
            number += 1
            yield number, number * 1000 // rows, row


def _check(path: Path, names: list[str], columns: Collection[str], separator: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceRefused(f"{path}:1: has the column {twice!r} twice; give one another name")
    missing = [name for name in columns if name not in names]
    if missing:
        has = ", ".join(repr(name) for name in names[:30]) or "none"
        other = f" (read with {separator!r} between cells; name another `separator` under `csv`?)" if separator else ""
        raise SourceRefused(f"{path}:1: has no column {missing[0]!r}; it has {has}{other}")
