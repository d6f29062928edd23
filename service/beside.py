"""Work beside decisions: in a thread that lets the one which answers go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

SWITCH_EVERY_S = 0.0005
"""How long a thread that works keeps decisions waiting: a tenth of Python's own 5 ms, and only while it works."""

T = TypeVar("T")


async def beside(work: Callable[[], T]) -> T:
    """Work in a thread that the one which answers may interrupt after half a millisecond.

    Who gives up waiting does not end the work: it gives way until it is done.
    """
    return await asyncio.to_thread(_giving_way, work)


@dataclass(slots=True)
class _Way:
    """How many threads give way at the moment, and what held before the first of them."""

    lock: Lock = field(default_factory=Lock)
    working: int = 0
    before_s: float = 0.0


_WAY = _Way()


def _giving_way(work: Callable[[], T]) -> T:
    with _WAY.lock:
        if _WAY.working == 0:
            _WAY.before_s = sys.getswitchinterval()
            sys.setswitchinterval(SWITCH_EVERY_S)
        _WAY.working += 1
    try:
        return work()
    finally:
        with _WAY.lock:
            _WAY.working -= 1
            if _WAY.working == 0:
                sys.setswitchinterval(_WAY.before_s)
