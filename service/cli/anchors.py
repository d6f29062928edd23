"""Anchors: heads of the log's chains, noted in a file that whoever can write the store cannot write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from service.cli.output import Failed
from service.core.chained import Link, Place, Stream
from service.rpc.convert_chain import Anchors

_VERSION = 1
_LARGEST = 1_000_000
_BUCKETS = 1024


class _File(Struct, forbid_unknown_fields=True):
    """What the file holds: the heads by bucket (three hexadecimal digits) and chain, such as `0a3 log`.

    `unchained` counts entries of before there was a chain, unset where that was not noted; `begins` are the first
    entries of an archive.
    """

    tact_anchors: int
    noted_at: datetime
    heads: dict[str, str]
    unchained: dict[str, int] | None = None
    begins: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Noted:
    """What was noted, and when: heads, how many entries were of before there was a chain, and where archives began."""

    heads: Anchors = field(default_factory=dict)
    at: datetime | None = None
    unchained: Mapping[tuple[int, Stream], int] | None = None
    begins: Mapping[tuple[int, Stream], Place] = field(default_factory=dict)


def read_anchors(path: Path) -> Noted:
    """Return what was noted; nothing where there is no file yet. Raise `Failed` where there is none to be."""
    if not path.parent.is_dir():
        raise Failed(f"--anchors: there is no folder {path.parent}; make it, or name another file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Noted()
    try:
        if len(content) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST:,} bytes")
        file = msgspec.json.decode(content, type=_File)
        if file.tact_anchors != _VERSION:
            raise ValueError(f"it is of version {file.tact_anchors}, and this knows version {_VERSION}")
        heads = dict(_anchor(name, head) for name, head in file.heads.items())
        counts = file.unchained
        unchained = None if counts is None else {_chain(name): count for name, count in counts.items()}
        begins = {_chain(name): Place.parse(place) for name, place in file.begins.items()}
        return Noted(heads, file.noted_at, unchained, begins)
    except ValueError as error:  # msgspec's are too
        why = f"{path} holds no anchors ({error}); name the file that this command wrote, or a new one"
        raise Failed(f"--anchors: {why}", 2) from None


def _anchor(name: str, head: str) -> tuple[tuple[int, Stream], Link]:
    link = Link.parse(head.encode())
    if link is None:
        raise ValueError(f"there is no head for {name[:20]!r}")
    return _chain(name), link


def _chain(name: str) -> tuple[int, Stream]:
    bucket, _, stream = name.partition(" ")
    if len(bucket) != 3 or not 0 <= int(bucket, 16) < _BUCKETS:
        raise ValueError(f"there is no chain {name[:20]!r}")
    return int(bucket, 16), Stream(stream)


def write_anchors(path: Path, noted: Noted) -> None:
    """Replace the file by what is noted now, all of it or nothing."""
    heads, unchained, begins = (_named(one) for one in (noted.heads, noted.unchained or {}, noted.begins))
    counts = {name: int(count) for name, count in unchained.items()}
    file = _File(_VERSION, datetime.now(UTC).replace(microsecond=0), heads, counts, begins)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with beside.open("wb") as to:
            to.write(msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")
            to.flush()
            os.fsync(to.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _named(by: Mapping[tuple[int, Stream], object]) -> dict[str, str]:
    return {f"{bucket:03x} {stream}": str(one) for (bucket, stream), one in sorted(by.items(), key=lambda one: one[0])}
