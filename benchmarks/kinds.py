"""Which kind of server is the fastest floor: asyncio with uvloop, or 16 threads, each with and without both levers.

The loop is woken by a pipe, as in the service; by sockets, as gRPC does by itself, where that is said.

    python -m benchmarks.kinds [--rounds 5] [--seconds 2] [--neighbours 0] [--kind KIND]

Each kind answers an echo after one store read, pinned to core 0; client and store run on core 1. The threads read
over connections of their own, blocking, with the same parser and as little Python as can be. With `--neighbours` so
many processes that compute keep core 0 busy, for what the scheduling is worth on a shared machine.
docs/decisions/0030-workers.md has what came of it.
"""

from __future__ import annotations

import argparse
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from redis import Redis

from benchmarks import floor, loadgen
from benchmarks.processes import Pinned, bound, pin
from benchmarks.section import turned
from benchmarks.stage import CLIENT_CORE, SERVER_CORE, port_said
from service.config import Scheduling
from service.scheduling import EXPERIMENT, pull_levers, settle_memory
from service.store.embedded import EmbeddedStore
from service.store.keys import context_key

if TYPE_CHECKING:
    import grpc

CUSTOMERS = 4000
REQUEST_BYTES, REPLY_BYTES, FIELD_BYTES = 60, 400, 120
THREADS = 16
KINDS = {
    "aio, both levers": ("aio", Scheduling.BATCH, True),
    "aio, both levers, sockets": ("aio, sockets", Scheduling.BATCH, True),
    "aio, batch only": ("aio", Scheduling.BATCH, False),
    "aio, experiment only": ("aio", Scheduling.NORMAL, True),
    "aio, no lever": ("aio", Scheduling.NORMAL, False),
    "16 threads, both levers": ("threads", Scheduling.BATCH, True),
    "16 threads, batch only": ("threads", Scheduling.BATCH, False),
    "16 threads, no lever": ("threads", Scheduling.NORMAL, False),
}


class Run(NamedTuple):
    """What was measured in one round, and how often a call had the server's threads switched."""

    measured: loadgen.Measured
    switches: float


Runs: TypeAlias = dict[str, dict[int, list[Run]]]
"""What was measured, by kind and by calls in flight."""


