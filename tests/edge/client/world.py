"""Real `tact serve` processes on one store that end and begin anew, and callers that wait for no answer to go on."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from service.store.embedded import EmbeddedStore
from tact.client import CallFailed
from tests.strategies import write_strategy

ROOT = Path(__file__).parents[3]
LONGEST_START_S = 30.0


@dataclass
class Replica:
    """One `tact serve` on a port that stays its own over restarts."""

    strategy: Path
    store: str
    log: Path
    flags: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def begin(self) -> Replica:
        """Start it, without waiting until it serves."""
        command = (sys.executable, "-m", "service.cli", "serve", "--json", "--scheduling", "normal")
        where = ("--port", str(self.port), "--strategy", str(self.strategy), "--store", self.store)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                (*command, *where, "--no-reload", "--store-wait", "5", *self.flags),
                cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        return self

    def await_serving(self) -> None:
        """Wait until it says that it serves, and keep its port."""
        assert self.process is not None
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], LONGEST_START_S)
        line = self.process.stdout.readline() if ready else b""
        assert line, f"the service does not start: {self.log.read_text()}"
        self.port = int(json.loads(line)["port"])

    def tell_to_end(self) -> None:
        """Send SIGTERM."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def await_end(self, within_s: float) -> float:
        """Wait until it has ended well, and return the seconds that took; fail where that is longer than it may be."""
        assert self.process is not None
        assert self.process.stdout is not None
        begun = time.monotonic()
        assert self.process.wait(within_s) == 0, self.log.read_text()
        self.process.stdout.close()
        return time.monotonic() - begun

    def kill(self) -> None:
        """End it whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def address(self) -> str:
        """Where it serves."""
        return f"127.0.0.1:{self.port}"


@contextmanager
def replicas(folder: Path, *flags: tuple[str, ...]) -> Iterator[tuple[Replica, ...]]:
    """Run one service for each set of flags, all on one store, until the end."""
    strategy = write_strategy(folder / "strategy")
    with EmbeddedStore(folder / "store") as store:
        services = tuple(Replica(strategy, store, folder / f"log-{number}", each) for number, each in enumerate(flags))
        try:
            for one in services:
                one.begin()
            for one in services:
                one.await_serving()
            yield services
        finally:
            for one in services:
                one.kill()


@dataclass
class Told:
    """How the calls of a load ended."""

    answered: int = 0
    failed: list[CallFailed] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(sorted({failed.code.name for failed in self.failed}))
        failed = f"{len(self.failed)} failed {kinds}".rstrip()
        return f"{self.answered} calls answered, {failed}, p99 {self.p(0.99):.2f} s"

    def p(self, share: float) -> float:
        """Return how many seconds all but a share of the calls took at most."""
        return sorted(self.took_s)[int(share * (len(self.took_s) - 1))]


@dataclass
class Load:
    """Makes calls at a rate, `at_once` together, until it is stopped; it waits where `most` are not answered yet.

    So a machine that is busy with other things sees fewer calls, and not more than it can answer.
    """

    call: Callable[[int], Awaitable[object]]
    a_second: float
    at_once: int = 1
    most: int = 1_000_000
    told: Told = field(default_factory=Told)
    stopped: bool = False
    waiting: int = 0

    async def run(self) -> Told:
        """Make calls until stopped, wait for all, and return how they ended."""
        begun = time.monotonic()
        number = 0
        async with asyncio.TaskGroup() as calls:
            while not self.stopped:
                while number < (time.monotonic() - begun) * self.a_second and self.waiting + self.at_once <= self.most:
                    for _ in range(self.at_once):
                        self.waiting += 1
                        calls.create_task(self._one(number))
                        number += 1
                await asyncio.sleep(0.002)
        return self.told

    async def _one(self, number: int) -> None:
        begun = time.monotonic()
        try:
            await self.call(number)
        except CallFailed as failed:
            self.told.failed.append(failed)
        else:
            self.told.answered += 1
        self.waiting -= 1
        self.told.took_s.append(time.monotonic() - begun)
