"""What everything that the store keeps talks to: a way to the store, whatever stands at its end."""

from __future__ import annotations

import asyncio
from typing import Protocol

from service.store.pipeline import Argument, Reply


class Execute(Protocol):
    """Send one command to one server and return its reply."""

    async def __call__(self, *args: Argument) -> Reply:
        """Send one command and return its reply; raise a `StoreError`."""
        ...


class Way(Protocol):
    """Sends commands to a store: one server, the master that sentinels name, or a cluster.

    Each call waits `deadline_s` seconds at most and raises a `StoreError` where the store does not do what it is asked.
    """

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Send one packed command; the future has its reply."""
        ...

    async def execute(self, *args: Argument, deadline_s: float | None = None) -> Reply:
        """Send one command and wait for its reply."""
        ...

    async def servers(self) -> tuple[Execute, ...]:
        """Return what sends commands to each server that is written to, whatever their keys."""
        ...

    def distrust(self) -> None:
        """Drop every open connection, because a reply came that its caller cannot explain."""
        ...

    async def close(self) -> None:
        """Close all connections; calls that wait, and all later ones, fail."""
        ...
