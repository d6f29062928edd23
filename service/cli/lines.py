"""Files of JSON lines, plain or gzip, read without holding them in memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Generic, TypeVar, cast

import msgspec

from service.cli.output import Failed

T = TypeVar("T")
R = TypeVar("R")
LONGEST_LINE = 1_000_000
SHOWN_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class Line(Generic[T]):
    """One row, the line it stands in, and how many bytes it takes."""

    number: int
    row: T
    size: int


@dataclass(slots=True)
class Tally:
    """What became of rows: how often each status came, and the first that were refused, with their lines."""

    counts: dict[str, int] = field(default_factory=lambda: {"stored": 0, "repeated": 0, "refused": 0})
    refused: list[str] = field(default_factory=list)

    @classmethod
    def of_consents(cls) -> Tally:
        """Return a tally of consents, which are not repeated but can be older than what is stored."""
        return cls({"stored": 0, "older": 0, "refused": 0})

    def add(self, status: str) -> None:
        """Count a row."""
        self.counts[status] = self.counts.get(status, 0) + 1

    def refuse(self, path: Path, number: int, why: str) -> None:
        """Count a bad row and remember the first few."""
        self.add("refused")
        if len(self.refused) < SHOWN_PROBLEMS:
            self.refused.append(f"{path}:{number}: {why}")


class Lines(Generic[T]):
    """The rows of one file; `position` is how many bytes of it have been read, `blank` how many lines held nothing.

    Rows that are no JSON of the right shape are refused into the tally.
    """

    def __init__(self, path: Path, kind: type[T], tally: Tally) -> None:
        self.path = path
        self.position = 0
        self.blank = 0
        self.read = 0
        self._decode = msgspec.json.Decoder(kind).decode
        self._tally = tally

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self.path.stat().st_size

    def __iter__(self) -> Iterator[Line[T]]:
        with opened(self.path) as (raw, text):
            number = 0
            while line := text.readline(LONGEST_LINE + 1):
                number += 1
                self.position = raw.tell()
                if len(line) > LONGEST_LINE:
                    raise Failed(f"{self.path}:{number}: the line is longer than {LONGEST_LINE:,} bytes")
                if not line.strip():
                    self.blank += 1
                    continue
                self.read += 1
                try:
                    yield Line(number, self._decode(line), len(line))
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    self._tally.refuse(self.path, number, f"{error}")


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a file, and what it unpacks to where its name ends in .gz; raise `Failed` where it cannot be read."""
    try:
        with path.open("rb") as raw:
            if path.suffix != ".gz":
                yield raw, raw
                return
            with gzip.open(raw) as text:
                yield raw, cast(IO[bytes], text)
    except (OSError, EOFError, zlib.error) as error:
        raise Failed(f"{path}: {getattr(error, 'strerror', None) or error}; name a .jsonl or .jsonl.gz file") from None
