"""How much memory a log may take, and what share of its customers fits into it."""

from __future__ import annotations

import re

from training.errors import TrainingRefused

DEFAULT_BYTES = 2 << 30
"""What the whole process may take unless `--memory` says otherwise."""

LEAST_BYTES = 500_000_000
"""What the process takes without any data, with some room to work."""

_LIBRARIES = 300_000_000
"""What Python, Arrow and scikit-learn take by themselves."""

_ARRAYS = 6
"""Into how many equal parts the rest is divided: one for the arrays, the others for those who learn from copies."""

_SIZE = re.compile(r"([1-9][0-9]{0,8})(MB|GB|MiB|GiB)")
_UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 1 << 20, "GiB": 1 << 30}


def memory_of(text: str) -> int:
    """Return a size in bytes, as in 2GB or 512MB; raise `ValueError` in words for another text."""
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if not found or size < LEAST_BYTES:
        raise ValueError(f"{text!r} is no memory to work in; write 500MB or more, as in 2GB")
    return size


def row_bytes(columns: int, actions: int) -> int:
    """Return how many bytes the arrays take for a decision."""
    return 8 * (columns + actions + 14) + actions


def share_that_fits(rows: int, columns: int, actions: int, memory: int) -> float:
    """Return the share of the rows, 1 at the most, whose arrays fit; raise `TrainingRefused` where hardly any do."""
    room = (memory - _LIBRARIES) // _ARRAYS
    needed = rows * row_bytes(columns, actions)
    share = min(1.0, room / needed) if needed else 1.0
    if share < 0.001:
        raise TrainingRefused(f"{rows:,} decisions do not fit into {memory / 1e6:,.0f} MB; give more with --memory")
    return share
