"""What a run needs: a store, a service with a trained model and customers in it, and the floor beside it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
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
from benchmarks.putting_back import kept, put_back
from service.store.embedded import EmbeddedStore
from tact.v1 import decision_pb2

SERVER_CORE, CLIENT_CORE = 0, 1
DECIDE = "/tact.v1.DecisionService/Decide"
TACT = (sys.executable, "-m", "service.cli")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the world is, and which model scores it: lines, or trees for what is said."""

    actions: int = 100
    customers: int = 4000
    requests: int = 20000
    rules: int = world.OWN_RULES
    trees: bool = False


class Stage:
    """Everything that runs while it is measured, from `with` to its end; `folder` takes what it writes.

    `service` serves the strategy of `size`; `serve` starts others beside it, on the same store and customers.
    """

    def __init__(self, folder: Path, size: Size, say: Callable[[str], None] = print) -> None:
        self._folder = folder
        self.size = size
        self._say = say
        self._open = ExitStack()
        self._started = 0
        self.population = Population.of(size.customers, time.time_ns() // 1_000_000)
        self.requests: tuple[decision_pb2.DecideRequest, ...] = self.population.requests(size.requests)
        self.requests_file = folder / "requests.bin"
        self._floor: Pinned | None = None

    def __enter__(self) -> Stage:
        try:
            self._set()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    @property
    def floor(self) -> Pinned:
        """The floor, which `floor_answering` starts."""
        assert self._floor is not None, "not started"
        return self._floor

    def floor_answering(self, reply_bytes: int) -> Pinned:
        """Return the floor, which answers in the size of the service's answers from now on; start it if need be."""
        if self._floor is None:
            command = [sys.executable, "-m", "benchmarks.floor", "--store", self.url, "--reply-bytes", str(reply_bytes)]
            self._floor = self._open.enter_context(self._server("floor", command, SERVER_CORE))
            return self._floor
        with grpc.insecure_channel(self._floor.target) as channel:
            resize: Callable[..., bytes] = channel.unary_unary(floor.RESIZE)
            resize(str(reply_bytes).encode(), timeout=5.0)
        return self._floor

    def measured(self, subject: str) -> tuple[Pinned, str]:
        """Return the server and the method of `floor` or `decide`."""
        return (self.floor, floor.METHOD) if subject == "floor" else (self.service, DECIDE)

    def requests_of(self, level: str) -> tuple[tuple[decision_pb2.DecideRequest, ...], Path]:
        """Return requests about customers of one consent level only, and the file of them."""
        requests = self.population.requests(self.size.requests, level)
        file = self._folder / f"requests-{level}.bin"
        return requests, loadgen.write_messages(file, (request.SerializeToString() for request in requests))

    def version(self, size: Size) -> tuple[Path, Path]:
        """Return the folders of a strategy of a size and of a model for its actions, whatever rules it has."""
        learned = self._strategy(size.actions, world.OWN_RULES)
        return self._strategy(size.actions, size.rules), trained(learned, self._say, trees=size.trees)

    def _strategy(self, actions: int, rules: int) -> Path:
        folder = self._folder / f"strategy-{actions}-{rules}"
        return folder if folder.exists() else world.write_strategy(folder, actions, rules)

    def serve(
        self,
        *options: str,
        size: Size | None = None,
        cores: int | Sequence[int] = SERVER_CORE,
        program: Sequence[str] = TACT,
    ) -> Pinned:
        """Return a service that is not started yet: `with stage.serve("--workers", "2", cores=(0, 1)) as service`.

        It serves the same store and customers, with the strategy of another size where one is named. `program` is what
        `serve` is said to: `tact`, unless it is one that is changed for measuring.
        """
        strategy, model = self.version(size or self.size)
        served = ["--store", self.url, "--strategy", str(strategy), "--model", str(model), "--port", "0", "--json"]
        # Slowness is to be seen, not cut off; the floor is scheduled alike; and everything is on that can be.
        usual = {"--store-wait": "5", "--scheduling": "batch"}
        if "--no-telemetry" not in options:
            usual |= {"--otlp": f"http://{self.collector.target}", "--trace-share": "0.01"}
        more = [word for name, value in usual.items() if name not in options for word in (name, value)]
        self._started += 1
        return self._server(f"service-{self._started}", [*program, "serve", *served, *more, *options], cores)

    def another(self, *, quick: bool) -> AbstractContextManager[Pinned]:
        """Return a service like `service`, as new as what it is compared with; `service` itself where time is short."""
        return nullcontext(self.service) if quick else self.serve()

    def _set(self) -> None:
        loadgen.write_messages(self.requests_file, (request.SerializeToString() for request in self.requests))
        store = EmbeddedStore(self._folder / "store")
        self.url = self._open.enter_context(store)
        self.store_pid = store.processes[1]
        self.store = self._open.enter_context(Redis.from_url(self.url))
        collecting = self._server("collector", [sys.executable, "-m", "benchmarks.collector"], CLIENT_CORE)
        self.collector = self._open.enter_context(collecting)
        to_serve = self.serve()
        started = time.monotonic()
        self.service = self._open.enter_context(to_serve)
        self._say(f"the service serves after {time.monotonic() - started:.1f} s")
        started = time.monotonic()
        events = load(self.service.target, self.population, self.population.events())
        took = time.monotonic() - started
        self._say(f"{events:,} events of {self.size.customers:,} customers loaded through gRPC in {took:.1f} s")
        pin(self.store_pid, CLIENT_CORE)
        self._as_loaded = kept(self.store, self.population.customers)

    def put_back(self) -> None:
        """Store the customers as they were loaded, so that every section finds them alike; the log goes on."""
        put_back(self.store, self._as_loaded)

    def _server(self, name: str, command: Sequence[str], cores: int | Sequence[int]) -> Pinned:
        return Pinned(command, cores, self._folder / f"{name}.log", port_said)


def port_said(line: str) -> int | None:
    """Read the port from `serving on HOST:PORT` or from the JSON line that says so; None for any other line."""
    if line.startswith("serving on "):
        return int(line.rpartition(":")[2])
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return int(said["port"]) if isinstance(said, dict) and said.get("event") == "serving" else None
