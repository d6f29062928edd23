"""Work beside decisions: in a thread that lets the one which answers go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar

SWITCH_EVERY_S = 0.0005
"""How long a thread that works keeps decisions waiting: a tenth of Python's own 5 ms, and only while it works."""

T = TypeVar("T")


async def beside(work: Callable[[], T]) -> T:
    """Work in a thread that the one which answers may interrupt after half a millisecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_EVERY_S)
    try:
        return await asyncio.to_thread(work)
    finally:
        sys.setswitchinterval(before)
