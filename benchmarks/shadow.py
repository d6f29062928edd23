"""Measure what a challenger costs a decision: `python -m benchmarks.shadow [--quick]`. See benchmarks/README.md."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import thread_time_ns
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import report, world
from benchmarks.judging import CHANNEL, customers
from models.features import FeatureSpace
from models.propensity import Folded
from service.core import plan
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy

ACTIONS = 100
_DRAW = 0.75


@dataclass(frozen=True, slots=True)
class Cost:
    """What the core of a decision costs (µs of processor time, medians of rounds), and how large its entry is (bytes):
    without a challenger and with one.
    """

    alone_us: float
    beside_us: float
    alone_bytes: float
    beside_bytes: float

    @property
    def ratio(self) -> float:
        """How much dearer the core is with a challenger."""
        return self.beside_us / self.alone_us


def model(strategy: Strategy, seed: int) -> Folded:
    """Return a model of every action with a baseline each; what it says does not matter, how much it computes does."""
    space, dice = FeatureSpace.of(strategy.schema, strategy.features), np.random.default_rng(seed)
    size = (len(strategy.actions), len(space.columns))
    names = tuple(action.id for action in strategy.actions)
    arrays: dict[str, Any] = {
        "weights": dice.normal(0, 0.05, size), "bias": dice.normal(-1, 0.5, size[0]),
        "baseline_weights": dice.normal(0, 0.05, size), "baseline_bias": dice.normal(-3, 0.5, size[0]),
    }  # fmt: skip
    return Folded(f"m{seed}@0123456789ab", space.hash, names, **arrays, has_baseline=np.ones(size[0], dtype=np.bool_))


def decided(engine: Engine, known: Known, snapshot: Snapshot, request: Request) -> bytes:
    """Decide one request in memory, from what is known to the packed entry."""
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    draws = (_DRAW,) * len(request.placements)
    planned = engine.arbitrate("d" * 26, request, snapshot, judged, scores, draws)
    return plan.pack(engine.check(planned, snapshot).entry)


def measured(strategy: Strategy, rounds: int, turns: int) -> Cost:
    """Measure both in turn, so that whatever else the machine does meets both."""
    placements = next(channel.placements for channel in strategy.channels if channel.id == CHANNEL)
    first, second = model(strategy, 1), model(strategy, 2)
    engines = Engine(strategy, first), Engine(strategy, first, second)
    snapshots = customers(strategy)
    work: list[list[Callable[[], bytes]]] = [[] for _ in engines]
    for number, snapshot in enumerate(snapshots):
        known = Known(snapshot.now_ms, snapshot.level.id, (CHANNEL,), {}, {})
        request = Request(f"customer-{number}", CHANNEL, placements, {})
        for pieces, engine in zip(work, engines, strict=True):
            pieces.append(partial(decided, engine, known, snapshot, request))
    sizes = [statistics.mean(len(piece()) for piece in pieces) for pieces in work]
    found = [[_spent_us(pieces, turns) for pieces in work] for _ in range(rounds + 1)][1:]
    alone, beside = (statistics.median(one[place] for one in found) for place in range(2))
    return Cost(alone, beside, *sizes)


def _spent_us(work: Sequence[Callable[[], object]], turns: int) -> float:
    began = thread_time_ns()
    for _ in range(turns):
        for piece in work:
            piece()
    return (thread_time_ns() - began) / (turns * len(work)) / 1000


def main(quick: Annotated[bool, typer.Option("--quick", help="Few rounds, for a first look.")] = False) -> None:
    """Measure what scoring a challenger beside a decision of 100 actions costs its core, which needs no store."""
    machine = report.machine()
    with tempfile.TemporaryDirectory(prefix="tact-bench-") as folder:
        strategy = load_strategy(world.write_strategy(Path(folder), ACTIONS))
        cost = measured(strategy, *((3, 5) if quick else (15, 40)))
    said = datetime.now(UTC).isoformat(timespec="seconds")
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, {said}")
    print(f"{ACTIONS} actions, {len(strategy.features)} features, a baseline each, 2 placements")
    print(f"without a challenger: median {cost.alone_us:6.1f} µs, entry {cost.alone_bytes:5.0f} bytes")
    print(f"with a challenger:    median {cost.beside_us:6.1f} µs, entry {cost.beside_bytes:5.0f} bytes")
    print(f"the core costs {cost.ratio:.2f} times as much")


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
