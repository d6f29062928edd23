"""A steady load for minutes: memory, descriptors and latency are flat, or something grows."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import loadgen
from benchmarks.matrix import memory_mb
from benchmarks.section import Bench, Bound, Figure, NotMeasured, SectionResult
from benchmarks.stage import Stage
from benchmarks.store_cost import used_memory
from benchmarks.streaming import BATCHES_OPEN, IN_A_BATCH, Stream
from benchmarks.windows import ROOM, Decisions

USUAL_S = 600.0
WINDOW_S = 10.0
STREAMED_S = 1.0
SHARE = 0.5  # of what it can take
FEWEST = 6
PATIENCE_S = 20.0  # a machine that stands still for seconds is to be seen in the latencies, not to end it all
MORE_MB = 3.0
MORE_LATENCY = 1.5


@dataclass(frozen=True, slots=True)
class Look:
    """What one window showed, at so many seconds from the beginning."""

    at_s: float
    uss_mb: float
    descriptors: int
    threads: int
    p50_us: float
    p99_us: float
    store_bytes_a_decision: float


class Soak:
    """Unary calls at half of what the service can take, on a schedule; between windows a stream of batches."""

    name = "soak"
    says = "A steady load for minutes"

    def run(self, bench: Bench) -> SectionResult:
        """Look at the service window after window, until the time is up."""
        if loadgen.missing():
            raise NotMeasured("it needs the load generator in C++ (Debian: libgrpc++-dev)")
        lasts_s = getattr(bench, "soak_s", 0.0) or USUAL_S
        with bench.stage() as stage:
            decisions = Decisions(bench, stage, stage.service)
            rate = SHARE * decisions.window(64).measured.throughput
            stream = Stream(bench, stage, IN_A_BATCH, BATCHES_OPEN)
            looks = _looks(bench, stage, lasts_s, lambda: _steady(decisions, stream, rate))
            decisions.evidence()
            stream.check()
        return _result(looks, rate)


def _steady(decisions: Decisions, stream: Stream, rate: float) -> tuple[dict[str, float], int]:
    """Load for one window; return its latencies and how many decisions were made."""
    before = decisions.answered + stream.answered
    window = decisions.window(ROOM, rate=rate, seconds=WINDOW_S - STREAMED_S, warmup_s=0.0, timeout_s=PATIENCE_S)
    stream.window(seconds=STREAMED_S, warmup_s=0.0)
    decisions.samples, stream.samples = decisions.samples[-1_000:], stream.samples[-1_000:]
    return window.measured.latency_us, decisions.answered + stream.answered - before


def _looks(
    bench: Bench, stage: Stage, lasts_s: float, load: Callable[[], tuple[dict[str, float], int]]
) -> tuple[Look, ...]:
    looks: list[Look] = []
    pid, began = stage.service.pid, time.monotonic()
    while len(looks) < FEWEST or time.monotonic() - began < lasts_s:
        held = used_memory(stage.store)
        latency, decided = load()
        grown = used_memory(stage.store) - held
        process = Path(f"/proc/{pid}")
        look = Look(
            time.monotonic() - began, memory_mb(pid)["USS"], len(os.listdir(process / "fd")),
            len(os.listdir(process / "task")), latency["p50"], latency["p99"], grown / decided,
        )  # fmt: skip
        looks.append(look)
        bench.say(f"{look.at_s:6.0f} s  {look.uss_mb:6.1f} MB  {look.descriptors} descriptors  {look.threads} threads  "
                  f"p50 {look.p50_us / 1000:.2f} ms  p99 {look.p99_us / 1000:.2f} ms")  # fmt: skip
    return tuple(looks)


def _result(looks: Sequence[Look], rate: float) -> SectionResult:
    """Compare the last third with the one before it: at first caches and pools fill."""
    third = len(looks) // 3
    earlier, later = looks[third : 2 * third], looks[-third:]

    def middle(of: Sequence[Look], what: Callable[[Look], float]) -> float:
        return statistics.median(map(what, of))

    case = {"rate": round(rate), "minutes": round(looks[-1].at_s / 60, 1)}
    grown_mb = middle(later, lambda look: look.uss_mb) - middle(earlier, lambda look: look.uss_mb)
    slower, usual = (
        middle(later, what) / middle(earlier, what) for what in (lambda look: look.p99_us, lambda look: look.p50_us)
    )
    more = max(look.descriptors for look in later) - max(look.descriptors for look in earlier)
    figures = (
        Figure("soak", case, "USS", "MB", tuple(look.uss_mb for look in looks)),
        Figure("soak", case, "descriptors", "", tuple(float(look.descriptors) for look in looks)),
        Figure("soak", case, "threads", "", tuple(float(look.threads) for look in looks)),
        Figure("soak", case, "p50", "µs", tuple(look.p50_us for look in looks)),
        Figure("soak", case, "p99", "µs", tuple(look.p99_us for look in looks)),
        Figure("soak", case, "store bytes a decision", "B", tuple(look.store_bytes_a_decision for look in looks)),
    )
    bounds = (
        Bound("MB more in the last third than in the one before", grown_mb, at_most=MORE_MB),
        Bound("descriptors more in the last third than in the one before", more, at_most=0),
        Bound("p99 of the last third over that of the one before", slower, at_most=MORE_LATENCY),
        Bound("p50 of the last third over that of the one before", usual, at_most=MORE_LATENCY),
    )
    notes = ("The store grows by its log, which is kept as long as `--keep log=…` says: that is no leak.",)
    return SectionResult(figures, bounds, notes, details={"looks": [look.at_s for look in looks]})


SECTION = Soak()
