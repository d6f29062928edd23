"""The beat of the event loop: how late it is, and what has to be done once a beat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service.telemetry.spreads import Lags
from service.telemetry.timeline import now_ns

EVERY_S = 0.1
EVERY_NS = round(EVERY_S * 1e9)
MOST_MISSED = 600
"""So many beats that did not come are counted at most: a process that was halted for a day does not count them all."""


class Beat:
    """Wakes every tenth of a second, notes how late that is, and does something small.

    Beats that a loop misses while it is held up count as well, each as late as it would have been: so the lag is that
    of any moment, and one long stop does not count as little as one short one.
    """

    def __init__(self, lags: Lags, does: Callable[[], None]) -> None:
        self._lags, self._does = lags, does
        self._next: asyncio.TimerHandle | None = None
        self._due_ns = 0

    def start(self) -> None:
        """Begin, on the running loop."""
        self._due_ns = now_ns() + EVERY_NS
        self._next = asyncio.get_running_loop().call_later(EVERY_S, self._wake)

    def stop(self) -> None:
        """End."""
        if self._next is not None:
            self._next.cancel()

    def _wake(self) -> None:
        late = max(0, now_ns() - self._due_ns)
        for missed in range(min(late // EVERY_NS, MOST_MISSED) + 1):
            self._lags.add(late - missed * EVERY_NS)
        self._does()
        self.start()
