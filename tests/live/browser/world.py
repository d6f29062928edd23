"""A real server with its port for browsers, and a client that writes HTTP by hand, whatever a test likes to send."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.rpc.access.gate import Access
from service.rpc.callers import CallersFile
from service.rpc.edge import Edge
from service.rpc.server import Listen, Server
from service.rpc.web.connections import Patience
from service.rpc.web.listening import Listening
from service.rpc.web.settings import WebSettings
from service.tls_files import TlsFiles
from tests.edge.access.authority import Authority, Leaf, Signer
from tests.edge.access.world import World, everybody
from tests.rpc.world import Controlling, edge_of

WITHIN_S = 20.0
END_OF_CONNECT, END_OF_GRPC_WEB = 0x02, 0x80
FORMS = (
    "application/json", "application/proto", "application/grpc-web+proto", "application/grpc-web+json",
    "application/grpc-web",
)  # fmt: skip
"""What a browser may call a method with one answer with."""


@dataclass(frozen=True)
class Answered:
    """What came back: the status of HTTP, the headers in small letters, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def said(self) -> Any:  # noqa: ANN401 - any JSON
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """The messages of a stream with their flags, the end among them."""
        found, at = [], 0
        while at < len(self.body):
            flags, length = struct.unpack_from(">BI", self.body, at)
            found.append((flags, self.body[at + 5 : at + 5 + length]))
            at += 5 + length
        return found

    @property
    def messages(self) -> list[bytes]:
        """The messages of a stream, without its end."""
        return [message for flags, message in self.frames if flags in (0, 1)]

    @property
    def ended(self) -> tuple[str, str]:
        """How the call ended, as Connect names it, with what was said of it; empty texts where it was answered."""
        if "grpc-web" in self.headers.get("content-type", ""):
            return self._ended_as_grpc()
        if self.headers.get("content-type", "").startswith("application/connect+"):
            wrong = json.loads(self.frames[-1][1]).get("error", {})
        else:
            wrong = {} if self.status == 200 else self.said
        return wrong.get("code", ""), wrong.get("message", "")

    def _ended_as_grpc(self) -> tuple[str, str]:
        from urllib.parse import unquote

        trailers = dict(self.headers)
        for flags, text in self.frames:
            if flags & END_OF_GRPC_WEB:
                trailers |= dict(line.split(": ", 1) for line in text.decode().split("\r\n") if line)
        names = {0: "", 3: "invalid_argument", 4: "deadline_exceeded", 7: "permission_denied", 8: "resource_exhausted",
                 9: "failed_precondition", 12: "unimplemented", 14: "unavailable", 16: "unauthenticated"}  # fmt: skip
        number = int(trailers["grpc-status"])
        return names.get(number, str(number)), unquote(trailers.get("grpc-message", ""))


def framed(message: bytes, flags: int = 0) -> bytes:
    """Return a message as it stands in a stream."""
    return struct.pack(">BI", flags, len(message)) + message


@dataclass
class Wire:
    """One connection to the port."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(raw)
        await self.writer.drain()

    async def answer(self) -> Answered:
        """Read one answer."""
        async with asyncio.timeout(WITHIN_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            return Answered(int(first.split()[1]), headers, await self._body(headers))

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self.reader.readexactly(int(headers.get("content-length", "0")))
        body = b""
        while (chunk := await self.chunk()) is not None:
            body += chunk
        return body

    async def chunk(self) -> bytes | None:
        """Read one part of an answer; None where it has ended."""
        async with asyncio.timeout(WITHIN_S):
            length = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            content = await self.reader.readexactly(length + 2)
            return content[:-2] if length else None

    async def is_hung_up(self) -> bool:
        """Wait until the other side ends the connection."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while await self.reader.read(65_536):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()


@dataclass
class Port:
    """The port for browsers of a server, with what the server knows of TLS and of callers."""

    port: int
    server: Server
    listening: Listening
    grpc: World
    context: ssl.SSLContext | None = None
    edge: Edge | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def wire(self, leaf: Leaf | None = None) -> AsyncIterator[Wire]:
        """Open a connection, with a client's certificate or without one."""
        context = self.context
        if context is not None and leaf is not None:
            context = trusting(self.grpc.authority, self.grpc.folder, leaf)
        opened = await asyncio.open_connection("localhost" if context else "127.0.0.1", self.port, ssl=context)
        wire = Wire(*opened)
        try:
            yield wire
        finally:
            wire.close()

    async def call(
        self, path: str, body: bytes = b"{}", form: str = "application/json", leaf: Leaf | None = None, **headers: str
    ) -> Answered:
        """Make one call on a connection of its own."""
        async with self.wire(leaf) as wire:
            await wire.send(request(path, body, form, **headers))
            return await wire.answer()


def request(path: str, body: bytes = b"{}", form: str = "application/json", **headers: str) -> bytes:
    """Return a call as a browser writes it; an underscore in a name stands for a hyphen."""
    named = {"host": "localhost", "content-type": form, "content-length": str(len(body))}
    given = named | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST /{path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def trusting(authority: Authority, folder: Path, leaf: Leaf | None = None) -> ssl.SSLContext:
    """Return a client's side of TLS."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    if leaf is not None:
        context.load_cert_chain(*leaf.written(folder, "browser"))
    return context


@asynccontextmanager
async def opened(
    folder: Path,
    edge: Edge | None = None,
    *,
    web: WebSettings = WebSettings(0),  # noqa: B008 - frozen
    tls: bool = False,
    mutual: bool = False,
    guarded: bool = True,
    more: str = "",
    patience: Patience | None = None,
) -> AsyncIterator[Port]:
    """Run a server with callers, and with TLS where a test wants it, on two free ports."""
    authority, signer, edge = Authority(), Signer(), edge or edge_of()
    (folder / "keys.json").write_bytes(signer.keys)
    (folder / "callers.yaml").write_text(everybody(more))
    (folder / "ca.pem").write_bytes(authority.pem)
    leaf = authority.leaf("server").written(folder, "server") if tls else None
    files = TlsFiles(*leaf, folder / "ca.pem" if mutual else None) if leaf else None
    callers = CallersFile(folder / "callers.yaml") if guarded else None
    server = Server(edge, Listen(port=0, tls=files), access=Access(callers) if callers else None)
    server.controlled_by(Controlling())
    listening = Listening(web, "127.0.0.1", server.guarded, files, patience=patience)
    target = f"localhost:{await server.start()}"
    context = trusting(authority, folder) if tls else None
    port = Port(await listening.start(), server, listening, World(target, folder, authority, signer), context, edge)
    await server.announce(serving=True)
    try:
        yield port
    finally:
        await asyncio.gather(*(one.drain(linger_s=0, grace_s=0) for one in (server, listening)))
        if callers is not None:
            callers.close()
