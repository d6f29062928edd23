"""What lies between the service and its store: a network that delays, loses and cuts; a store that stops or fails over.

A command is executed at its moment, whatever becomes of the connection it came over: what a kernel holds when its
process hangs up, or while a network is parted, still arrives. Replies of one connection come in order, or not at all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tests.edge.simulation.backing import EPOCH_MS, Backing
from tests.edge.simulation.loop import VirtualLoop

_UNWRITTEN = (b"tact_read_", b"tact_agreed_", b"tact_issued_", b"tact_given_", b"tact_taken_", b"tact_supply_stock_")
TICK_S = 1e-7
"""So far things of one connection are apart: two timers of the same moment may ring in either order."""
_LOST = b"-ERR Function not found\r\n"


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is: the chances for each command, and its delays in seconds."""

    delay_s: float = 0.0005
    slow: float = 0.0
    slow_s: float = 0.0
    cut_before: float = 0.0
    cut_after: float = 0.0
    silent: float = 0.0
    split: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """A time (virtual seconds) in which the store stands still, or one process (its name) cannot reach it."""

    begins_s: float
    ends_s: float
    process: str = ""


@dataclass(slots=True)
class SimStore:
    """The store of one seed, with the journal of what it executed, so that it can forget the latest of it."""

    backing: Backing
    loop: VirtualLoop
    skew_ms: int = 0
    epoch: int = 0
    has_functions: bool = True
    replica_lag_s: float = 0.0
    journal: list[tuple[float, int, bytes]] = field(default_factory=list)
    lost: list[tuple[float, float]] = field(default_factory=list)

    def now_ms(self) -> int:
        """Return the store's own clock."""
        return EPOCH_MS + self.skew_ms + int(self.loop.now * 1000)

    def execute(self, packed: bytes) -> bytes:
        """Execute one command now."""
        name = packed[:160].upper()
        if b"\r\nPING\r\n" in name:
            return b"+PONG\r\n"
        if b"\r\nFUNCTION\r\n" in name:
            self.has_functions = True
            return b"+loaded\r\n"
        if not self.has_functions and b"\r\nFCALL\r\n" in name:
            return _LOST
        if not any(function in packed[:80] for function in _UNWRITTEN):
            self.journal.append((self.loop.now, self.now_ms(), packed))
        return self.backing.run(packed, self.now_ms())

    def replicated(self, since: int) -> bool:
        """Tell whether the replica has all that was written before the `since`th entry of the journal."""
        return since == 0 or self.journal[since - 1][0] + self.replica_lag_s <= self.loop.now

    def fail_over(self, skew_ms: int) -> None:
        """Go on with the replica: what has not reached it is lost, and its clock is its own."""
        reached = self.loop.now - self.replica_lag_s
        kept = [entry for entry in self.journal if entry[0] <= reached]
        if len(kept) < len(self.journal):
            self.lost.append((self.journal[len(kept)][0], self.loop.now))
            self.backing.again([(at_ms, packed) for _, at_ms, packed in kept])
        self.journal = kept
        self.epoch += 1
        self.skew_ms = skew_ms


class Network:
    """Connects the processes of one seed with its store; `wires` are those that were opened."""

    def __init__(self, store: SimStore, weather: Weather, windows: tuple[Window, ...], rng: Random) -> None:
        self.store = store
        self.weather = weather
        self.windows = windows
        self.rng = rng
        self.refuses_until_s = 0.0
        self.wires: list[Wire] = []

    async def dial(self, protocol: asyncio.Protocol, host: str, port: int) -> asyncio.Transport:
        """Connect the process that the host names; raise OSError where nobody listens."""
        loop = self.store.loop
        await asyncio.sleep(self.weather.delay_s * self.rng.uniform(0.5, 2.0))
        while held := self.held_until(host, loop.now):  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(held - loop.now)
        if loop.now < self.refuses_until_s:
            raise ConnectionRefusedError(111, "Connection refused")
        wire = Wire(self, protocol, host)
        self.wires.append(wire)
        protocol.connection_made(wire)
        return wire

    def held_until(self, process: str, at_s: float) -> float:
        """Return until when nothing gets through at a moment; 0 where it does."""
        for window in self.windows:
            if window.begins_s <= at_s < window.ends_s and window.process in ("", process):
                return window.ends_s + 1e-4
        return 0.0

    def fail_over(self, skew_ms: int, down_s: float) -> None:
        """Lose the store, with every connection, and go on with its replica after a while."""
        self.store.fail_over(skew_ms)
        self.refuses_until_s = self.store.loop.now + down_s
        for wire in self.wires:
            wire.hang_up()
        self.wires.clear()

    def calm(self) -> None:
        """Let the weather clear up."""
        self.weather, self.windows, self.refuses_until_s = Weather(), (), 0.0


