"""The way to a master that sentinels watch over: it is left when they name another one, however well it answers.

A master that was only cut off from its replicas goes on serving whoever reaches it: reads that are old, and writes
that no fail-over keeps. So one sentinel is asked each second, each in turn; what it says counts when more than half of
all say it.
"""

from __future__ import annotations

import asyncio

from service.errors import StoreError
from service.store.address import Address
from service.store.connection import Connection, Connections, MakeConnection
from service.store.pipeline import StoreUnavailable
from service.store.sentinel import Sentinels

ASKED_EVERY_S = 1.0
LOOK_S = 0.5
"""How long the sentinels have for an answer."""


class SentinelConnections(Connections):
    """Send commands to the master that sentinels name, as `Connections` does to one server."""

    def __init__(
        self,
        sentinels: Sentinels,
        *,
        size: int = 1,
        timeout_ms: float = 1000,
        connect_timeout_ms: float = 1000,
        protocol: MakeConnection = Connection,
    ) -> None:
        super().__init__(
            sentinels, size=size, timeout_ms=timeout_ms, connect_timeout_ms=connect_timeout_ms, protocol=protocol
        )
        self._sentinels = sentinels
        self._master: Address | None = None
        self._turns = 0
        self._watching: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close all connections; calls that wait, and all later ones, fail with `StoreUnavailable`."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))
        await super().close()

    async def _dial(self) -> Connection:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._connect_s
        master = await self._sentinels.named(self._connect_s / 2)
        connection = await self._sentinels.opened(
            master, until - loop.time(), lambda: self._protocol(timeout_s=self._timeout_s)
        )
        connection.shares(self.breaker, self._hedging)
        self._follow(master)
        if self._watching is None:
            self._watching = loop.create_task(self._watch())
        return connection

    def _follow(self, master: Address) -> None:
        """Leave the master before this one, with all connections to it."""
        if self._master not in (None, master):
            for lane in (*self._lanes, self._spare):
                if lane.is_open and lane.connection is not None:
                    lane.connection.drop(StoreUnavailable("The sentinels name another master."))
        self._master = master

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(ASKED_EVERY_S)
            if any(lane.is_open for lane in (*self._lanes, self._spare)) and not await self._confirmed():
                try:
                    self._follow(await self._sentinels.named(LOOK_S))
                except StoreError:
                    continue  # without a majority nobody is master instead

    async def _confirmed(self) -> bool:
        """Ask the sentinel whose turn it is whether the master is still the one."""
        self._turns += 1
        sentinels = self._sentinels.sentinels
        try:
            return await self._sentinels.asked(sentinels[self._turns % len(sentinels)], LOOK_S) == self._master
        except StoreError:
            return False
