"""Measure judging and its check: `python -m benchmarks.judging [--quick] [--json FILE]`. See benchmarks/README.md."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from time import thread_time_ns
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import judging_world, report
from benchmarks.plainly import forbidding
from models.clock import Clock
from service.core.check import Checker
from service.core.decision import ReasonCode
from service.core.judge import Judge, Verdicts
from service.core.loader import load_strategy
from service.core.selection import bits
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy

SIZES = (100, 1_000)
BOUNDS_US = {"judge": {100: 20.0, 1_000: 40.0}, "check": {100: 10.0, 1_000: 10.0}}
"""What judging may cost, and the check of what may be said, by the number of actions: medians, in microseconds."""
IN_DOUBT = (
    ReasonCode.GUARDRAIL_UNKNOWN,
    ReasonCode.ELIGIBILITY_UNKNOWN,
    ReasonCode.APPLICABILITY_UNKNOWN,
    ReasonCode.SUITABILITY_UNKNOWN,
)
CHANNEL = "web"
ANSWERED = 4
"""Candidates that the check looks at: two for each of two placements."""
NOW_MS = 1_790_000_000_000
CUSTOMERS = 32


class NotJudged(Exception):
    """Judging did not find what a plain reading of the rules finds, so its speed says nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure: rounds, decisions a round, decisions before the first, decisions that are read plainly."""

    rounds: int = 9
    decisions: int = 3_000
    warmup: int = 2_000
    compared: int = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """What one step costs over so many actions, over the rounds, and what it may cost (µs)."""

    step: str
    actions: int
    median_us: float
    p90_us: float
    bound_us: float
    rounds_us: tuple[float, ...]

    @property
    def holds(self) -> bool:
        """Tell whether it costs no more than it may."""
        return self.median_us <= self.bound_us


@dataclass(frozen=True, slots=True)
class Judged:
    """How much there was to judge: rules, vetoes and forbidden actions a decision, and how much was compared."""

    actions: int
    rules: int
    vetoes: float
    forbidden: float
    fates_compared: int


def customers(strategy: Strategy, number: int = CUSTOMERS) -> list[Snapshot]:
    """Return what is known of random customers, the same ones every time."""
    random = Random(strategy.name)
    clock, level = Clock.of(strategy.schema), strategy.levels[-1]
    found = []
    for _ in range(number):
        values = list(judging_world.values(strategy.schema, random))
        if clock is not None:
            clock.fill(values, NOW_MS)
        found.append(Snapshot(tuple(values), {}, NOW_MS, level, True))
    return found


def compare(strategy: Strategy, judge: Judge, known: Sequence[Snapshot], compared: int) -> Judged:
    """Compare every veto of every action with a plain reading through the CEL engine; raise NotJudged for another."""
    verdicts = [judge.judge(snapshot, CHANNEL) for snapshot in known]
    for snapshot, found in islice(zip(known, verdicts, strict=True), compared):
        for action, wanted in zip(strategy.actions, forbidding(strategy, snapshot, CHANNEL), strict=True):
            about = [veto.reason for veto in found.vetoes if veto.mask >> action.index & 1]
            told = {reason.rule: reason.code not in IN_DOUBT for reason in about}
            if told != wanted:
                raise NotJudged(
                    f"{action.id} is forbidden by {sorted(told)}, and a plain reading says {sorted(wanted)}"
                )
    rules = len(strategy.guardrails) + len(strategy.eligibility)
    vetoes = statistics.mean(len(found.vetoes) for found in verdicts)
    forbidden = statistics.mean(found.vetoed.bit_count() for found in verdicts)
    return Judged(len(strategy.actions), rules, vetoes, forbidden, compared * len(strategy.actions))


def measure(step: str, actions: int, work: Sequence[Callable[[], object]], plan: Plan) -> Figure:
    """Do all work in turn, in rounds, and return the CPU time of one piece, which waits for nothing."""
    _spent_us(work, plan.warmup)
    rounds = tuple(_spent_us(work, plan.decisions) for _ in range(plan.rounds))
    p90 = statistics.quantiles(rounds, n=10, method="inclusive")[-1] if len(rounds) > 1 else rounds[0]
    return Figure(step, actions, statistics.median(rounds), p90, BOUNDS_US[step][actions], rounds)


def _spent_us(work: Sequence[Callable[[], object]], number: int) -> float:
    turns = max(1, number // len(work))
    began = thread_time_ns()
    for _ in range(turns):
        for piece in work:
            piece()
    return (thread_time_ns() - began) / (turns * len(work)) / 1000


def figures(folder: Path, actions: int, plan: Plan) -> tuple[Judged, list[Figure]]:
    """Return what judging and the check cost over so many actions."""
    strategy = load_strategy(judging_world.write_strategy(folder, actions))
    judge, checker, known = Judge(strategy), Checker(strategy), customers(strategy)
    judged = compare(strategy, judge, known, plan.compared)
    judging = [partial(judge.judge, snapshot, CHANNEL) for snapshot in known]
    checking = [
        partial(checker.objections, _candidates(strategy, judge.judge(snapshot, CHANNEL)), snapshot, CHANNEL)
        for snapshot in known
    ]
    if any(check() for check in checking):
        raise NotJudged("The check objects to what may be said.")
    return judged, [measure("judge", actions, judging, plan), measure("check", actions, checking, plan)]


def _candidates(strategy: Strategy, verdicts: Verdicts) -> list[str]:
    """Return actions that survive, those first over which most rules are: offers come after greetings."""
    left = (1 << len(strategy.actions)) - 1 & ~verdicts.vetoed
    return [strategy.actions[index].id for index in sorted(bits(left), reverse=True)[:ANSWERED]]


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Few rounds, for a first look.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything that was measured here.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; 9, or 5 with --quick.")] = None,
) -> None:
    """Measure what judging 100 and 1,000 actions by 40 rules costs, and the check; end with 1 where it is too much."""
    console = Console(highlight=False)
    plan = Plan(rounds or 5, 500, 500) if quick else Plan(rounds or 9)
    before = report.machine()
    try:
        with tempfile.TemporaryDirectory(prefix="tact-bench-") as folder:
            found = [figures(Path(folder) / str(size), size, plan) for size in SIZES]
    except NotJudged as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    said = document(plan, found, before)
    if json_file:
        json_file.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines(said)))
    sys.exit(0 if all(figure.holds for _, several in found for figure in several) else 1)


def document(plan: Plan, found: Sequence[tuple[Judged, Sequence[Figure]]], before: dict[str, Any]) -> dict[str, Any]:
    """Return everything that was measured, as plain JSON."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": before,
        "plan": asdict(plan),
        "judged": [asdict(judged) for judged, _ in found],
        "figures": [asdict(figure) | {"holds": figure.holds} for _, several in found for figure in several],
    }


def lines(said: dict[str, Any]) -> list[str]:
    """Return what is printed: the machine, what was judged, and a line a figure."""
    machine = said["machine"]
    head = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, {said['date']}"
    judged = [
        f"{one['actions']:>5,} actions, {one['rules']} rules: {one['vetoes']:.1f} vetoes over {one['forbidden']:.1f} "
        f"actions a decision; {one['fates_compared']:,} fates equal a plain reading"
        for one in said["judged"]
    ]
    costs = [
        f"{one['step']:>6} {one['actions']:>5,} actions: median {one['median_us']:5.1f} µs, p90 {one['p90_us']:5.1f} µs"
        f", bound {one['bound_us']:.0f} µs: {'holds' if one['holds'] else 'MISSED'}"
        for one in said["figures"]
    ]
    return [head, *judged, *costs]


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
