"""Bad weather for a store: a proxy that delays what it answers, and a network of its own that drops packets."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.conftest import absent

SUBNET = "10.203.47"
"""Of the documentation's private networks: nobody else is in it, for both ends are ours."""


class SlowWay:
    """A proxy before a store, in a thread of its own, that passes each answer on `delay_s` after it came, in order."""

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self.port = 0
        self._target = port
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)

    @property
    def url(self) -> str:
        """Where to connect instead of to the store."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        listening.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        answers = asyncio.create_task(self._pass_on(there, writer, slowly=True))
        await self._pass_on(reader, back, slowly=False)
        answers.cancel()
        for end in (writer, back):
            end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slowly: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if slowly and self.delay_s:
                    self._loop.call_later(self.delay_s, writer.write, data)
                else:
                    writer.write(data)


@dataclass(frozen=True, slots=True)
class Island:
    """A network namespace with one way to it, on which packets to the store can be dropped."""

    name: str

    @property
    def host(self) -> str:
        """The address of the namespace's end of the way."""
        return f"{SUBNET}.2"

    def command(self, *words: object) -> list[str]:
        """Return a command that runs within."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def cut(self) -> None:
        """Drop everything that comes in, silently: a partition."""
        self._rule("drop")

    def lose(self, percent: int) -> None:
        """Drop so many packets in a hundred, at random, in each direction."""
        lost = f"numgen random mod 100 < {percent} drop"
        self._rule(lost)
        self._nft("add", "rule", "ip", "weather", "out", *lost.split())

    def clear(self) -> None:
        """Let everything pass."""
        self._nft("flush", "table", "ip", "weather")

    def _rule(self, rule: str) -> None:
        self._nft("add", "rule", "ip", "weather", "in", *rule.split())

    def _nft(self, *words: str) -> None:
        _run(*self.command("nft", *words))


@contextmanager
def island() -> Iterator[Island]:
    """Make a namespace, and remove it; skip where this process may not, or the tools are missing."""
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("nft")):
        absent("Partitions need root, `ip` and `nft` (Debian: apt-get install iproute2 nftables).")
    made = Island(f"tact-weather-{os.getpid()}")
    near, far = f"tw{os.getpid() % 100_000}n", f"tw{os.getpid() % 100_000}f"
    _run("ip", "netns", "add", made.name)
    try:
        _run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", made.name)
        _run("ip", "addr", "add", f"{SUBNET}.1/30", "dev", near)
        _run("ip", "link", "set", near, "up")
        _run(*made.command("ip", "addr", "add", f"{made.host}/30", "dev", far))
        for device in (far, "lo"):
            _run(*made.command("ip", "link", "set", device, "up"))
        made._nft("add", "table", "ip", "weather")
        for chain, hook in (("in", "input"), ("out", "output")):
            words = f"add chain ip weather {chain} {{ type filter hook {hook} priority 0 ; }}".split()
            made._nft(*words)
        yield made
    finally:
        subprocess.run(["ip", "link", "del", near], check=False, capture_output=True)
        _run("ip", "netns", "del", made.name)


def _run(*words: str) -> None:
    ran = subprocess.run(words, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, f"{' '.join(words)}: {ran.stderr}"
