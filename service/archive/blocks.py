"""A part of an archive: entries of the log in blocks, each of one stream of one bucket, with an index at the end.

    TACTLOG1, blocks, index, length of the index (8 bytes, big-endian), TACTEND1

A block is zlib over a msgpack array of entries, `[place, [field, value, …], link]`; the link is nil but for entries
that were erased, of which only that is left. The index is zlib over a msgpack array of `[bucket, stream, offset,
length, entries, first place, last place]`. What is damaged is refused: zlib carries a checksum of each.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from service.archive.raw import RawEntry, Stream

BEGINS, ENDS = b"TACTLOG1", b"TACTEND1"
_MOST_INDEX = 256 << 20
_MOST_BLOCK = 256 << 20


class Damaged(Exception):
    """A part of an archive cannot be read: the message says where."""


class Block(Struct, frozen=True, array_like=True):
    """Where some entries of a stream stand in a part, and how far they go."""

    bucket: int
    stream: Stream
    offset: int
    length: int
    entries: int
    first: str
    last: str

    def meets(self, from_ms: int, to_ms: int | None) -> bool:
        """Tell whether any of its entries can have been logged from a moment on and before another (ms)."""
        return _ms(self.last) >= from_ms and (to_ms is None or _ms(self.first) < to_ms)


_Row = tuple[str, tuple[bytes, ...], bytes | None]
_encode = msgspec.msgpack.Encoder().encode
_rows = msgspec.msgpack.Decoder(tuple[_Row, ...]).decode
_index = msgspec.msgpack.Decoder(tuple[Block, ...]).decode


class PartWriter:
    """Writes one part, block by block, into an open file."""

    def __init__(self, file: BinaryIO) -> None:
        self.blocks: list[Block] = []
        self._file = file
        self._at = file.write(BEGINS)

    def add(self, entries: Sequence[RawEntry]) -> None:
        """Write entries of one stream of one bucket, the oldest first."""
        first, last = entries[0], entries[-1]
        packed = zlib.compress(_encode([(one.place, one.flat, one.gone) for one in entries]), 6)
        block = Block(first.bucket, first.stream, self._at, len(packed), len(entries), first.place, last.place)
        self.blocks.append(block)
        self._at += self._file.write(packed)

    def end(self) -> None:
        """Write the index: only then it is a part."""
        index = zlib.compress(_encode(self.blocks), 6)
        self._file.write(index + len(index).to_bytes(8, "big") + ENDS)


class Part:
    """One part, read block by block; raises `Damaged` in words."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blocks = self._blocks()

    def entries(self, block: Block) -> tuple[RawEntry, ...]:
        """Return the entries of a block, the oldest first."""
        with open(self.path, "rb") as file:
            file.seek(block.offset)
            packed = file.read(block.length)
        where = f"{self.path.name}, bucket {block.bucket:03x}, {block.stream}, entries {block.first} to {block.last}"
        try:
            rows = _rows(_plain(packed, _MOST_BLOCK))
        except (zlib.error, msgspec.MsgspecError, ValueError):
            raise Damaged(f"{where}: cannot be read, it was changed or cut off") from None
        if len(rows) != block.entries or not rows or (rows[0][0], rows[-1][0]) != (block.first, block.last):
            raise Damaged(f"{where}: holds other entries than its index says")
        return tuple(RawEntry(block.bucket, block.stream, place, flat, gone) for place, flat, gone in rows)

    def all(self) -> Iterator[tuple[Block, tuple[RawEntry, ...]]]:
        """Yield every block with its entries."""
        for block in self.blocks:
            yield block, self.entries(block)

    def _blocks(self) -> tuple[Block, ...]:
        try:
            with open(self.path, "rb") as file:
                begins, size = file.read(len(BEGINS)), file.seek(0, 2)
                file.seek(max(0, size - 16))
                length, ends = int.from_bytes(file.read(8), "big"), file.read(8)
                if begins != BEGINS or ends != ENDS or not 0 < length <= min(size - 24, _MOST_INDEX):
                    raise Damaged(f"{self.path.name}: is no part of an archive, or cut off")
                file.seek(size - 16 - length)
                blocks = _index(_plain(file.read(length), _MOST_INDEX))
        except OSError as error:
            raise Damaged(f"{self.path.name}: cannot be read ({error.strerror})") from None
        except (zlib.error, msgspec.MsgspecError, ValueError):
            raise Damaged(f"{self.path.name}: its index cannot be read, it was changed or cut off") from None
        if any(not 0 <= block.bucket < 1024 or block.offset < 8 or block.length < 0 for block in blocks):
            raise Damaged(f"{self.path.name}: its index cannot be true")
        return blocks


def _plain(packed: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(packed, most)
    if not unpacking.eof:
        raise ValueError("cut off, or too large")
    return plain


def _ms(place: str) -> int:
    return int(place.partition("-")[0])
