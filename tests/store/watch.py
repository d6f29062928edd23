"""Two ways to see what a store does: the commands that it executes, and the bytes that pass its door."""

from __future__ import annotations

from itertools import count
from typing import Any

from redis import Redis

from tests.store.proxy import DelayingProxy


class Watch:
    """Everything that the store executes, also inside functions, in order."""

    def __init__(self, url: str) -> None:
        self._marks = count()
        self._client = Redis.from_url(url, socket_timeout=10)
        self._marker = Redis.from_url(url)
        self._monitor: Any = self._client.monitor()  # type: ignore[no-untyped-call]  # redis-py does not type it
        self._monitor.__enter__()

    def seen(self) -> list[list[str]]:
        """Return the commands since the last look, as words."""
        mark, commands = f"mark-{next(self._marks)}", list[list[str]]()
        self._marker.echo(mark)
        while True:
            command = self._monitor.next_command()["command"].split(" ")
            if command[-1] == mark:
                return commands
            commands.append(command)

    def close(self) -> None:
        """Stop watching."""
        self._monitor.__exit__(None, None, None)
        self._marker.close()
        self._client.close()


class Tap(DelayingProxy):
    """Forwards at once, and remembers what passed either way."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.heard = bytearray()

    def _pieces(self, data: bytes) -> tuple[bytes, bytes]:
        self.heard += data
        return data, b""
