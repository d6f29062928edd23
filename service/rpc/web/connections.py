"""One connection of a browser, bounded in everything that the other side may draw out.

uvicorn parses HTTP/1.1 (by h11) and runs the application; it waits for ever for the rest of a head, of a body, and for
who does not read. Here each of these has its time, and the connections have a number.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.rpc.web.calls import HERE, Connection
from service.rpc.web.door import Door, Scope, Send
from service.rpc.web.heads import Reading
from service.rpc.web.places import who_gives_way
from service.rpc.web.room import MOST_BYTES, Receive
from service.rpc.web.tls import names_in

MOST = 512
"""How many browsers may be connected at once: a page holds one connection for what changes, and a second for a call."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step of a connection may take, in seconds, and how many there may be at once.

    `head_s` from its first byte to its last, and from the beginning of a connection; `body_s` for the whole body, or
    `stream_s` between two parts of one that is a stream; `read_s` for who does not read what is written; `idle_s`
    between two requests. `most_bytes` of bodies are kept at once, over all connections.
    """

    head_s: float = 10.0
    body_s: float = 10.0
    stream_s: float = 300.0
    read_s: float = 20.0
    idle_s: float = 60.0
    most: int = MOST
    most_bytes: int = MOST_BYTES


class BrowserConnection(H11Protocol):
    """A connection that is hung up on when the other side takes too long. `streamed` are the paths of streams."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        door: Door,
        patience: Patience,
        streamed: frozenset[str],
    ) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self.conn = Reading()
        self.host, self._here = "", Connection()
        self._waits_since_s = self.loop.time()
        self._door, self._patience, self._streamed = door, patience, streamed
        self.timeout_keep_alive = patience.idle_s  # type: ignore[assignment]  # whole seconds to uvicorn, any to loops
        self._reading = self._writing = _Never
        self._body_of: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, that of somebody else where all are taken, and begin to wait for a request."""
        super().connection_made(transport)
        here = self._here = Connection(_peer(transport), names_in(transport.get_extra_info("peercert")))
        self.host = here.peer.rpartition(":")[0]
        if len(self.connections) > self._patience.most:
            others = (one for one in self.connections if isinstance(one, BrowserConnection) and one is not self)
            gives_way = who_gives_way(others) or self
            self.connections.discard(gives_way)  # whose end comes later than the next newcomer may
            gives_way.transport.abort()
            if gives_way is self:
                return

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            HERE.set(here)  # each request is a task of its own, and so has a context of its own
            await self._door(scope, receive, send)

        self.app = answer
        self._wait(self._patience.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._reading.cancel()
        self._writing.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and wait for what is to come next."""
        begins = not self._answering and self._reading is _Never
        super().data_received(data)
        if self._answering:
            self._wait_for_body()
        elif begins:
            self._wait(self._patience.head_s)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; only hang up where another answer has begun, or was given already."""
        if self._answering:  # whoever answers is not to answer this connection any more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Wait for another request, which may be there already."""
        self._waits_since_s = self.loop.time()
        self._wait(None)
        super().on_response_complete()
        if self._answering:
            self._wait_for_body()
        elif self.conn.trailing_data[0]:
            self._wait(self._patience.head_s)

    def pause_writing(self) -> None:
        """Wait for the other side to read."""
        super().pause_writing()
        self._writing = self.loop.call_later(self._patience.read_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Write on."""
        self._writing.cancel()
        super().resume_writing()

    @property
    def known(self) -> bool:
        """Whether a gate let a call of this connection in."""
        return self._here.known

    @property
    def waits_since_s(self) -> float | None:
        """Since when nothing is answered here, by the clock of the loop; None while something is."""
        return None if self._answering else self._waits_since_s

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait_for_body(self) -> None:
        """Wait for the whole body, or, where it is a stream, for the next part of it."""
        if not self.cycle.more_body:
            self._wait(None)
        elif self.scope["path"] in self._streamed:
            self._wait(self._patience.stream_s)
        elif self._body_of is not self.cycle:
            self._body_of = self.cycle
            self._wait(self._patience.body_s)

    def _wait(self, seconds: float | None) -> None:
        self._reading.cancel()
        self._reading = _Never if seconds is None else self.loop.call_later(seconds, self.transport.abort)


class _NeverCalled:
    """What nobody waits for."""

    def cancel(self) -> None:
        """Do nothing."""


_Never: Any = _NeverCalled()


def _peer(transport: asyncio.BaseTransport) -> str:
    """Return the other end, as gRPC writes it."""
    address = transport.get_extra_info("peername")
    if not isinstance(address, tuple) or len(address) < 2:
        return "unix:"
    host, port = address[:2]
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"
