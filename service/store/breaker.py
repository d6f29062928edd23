"""The breaker of one store: after so many failures in a row calls fail at once, until a probe finds the store back.

    closed ── five failures in a row ──▶ open ── after a pause, one probe at a time ──▶ half open ──▶ closed
                                           ◀────────── no answer: a longer pause ──────────

Whoever sends calls asks `open` before each, and tells of what `failed`; any reply at all, also a late one, says
that the store is `well`. Probes are made whether anybody calls or not, so that the first call after an outage finds the
store back. docs/decisions/0047-ladder.md has the reasons and the figures.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from service.errors import StoreError
from service.store.pipeline import StoreForbidden, StoreReplied, StoreUnavailable

log = logging.getLogger(__name__)

OPENS_AFTER = 5
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 0.5
"""The pause before a probe, which doubles with each in vain, and is spread: processes do not probe together."""
OPENED, CLOSED, PROBED, REFUSED = "opened", "closed", "probed", "refused"

Told = Callable[[str], None]


class Breaks(Protocol):
    """Knows whether a store is worth calling."""

    open: bool

    def told(self, what: Told) -> None:
        """Let somebody count what happens: opened, closed, probed, refused."""
        ...


class Breaker:
    """Counts failures of one store in a row, and looks for the store with `probe` when they are too many.

    `probe` raises a `StoreError` where the store does not answer, in a second at most. Used on one loop alone.
    """

    __slots__ = ("_fault", "_pause_s", "_probe", "_probing", "_tells", "_timer", "failures", "open")

    def __init__(self, probe: Callable[[], Awaitable[object]]) -> None:
        self.open = False
        self.failures = 0
        self._probe = probe
        self._probing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._pause_s = FIRST_PAUSE_S
        self._fault: StoreError | None = None
        self._tells: Told = _nobody

    @property
    def state(self) -> str:
        """Return closed, open or half_open, as people name it."""
        if not self.open:
            return "closed"
        return "open" if self._probing is None else "half_open"

    def told(self, what: Told) -> None:
        """Let somebody count what happens: opened, closed, probed, refused."""
        self._tells = what

    def failed(self, fault: StoreError) -> None:
        """See a call or an attempt to connect fail, for a reason that is not the caller's."""
        self.failures += 1
        self._fault = fault
        if not self.open and self.failures >= OPENS_AFTER:
            self.open = True
            self._tells(OPENED)
            log.warning("the store does not answer (%s): calls fail at once until it does", type(fault).__name__)
            self._probe_later()

    def well(self) -> None:
        """See the store answer."""
        self.failures, self._pause_s = 0, FIRST_PAUSE_S
        if self.open:
            self.open = False
            self._tells(CLOSED)
            log.warning("the store answers again")
            self._cancel_timer()

    def refusal(self) -> StoreError:
        """Return what a call fails with while the breaker is open: nothing of it was sent."""
        self._tells(REFUSED)
        kind = StoreForbidden if isinstance(self._fault, StoreForbidden) else StoreUnavailable
        return kind("The store does not answer; calls fail at once until it does.")

    async def close(self) -> None:
        """Probe no more."""
        self._cancel_timer()
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait((self._probing,))

    def _probe_later(self) -> None:
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - spreads probes, hides nothing
        self._timer = asyncio.get_running_loop().call_later(self._pause_s * spread, self._begin)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _begin(self) -> None:
        self._timer = None
        self._probing = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        self._tells(PROBED)
        try:
            await self._probe()
        except StoreReplied:
            self.well()  # whatever it says, it is there
        except StoreError as error:
            self._fault = error
        else:
            self.well()
        finally:
            self._probing = None
            if self.open:
                self._probe_later()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nobody(what: str) -> None:
    """Hear it, and do nothing."""
