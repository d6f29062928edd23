"""Our whole logic beside bandits in process: each in a process of its own on the same core, in turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.peers import environment
from benchmarks.peers.environment import NotInstalled
from benchmarks.peers.programs.asked import Asked
from benchmarks.peers.workers import DoesNotAnswer, Spent, Worker
from benchmarks.section import Bench, Bound, Figure, SectionResult
from benchmarks.stage import SERVER_CORE

OURS = {"our logic": "logic", "our decider": "decide"}
BANDITS = {
    "vowpal": ("vowpal", "vowpal", ("ready",)),
    "vowpal, text written": ("vowpal", "vowpal", ("written",)),
    "mabwiser": ("mabwiser", "linucb", ()),
}
"""By subject: the peer, its program and what that is told."""
PACKAGES = {"vowpal": "vowpalwabbit", "mabwiser": "mabwiser"}
BOUNDS = (
    ("vowpal", "CPU a question of Vowpal Wabbit over our whole logic", 12.0),
    ("mabwiser", "CPU a question of mabwiser's LinUCB over our whole logic", 20.0),
)
FIRST = 20  # answers that tell how many make a window
FEWEST = 20
LEAST_ROUNDS = 5


def bandits(bench: Bench, version: tuple[Path, Path], asked: Asked, folder: Path) -> SectionResult:
    """Measure what one answer costs: ours of a strategy and a model, and that of every bandit that installs here."""
    with ExitStack() as opened:
        workers, left_out = _started(bench, asked, folder, opened)
        if not workers:
            return SectionResult(left_out=left_out)
        for subject, how in OURS.items():
            words = (how, *map(str, version))
            python = Path(sys.executable)
            worker = Worker(python, "benchmarks.peers.ours", words, SERVER_CORE, folder / f"{how}.log")
            workers[subject] = opened.enter_context(worker)
        found = bench.interleaved(_subjects(bench, workers), max(LEAST_ROUNDS, bench.rounds))
        seen = {subject: worker.seen for subject, worker in workers.items()}
    versions = {peer: environment.told(peer, package, bench.kept / "peers") for peer, package in PACKAGES.items()}
    return result(len(asked.actions), found, left_out, seen, versions)


def _started(bench: Bench, asked: Asked, folder: Path, opened: ExitStack) -> tuple[dict[str, Worker], dict[str, str]]:
    workers, left_out, kept = {}, {}, bench.kept / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    asked.write(folder)
    for subject, (peer, program, words) in BANDITS.items():
        try:
            python = environment.python_of(peer, kept) if bench.quick else environment.install(peer, bench.say, kept)
            worker = Worker(
                python, f"benchmarks.peers.programs.{program}", (*words, str(folder)), SERVER_CORE,
                folder / f"{subject}.log",
            )  # fmt: skip
            workers[subject] = opened.enter_context(worker)
        except (NotInstalled, DoesNotAnswer, OSError) as error:
            left_out[subject] = str(error)
            bench.say(f"{subject}: {left_out[subject]}")
    return workers, left_out


def _subjects(bench: Bench, workers: Mapping[str, Worker]) -> dict[str, Callable[[], Spent]]:
    window_us = 0.2e6 * bench.seconds
    subjects: dict[str, Callable[[], Spent]] = {}
    for name, worker in workers.items():
        times = max(FEWEST, int(window_us / worker.answers(FIRST).took_us))
        subjects[name] = partial(_told, bench, name, worker, times)
    return subjects


def _told(bench: Bench, name: str, worker: Worker, times: int) -> Spent:
    spent = worker.answers(times)
    bench.say(f"{name:<28} {spent.cpu_us:7.1f} µs CPU an answer")
    return spent


def result(
    actions: int,
    found: Mapping[str, Sequence[Spent]],
    left_out: Mapping[str, str],
    seen: Mapping[str, object],
    versions: Mapping[str, str],
) -> SectionResult:
    """Return costs, how many times ours each peer's is, round by round, and whether that is as much as is promised."""
    case = {"actions": actions}
    costs = {
        name: Figure(name, case, "CPU", "µs", tuple(one.cpu_us for one in rounds)) for name, rounds in found.items()
    }
    ours = costs["our logic"]
    ratios = {name: cost.over(ours) for name, cost in costs.items() if name in BANDITS}
    bounds = tuple(Bound(says, ratios[name].median, at_least=times) for name, says, times in BOUNDS if name in ratios)
    notes = tuple(f"{package} {versions[peer]}, in process." for peer, package in PACKAGES.items() if peer in costs)
    return SectionResult((*costs.values(), *ratios.values()), bounds, notes, left_out, {"in process": seen})
