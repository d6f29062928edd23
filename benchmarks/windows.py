"""Measured windows: of the floor, and of decisions with the evidence that they were decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import floor, loadgen
from benchmarks.evidence import Evidence, judged, logged
from benchmarks.loadgen import Measured
from benchmarks.processes import Pinned
from benchmarks.section import Bench, Case, Figure
from benchmarks.stage import DECIDE, Stage
from tact.v1 import decision_pb2

SAMPLE_EVERY = 50
ROOM = 70
"""Calls open at once on a schedule, at most. The server counts a call until it has put it away, so after a pause twice
as many are open to it, and more than 144 of one connection it refuses. What waits for room counts from its due time.
"""


@dataclass(frozen=True, slots=True)
class Window:
    """One measured window. CPU times are microseconds a call, of the server and of the store."""

    measured: Measured
    server_cpu_us: float
    store_cpu_us: float


Reading = Callable[[Window], float]
MEASURES: Mapping[str, tuple[str, Reading]] = {
    "requests": ("1/s", lambda window: window.measured.throughput),
    "p50": ("µs", lambda window: window.measured.latency_us["p50"]),
    "p99": ("µs", lambda window: window.measured.latency_us["p99"]),
    "p99.9": ("µs", lambda window: window.measured.latency_us["p99.9"]),
    "server CPU": ("µs", lambda window: window.server_cpu_us),
    "store CPU": ("µs", lambda window: window.store_cpu_us),
    "server core": ("share", lambda window: window.server_cpu_us * window.measured.throughput / 1e6),
    "client core": ("share", lambda window: window.measured.client_cpu_s / window.measured.seconds),
    "reply": ("bytes", lambda window: window.measured.reply_bytes["mean"]),
}
"""What a window tells: name, unit, and where it stands. CPU times are those of one call."""

TAIL = ("p50", "p99", "p99.9")
LOAD = ("requests", "p50", "p99", "p99.9", "server CPU", "store CPU", "server core", "client core", "reply")


def figures(
    subject: str, case: Case, windows: Sequence[Window], measures: Sequence[str] = tuple(MEASURES)
) -> tuple[Figure, ...]:
    """Return what windows of the rounds tell, a figure a measure."""
    chosen = ((name, *MEASURES[name]) for name in measures)
    return tuple(Figure(subject, case, name, unit, tuple(map(reading, windows))) for name, unit, reading in chosen)


def ratios(
    figures: Sequence[Figure],
    floors: Sequence[Figure],
    measures: Sequence[str] = ("requests", "p50", "p99", "server CPU"),
) -> tuple[Figure, ...]:
    """Return some figures over those of the same measure of another subject."""
    below = {figure.measure: figure for figure in floors}
    return tuple(figure.over(below[figure.measure]) for figure in figures if figure.measure in measures)


def one(figures: Sequence[Figure], subject: str, measure: str, **case: str | int | float) -> Figure:
    """Return the figure of a subject, measure and case, of which only what is named must agree."""
    found = [
        f for f in figures if (f.subject, f.measure) == (subject, measure) and case.items() <= dict(f.case).items()
    ]
    if len(found) != 1:
        raise LookupError(f"{len(found)} figures of {subject}, {measure}, {case}")
    return found[0]


def watched(bench: Bench, stage: Stage, server: Pinned, method: str, requests: Path, **load: Any) -> Window:  # noqa: ANN401 - see loadgen.Load
    """Load a server and return what was measured, with its CPU time and that of the store."""
    measured = bench.drive(server, method, requests, watched=(server.pid, stage.store_pid), **load)
    server_us, store_us = (measured.cpu_us_a_call(pid) for pid in (server.pid, stage.store_pid))
    return Window(measured, server_us, store_us)


@dataclass(slots=True)
class Decisions:
    """Decisions of one service: measures them, and keeps samples to prove that they were decisions.

    `requests` and `file` are the same requests; those of the stage unless named. `is_logged` is false for a service
    that keeps no log.
    """

    bench: Bench
    stage: Stage
    service: Pinned
    requests: Sequence[decision_pb2.DecideRequest] = ()
    file: Path | None = None
    is_logged: bool = True
    answered: int = 0
    grown: int = 0
    reply_bytes: int = 0
    samples: list[tuple[int, bytes]] = field(default_factory=list)

    def window(self, in_flight: int = 8, **load: Any) -> Window:  # noqa: ANN401 - see loadgen.Load
        """Measure one window."""
        kept = self.stage.requests_file.with_name("samples.bin")
        before = logged(self.stage.store)
        window = watched(
            self.bench, self.stage, self.service, DECIDE, self.file or self.stage.requests_file,
            in_flight=in_flight, samples=kept, sample_every=SAMPLE_EVERY, **load,
        )  # fmt: skip
        self.grown += logged(self.stage.store) - before
        self.answered += window.measured.ok_in_all
        self.reply_bytes = round(window.measured.reply_bytes["mean"])
        self.samples += loadgen.read_samples(kept)
        return window

    def evidence(self) -> Evidence:
        """Return what the answers were; raise `NotDecided` unless each was a decision, and logged."""
        grown = self.grown if self.is_logged else self.answered
        return judged(self.samples, self.requests or self.stage.requests, self.answered, grown)


@dataclass(frozen=True, slots=True)
class Floor:
    """The floor beside decisions: it answers in the size that they had last.

    Caps fill and free again, and with them the answers shrink and grow.
    """

    beside: Decisions

    def window(self, in_flight: int = 8, **load: Any) -> Window:  # noqa: ANN401 - see loadgen.Load
        """Measure one window."""
        bench, stage = self.beside.bench, self.beside.stage
        server = stage.floor_answering(self.beside.reply_bytes)
        file = self.beside.file or stage.requests_file
        return watched(bench, stage, server, floor.METHOD, file, in_flight=in_flight, **load)


def line(name: str, window: Window) -> str:
    """Tell a window in one line."""
    p50, p99 = (window.measured.latency_us[name] / 1000 for name in ("p50", "p99"))
    return (
        f"{name:<28} {window.measured.throughput:>7,.0f}/s  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  "
        f"server {window.server_cpu_us:4.0f} µs  store {window.store_cpu_us:3.0f} µs a call"
    )


def told(bench: Bench, name: str, measure: Callable[[], Window]) -> Callable[[], Window]:
    """Return the same measurement, which says in a line what it found."""

    def measure_and_tell() -> Window:
        window = measure()
        bench.say(line(name, window))
        return window

    return measure_and_tell
