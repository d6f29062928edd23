"""What a run needs: a store, a service with a trained model and customers in it, and the floor beside it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import grpc
from redis import Redis

from benchmarks import floor, loadgen, world
from benchmarks.loading import load
from benchmarks.model import trained
from benchmarks.population import Population
from benchmarks.processes import Pinned, pin
from service.store.embedded import EmbeddedStore
from tact.v1 import decision_pb2

SERVER_CORE, CLIENT_CORE = 0, 1
DECIDE = "/tact.v1.DecisionService/Decide"
TACT = (sys.executable, "-m", "service.cli")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the world is."""

    actions: int = 100
    customers: int = 4000
    requests: int = 20000


class Stage:
    """Everything that runs while it is measured, from `with` to its end; `folder` takes what it writes."""

    def __init__(self, folder: Path, size: Size, say: Callable[[str], None] = print) -> None:
        self._folder = folder
        self._size = size
        self._say = say
        self._open = ExitStack()
        self.program = loadgen.build()
        self.population = Population.of(size.customers, time.time_ns() // 1_000_000)
        self.requests: tuple[decision_pb2.DecideRequest, ...] = self.population.requests(size.requests)
        self.requests_file = folder / "requests.bin"

    def __enter__(self) -> Stage:
        try:
            self._set()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def start_floor(self, reply_bytes: int) -> None:
        """Start the floor, which answers in the size of the service's answers."""
        command = [sys.executable, "-m", "benchmarks.floor", "--store", self.url, "--reply-bytes", str(reply_bytes)]
        self.floor = self._server("floor", command)

    def resize_floor(self, reply_bytes: int) -> None:
        """Let the floor answer in another size, without a new process."""
        with grpc.insecure_channel(self.floor.target) as channel:
            resize: Callable[..., bytes] = channel.unary_unary(floor.RESIZE)
            resize(str(reply_bytes).encode(), timeout=5.0)

    def measured(self, subject: str) -> tuple[Pinned, str]:
        """Return the server and the method of `floor` or `decide`."""
        return (self.floor, floor.METHOD) if subject == "floor" else (self.service, DECIDE)

    def _set(self) -> None:
        loadgen.write_messages(self.requests_file, (request.SerializeToString() for request in self.requests))
        strategy = world.write_strategy(self._folder / "strategy", self._size.actions)
        model = trained(strategy, self._size.actions, self._say)
        store = EmbeddedStore(self._folder / "store")
        self.url = self._open.enter_context(store)
        self.store_pid = store.processes[1]
        self.store = self._open.enter_context(Redis.from_url(self.url))
        served = ["--store", self.url, "--strategy", str(strategy), "--model", str(model), "--port", "0", "--json"]
        started = time.monotonic()
        self.service = self._server("service", [*TACT, "serve", *served])
        self._say(f"the service serves after {time.monotonic() - started:.1f} s")
        started = time.monotonic()
        events = load(self.service.target, self.population, self.population.events())
        took = time.monotonic() - started
        self._say(f"{events:,} events of {self._size.customers:,} customers loaded through gRPC in {took:.1f} s")
        pin(self.store_pid, CLIENT_CORE)

    def _server(self, name: str, command: Sequence[str]) -> Pinned:
        return self._open.enter_context(Pinned(command, SERVER_CORE, self._folder / f"{name}.log", port_said))


def port_said(line: str) -> int | None:
    """Read the port from `serving on HOST:PORT` or from the JSON line that says so; None for any other line."""
    if line.startswith("serving on "):
        return int(line.rpartition(":")[2])
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return int(said["port"]) if isinstance(said, dict) and said.get("event") == "serving" else None
