"""Write rows as lines of JSON, plain or gzip, the same bytes for the same rows."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

Row = Mapping[str, object]

_encode = msgspec.json.Encoder().encode
_BATCH = 5_000


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write rows to a file, compressed where its name ends in .gz, and return how many."""
    written = 0
    with path.open("wb") as raw:
        # A fixed time and no name in the header, so that equal rows give equal bytes.
        out = gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) if path.suffix == ".gz" else raw
        lines: list[bytes] = []
        for written, row in enumerate(rows, 1):  # noqa: B007  the last one is the count
            lines.append(_encode(row))
            if len(lines) == _BATCH:
                out.write(b"\n".join([*lines, b""]))
                lines = []
        out.write(b"\n".join([*lines, b""]))
        if out is not raw:
            out.close()
    return written


def rfc3339(moment_ms: int) -> str:
    """Return a moment in milliseconds since 1970 as text, to the second."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_ms(text: str) -> int:
    """Return a moment such as 2026-06-01T09:00:00Z in milliseconds since 1970; raise ValueError for another text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it like 2026-06-01T09:00:00Z")
    return int(moment.timestamp()) * 1000
