"""Decide against the floor: requests a second, latency and CPU in interleaved rounds, at several calls in flight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from benchmarks.evidence import Evidence
from benchmarks.section import Bench, Bound, Figure, SectionResult
from benchmarks.windows import LOAD, Decisions, Floor, Window, figures, one, ratios, told

RATIO = "decide / floor"


class Compare:
    """The first figure of all: what a decision costs beyond an echo after one store read."""

    name = "decide"
    says = "Decide against the floor"

    def run(self, bench: Bench) -> SectionResult:
        """Measure both at each number of calls in flight."""
        with bench.stage() as stage:
            decisions = Decisions(bench, stage, stage.service)
            warmed_up(decisions, max(bench.in_flight))
            windows = bench.interleaved(_subjects(bench, decisions))
            evidence = decisions.evidence()
            actions = stage.size.actions
        found = tuple(figure for level in bench.in_flight for figure in _level(actions, level, windows))
        return SectionResult(
            found, bounds(found, bench.in_flight), seen(evidence), details={"evidence": asdict(evidence)}
        )


def warmed_up(decisions: Decisions, in_flight: int) -> None:
    """Let decisions and floor run once: memory is filled, and the size of an answer is known."""
    decisions.window(in_flight, seconds=0.5)
    Floor(decisions).window(in_flight, seconds=0.5)


def _subjects(bench: Bench, decisions: Decisions) -> dict[str, Callable[[], Window]]:
    subjects: dict[str, Callable[[], Window]] = {}
    for level in bench.in_flight:
        for name, subject in (("floor", Floor(decisions)), ("decide", decisions)):
            told_as = f"{name}, {level} in flight"
            subjects[f"{name} {level}"] = told(bench, told_as, partial(subject.window, level))
    return subjects


def _level(actions: int, level: int, windows: dict[str, tuple[Window, ...]]) -> tuple[Figure, ...]:
    case = {"actions": actions, "in_flight": level}
    floor, decide = (figures(name, case, windows[f"{name} {level}"], LOAD) for name in ("floor", "decide"))
    return (*floor, *decide, *ratios(decide, floor))


def bounds(found: tuple[Figure, ...], levels: tuple[int, ...]) -> tuple[Bound, ...]:
    """Return what is promised beside the floor: of 100 actions, and held to for any other number too."""
    promised = [
        Bound(f"{level} in flight: requests a second over the floor's",
              one(found, RATIO, "requests", in_flight=level).median, at_least=0.60)
        for level in levels
    ]  # fmt: skip
    if 8 in levels:
        p99, cpu = (one(found, RATIO, measure, in_flight=8).median for measure in ("p99", "server CPU"))
        promised += [
            Bound("8 in flight: p99 over the floor's", p99, at_most=1.9),
            Bound("8 in flight: CPU a call over the floor's", cpu, at_most=1.7),
        ]
    return tuple(promised)


def seen(evidence: Evidence) -> tuple[str, ...]:
    """Tell what the answers were."""
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in evidence.kinds.items())
    reasons = ", ".join(f"{reason} {share:.0%}" for reason, share in evidence.reasons.items())
    return (
        f"{evidence.answered:,} answers, {evidence.logged:,} of them in the decision log.",
        f"Of {evidence.sampled:,} looked at: {kinds}; {evidence.distinct_actions} different actions.",
        f"First reasons: {reasons}.",
    )


SECTION = Compare()
