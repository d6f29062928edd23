"""Keep one seat taken: when its worker ends, another one begins, later and later where they end at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from service.workers.messages import Leave, ToWorker
from service.workers.process import Ended, Process

log = logging.getLogger(__name__)

STEADY_S = 10.0
"""Who has served for so long did not end soon."""
LONGEST_SERVED_S, LONGEST_REFUSED_S, LONGEST_PAUSE_S = 1.0, 5.0, 30.0
SAID_LINES = 3


def pause_after(failures: int, ended: Ended) -> float:
    """Return how many seconds to wait after so many workers in a row that ended soon: 0, 0.5, 1, 2, up to 30.

    After one that served, at most 1, so that another serves within 5 s of its end; after one that was refused for a
    reason at most 5, for somebody mends what is wrong.
    """
    pause_s = 0.0 if failures < 2 else 0.5 * 2.0 ** min(failures - 2, 10)
    longest_s = LONGEST_REFUSED_S if ended.refused else LONGEST_PAUSE_S
    return min(pause_s, LONGEST_SERVED_S if ended.served_s else longest_s)


class Keeping:
    """Keeps a worker on seat `number`. `make(number, starts)` makes one; `goes_on` tells, of how one ended, whether the
    service goes on. `failures` counts those in a row that ended soon, `unserved` those that never served.
    """

    def __init__(
        self, number: int, make: Callable[[int, int], Process], goes_on: Callable[[Keeping, Ended], bool]
    ) -> None:
        self.number = number
        self.starts = self.failures = self.unserved = 0
        self.process: Process | None = None
        self._make, self._goes_on = make, goes_on
        self._leaving = asyncio.Event()

    async def run(self) -> None:
        """Keep the seat taken until told to leave."""
        while not self._leaving.is_set():
            ended = await self._one()
            if self._leaving.is_set():
                return
            self.failures = 0 if ended.served_s >= STEADY_S else self.failures + 1
            self.unserved = 0 if ended.served_s else self.unserved + 1
            if not self._goes_on(self, ended):
                return
            pause_s = pause_after(self.failures, ended)
            self._tell(ended, pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._leaving.wait()

    @property
    def serves(self) -> bool:
        """Whether its worker serves."""
        return self.process is not None and self.process.serving is not None

    def say(self, message: ToWorker) -> None:
        """Tell the worker something, if there is one."""
        if self.process is not None:
            self.process.say(message)

    def leave(self) -> None:
        """Have the worker drain and end, and no other begin."""
        self._leaving.set()
        if self.process is not None:
            self.process.leaving = True
            self.process.say(Leave())

    async def _one(self) -> Ended:
        self.starts += 1
        process = self.process = self._make(self.number, self.starts)
        try:
            await process.begin()
            if self._leaving.is_set():
                self.leave()
            return await process.ended()
        except OSError as error:
            return Ended(f"could not be started: {error.strerror or error}", False, 0.0)
        finally:
            process.kill("was killed, as its supervisor ends")
            self.process = None

    def _tell(self, ended: Ended, pause_s: float) -> None:
        soon = f"in {pause_s:g} s" if pause_s else "now"
        how = "; ".join(ended.how.splitlines()[:SAID_LINES]).rstrip(".")
        how = f"does not serve: {how}" if ended.refused else how
        log.warning("worker %d %s; another one begins %s", self.number, how, soon)
