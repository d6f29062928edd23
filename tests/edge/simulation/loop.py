# ruff: noqa: ANN401 - the signatures are those of asyncio
"""An event loop on virtual time: where nothing is ready, the clock jumps to the next timer. No sockets, no threads."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol

MOST_TURNS = 50_000
"""More turns of the loop than any seed takes, tens of times over."""


class Deadlocked(Exception):
    """Nothing is ready and no timer runs, yet the simulation has not ended; or it goes round and round."""


class Dials(Protocol):
    """Opens connections to the simulated store."""

    async def dial(self, protocol: asyncio.Protocol, host: str, port: int) -> asyncio.Transport:
        """Connect, or raise OSError; takes virtual time."""
        ...


class _Jump:
    """Stands where the selector of a loop stands, and lets time pass instead of waiting."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        """Let the time until the next timer pass at once."""
        if timeout is None:
            raise Deadlocked("nothing is ready and no timer runs")
        self._turns += 1
        if self._turns > MOST_TURNS:
            raise Deadlocked(f"no end after {MOST_TURNS:,} turns of the loop, at {self._loop.now:.6f}")
        if timeout > 0.0:  # exactly to the timer: a sum would be rounded
            self._loop.now = max(self._loop.now, self._loop._scheduled[0].when())
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop whose `time()` is virtual, in seconds from 0. `unhandled` collects what nobody else caught."""

    _selector: _Jump
    _scheduled: list[asyncio.TimerHandle]
    _clock_resolution: float

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.dials: Dials | None = None
        self.unhandled: list[str] = []
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda _, told: self.unhandled.append(_in_words(told)))

    def time(self) -> float:
        """Return the virtual moment."""
        return self.now

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken up: there are no other threads."""

    async def create_connection(self, protocol_factory: Callable[[], Any], *where: Any, **how: Any) -> Any:
        """Connect to the simulated store, whatever the name of its host."""
        assert self.dials is not None
        host, port = where[:2] if where else (how["host"], how["port"])
        protocol = protocol_factory()
        return await self.dials.dial(protocol, str(host), int(port)), protocol


def _in_words(told: dict[str, Any]) -> str:
    error = told.get("exception")
    return f"{told.get('message')}: {type(error).__name__} {error}" if error is not None else str(told.get("message"))


class _Now:
    """The clock that stands where the machine's clocks stood; it belongs to the loop that runs at the moment."""

    def __init__(self) -> None:
        self.loop: VirtualLoop | None = None

    def seconds(self) -> float:
        """Return the virtual moment in seconds."""
        assert self.loop is not None
        return self.loop.now

    def nanoseconds(self) -> int:
        """Return the virtual moment in nanoseconds."""
        return int(self.seconds() * 1e9)


NOW = _Now()
_CLOCKS: dict[Any, Callable[[], Any]] = {
    time.monotonic: NOW.seconds,
    time.perf_counter: NOW.seconds,
    time.time: NOW.seconds,
    time.monotonic_ns: NOW.nanoseconds,
    time.perf_counter_ns: NOW.nanoseconds,
    time.time_ns: NOW.nanoseconds,
}


def _service_modules() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if name.startswith("service.") and not name.startswith(("service.rpc", "service.telemetry.running")):
            yield module


@contextmanager
def virtual_clocks() -> Iterator[None]:
    """Let every clock that a module of the service has taken from `time` show the time of the loop that runs."""
    changed: list[tuple[ModuleType, str, Any]] = []
    for module in _service_modules():
        for name, value in list(vars(module).items()):
            if callable(value) and getattr(value, "__module__", None) == "time" and value in _CLOCKS:
                changed.append((module, name, value))
                setattr(module, name, _CLOCKS[value])
    try:
        yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


@contextmanager
def virtual_loop(seed: int) -> Iterator[VirtualLoop]:
    """Open a loop on virtual time, with what is random in the service's reconnects drawn from the seed."""
    state, loop = random.getstate(), VirtualLoop()
    random.seed(seed)
    NOW.loop = loop
    try:
        yield loop
    finally:
        NOW.loop = None
        random.setstate(state)
        loop.close()
