"""Anchors: heads of the log's chains, noted in a file that whoever can write the store cannot write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from service.cli.output import Failed
from service.core.chained import Link, Stream
from service.rpc.convert_chain import Anchors

_VERSION = 1
_LARGEST = 1_000_000
_BUCKETS = 1024


class _File(Struct, forbid_unknown_fields=True):
    """What the file holds: the heads by bucket (three hexadecimal digits) and chain, such as `0a3 log`."""

    tact_anchors: int
    noted_at: datetime
    heads: dict[str, str]


def read_anchors(path: Path) -> tuple[Anchors, datetime | None]:
    """Return what was noted and when; nothing where there is no file yet. Raise `Failed` for a file that is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}, None
    try:
        if len(content) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST:,} bytes")
        file = msgspec.json.decode(content, type=_File)
        if file.tact_anchors != _VERSION:
            raise ValueError(f"it is of version {file.tact_anchors}, and this knows version {_VERSION}")
        return dict(_anchor(name, head) for name, head in file.heads.items()), file.noted_at
    except ValueError as error:  # msgspec's are too
        why = f"{path} holds no anchors ({error}); name the file that this command wrote, or a new one"
        raise Failed(f"--anchors: {why}", 2) from None


def _anchor(name: str, head: str) -> tuple[tuple[int, Stream], Link]:
    bucket, _, stream = name.partition(" ")
    link = Link.parse(head.encode())
    if link is None or len(bucket) != 3 or not 0 <= int(bucket, 16) < _BUCKETS:
        raise ValueError(f"there is no head for {name[:20]!r}")
    return (int(bucket, 16), Stream(stream)), link


def write_anchors(path: Path, anchors: Mapping[tuple[int, Stream], Link]) -> None:
    """Replace the file by what is noted now, all of it or nothing."""
    heads = {f"{bucket:03x} {stream}": str(link) for (bucket, stream), link in sorted(anchors.items())}
    file = _File(_VERSION, datetime.now(UTC).replace(microsecond=0), heads)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with beside.open("wb") as to:
            to.write(msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")
            to.flush()
            os.fsync(to.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
