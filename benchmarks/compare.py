"""Interleaved rounds of the floor and of Decide, and the evidence that Decide decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import loadgen
from benchmarks.evidence import Evidence, faultless, judged, logged
from benchmarks.loadgen import Measured
from benchmarks.stage import CLIENT_CORE, Stage

SUBJECTS = ("floor", "decide")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: calls in flight, rounds, and the seconds of each window and of the warm-up before it.

    Of the decisions, one answer in `sample_every` is looked at.
    """

    in_flight: tuple[int, ...] = (8, 64)
    rounds: int = 5
    seconds: float = 3.0
    warmup_s: float = 1.0
    sample_every: int = 50


@dataclass(frozen=True, slots=True)
class Window:
    """One measured window. CPU times are microseconds a call, of the server and of the store."""

    subject: str
    in_flight: int
    round: int
    measured: Measured
    server_cpu_us: float
    store_cpu_us: float


def compare(stage: Stage, plan: Plan, say: Callable[[str], None]) -> tuple[tuple[Window, ...], Evidence]:
    """Measure the floor and Decide in turn, at each number of calls in flight, with every second round turned round.

    Caps fill and free again, and with them the answers shrink and grow: so the floor always answers in the size that
    decisions had last.
    """
    before = logged(stage.store)
    busiest = max(plan.in_flight)
    first = _drive(stage, "decide", busiest, replace(plan, seconds=0.5))
    stage.start_floor(round(first.reply_bytes["mean"]))
    _drive(stage, "floor", busiest, replace(plan, seconds=0.5))
    windows: list[Window] = []
    answered = first.ok_in_all
    samples: list[tuple[int, bytes]] = []
    kept = stage.requests_file.with_name("samples.bin")
    for window in _windows(stage, plan, first, kept):
        windows.append(window)
        say(_line(window))
        if window.subject == "decide":
            answered += window.measured.ok_in_all
            samples += loadgen.read_samples(kept)
    return tuple(windows), judged(samples, stage.requests, answered, logged(stage.store) - before)


def _windows(stage: Stage, plan: Plan, latest: Measured, kept: Path) -> Iterator[Window]:
    """Measure window after window; `latest` is how decisions were answered last, `kept` takes samples of them."""
    for number in range(plan.rounds):
        for in_flight in plan.in_flight:
            for subject in SUBJECTS if number % 2 == 0 else reversed(SUBJECTS):
                if subject == "floor":
                    stage.resize_floor(round(latest.reply_bytes["mean"]))
                    yield _window(stage, plan, subject, in_flight, number)
                else:
                    window = _window(stage, plan, subject, in_flight, number, kept)
                    latest = window.measured
                    yield window


def _window(stage: Stage, plan: Plan, subject: str, in_flight: int, number: int, samples: Path | None = None) -> Window:
    measured = _drive(stage, subject, in_flight, plan, samples)
    server, store = measured.cpu_s
    return Window(subject, in_flight, number, measured, measured.cpu_us_a_call(server), measured.cpu_us_a_call(store))


def _drive(stage: Stage, subject: str, in_flight: int, plan: Plan, samples: Path | None = None) -> Measured:
    server, method = stage.measured(subject)
    load = loadgen.Load(
        server.target,
        method,
        stage.requests_file,
        in_flight=in_flight,
        seconds=plan.seconds,
        warmup_s=plan.warmup_s,
        watched=(server.pid, stage.store_pid),
        samples=samples,
        sample_every=plan.sample_every,
    )
    measured = loadgen.drive(stage.program, load, core=CLIENT_CORE)
    faultless(measured, f"{subject} with {in_flight} in flight")
    return measured


def _line(window: Window) -> str:
    p50, p99 = (window.measured.latency_us[name] / 1000 for name in ("p50", "p99"))
    return (
        f"round {window.round + 1}  {window.subject:<6} {window.in_flight:>3} in flight  "
        f"{window.measured.throughput:>7,.0f}/s  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  "
        f"server {window.server_cpu_us:4.0f} µs  store {window.store_cpu_us:3.0f} µs a call"
    )
