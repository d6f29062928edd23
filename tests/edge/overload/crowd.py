"""A service on one core, and crowds of callers on the other who ask on a schedule, whatever the answers.

`python -m tests.edge.overload.crowd` prints what each class gets at three times what the core can answer. It needs two
cores that nothing else uses, so no test has a bar for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from json import loads
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest

from benchmarks import loadgen
from benchmarks.loadgen import Load, Measured
from benchmarks.processes import Pinned, bound, pin
from benchmarks.stage import port_said
from service.store.embedded import EmbeddedStore
from tact.v1 import context_pb2, context_pb2_grpc, decision_pb2

SERVER_CORE, CLIENT_CORE = 0, 1
DECIDE = "/tact.v1.DecisionService/Decide"
CUSTOMERS, AT_ONCE = 400, 40
PLACES = {"desk": "greeting", "web": "greeting", "email": "greeting"}
"""Where each kind of caller asks, by its channel: the placement."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Callers of one kind: calls a second on a schedule (0: the next after each answer), with what deadline each.

    At most `in_flight` of a connection are open; what has waited `patience_s` for room is given up by the caller.
    """

    channel: str
    rate: float
    in_flight: int = 64
    deadline_s: float = 0.25
    patience_s: float = 0.0
    connections: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a crowd got in a window: calls due, answered well, refused by the service, and never sent."""

    due: int
    ok: int
    throughput: float
    errors: Mapping[str, int]
    unsent: int
    p99_ms: float

    @property
    def share(self) -> float:
        """The share of what was due that was answered well."""
        return self.ok / max(1, self.due)

    def __str__(self) -> str:
        return (
            f"{self.throughput:,.0f}/s answered, {100 * self.share:.1f} % of {self.due:,} due, "
            f"p99 {self.p99_ms:.0f} ms, {self.unsent:,} kept back by their callers, "
            f"{dict(self.errors) or 'none'} refused"
        )


class Place:
    """A service that is up, and the files of requests to send to it."""

    def __init__(self, service: Pinned, program: Path, folder: Path) -> None:
        self.service, self._program = service, program
        self._files = {channel: _requests(folder, channel) for channel in PLACES}

    def drive(self, crowds: Mapping[str, Crowd], seconds: float, warmup_s: float = 0.5) -> dict[str, Outcome]:
        """Let crowds ask side by side, each by a process of its own; return what each got."""
        running = {
            name: [self._start(crowd, seconds, warmup_s) for _ in range(crowd.connections)]
            for name, crowd in crowds.items()
        }
        return {name: _together([_ended(process) for process in all_of]) for name, all_of in running.items()}

    def peak(self, seconds: float) -> float:
        """Return the decisions a second that the service makes when 64 calls are always open."""
        open_calls = {"desk": 8, "web": 24, "email": 32}
        each = self.drive({c: Crowd(c, 0.0, in_flight=n, deadline_s=5.0) for c, n in open_calls.items()}, seconds)
        return sum(one.throughput for one in each.values())

    def _start(self, crowd: Crowd, seconds: float, warmup_s: float) -> subprocess.Popen[str]:
        load = Load(
            self.service.target, DECIDE, self._files[crowd.channel], crowd.in_flight, seconds, warmup_s,
            rate=crowd.rate / crowd.connections, timeout_s=crowd.deadline_s,
        )  # fmt: skip
        words = [*bound(CLIENT_CORE), *loadgen.command(self._program, load)]
        if crowd.rate:
            words += ["--patience", str(crowd.patience_s)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        _first(process.pid)
        return process


@contextmanager
def place(folder: Path, *options: str) -> Iterator[Place]:
    """Serve the demo on one core, with its store on the other; skip where the load generator cannot be built."""
    try:
        program = loadgen.build()
    except loadgen.CannotBuild as reason:
        pytest.skip(str(reason))
    with ExitStack() as opened:
        store = EmbeddedStore(folder / "store")
        url = opened.enter_context(store)
        command = [sys.executable, "-m", "service.cli", "serve", "--store", url, "--strategy", "strategies/demo",
                   "--port", "0", "--json", "--scheduling", "batch", "--store-wait", "1", *options]  # fmt: skip
        service = opened.enter_context(Pinned(command, SERVER_CORE, folder / "service.log", port_said))
        pin(store.processes[1], CLIENT_CORE)
        for pid in (service.pid, store.processes[1]):
            _first(pid)
        _agree(service.target)
        yield Place(service, program, folder)


def _first(pid: int) -> None:
    """Let a process go before whatever else runs on this machine, where that is allowed: what is measured is shares."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), -15)


def _agree(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        contexts = context_pb2_grpc.ContextServiceStub(channel)
        consent = context_pb2.Consent(level="personal", source="crowd")
        for begin in range(0, CUSTOMERS, AT_ONCE):
            ids = [f"one-{n}" for n in range(begin, begin + AT_ONCE)]
            asked = [context_pb2.SetConsentRequest(customer_id=one, consent=consent) for one in ids]
            for call in [contexts.SetConsent.future(one, timeout=20) for one in asked]:
                call.result()


def _requests(folder: Path, channel: str) -> Path:
    asked = (
        decision_pb2.DecideRequest(
            customer_id=f"one-{n * 7 % CUSTOMERS}", channel=channel, placements=[PLACES[channel]]
        )
        for n in range(CUSTOMERS)
    )
    return loadgen.write_messages(folder / f"{channel}.bin", (one.SerializeToString() for one in asked))


def _ended(process: subprocess.Popen[str]) -> Measured:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, "the load generator failed"
    return loadgen.parse(loads(said))


def _together(parts: list[Measured]) -> Outcome:
    errors: dict[str, int] = {}
    for part in parts:
        for code, count in part.errors.items():
            errors[code] = errors.get(code, 0) + count
    p99 = max((part.latency_us.get("p99", 0.0) for part in parts), default=0.0) / 1000
    return Outcome(
        sum(part.requests for part in parts), sum(part.ok for part in parts),
        sum(part.throughput for part in parts), errors, sum(part.unsent for part in parts), p99,
    )  # fmt: skip


def main() -> None:
    """Print the peak, and three windows at three times as much."""
    with TemporaryDirectory() as folder, place(Path(folder)) as at:
        peak = max(at.peak(1.0), at.peak(1.0))
        say(f"peak {peak:,.0f}/s")
        for _ in range(3):
            shares = {"desk": 0.2, "web": 1.0, "email": 1.8}
            got = at.drive({channel: Crowd(channel, share * peak) for channel, share in shares.items()}, 1.5)
            say(f"goodput {sum(one.throughput for one in got.values()) / peak:.2f} of the peak")
            for channel, one in got.items():
                say(f"  {channel}: {one}")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
