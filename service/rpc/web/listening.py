"""The port for browsers: opened beside the gRPC port, in the same process and on the same loop, and ended with it.

listening = Listening(WebSettings(port=0), "127.0.0.1", server.guarded)
port = await listening.start()                       # raises CannotListen
await listening.drain(linger_s=1.0, grace_s=10.0)
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from service.errors import CannotListen
from service.rpc.access.tls import TlsRefused
from service.rpc.connections import MOST as MOST_OF_GRPC
from service.rpc.connections import most_connections
from service.rpc.web.connections import BrowserConnection, Patience
from service.rpc.web.door import Door, Scope, Send
from service.rpc.web.endpoints import Answers, served_by
from service.rpc.web.origins import Origins
from service.rpc.web.pages import read_pages
from service.rpc.web.room import Receive, Room
from service.rpc.web.settings import WebSettings
from service.rpc.web.tls import Renewing
from service.tls_files import TlsFiles

HANDSHAKE_S = 5.0
BACKLOG = 128
LOCAL = ("127.0.0.1", "localhost", "::1")
"""How pages of this machine's own are called, wherever it listens."""


class Listening:
    """Serves browsers. Construct it anywhere; start and drain it in the loop that serves.

    `answers` returns the handlers that answer gRPC; `reuse_port` lets several processes share the port.
    """

    def __init__(
        self,
        settings: WebSettings,
        host: str,
        answers: Answers,
        tls: TlsFiles | None = None,
        *,
        reuse_port: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self._settings, self._host, self._answers, self._tls = settings, host, answers, tls
        self._reuse_port, patience = reuse_port, patience or Patience()
        files = most_connections(MOST_OF_GRPC + patience.most)
        self._patience = replace(patience, most=min(patience.most, files // 4))
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> int:
        """Open the port and return it; raise `CannotListen` when it cannot be opened."""
        loop, context = asyncio.get_running_loop(), self._context()
        served, config, encrypted = served_by(self._answers), _config(), context is not None
        pages = read_pages() if self._settings.desktop else {}
        door: Door | None = None

        def connected() -> BrowserConnection:
            assert door is not None  # noqa: S101 - the loop has not turned since the port was opened
            return BrowserConnection(config, self._state, door, self._patience, served.streamed)

        try:
            self._server = await loop.create_server(
                connected, self._host, self._settings.port or 0, ssl=context, backlog=BACKLOG,
                reuse_port=self._reuse_port or None, ssl_handshake_timeout=HANDSHAKE_S if encrypted else None,
            )  # fmt: skip
        except OSError:
            raise CannotListen(
                f"Cannot listen on {self._host}:{self._settings.port} for browsers: the port is taken, or the host is "
                "none of this machine's. Choose another --web-port (0 takes a free one)."
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        origins = Origins.of(self._settings.origins, (self._host, *LOCAL), self.port, encrypted=encrypted)
        door = Door(served, origins, pages, Room(self._patience.most_bytes))
        return self.port

    async def drain(self, *, linger_s: float, grace_s: float) -> None:
        """Go on for `linger_s`, take no new calls from then on, and cancel what has not ended within `grace_s`."""
        if self._server is None:
            return
        await asyncio.sleep(linger_s)
        self._server.close()
        for one in tuple(self._state.connections):
            one.shutdown()
        if tasks := tuple(self._state.tasks):
            _, late = await asyncio.wait(tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for one in tuple(self._state.connections):
            one.transport.abort()
        self._server = None

    def _context(self) -> ssl.SSLContext | None:
        try:
            return None if self._tls is None else Renewing(self._tls).context
        except TlsRefused as refused:
            raise CannotListen(str(refused)) from None


def _config() -> Config:
    """Return what uvicorn needs to know: it says nothing of bad requests, which strangers may send as they like."""
    config = Config(
        _nothing, http=H11Protocol, loop="none", ws="none", lifespan="off", interface="asgi3", log_config=None,
        log_level="critical", access_log=False, proxy_headers=False, server_header=False, date_header=False,
    )  # fmt: skip
    config.load()
    return config


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing: each connection is given the door that answers."""
