"""The way to the store: a few pipelining connections, used in turn and reopened when they are wanted.

`pipeline.py` draws the tree of errors.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from copy import copy
from types import TracebackType
from typing import Self

from service.errors import StoreError
from service.store.address import Address
from service.store.breaker import Breaker, Told
from service.store.dialing import MakeConnection, Server, Target, connect
from service.store.hedging import Hedging
from service.store.pipeline import (
    SILENT_S,
    Argument,
    Connection,
    Reply,
    StoreForbidden,
    StoreReplied,
    StoreTimeout,
    StoreUnavailable,
    pack,
)
from service.store.way import Execute

__all__ = [
    "Address",
    "Argument",
    "Connection",
    "Connections",
    "MakeConnection",
    "Reply",
    "Server",
    "StoreError",
    "StoreForbidden",
    "StoreReplied",
    "StoreTimeout",
    "StoreUnavailable",
    "Target",
    "connect",
    "pack",
]

FIRST_PAUSE_S = 0.05  # between two attempts to open the same connection; doubles with each failure
LONGEST_PAUSE_S = 0.5
PROBED_FOR_S = 0.3
"""How long a connection that is open may take to answer a probe."""


_PING = pack("PING")


class Connections:
    """Send commands to the store over `size` connections in turn; each is opened by the first call that wants it.

    One connection is the fastest: what is asked in the same turn of the loop goes out in one write (6.4 µs of CPU a
    call at 8 in flight, against 11.4 with two). More are for a store that is far away.

    A call waits at most `deadline_s`, and never longer than `timeout_ms`. While the store is known to be down, calls
    fail at once and at most one attempt a connection looks whether it is back. Nothing is ever sent twice. Commands of
    two calls that do not wait for each other may run in either order.

    After five failures in a row (`breaker`) calls fail at once, and one probe at a time looks for the store.
    Reads that are late are asked again over another of the connections, or over one more that is kept for that.

    >>> async with Connections("redis://127.0.0.1:6379/0") as store:  # doctest: +SKIP
    ...     await store.execute("HGET", "customer", "c", deadline_s=0.02)
    """

    def __init__(
        self,
        place: str | Target,
        *,
        size: int = 1,
        timeout_ms: float = 1000,
        connect_timeout_ms: float = 1000,
        protocol: MakeConnection = Connection,
    ) -> None:
        if size < 1:
            raise ValueError(f"A store needs at least one connection, not {size}.")
        target: Target = Server.at(place) if isinstance(place, str) else place
        self._target = target
        self._timeout_s = timeout_ms / 1000
        self._connect_s = connect_timeout_ms / 1000
        self._protocol = protocol
        self.breaker = Breaker(self._probe)
        self._hedging = Hedging(self._other)
        self._lanes = tuple(Lane(self._dial, self.breaker.failed) for _ in range(size))
        self._spare = Lane(self._dial)
        self._turn = 0
        self._closed = False

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Send one packed command; the future has its reply, or a `StoreError` after `deadline_s` seconds at most."""
        if self.breaker.open:
            return self._refused()
        connection = self._next_open()
        if connection is not None:
            return connection.call(packed, deadline_s)
        return asyncio.get_running_loop().create_task(self._call_when_open(self._lanes[self._turn], packed, deadline_s))

    async def execute(self, *args: Argument, deadline_s: float | None = None) -> Reply:
        """Send one command and wait for its reply, `deadline_s` seconds at most; raise a `StoreError`."""
        return await self.call(pack(*args), deadline_s)

    async def servers(self) -> tuple[Execute, ...]:
        """Return what sends commands to the one server."""
        return (self.execute,)

    async def opened(self, protocol: Callable[[], Connection]) -> Connection:
        """Open one connection more, for who asked to do with as they like, and to close; raise a `StoreError`."""
        return await self._target.open(self._connect_s, protocol)

    def told(self, breaker: Told, hedges: Told) -> None:
        """Let somebody count what the breaker does, and what is hedged."""
        self.breaker.told(breaker)
        self._hedging.told(hedges)

    def distrust(self) -> None:
        """Drop every open connection, because a reply came that its caller cannot explain; waiting calls fail."""
        for lane in (*self._lanes, self._spare):
            if lane.connection is not None:
                lane.connection.drop(StoreUnavailable("A reply could not be explained, so its connection was dropped."))

    async def close(self) -> None:
        """Close all connections; calls that wait, and all later ones, fail with `StoreUnavailable`."""
        self._closed = True
        await self.breaker.close()
        for lane in (*self._lanes, self._spare):
            await lane.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"Connections('{self._target}')"

    async def _dial(self) -> Connection:
        connection = await self._target.open(self._connect_s, lambda: self._protocol(timeout_s=self._timeout_s))
        connection.shares(self.breaker, self._hedging)
        return connection

    def _refused(self) -> asyncio.Future[Reply]:
        refused: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        refused.set_exception(self.breaker.refusal())
        return refused

    async def _probe(self) -> None:
        """See the store answer, over a connection that is open, or else one that is opened now, whatever the pause."""
        lane = next((lane for lane in (*self._lanes, self._spare) if lane.flows), self._lanes[0])
        if lane.is_open and not lane.flows:
            lane = self._spare  # the others may only be held up on the way
        connection = lane.connection
        if connection is None or not connection.open:
            connection = await lane.opened_anew(self._connect_s)
        await Connection.call(connection, _PING, PROBED_FOR_S)

    def _other(self, connection: Connection) -> Connection | None:
        """Return another open connection than this one; the spare is opened when it is first wanted."""
        for lane in self._lanes:
            if lane.is_open and lane.connection is not connection:
                return lane.connection
        if self._closed or connection is self._spare.connection:
            return None
        if self._spare.is_open:
            return self._spare.connection
        self._spare.reopen()
        return None

    def _next_open(self) -> Connection | None:
        """Return the open connection whose turn it is, or any open one; have a closed one reopened meanwhile."""
        self._turn = (self._turn + 1) % len(self._lanes)
        lane = self._lanes[self._turn]
        connection = lane.connection
        if connection is not None and connection.open and not connection.stalled:
            return connection
        return None if self._closed else self._way_round(lane)

    def _way_round(self, lane: Lane) -> Connection | None:
        """Return a connection over which something comes, instead of one that is closed or held up; else any open one.

        What is asked anew may go that way whatever it is: nothing of it was sent before.
        """
        held_up = lane.is_open
        if not held_up:
            lane.reopen()
        for other in (*self._lanes, self._spare):
            if other.flows:
                return other.connection
        if held_up:
            self._spare.reopen()
        return next((other.connection for other in self._lanes if other.is_open), None)

    async def _call_when_open(self, lane: Lane, packed: bytes, deadline_s: float | None) -> Reply:
        if self._closed:
            raise StoreUnavailable("This way to the store is closed.")
        started = asyncio.get_running_loop().time()
        patience_s = self._timeout_s if deadline_s is None else min(deadline_s, self._timeout_s)
        try:
            connection = await lane.opened(patience_s)
        except StoreError as error:
            if lane.known_down or asyncio.get_running_loop().time() - started >= SILENT_S:
                self.breaker.failed(error)
            raise
        waited_s = asyncio.get_running_loop().time() - started
        return await connection.call(packed, patience_s - waited_s)


