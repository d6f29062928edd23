"""The store's real functions in a real Valkey, at moments that the simulation says.

Every seed runs on the same server, which is emptied before. The library is loaded with a few lines ahead of it, so that
its `TIME` and the ids of its streams come from the virtual clock. Times to live run on the server's own clock: they
are of days, and no seed lasts as long in real time.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hiredis import Reader

from service.store.embedded import bundled_server
from service.store.functions import read_functions
from service.store.pipeline import pack

EPOCH_MS = 1_764_000_000_000
"""The store's clock at the virtual moment 0."""
STARTS_WITHIN_S = 10.0

_CLOCK = """
local redis = (function()
  local clock, last = 0, {}
  redis.register_function('sim_clock', function(keys, argv)
    clock = tonumber(argv[1])
    if argv[2] == '1' then last = {} end
    return 1
  end)
  local function id_in(stream)
    local before = last[stream]
    if before and clock <= before[1] then before[2] = before[2] + 1 else before = {clock, 0} end
    last[stream] = before
    return string.format('%.0f-%.0f', before[1], before[2])
  end
  local function call(name, first, ...)
    if name == 'TIME' then
      local s = math.floor(clock / 1000)
      return {string.format('%.0f', s), string.format('%.0f', (clock - s * 1000) * 1000)}
    elseif name == 'XADD' then
      local told = {...}
      for i = 1, 4 do
        if told[i] == '*' then
          told[i] = id_in(first)
          break
        end
      end
      return redis.call(name, first, unpack(told))
    end
    return redis.call(name, first, ...)
  end
  return {
    call = call, register_function = redis.register_function,
    pcall = function(...) return redis.pcall(...) end, sha1hex = function(text) return redis.sha1hex(text) end,
  }
end)()
"""

Change = Callable[[str], str]


def with_virtual_clock(source: str) -> str:
    """Return the source of the functions with a clock that is told, in the place of the local that names its version.

    A library has no more than 200 locals of its own.
    """
    head, version, rest = source.split("\n", 2)
    assert version.startswith("local VERSION = ")
    return head + _CLOCK + rest.replace(".. VERSION", ".. " + version.partition(" = ")[2])


class Backing:
    """One server. `run` executes a command at a moment of the store's clock (ms) and returns the bytes of its reply."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._told: tuple[int, bytes] = (-1, b"")

    def load(self, change: Change = lambda source: source) -> None:
        """Load the functions, changed as mutants are."""
        self._ask(("FLUSHALL",), ("FUNCTION", "FLUSH"))
        source = with_virtual_clock(change(read_functions().source))
        for reply in self._ask(("FUNCTION", "LOAD", source)):
            if isinstance(reply, Exception):
                raise reply

    def empty(self) -> None:
        """Drop all data; the functions stay."""
        self._ask(("FLUSHALL",), ("FCALL", "sim_clock", 0, EPOCH_MS, 1))

    def run(self, packed: bytes, at_ms: int) -> bytes:
        """Execute one packed command, return its reply as it is on the wire."""
        if self._told[0] != at_ms:
            self._told = at_ms, pack("FCALL", "sim_clock", 0, at_ms)
        clock = self._told[1]
        self._line.sendall(clock + packed)
        reader, received = Reader(), b""
        replies = 0
        while replies < 2:
            some = self._line.recv(262_144)
            assert some, "the server of the simulation has gone"
            received += some
            reader.feed(some)
            while replies < 2 and reader.gets() is not False:
                replies += 1
        assert received.startswith(b":1\r\n"), received[:100]
        return received[4:]

    def again(self, journal: Sequence[tuple[int, bytes]]) -> None:
        """Empty the store and execute these commands at their moments, as a replica has done that has no others."""
        self.empty()
        for at_ms, packed in journal:
            self.run(packed, at_ms)

    def ask(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - only the caller knows what it asked
        """Return the reply to one command of a check."""
        return self._ask(command)[0]

    def _ask(self, *commands: tuple[str | bytes | int, ...]) -> list[Any]:
        self._told = (-1, b"")
        self._line.sendall(b"".join(pack(*command) for command in commands))
        reader, replies = Reader(), list[Any]()
        while len(replies) < len(commands):
            reader.feed(self._line.recv(262_144))
            while (reply := reader.gets()) is not False:
                replies.append(reply)
        return replies


@contextmanager
def backing(folder: Path) -> Iterator[Backing]:
    """Start a server on a socket of its own in the folder, without files, with the functions loaded."""
    path = folder / "sim.sock"
    command = (str(bundled_server()), "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no",
               "--dir", str(folder), "--loglevel", "warning")  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            with _connected(path) as line:
                store = Backing(line)
                store.load()
                yield store
        finally:
            server.kill()


def _connected(path: Path) -> socket.socket:
    gives_up = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < gives_up:
        line = socket.socket(socket.AF_UNIX)
        with suppress(OSError):
            line.connect(str(path))
            return line
        line.close()
        time.sleep(0.005)
    raise TimeoutError("the server of the simulation did not start")
