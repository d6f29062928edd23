"""How gRPC wakes the loop: by a pipe that is emptied at once, not by a pair of sockets that is read byte by byte.

A thread of gRPC's writes one byte for each event, about four a call, and the loop's reader takes one byte and all
events that there are by then; so most bytes wake the loop for nothing. gRPC makes the pair when the first server or
channel of a process is made, and asks `socket.socketpair` for it.

A process that has had two loops is woken byte by byte, as gRPC means it: gRPC stops at an event of a loop that was
closed, and what came with that event has no byte left to wake anybody.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_BYTES = 65_536  # what a pipe holds
_one_at_a_time = threading.Lock()


class End:
    """One end of a pipe, with as much of a socket as gRPC and event loops ask of it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor; -1 when closed, as sockets do."""
        return self._descriptor

    def setblocking(self, blocking: bool) -> None:
        """Wait or not, where nothing is there to read or no room to write."""
        os.set_blocking(self._descriptor, blocking)

    def close(self) -> None:
        """Close it; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Emptied(End):
    """The end that is read. Whoever watches it asks for its descriptor first, from the loop that is to be woken."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._most_bytes = MOST_BYTES

    def fileno(self) -> int:
        """Return the descriptor; -1 when closed, as sockets do."""
        loop = _running_loop()
        if self._loop is None:
            self._loop = loop
        elif loop is not self._loop:
            self._most_bytes = 1
        return super().fileno()

    def recv(self, at_least: int) -> bytes:
        """Take all that is there, where one loop alone is woken: each byte says the same, that there are events."""
        return os.read(self._descriptor, max(at_least, self._most_bytes))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@contextmanager
def over_a_pipe() -> Iterator[None]:
    """Have what asks for a pair of sockets meanwhile, in this thread, get a pipe; all others get sockets."""
    with _one_at_a_time:
        pair, here = socket.socketpair, threading.get_ident()

        def made(*args: Any, **options: Any) -> tuple[Any, Any]:  # noqa: ANN401 - whatever `socket.socketpair` takes
            if threading.get_ident() != here:
                return pair(*args, **options)
            read, written = os.pipe()
            return Emptied(read), End(written)

        socket.socketpair = made
        try:
            yield
        finally:
            socket.socketpair = pair
