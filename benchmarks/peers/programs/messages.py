"""Requests and replies in files, as the load generators read and write them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

_LENGTH = struct.Struct("<I")
_SAMPLE = struct.Struct("<II")


def write_requests(folder: Path, messages: Iterable[bytes]) -> None:
    """Write the requests about all rows, in their order."""
    (folder / "requests.bin").write_bytes(b"".join(_LENGTH.pack(len(message)) + message for message in messages))


def read_samples(file: Path) -> Iterator[tuple[int, bytes]]:
    """Read kept replies, each with the index of its request."""
    data, at = file.read_bytes(), 0
    while at < len(data):
        index, size = _SAMPLE.unpack_from(data, at)
        at += _SAMPLE.size
        yield index, data[at : at + size]
        at += size
