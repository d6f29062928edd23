"""`features`: a table of what was known of customers at past moments, from a history of events.

The table has the order of the moments. However long the history is, only a 64th of it is in memory at a time: rows are
first spread over files by customer, and each file is then seen on its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Generic, TypeVar
from zlib import crc32

import msgspec
from rich.progress import Progress

from models.context import ContextSchema, Scalar, Source
from models.documents import DocumentsRefused
from models.history import as_of
from models.schema import load_context

from .errors import TrainingRefused
from .progress import Advance, started
from .rows import read_events, read_moments
from .tables import Table, kind_of, written_whole

_PARTS = 64
_SEEN_IN_HISTORY = (Source.EVENTS, Source.REQUEST, Source.CLOCK)


@dataclass(frozen=True, slots=True)
class Order:
    """Which fields of which strategy to compute, from which files, and where the table goes; no fields mean all."""

    strategy: Path
    events: Path
    moments: Path
    out: Path
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What was read and written."""

    events: int
    rows: int
    fields: tuple[str, ...]


class _Happened(msgspec.Struct, frozen=True, array_like=True):
    id: str
    customer: str
    type: str
    at_ms: int
    attributes: dict[str, Scalar]


class _Asked(msgspec.Struct, frozen=True, array_like=True):
    place: int
    customer: str
    at_ms: int
    context: dict[int, Scalar]


class _Known(msgspec.Struct, frozen=True, array_like=True):
    place: int
    customer: str
    at_ms: int
    values: tuple[Scalar | None, ...]


def features(order: Order, bars: Progress) -> Made:
    """Write the table; raise `TrainingRefused` where the strategy or a file cannot be used, and write nothing then."""
    _spare_what_is_read(order)
    schema = _schema(order.strategy)
    fields = _fields(order.fields, schema)
    with TemporaryDirectory(prefix="tact-features-") as folder, written_whole(order.out) as out:
        history = _History(Path(folder), schema, fields)
        rows = history.take_moments(order.moments, bars)
        events = history.take_events(order.events, bars)
        history.see(started(bars, "seeing as of then", rows, "rows"))
        table = Table(out, kind_of(order.out), [(name, schema.fields[schema.index[name]].type) for name in fields])
        for known in history.told():
            table.add(known.customer, known.at_ms, known.values)
    return Made(events, rows, fields)


def _spare_what_is_read(order: Order) -> None:
    for name, path in (("events", order.events), ("moments", order.moments)):
        try:
            same = os.path.samefile(order.out, path)
        except OSError:  # there is no such file, or none that can be read: whoever opens it says so
            continue
        if same:
            raise TrainingRefused(f"{order.out} holds the {name}, which the table would replace; choose another --out")


def _schema(folder: Path) -> ContextSchema:
    try:
        return load_context(folder)
    except DocumentsRefused as refused:
        raise TrainingRefused(str(refused)) from None


def _fields(asked: Sequence[str], schema: ContextSchema) -> tuple[str, ...]:
    """Return the fields of the table in the schema's order: those asked for, or all that a history can tell."""
    told = tuple(field.id for field in schema.fields if field.source in _SEEN_IN_HISTORY)
    strange = [name for name in asked if name not in told]
    if strange:
        raise TrainingRefused(
            f"{strange[0]!r} is no field that a history of events can tell; it can: {', '.join(told)}"
        )
    return tuple(name for name in told if name in asked) if asked else told


_Row = TypeVar("_Row", _Happened, _Asked, _Known)


class _Parts(Generic[_Row]):
    """Rows in as many files as there are parts, all rows of a customer in one."""

    def __init__(self, folder: Path, name: str, kind: type[_Row]) -> None:
        self._paths = [folder / f"{name}-{part}" for part in range(_PARTS)]
        self._decode: Callable[[bytes], _Row] = msgspec.json.Decoder(kind).decode
        self._encode = msgspec.json.Encoder().encode

    def spread(self, rows: Iterable[_Row]) -> int:
        """Write rows to the parts of their customers, each part in the order of the rows; return how many."""
        count = 0
        with ExitStack() as opened:
            files: list[IO[bytes]] = [opened.enter_context(path.open("ab")) for path in self._paths]
            for count, row in enumerate(rows, 1):  # noqa: B007  the last one is the count
                files[crc32(row.customer.encode()) % _PARTS].write(self._encode(row) + b"\n")
        return count

    def of(self, part: int) -> Iterator[_Row]:
        """Yield the rows of one part."""
        with self._paths[part].open("rb") as lines:
            yield from map(self._decode, lines)


class _History:
    """Events and moments on disk, in parts that fit into memory, and what was known at each moment."""

    def __init__(self, folder: Path, schema: ContextSchema, fields: Sequence[str]) -> None:
        self._schema = schema
        self._fields = fields
        self._events = _Parts(folder, "events", _Happened)
        self._moments = _Parts(folder, "moments", _Asked)
        self._known = _Parts(folder, "known", _Known)

    def take_moments(self, path: Path, bars: Progress) -> int:
        """Read the moments; return how many there are."""
        rows = read_moments(path, self._schema, _reading(path, bars))
        asked = (_Asked(place, row.customer, row.at_ms, dict(row.context)) for place, row in enumerate(rows))
        return self._moments.spread(asked)

    def take_events(self, path: Path, bars: Progress) -> int:
        """Read the events; return how many there are, repeats included."""
        rows = read_events(path, self._schema, _reading(path, bars))
        return self._events.spread(_Happened(r.id, r.customer, r.type, r.at_ms, dict(r.attributes)) for r in rows)

    def see(self, advance: Advance) -> None:
        """Compute what was known at every moment, part by part."""
        indexes = [self._schema.index[name] for name in self._fields]
        for part in range(_PARTS):
            asked = list(self._moments.of(part))
            moments = [(one.customer, one.at_ms) for one in asked]
            given = [one.context for one in asked]
            values = as_of(self._schema, self._fields, self._events.of(part), moments, given)
            self._known.spread(
                _Known(one.place, one.customer, one.at_ms, tuple(known[index] for index in indexes))
                for one, known in zip(asked, values, strict=True)
            )
            advance(len(asked))

    def told(self) -> Iterator[_Known]:
        """Yield what was known, in the order of the moments."""
        return merge(*(self._known.of(part) for part in range(_PARTS)), key=attrgetter("place"))


def _reading(path: Path, bars: Progress) -> Advance:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise TrainingRefused(f"{path} cannot be read ({error.strerror})") from None
    return started(bars, f"reading {path.name}", size, "MB", 1_000_000)