class Blocking:
    """Reads customers over one blocking connection a thread."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("redis://").partition("/")[0].partition(":")
        self._address = host, int(port)
        self._mine = threading.local()

    def read(self, customer: bytes) -> list[bytes]:
        """Return the fields of a customer that one decision reads."""
        from hiredis import Reader, pack_command

        if not hasattr(self._mine, "line"):
            self._mine.line, self._mine.reader = socket.create_connection(self._address), Reader()
            self._mine.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        words: Any = ("HMGET", context_key(customer.decode()), *floor.FIELDS)  # typed as if all were of one type
        self._mine.line.sendall(pack_command(words))
        while (reply := self._mine.reader.gets()) is False:
            self._mine.reader.feed(self._mine.line.recv(65_536))
        return list(reply)


def serve_by_threads(url: str) -> None:
    """Serve the echo from a pool of threads until SIGTERM."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    from service.rpc.server import OPTIONS

    store = Blocking(url)

    def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
        customer = floor.customer_in(request)
        if store.read(customer)[0] != customer:
            context.abort(grpc.StatusCode.NOT_FOUND, "the store does not know this customer")
        return (request * (REPLY_BYTES // len(request) + 1))[:REPLY_BYTES]

    server = grpc.server(ThreadPoolExecutor(THREADS), options=(*OPTIONS, ("grpc.so_reuseport", 0)))
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(floor.SERVICE, handlers),))
    server.add_registered_method_handlers(floor.SERVICE, handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    settle_memory()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    server.stop(1).wait()


def serve(kind: str, url: str) -> None:
    """Serve one kind, as it is named in `KINDS`."""
    how, scheduling, _ = KINDS[kind]
    pull_levers(scheduling)
    if how == "threads":
        serve_by_threads(url)
        return
    import uvloop

    uvloop.run(floor.serve(url, REPLY_BYTES, 0, pipe=how == "aio"))


@contextmanager
def stage(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the URL of a store with customers in it, and the file of requests about them."""
    names = [f"customer-{number:05}".encode() for number in range(CUSTOMERS)]
    store = EmbeddedStore(folder / "store")
    with store as url, Redis.from_url(url) as filling:
        with filling.pipeline(transaction=False) as pipe:
            for name in names:
                fields = dict.fromkeys(floor.FIELDS, b"x" * FIELD_BYTES) | {"i": name}
                pipe.hset(context_key(name.decode()), mapping=fields)
            pipe.execute()
        pin(store.processes[1], CLIENT_CORE)
        asked = (b"\n" + bytes([len(name)]) + name for name in names)
        yield url, loadgen.write_messages(folder / "requests.bin", (one.ljust(REQUEST_BYTES, b".") for one in asked))


@contextmanager
def neighbours(number: int) -> Iterator[None]:
    """Keep the server's core busy with so many processes."""
    command = [*bound(SERVER_CORE), sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def command(kind: str, url: str) -> list[str]:
    """Return how to start a server of one kind; this module imports gRPC, which by then must know its experiments."""
    experiment = EXPERIMENT if KINDS[kind][2] else EXPERIMENT.lstrip("-")  # the second is how gRPC is by itself
    program = (sys.executable, "-m", "benchmarks.kinds")
    return ["env", f"GRPC_EXPERIMENTS={experiment}", *program, "--serve", kind, "--store", url]


def switches(pid: int) -> int:
    """Return how often the threads of a process have been switched to and from."""
    texts = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/status")]
    lines = (line.split() for text in texts for line in text.splitlines() if "ctxt_switches" in line)
    return sum(int(number) for _, number in lines)


def drive(program: Path, server: Pinned, requests: Path, in_flight: int, seconds: float) -> Run:
    """Load one server, and count the switches of its threads for each call."""
    load = loadgen.Load(server.target, floor.METHOD, requests, in_flight, seconds, 0.3, watched=(server.pid,))
    before = switches(server.pid)
    measured = loadgen.drive(program, load, core=CLIENT_CORE)
    return Run(measured, (switches(server.pid) - before) / max(1, measured.ok_in_all))


def measure(kinds: Sequence[str], rounds: int, seconds: float, busy: int) -> Runs:
    """Measure kinds in turn, every second round in the other order, at 8 and at 64 calls in flight."""
    measured: Runs = {kind: {8: [], 64: []} for kind in kinds}
    program = loadgen.build()
    with tempfile.TemporaryDirectory() as place, ExitStack() as opened:
        folder = Path(place)
        url, requests = opened.enter_context(stage(folder))
        servers = {
            kind: opened.enter_context(
                Pinned(command(kind, url), SERVER_CORE, folder / f"{number}.log", port_said)
            )
            for number, kind in enumerate(kinds)
        }  # fmt: skip
        opened.enter_context(neighbours(busy))
        for _, kind in turned(tuple(servers), rounds):
            for in_flight, runs in measured[kind].items():
                runs.append(drive(program, servers[kind], requests, in_flight, seconds))
    return measured


def table(measured: Runs) -> str:
    """Return medians as Markdown, of calls and CPU with the lowest and the highest."""
    lines = ["| kind | in flight | calls/s | p99, µs | CPU a call, µs | switches a call |", "| --- " * 6 + "|"]
    for kind, by_flight in measured.items():
        for in_flight, runs in by_flight.items():
            if errors := sum(sum(run.measured.errors.values()) for run in runs):
                raise SystemExit(f"{kind}: {errors} calls failed")
            calls = _spread(run.measured.throughput for run in runs)
            cpu = _spread(run.measured.cpu_us_a_call(pid) for run in runs for pid in run.measured.cpu_s)
            p99 = statistics.median(run.measured.latency_us["p99"] for run in runs)
            often = statistics.median(run.switches for run in runs)
            lines.append(f"| {kind} | {in_flight} | {calls} | {p99:,.0f} | {cpu} | {often:.1f} |")
    return "\n".join(lines)


def _spread(figures: Iterable[float]) -> str:
    found = sorted(figures)
    return f"{statistics.median(found):,.0f} ({found[0]:,.0f} to {found[-1]:,.0f})"


def main() -> None:
    """Read the command line and measure, or serve one kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--neighbours", type=int, default=0, help="processes that compute on the server's core")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these")
    parser.add_argument("--serve", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    said: Any = parser.parse_args()
    if said.serve:
        serve(said.serve, said.store)
    else:
        print(table(measure(said.kind or list(KINDS), said.rounds, said.seconds, said.neighbours)))


if __name__ == "__main__":
    main()
