"""The room for bodies under way, over all connections: who comes when it is full is told to come again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from service.errors import Overloaded

Receive: TypeAlias = Callable[[], Awaitable[Any]]

MOST_BYTES = 33_554_432
"""64 of the longest bodies, or 32,000 usual ones."""
AGAIN_S = 1.0


class Room:
    """Counts bytes that are kept until a call ends."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._left = most_bytes

    @contextmanager
    def kept(self, receive: Receive) -> Iterator[Receive]:
        """Count what is received until the end; receiving raises `Overloaded` where there is no room for more."""
        here = 0

        async def received() -> Any:  # noqa: ANN401 - one of several messages of ASGI
            nonlocal here
            message = await receive()
            size = len(message.get("body", b""))
            if size > self._left:
                raise Overloaded(AGAIN_S)
            self._left -= size
            here += size
            return message

        try:
            yield received
        finally:
            self._left += here

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Take so many bytes until the end; raise `Overloaded` where there is no room for them."""
        if size > self._left:
            raise Overloaded(AGAIN_S)
        self._left -= size
        try:
            yield
        finally:
            self._left += size
