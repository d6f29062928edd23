"""The beat of the event loop: how late it is, and what has to be done once a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service.telemetry.spreads import Lags
from service.telemetry.timeline import now_ns

EVERY_S = 0.1


class Beat:
    """Wakes every tenth of a second, notes how late that is, and does something small."""

    def __init__(self, lags: Lags, does: Callable[[], None]) -> None:
        self._lags, self._does = lags, does
        self._next: asyncio.TimerHandle | None = None
        self._due_ns = 0

    def start(self) -> None:
        """Begin, on the running loop."""
        self._due_ns = now_ns() + round(EVERY_S * 1e9)
        self._next = asyncio.get_running_loop().call_later(EVERY_S, self._wake)

    def stop(self) -> None:
        """End."""
        if self._next is not None:
            self._next.cancel()

    def _wake(self) -> None:
        self._lags.add(max(0, now_ns() - self._due_ns))
        self._does()
        self.start()
