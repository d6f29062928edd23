"""Time zones for the solver: how far their clocks are from UTC, when, and which stand for all others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from models.clock import zone_of

QUARTER_MS = 900_000
FARTHEST = 14 * 4  # quarters of an hour either side of UTC
_WEEK_MS, _DAY_MS = 604_800_000, 86_400_000
_FAR_MS = 400 * _DAY_MS
_SETTLED_MS = 2_208_988_800_000  # 2040

_FIXED = (
    *(f"Etc/GMT{offset:+d}" for offset in range(-14, 13) if offset),
    "UTC",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Kabul",
    "Asia/Yangon",
    "Australia/Darwin",
    "Pacific/Marquesas",
)
REPRESENTATIVE = (
    *_FIXED,
    "Asia/Tehran",
    "Asia/Pyongyang",
    "Australia/Adelaide",
    "Australia/Eucla",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Norfolk",
    "America/St_Johns",
    "America/Caracas",
)
"""Zones of every distance from UTC that there has been since 2000; the first ones always have the same."""


@lru_cache(maxsize=256)
def offsets_ms(name: str, from_ms: int, until_ms: int) -> tuple[int, ...]:
    """Return how far (ms) a zone's clock is from UTC at one time or another, looked at every week.

    From 2040 on every year is as the one before.
    """
    last_ms = from_ms + 1 if name in _FIXED else min(until_ms, max(from_ms, _SETTLED_MS) + _FAR_MS)
    return tuple(sorted({offset_ms(name, at_ms) for at_ms in range(from_ms, last_ms, _WEEK_MS)}))


def offset_ms(name: str, at_ms: int) -> int:
    """Return how far (ms) a zone's clock is from UTC at a moment (ms)."""
    told = datetime.fromtimestamp(at_ms // 1000, zone_of(name)).utcoffset()
    return 0 if told is None else told.days * _DAY_MS + told.seconds * 1000


def unchanged(name: str, at_ms: int) -> tuple[int, int]:
    """Return from when (ms) and before when (ms) a zone's clock stays as far from UTC as it is, by days at most."""
    offset = offset_ms(name, at_ms)
    return min(_steps(name, at_ms, offset, -_DAY_MS)), max(_steps(name, at_ms, offset, _DAY_MS)) + 1


def _steps(name: str, at_ms: int, offset: int, step: int) -> Iterator[int]:
    """Yield moments away from one, day by day, until the clock changes or a year is over; then the hour by seconds."""
    yield at_ms
    last = at_ms
    for away in range(step, _FAR_MS if step > 0 else -_FAR_MS, step):
        if offset_ms(name, at_ms + away) != offset:
            break
        last = at_ms + away
        yield last
    near, far = last, last + step
    while abs(far - near) > 1:
        middle = (near + far) // 2
        near, far = (middle, far) if offset_ms(name, middle) == offset else (near, middle)
    yield near
