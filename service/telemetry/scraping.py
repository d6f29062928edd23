"""The port on which Prometheus reads: one small answer to `GET /metrics`, and nothing else.

It answers on the loop that serves, so everything about it is bounded: how many ask at once, how much they may say, and
how long they may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from service.errors import CannotListen
from service.telemetry.families import Family
from service.telemetry.openmetrics import OPENMETRICS, PLAIN, text_of, wants_openmetrics

PATIENCE_S = 2.0
"""How long a connection may last, from the first byte to the last."""

MOST_AT_ONCE = 8
MOST_BYTES = 8_192
_END = b"\r\n\r\n"


class Scraping:
    """Serves what `read` returns, as text. A connection lasts `patience_s` at most."""

    def __init__(self, read: Callable[[], tuple[Family, ...]], patience_s: float = PATIENCE_S) -> None:
        self._read, self._patience_s = read, patience_s
        self._server: asyncio.Server | None = None
        self._asking: set[_Asking] = set()
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Listen; raise `CannotListen` where that cannot be. Port 0 takes a free one."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._asked, host, port)
        except OSError:
            raise CannotListen(
                f"Cannot listen on {host}:{port} for metrics: the port is taken, or the host is none of this "
                "machine's. Choose another --metrics-port (0 takes a free one)."
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the port, and hang up on who still asks."""
        if self._server is not None:
            self._server.close()
        asking = tuple(self._asking)
        for one in asking:
            one.hang_up()
        await asyncio.gather(*(one.lost for one in asking))

    def _asked(self) -> _Asking:
        return _Asking(self._asking, self._answer, self._patience_s)

    def _answer(self, head: str) -> bytes:
        """Return the answer to a request, of which the first line and the `Accept` header matter."""
        asked, *headers = head.split("\r\n")
        words = asked.split(" ")
        if len(words) != 3 or words[0] not in ("GET", "HEAD"):
            return _http("405 Method Not Allowed", PLAIN, "Ask with GET.\n")
        if words[1].partition("?")[0] != "/metrics":
            return _http("404 Not Found", PLAIN, "The metrics are at /metrics.\n")
        accepted = (line.partition(":")[2] for line in headers if line.lower().startswith("accept:"))
        openmetrics = wants_openmetrics(",".join(accepted))
        text = text_of(self._read(), openmetrics=openmetrics)
        return _http("200 OK", OPENMETRICS if openmetrics else PLAIN, text, only_head=words[0] == "HEAD")


class _Asking(asyncio.Protocol):
    """One connection, for one request."""

    def __init__(self, asking: set[_Asking], answer: Callable[[str], bytes], patience_s: float) -> None:
        self._all, self._answer = asking, answer
        self._said, self._answered = bytearray(), False
        loop = asyncio.get_running_loop()
        self.lost = loop.create_future()
        self._patience = loop.call_later(patience_s, self.hang_up)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place if there is one."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._all) >= MOST_AT_ONCE:
            self.hang_up()
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        """Answer as soon as the request is there."""
        if self._answered:
            return
        self._said += data
        head, end, _ = bytes(self._said).partition(_END)
        if end and len(head) <= MOST_BYTES:
            self._answered = True
            self._transport.write(self._answer(head.decode("latin-1")))
            self._transport.close()  # when all is written; the patience bounds that
        elif len(self._said) > MOST_BYTES:
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place to the next one."""
        self._patience.cancel()
        self._all.discard(self)
        self.lost.set_result(None)

    def hang_up(self) -> None:
        """End the connection at once."""
        self._transport.abort()


def _http(status: str, kind: str, text: str, *, only_head: bool = False) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if only_head else body)
