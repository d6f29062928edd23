"""What telemetry costs: one decision in a hundred traced, everything measured and exported, against none at all."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack

from benchmarks.evidence import NotDecided
from benchmarks.section import Bench, Bound, Figure, SectionResult
from benchmarks.stage import Stage
from benchmarks.windows import Decisions, Window, figures, ratios, told
from service.store.embedded import free_port

SHARE = "0.01"
ON, OFF = "telemetry at 1 %", "no telemetry"
IN_FLIGHT = 8
SHOWN = ("requests", "p50", "p99", "server CPU")
LEAST = 0.97
ALONE = "Stages are wall time with one call in flight, so that none waits for another."
TRACES = "/v1/traces calls"
_STAGE = re.compile(r'^tact_decide_stage_duration_seconds_(sum|count)\{[^}]*stage="(\w+)"[^}]*\} (\S+)', re.MULTILINE)


class Telemetry:
    """Two services on one store, and a collector that takes everything."""

    name = "telemetry"
    says = "Telemetry: 1 % of decisions traced, metrics exported, against none"

    def run(self, bench: Bench) -> SectionResult:
        """Measure both in turn; then ask the metrics where the time went, and the collector whether spans came."""
        with bench.stage() as stage:
            before = received(stage)
            windows, stages = _measured(bench, stage)
            after = received(stage)
        grown = {what: number - before.get(what, 0) for what, number in after.items()}
        if not grown.get(TRACES):
            raise NotDecided(f"the collector received no trace: {grown}")
        with_it, without = (figures(name, {"in_flight": IN_FLIGHT}, windows[name], SHOWN) for name in (ON, OFF))
        over = ratios(with_it, without)
        parts = [Figure("decide", {"stage": name}, "mean", "µs", (us,)) for name, us in stages.items()]
        bound = Bound("telemetry at 1 % over none: requests a second", over[0].median, at_least=LEAST)
        sent = ", ".join(f"{what} {number:,}" for what, number in sorted(grown.items()))
        return SectionResult((*without, *with_it, *over, *parts), (bound,), (f"The collector received: {sent}.", ALONE))


def received(stage: Stage) -> dict[str, int]:
    """Return the calls and bytes that the collector took so far, by path."""
    said: dict[str, int] = json.loads(asked(f"http://{stage.collector.target}/received"))
    return said


def _measured(bench: Bench, stage: Stage) -> tuple[Mapping[str, tuple[Window, ...]], dict[str, float]]:
    """Return the windows of both, and the mean microseconds of each stage; both services end, and flush, with it."""
    metrics = free_port()
    watched = stage.serve("--trace-share", SHARE, "--metrics-port", str(metrics))
    with ExitStack() as opened:
        services = {ON: opened.enter_context(watched), OFF: opened.enter_context(stage.serve("--no-telemetry"))}
        subjects = {name: Decisions(bench, stage, service) for name, service in services.items()}
        for subject in subjects.values():
            subject.window(IN_FLIGHT, seconds=0.4)
        windows = bench.interleaved({name: told(bench, name, subject.window) for name, subject in subjects.items()})
        url = f"http://127.0.0.1:{metrics}/metrics"
        before = asked(url)
        subjects[ON].window(1)
        stages = stages_us(before, asked(url))
        for subject in subjects.values():
            subject.evidence()
    return windows, stages


def asked(url: str) -> str:
    """Return what a server on this machine answers."""
    with urllib.request.urlopen(url, timeout=10.0) as reply:  # noqa: S310 - one of the benchmark's own servers
        return str(reply.read().decode())


def stages_us(before: str, after: str) -> dict[str, float]:
    """Return the mean microseconds of each stage between two texts that Prometheus reads.

    Raise `NotDecided` where they tell of none.
    """
    grown: dict[str, dict[str, float]] = {}
    for text, sign in ((after, 1.0), (before, -1.0)):
        for what, stage, number in _STAGE.findall(text):
            known = grown.setdefault(stage, {"sum": 0.0, "count": 0.0})
            known[what] += sign * float(number)
    if not any(known["count"] for known in grown.values()):
        raise NotDecided("the metrics tell nothing of the stages of decisions")
    return {stage: 1e6 * known["sum"] / known["count"] for stage, known in grown.items() if known["count"] > 0}


SECTION = Telemetry()