class Lane:
    """One connection, its attempts to open and the pauses between them."""

    def __init__(
        self, dial: Callable[[], Awaitable[Connection]], failed: Callable[[StoreError], None] | None = None
    ) -> None:
        self.connection: Connection | None = None
        self._dial = dial
        self._failed = failed
        self._attempt: asyncio.Task[None] | None = None
        self._fault: StoreError | None = None
        self._pause_s = FIRST_PAUSE_S
        self._not_before = 0.0

    def reopen(self) -> None:
        """Start an attempt to open, unless one is under way or it is too early."""
        loop = asyncio.get_running_loop()
        if self._attempt is None and loop.time() >= self._not_before:
            self._attempt = loop.create_task(self._open())

    @property
    def is_open(self) -> bool:
        """Whether there is a connection and calls can be sent over it."""
        return self.connection is not None and self.connection.open

    @property
    def flows(self) -> bool:
        """Whether there is a connection, and it is not held up."""
        return self.connection is not None and self.connection.open and not self.connection.stalled

    @property
    def known_down(self) -> bool:
        """Whether the last attempt failed."""
        return self._fault is not None

    async def opened_anew(self, patience_s: float) -> Connection:
        """Wait for an attempt, which is started now if none is under way; raise a `StoreError` where it fails."""
        self._fault, self._not_before = None, 0.0
        self.reopen()
        return await self.opened(patience_s)

    async def opened(self, patience_s: float) -> Connection:
        """Wait for the attempt under way; after a failed one do not wait, for the store is known to be down."""
        attempt = self._attempt
        if attempt is not None and self._fault is None:
            await asyncio.wait((attempt,), timeout=patience_s)
            if not attempt.done():
                raise StoreTimeout("The store could not be reached in the time that was left.")
        if self.connection is not None and self.connection.open:
            return self.connection
        fault = self._fault or StoreUnavailable("The connection to the store was lost.")
        raise copy(fault)

    async def close(self) -> None:
        """Give up the attempt under way and close the connection."""
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait((self._attempt,))
        if self.connection is not None:
            await self.connection.close()

    async def _open(self) -> None:
        try:
            self.connection = await self._dial()
            self._fault, self._pause_s = None, FIRST_PAUSE_S
        except StoreError as error:
            self._fault, self._pause_s = error, min(self._pause_s * 2, LONGEST_PAUSE_S)
            if self._failed is not None:
                self._failed(error)
        finally:
            self._attempt = None
            spread = random.uniform(0.5, 1.0)  # noqa: S311 - spreads reconnects, hides nothing
            self._not_before = asyncio.get_running_loop().time() + self._pause_s * spread
