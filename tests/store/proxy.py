"""A proxy before a store that delays, splits, holds back and cuts what passes, in order."""

from __future__ import annotations

import asyncio
import random
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class DelayingProxy:
    """Forward each piece of what it reads after a random wait of up to `delay_ms`; seeded.

    Listens on a free port of 127.0.0.1, with `certificate` over TLS, or on the Unix socket `path`.
    """

    def __init__(
        self,
        url: str,
        *,
        delay_ms: float = 0.0,
        seed: int = 0,
        certificate: ssl.SSLContext | None = None,
        path: Path | None = None,
    ) -> None:
        self._target = urlsplit(url)
        self._delay_s = delay_ms / 1000
        self._random = random.Random(seed)
        self._certificate = certificate
        self._path = path
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._certificate)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Return where to connect instead of to the store."""
        if self._path is not None or self._server is None:
            return f"unix://{self._path}"
        port = self._server.sockets[0].getsockname()[1]
        return f"{'rediss' if self._certificate else 'redis'}://127.0.0.1:{port}/0"

    def hold(self) -> None:
        """Let nothing pass, and keep the connections."""
        self._flowing.clear()

    def release(self) -> None:
        """Let everything pass again."""
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        ways = [asyncio.create_task(self._forward(*way)) for way in ((reader, back), (there, writer))]
        self._writers.update((writer, back))
        self._tasks.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, back):
            end.transport.abort()
            self._writers.discard(end)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                for piece in self._pieces(data):
                    await asyncio.sleep(self._random.uniform(0.0, self._delay_s))
                    await self._flowing.wait()
                    writer.write(piece)
                    await writer.drain()
        except ConnectionError:
            return  # the other side has gone; so does this one

    def _pieces(self, data: bytes) -> tuple[bytes, bytes]:
        """Split at a random place, mostly in the middle of a reply."""
        at = self._random.randint(0, len(data))
        return data[:at], data[at:]
