"""Spread a log over parts by customer, so that they can be decided side by side and no part is large."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

import msgspec
from msgspec import Struct

from models.context import ValueType
from models.decision_table import FEATURE
from service.evaluating.cells import LogRefused
from service.evaluating.rows import Log
from service.simulating.carried import rule_of
from service.simulating.logged import LoggedRow, row_of
from service.simulating.segments import SAMPLE

ROWS_A_PART = 2_500
MOST_PARTS = 200
"""As many files are open at once."""
_LENGTH = 4

Advance = Callable[[int, int], None]
"""Called with how many rows are done, and how many of them since the last call."""


class Window(Struct, frozen=True):
    """The decisions that are looked at: from a moment on and before another (ms); None is no bound."""

    from_ms: int | None = None
    until_ms: int | None = None

    def holds(self, at_ms: int) -> bool:
        """Tell whether a moment is in it."""
        return (self.from_ms is None or self.from_ms <= at_ms) and (self.until_ms is None or at_ms < self.until_ms)


class Spread(Struct):
    """What was spread: the parts, how many rows, some of them, which rules of promises the log tells of, of how many
    rows it tells neither dice nor what was seen, and their consent levels and channels.
    """

    parts: tuple[Path, ...]
    rows: int = 0
    sample: list[LoggedRow] = []
    told: set[str] = set()
    unseen: int = 0
    undrawn: int = 0
    levels: set[str] = set()
    channels: set[str] = set()
    first_ms: int = 0
    last_ms: int = 0


def spread(log: Log, kinds: Mapping[str, ValueType], window: Window, folder: Path, advance: Advance) -> Spread:
    """Write the rows of a log within a window to parts, each customer to one.

    Raises `LogRefused` where there is none.
    """
    many = max(1, min(MOST_PARTS, log.count() // ROWS_A_PART + 1))
    found = Spread(tuple(folder / f"part-{number:03}" for number in range(many)))
    pack, done = msgspec.msgpack.Encoder().encode, 0
    fields = {column: column.removeprefix(FEATURE) for column in kinds}
    with ExitStack() as open_files:
        files = [open_files.enter_context(part.open("wb")) for part in found.parts]
        for name, batches in log.read(kinds):
            number = 1
            for cells in batches:
                rows = [row_of(f"{name}:{number + place}", one, fields) for place, one in enumerate(cells)]
                for row in rows:
                    if window.holds(row.at_ms):
                        packed = pack(row)
                        file = files[crc32(row.customer.encode()) % many]
                        file.write(len(packed).to_bytes(_LENGTH))
                        file.write(packed)
                        _noted(found, row)
                number += len(cells)
                done += len(cells)
                advance(done, len(cells))
    if not found.rows:
        raise LogRefused("the log has no decision in this window; name another with --from and --to")
    return found


def read_part(part: Path) -> Sequence[LoggedRow]:
    """Return the rows of a part."""
    unpack = msgspec.msgpack.Decoder(LoggedRow).decode
    packed, rows, at = memoryview(part.read_bytes()), [], 0
    while at < len(packed):
        ends = at + _LENGTH + int.from_bytes(packed[at : at + _LENGTH])
        rows.append(unpack(packed[at + _LENGTH : ends]))
        at = ends
    return rows


def _noted(found: Spread, row: LoggedRow) -> None:
    if len(found.sample) < SAMPLE:
        found.sample.append(row)
    if row.beside is None:
        found.unseen += 1
    else:
        found.told.update(rule_of(given.promised.key) for given in row.beside.promises)
    found.undrawn += row.draw is None
    found.levels.add(row.level)
    found.channels.add(row.channel)
    found.first_ms = row.at_ms if not found.rows else min(found.first_ms, row.at_ms)
    found.last_ms = max(found.last_ms, row.at_ms)
    found.rows += 1
