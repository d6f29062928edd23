"""Who agreed to be learned from: a file of consents, the last one of each customer."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from ..progress import unseen
from ..rows import read_rows
from ..values import happened_ms


class _ConsentLine(msgspec.Struct):
    customer_id: str
    level: str
    given_at: Any = None


def agreed(path: Path, levels: Collection[str]) -> frozenset[str]:
    """Return the customers whose latest consent is of one of these levels; of equals in time the later line holds.

    Raises `InputRefused` for lines that cannot be read.
    """
    latest: dict[str, tuple[int, str]] = {}
    for customer, level, at_ms in read_rows(path, _ConsentLine, _given, unseen):
        if customer not in latest or at_ms >= latest[customer][0]:
            latest[customer] = at_ms, level
    return frozenset(customer for customer, (_, level) in latest.items() if level in levels)


def _given(line: _ConsentLine) -> tuple[str, str, int]:
    return line.customer_id, line.level, 0 if line.given_at is None else happened_ms("given_at", line.given_at)
