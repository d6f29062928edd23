"""Tables in files: CSV read a row at a time, cells as what they stand for, and tables written whole or not at all."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from models.context import Scalar, ValueType

from .errors import InputRefused, TrainingRefused
from .values import Misfit, moment_text

_WHOLE = re.compile(r"[-+]?[0-9]{1,17}")
_KINDS = (".csv", ".jsonl")


def kind_of(path: Path) -> str:
    """Return `.csv` or `.jsonl`, whether the file is packed (.gz) or not; every other name counts as JSON lines."""
    suffixes = [suffix for suffix in path.suffixes[-2:] if suffix != ".gz"]
    return ".csv" if suffixes[-1:] == [".csv"] else ".jsonl"


# ------------------------------------------------------------------------------------------------------------ reading


def cells_of(name: str, lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, dict[str, str] | Misfit]]:
    """Yield each row of a CSV file under its header, with the number of its last line; raise `InputRefused` where
    there is no header. An empty cell is left out; a row of another length is yielded as what is wrong with it.
    """
    at = 0

    def texts() -> Iterator[str]:
        nonlocal at
        for at, line in lines:
            yield line.decode("utf-8-sig" if at == 1 else "utf-8")

    rows = csv.reader(texts(), strict=True)
    try:
        header = next(rows, [])
        if not header or len(set(header)) < len(header) or not all(header):
            raise InputRefused([f"{name}:1: the first line names the columns, each once"])
        for row in filter(None, rows):
            odd = Misfit(f"the row has {len(row)} cells and the header {len(header)}")
            filled = {column: cell for column, cell in zip(header, row, strict=False) if cell}
            yield at, filled if len(row) == len(header) else odd
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputRefused([f"{name}:{at}: this is no CSV in UTF-8 ({error})"]) from None


def part_of(cells: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the cells whose columns begin with a prefix, under the rest of their names."""
    return {name.removeprefix(prefix): cell for name, cell in cells.items() if name.startswith(prefix)}


def plain(cell: str, kind: ValueType) -> object:
    """Return what a cell stands for, as JSON would hold it; a text that stands for nothing of the kind stays a text."""
    return _MEANT.get(kind, str)(cell)


def _number(cell: str) -> object:
    try:
        return float(cell)
    except ValueError:
        return cell


def _texts(cell: str) -> object:
    try:
        return msgspec.json.decode(cell)
    except msgspec.DecodeError:
        return cell


def whole(cell: str) -> object:
    """Return a whole number, or the text as it is: a moment may be either."""
    return int(cell) if _WHOLE.fullmatch(cell) else cell


_MEANT: Mapping[ValueType, Callable[[str], object]] = {
    ValueType.BOOL: lambda cell: {"true": True, "false": False}.get(cell, cell),
    ValueType.INT: whole,
    ValueType.DOUBLE: _number,
    ValueType.TIMESTAMP: whole,
    ValueType.STRINGS: _texts,
}


# ------------------------------------------------------------------------------------------------------------ writing


class Table:
    """A table of what was known of customers at moments: CSV with a header, or JSON lines with null for unknown.

    In CSV an unknown value is an empty cell, a text stands in quotes even when it is empty, and a list of texts is
    written as JSON.
    """

    def __init__(self, out: BinaryIO, kind: str, columns: Sequence[tuple[str, ValueType]]) -> None:
        self._out = out
        self._names = [name for name, _ in columns]
        self._moments = [place for place, (_, kind) in enumerate(columns) if kind is ValueType.TIMESTAMP]
        self._line = self._cells if kind == ".csv" else self._object
        if kind == ".csv":
            out.write(f"{','.join(['customer_id', 'at', *self._names])}\n".encode())

    def add(self, customer: str, at_ms: int, values: Sequence[Scalar | None]) -> None:
        """Write one row; moments are written as RFC 3339 in UTC."""
        told: list[object] = list(values)
        for place in self._moments:
            told[place] = None if told[place] is None else moment_text(cast(int, told[place]))
        self._out.write(self._line(customer, moment_text(at_ms), told))

    def _cells(self, customer: str, at: str, values: Sequence[object]) -> bytes:
        return f"{','.join([_cell(customer), at, *map(_cell, values)])}\n".encode()

    def _object(self, customer: str, at: str, values: Sequence[object]) -> bytes:
        features = dict(zip(self._names, values, strict=True))
        return msgspec.json.encode({"customer_id": customer, "at": at, "features": features}) + b"\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if type(value) is str:
        return '"' + value.replace('"', '""') + '"'
    return _cell(msgspec.json.encode(value).decode()) if isinstance(value, tuple | list) else _figure(value)


def _figure(value: object) -> str:
    return str(value).lower() if type(value) is bool else repr(value)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to that gets its name only when all of it is written; packed where the name ends in .gz."""
    if kind_of(path) not in path.suffixes:
        raise TrainingRefused(f"{path.name} says no format; end the name in {' or '.join(_KINDS)}, packed with .gz")
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as raw:
            if path.suffix == ".gz":
                with GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as out:
                    yield cast(Any, out)
            else:
                yield raw
        draft.replace(path)
    except OSError as error:
        raise TrainingRefused(f"{path} cannot be written ({error.strerror})") from None
    finally:
        draft.unlink(missing_ok=True)
