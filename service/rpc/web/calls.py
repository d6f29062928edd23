"""A call that came over HTTP, as the handlers of gRPC see it: so the same handlers answer, with the same rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import grpc
from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.request import RequestContext
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from protobuf.wkt import Any as Packed

Context: TypeAlias = "RequestContext[Any, Any]"
DETAILS = "grpc-status-details-bin"
_OTHERWISE = {"CANCELLED": "CANCELED"}
_CODES = {code: Code[_OTHERWISE.get(code.name, code.name)] for code in grpc.StatusCode if code.name != "OK"}


@dataclass(slots=True)
class Connection:
    """What a call came by: the other end as gRPC writes it, and the names in the certificate that it showed.

    It is `known` from the first call on that a gate let in.
    """

    peer: str = "unknown:"
    names: Mapping[str, list[bytes]] = field(default_factory=dict)
    known: bool = False


HERE: ContextVar[Connection] = ContextVar("here")
"""The connection that the call at hand came by."""


class Told(ConnectError):
    """The end of a call in our own words, which repeat nothing that was sent."""


class WebCall:
    """The side of a call that the edge needs, of one that came over HTTP. `write` sends one answer of a stream."""

    def __init__(self, context: Context, write: Callable[[bytes], Awaitable[None]] | None = None) -> None:
        self._context, self._connection, self._write = context, HERE.get(), write

    def time_remaining(self) -> float | None:
        """Return the seconds to the caller's deadline; None when the caller named none."""
        left_ms = self._context.timeout_ms
        return None if left_ms is None else left_ms / 1000.0

    async def write(self, message: bytes, /) -> None:
        """Send one answer of a stream; return when it has been handed to the network."""
        if self._write is None:
            raise RuntimeError("a method with one answer writes none")
        await self._write(message)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()
    ) -> NoReturn:
        """End the call with a status."""
        packed: list[ErrorDetail] = []
        for name, value in trailing_metadata:
            if name == DETAILS and isinstance(value, bytes):
                found = Status.FromString(value).details
                packed += [ErrorDetail(Packed(type_url=one.type_url, value=one.value)) for one in found]
            elif isinstance(value, str):
                self._context.response_trailers.add(name, value)
        raise Told(_CODES.get(code, Code.UNKNOWN), details, packed)

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return what the caller sent beside the message."""
        return tuple(self._context.request_headers.allitems())

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...], /) -> None:
        """Tell the caller something beside the answer."""
        for name, value in metadata:
            self._context.response_trailers.add(name, value)

    def auth_context(self) -> Mapping[str, list[bytes]]:
        """Return the names in the caller's certificate, as gRPC has them."""
        return self._connection.names

    def peer(self) -> str:
        """Return the other end of the connection."""
        return self._connection.peer


async def answers_of(context: Context, work: Callable[[WebCall], Awaitable[object]]) -> AsyncGenerator[bytes, None]:
    """Yield what work writes to its call, each when the one before was sent; raise what ended the work.

    The work ends with whoever reads: where the caller leaves, it is cancelled and awaited.
    """
    handing = _Handing()
    task = asyncio.ensure_future(work(WebCall(context, handing.give)))
    task.add_done_callback(lambda _: handing.end())
    try:
        while (message := await handing.take()) is not None:
            yield message
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Handing:
    """Hands messages over one at a time: whoever gives waits until the message was taken, and is asked for again."""

    def __init__(self) -> None:
        self._message: bytes | None = None
        self._there, self._wanted = asyncio.Event(), asyncio.Event()

    async def give(self, message: bytes) -> None:
        """Hand a message over; return when the next one is wanted."""
        self._message = message
        self._wanted.clear()
        self._there.set()
        await self._wanted.wait()

    async def take(self) -> bytes | None:
        """Wait for the next message; None when there are no more."""
        self._wanted.set()
        await self._there.wait()
        self._there.clear()
        message, self._message = self._message, None
        return message

    def end(self) -> None:
        """Let whoever waits for a message know that there are no more."""
        self._there.set()
