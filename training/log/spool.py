"""Rows on disk in parts, all rows of one key in one part, so that only a part at a time need be in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar
from zlib import crc32

import msgspec

_Row = TypeVar("_Row")
_HELD_BYTES = 8_000_000
_LENGTH = 4

_pack = msgspec.msgpack.Encoder().encode


class Spool(Generic[_Row]):
    """Takes rows of one kind; a file a part. What is not yet written is little, and no file stays open."""

    def __init__(self, folder: Path, name: str, parts: int) -> None:
        self._paths = [folder / f"{name}-{part:04}" for part in range(parts)]
        self._held: list[bytearray] = [bytearray() for _ in range(parts)]
        self._bytes = 0
        self.rows = 0

    def part_of(self, key: str) -> int:
        """Return the part of a key."""
        return crc32(key.encode()) % len(self._paths)

    def add(self, part: int, row: _Row) -> None:
        """Append a row to a part."""
        packed = _pack(row)
        held = self._held[part]
        held += len(packed).to_bytes(_LENGTH, "little")
        held += packed
        self._bytes += len(packed) + _LENGTH
        self.rows += 1
        if self._bytes > _HELD_BYTES:
            self.write()

    def write(self) -> None:
        """Write what is held."""
        for path, held in zip(self._paths, self._held, strict=True):
            if held:
                with path.open("ab") as file:
                    file.write(held)
                held.clear()
        self._bytes = 0

    def packed(self, part: int) -> bytes:
        """Return the rows of a part as they lie there; `unpacked` reads them."""
        path = self._paths[part]
        return path.read_bytes() if path.exists() else b""


def unpacked(packed: bytes, kind: type[_Row]) -> Iterator[_Row]:
    """Yield the rows of a part in the order in which they were added."""
    decode = msgspec.msgpack.Decoder(kind).decode
    view, place = memoryview(packed), 0
    while place < len(view):
        length = int.from_bytes(view[place : place + _LENGTH], "little")
        place += _LENGTH + length
        yield decode(view[place - length : place])
