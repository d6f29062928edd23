"""Learning between trainings: what outcomes say of the actions, read again every few seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Protocol

from service.core.adapting import Adapting, Counts, Learned
from service.errors import StoreError

log = logging.getLogger(__name__)

READ_AGAIN_S = 5.0
READ_WITHIN_S = 1.0
STALE_S = 20.0
"""When what was learned has not been read for so long, decisions say that they were made with stale scores."""


class CountedOutcomes(Protocol):
    """Knows what was counted. Raises StoreError when the store fails or is too slow."""

    async def counted(self, scope: str, now_ms: int, deadline_s: float) -> Counts:
        """Return the sums of a scope, of decisions whose outcomes have had their time."""
        ...


class Learning:
    """What is learned by now; `learned` is replaced, never changed, and None until it was read, or where nothing is.

    It is `stale` when it could not be read again for `STALE_S` seconds.

    While the store fails, what was read last stands: nothing that is said waits for it.
    """

    def __init__(
        self,
        counts: CountedOutcomes,
        adapting: Adapting | None,
        model: str,
        clock: Callable[[], int],
        again_s: float = READ_AGAIN_S,
    ) -> None:
        self.learned: Learned | None = None
        self.stale = False
        self._read_at = monotonic()
        self._counts, self._adapting, self._clock, self._again_s = counts, adapting, clock, again_s
        self._scope = adapting.scope(model) if adapting else ""
        self._away = False
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Read what was counted again and again, where the strategy adapts, until closed."""
        if self._adapting is not None:
            self._task = asyncio.create_task(self._keep_reading(self._adapting))

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def refresh(self) -> None:
        """Read once what was counted; raise StoreError, and go on with what was read last, when that fails."""
        if self._adapting is not None:
            await self._read(self._adapting)

    async def _read(self, adapting: Adapting) -> None:
        self.learned = Learned(adapting, await self._counts.counted(self._scope, self._clock(), READ_WITHIN_S))
        self.stale, self._read_at = False, monotonic()

    async def _keep_reading(self, adapting: Adapting) -> None:
        while True:
            try:
                await self._read(adapting)
                self._away = False
            except StoreError as error:
                if not self._away:
                    log.warning("what was learned cannot be read: %s", type(error).__name__)
                self._away = True
            except Exception as error:  # noqa: BLE001 - a defect in one round must not end all that would come after it
                log.error("reading what was learned failed and goes on: %s", type(error).__name__)
            self.stale = monotonic() - self._read_at > STALE_S
            await asyncio.sleep(self._again_s)