class Wire(asyncio.Transport):
    """One connection of a process: what is written is executed in its order, each command with a fate of its own."""

    def __init__(self, network: Network, protocol: asyncio.Protocol, process: str) -> None:
        super().__init__()
        self._network = network
        self._store = network.store
        self._loop = network.store.loop
        self._protocol = protocol
        self._process = process
        self._epoch = network.store.epoch
        self._executes_at = self._answers_at = 0.0
        self._there = self._back = True
        self._open = True
        self._written = 0
        self._behind: deque[tuple[bytes, bool, bool]] | None = None  # what waits behind a WAIT

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send commands on their way."""
        for packed in commands(bytes(data)):
            if self._open and self._there:
                self._send(packed)

    def _send(self, packed: bytes) -> None:
        weather, rng, now = self._network.weather, self._network.rng, self._loop.now
        dice = rng.random()
        delay_s = weather.delay_s * rng.uniform(0.5, 2.0)
        if rng.random() < weather.slow:
            delay_s += weather.slow_s * rng.random()
        at = max(now + delay_s, self._executes_at + TICK_S)
        while held := self._network.held_until(self._process, at):
            at = held
        self._executes_at = at
        if dice < weather.cut_before:
            self._there = self._back = False
            self._loop.call_at(at, self.hang_up)
            return
        cut = dice < weather.cut_before + weather.cut_after
        silent = not cut and dice < weather.cut_before + weather.cut_after + weather.silent
        self._loop.call_at(at, self._execute, packed, cut, silent)

    def _execute(self, packed: bytes, cut: bool, silent: bool) -> None:
        if self._epoch != self._store.epoch:
            return
        if self._behind is not None:
            self._behind.append((packed, cut, silent))
            return
        if b"\r\nWAIT\r\n" in packed[:24].upper():
            self._behind = deque()
            self._confirm(_number(packed, 2) / 1000, self._loop.now)
            return
        reply = self._store.execute(packed)
        self._written = len(self._store.journal)
        if cut:
            self._back = False
            self._loop.call_later(self._network.weather.delay_s, self.hang_up)
        elif silent:
            self._back = False
        self._answer(reply)

    def _confirm(self, patience_s: float, asked_at: float) -> None:
        """Answer WAIT when the replica has what was written before, or when its time is over."""
        if self._epoch != self._store.epoch:
            return
        if (reached := self._store.replicated(self._written)) or (
            patience_s and self._loop.now >= asked_at + patience_s
        ):
            self._answer(b":1\r\n" if reached else b":0\r\n")
            behind, self._behind = self._behind or deque(), None
            for one in behind:
                self._execute(*one)
        else:
            self._loop.call_later(max(1e-4, self._store.replica_lag_s / 2), self._confirm, patience_s, asked_at)

    def _answer(self, reply: bytes) -> None:
        if not self._back or not self._open:
            return
        weather, rng = self._network.weather, self._network.rng
        at = max(self._loop.now + weather.delay_s * rng.uniform(0.5, 2.0), self._answers_at + TICK_S)
        if rng.random() < weather.slow:
            at += weather.slow_s * rng.random()
        self._answers_at = at
        if len(reply) > 1 and rng.random() < weather.split:
            middle = rng.randrange(1, len(reply))
            self._loop.call_at(at, self._deliver, reply[:middle])
            self._answers_at = at = at + weather.delay_s
            reply = reply[middle:]
        self._loop.call_at(at, self._deliver, reply)

    def _deliver(self, reply: bytes) -> None:
        if self._open and self._epoch == self._store.epoch:
            self._protocol.data_received(reply)

    def hang_up(self) -> None:
        """End the connection from the other side."""
        if self._open:
            self._open = False
            self._protocol.connection_lost(ConnectionResetError(104, "Connection reset by peer"))

    def abort(self) -> None:
        """End the connection from this side; what is on its way still arrives."""
        if self._open:
            self._open = False
            self._loop.call_soon(self._protocol.connection_lost, None)

    def close(self) -> None:
        """End the connection from this side."""
        self.abort()

    def is_closing(self) -> bool:
        """Tell whether it has ended."""
        return not self._open


def commands(data: bytes) -> Iterator[bytes]:
    """Yield each command of what was written at once."""
    begin = 0
    while begin < len(data):
        at = data.index(b"\r\n", begin)
        count, at = int(data[begin + 1 : at]), at + 2
        for _ in range(count):
            end = data.index(b"\r\n", at)
            at = end + 4 + int(data[at + 1 : end])
        yield data[begin:at]
        begin = at


def _number(packed: bytes, place: int) -> int:
    """Return an argument of a command as a number."""
    return int(packed.split(b"\r\n")[2 + 2 * place])
