"""One end of what a supervisor and a worker say to each other: lines over a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from service.workers.messages import LONGEST_LINE, ToSupervisor, ToWorker, Unreadable, encode

BACKLOG = 65_536
"""Bytes that wait to be read by the other end before what repeats itself is left out."""


class Channel(asyncio.Protocol):
    """Gives each line to `hear`, in order; calls `gone` once, when the other end is gone or says what is none of ours.

    `rest` is what was read already.
    """

    def __init__(self, hear: Callable[[bytes], None], gone: Callable[[], None], rest: bytes = b"") -> None:
        self._hear, self._gone = hear, gone
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray(rest)
        self._ended = asyncio.Event()

    @classmethod
    async def over(
        cls, end: socket.socket, hear: Callable[[bytes], None], gone: Callable[[], None], rest: bytes = b""
    ) -> Channel:
        """Speak over a connected socket, which is closed with the channel."""
        end.setblocking(False)
        channel = cls(hear, gone, rest)
        await asyncio.get_running_loop().create_connection(lambda: channel, sock=end)
        return channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with what was read already."""
        self._transport = cast(asyncio.Transport, transport)
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Take in what came, and give on every whole line of it."""
        self._unread += data
        *lines, rest = self._unread.split(b"\n")
        self._unread = rest
        try:
            for line in lines:
                self._hear(bytes(line))
        except Unreadable:
            self._abort()
        if len(rest) > LONGEST_LINE:
            self._abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell that the other end is gone."""
        self._ended.set()
        self._gone()

    def send(self, message: ToWorker | ToSupervisor) -> None:
        """Say something; nothing happens where the other end is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode(message))

    @property
    def is_heard(self) -> bool:
        """Whether the other end reads what is said."""
        return self._transport is not None and self._transport.get_write_buffer_size() < BACKLOG

    def leave(self) -> None:
        """Be about to end it: that the other end goes is no matter any more."""
        self._gone = _nothing

    async def ended(self) -> None:
        """Wait until the other end is gone and all that it said is heard."""
        await self._ended.wait()

    async def close(self, within_s: float = 1.0) -> None:
        """End it when all that was said is on its way, or when that takes too long."""
        if self._transport is not None:
            self._transport.close()
            try:
                async with asyncio.timeout(within_s):
                    await self._ended.wait()
            except TimeoutError:
                self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _nothing() -> None:
    pass


def first_line(end: socket.socket) -> tuple[bytes, bytes]:
    """Wait for a line and return it, with what was read after it; raise `Unreadable` where none comes."""
    read = b""
    while b"\n" not in read:
        received = end.recv(65_536)
        if not received or len(read) > LONGEST_LINE:
            raise Unreadable("there was nothing to begin with")
        read += received
    line, _, rest = read.partition(b"\n")
    return line, rest
