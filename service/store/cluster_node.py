"""One server of a cluster: its connection hands over what the server did not run, with what was asked."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from service.store.address import Address
from service.store.breaker import Told
from service.store.cluster_address import Place
from service.store.connection import Connections, MakeConnection, Server
from service.store.error_prefixes import REFUSALS
from service.store.pipeline import Argument, Connection, Reply, StoreReplied, pack

NOT_SERVING = frozenset(("CLUSTERDOWN", "LOADING", "READONLY", "MASTERDOWN"))
NOT_RUN = NOT_SERVING | {"MOVED", "ASK", "TRYAGAIN"}
"""How the refusals begin with which a server of a cluster has not run a command, so that it can be sent again."""
ASKING = pack("ASKING")
AT_ONCE = 4
FEW = 5
FIRST_PAUSE_S = 0.001
LONGEST_PAUSE_S = 0.02


class Sent(bytes):
    """A packed command that servers refused to run, so many times, at last with this error.

    `asking` says that it goes where its keys are only coming to.
    """

    error: StoreReplied
    times: int
    asking: bool

    @classmethod
    def of(cls, packed: bytes, error: StoreReplied) -> Self:
        """Note a refusal more."""
        sent = cls(packed)
        sent.error, sent.asking = error, error.prefix == "ASK"
        sent.times = packed.times + 1 if isinstance(packed, Sent) else 1
        return sent

    @property
    def redirected(self) -> bool:
        """Whether the server said who has the keys."""
        return self.error.prefix in ("MOVED", "ASK")

    @property
    def at_once(self) -> bool:
        """Whether to follow a redirection at once: servers that disagree may name each other for a while."""
        return self.redirected and self.times <= AT_ONCE

    @property
    def hopeless(self) -> bool:
        """Whether to leave off: a server that does not serve is asked a few times, for an election takes seconds."""
        return self.error.prefix in NOT_SERVING and self.times > FEW

    @property
    def pause_s(self) -> float:
        """How long to wait (s) before it is sent again; doubles each time."""
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - spreads calls, hides nothing
        return spread * min(FIRST_PAUSE_S * (1 << min(self.times - 1, 10)), LONGEST_PAUSE_S)


class Elsewhere(Protocol):
    """Takes over a command that a server did not run; its answer is due at a moment of the loop's clock."""

    def __call__(self, asked: Place, sent: Sent, answer: asyncio.Future[Reply], due: float) -> None:
        """See that the answer comes, by another server or later."""
        ...


class NodeConnection(Connection):
    """A connection to one server of a cluster."""

    def __init__(self, place: Place, elsewhere: Elsewhere, *, timeout_s: float) -> None:
        super().__init__(timeout_s=timeout_s)
        self._place, self._elsewhere = place, elsewhere

    def _queue(self, packed: bytes, answer: asyncio.Future[Reply], due: float, doubtful: float) -> None:
        """Queue a command; a server takes ASKING for what comes next over the connection, so both go together."""
        if type(packed) is Sent and packed.asking:
            super()._queue(ASKING, self._nobody, due, doubtful)
        super()._queue(packed, answer, due, doubtful)

    def _answer(self, reply: Reply) -> None:
        if type(reply) is not StoreReplied or reply.prefix not in NOT_RUN:
            super()._answer(reply)
            return
        answer, due, _, packed = self._slots.popleft()
        REFUSALS.note(reply.prefix, reply.message)
        if not answer.done():
            self._elsewhere(self._place, Sent.of(packed, reply), answer, due)


@dataclass(frozen=True, slots=True)
class Entry:
    """How to open connections to the servers of a cluster, which `make` makes for each; times in milliseconds."""

    tls: ssl.SSLContext | None
    timeout_ms: float
    connect_ms: float
    make: Callable[[Place], MakeConnection]


class Node:
    """One server of a cluster and the way to it, with a breaker of its own: who is down takes nothing from others.

    `used_s` is when a command was last sent on to it by another server, by the loop's clock.
    """

    def __init__(self, place: Place, address: Address, entry: Entry, told: tuple[Told, Told] | None) -> None:
        self.place = place
        self.used_s = float("-inf")
        self.way = Connections(
            Server(address, entry.tls),
            timeout_ms=entry.timeout_ms,
            connect_timeout_ms=entry.connect_ms,
            protocol=entry.make(place),
        )
        self.breaker = self.way.breaker
        if told is not None:
            self.way.told(*told)

    async def execute(self, *args: Argument, deadline_s: float | None = None) -> Reply:
        """Send this server one command, whatever its keys, and return its reply; raise a `StoreError`."""
        return await self.way.call(pack(*args), deadline_s)
