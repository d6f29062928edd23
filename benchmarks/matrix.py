"""What a decision costs over actions, rules, models and consents: each beside the floor and the usual case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.section import Bench, Bound, Case, Figure, SectionResult
from benchmarks.stage import Size, Stage
from benchmarks.windows import Decisions, Floor, Window, figures, one, ratios, told

SHOWN = ("requests", "p50", "p99", "server CPU", "store CPU", "reply")
ACTIONS = (10, 100, 1000)
RULES = (0, 8, 40, 200)
LEVELS = ("none", "service", "personal", "full")
IN_FLIGHT = 8
MOST_MB = 90.0
MOST_GROWTH = 1.4


@dataclass(frozen=True, slots=True)
class Cell:
    """One case of the matrix: how it is told, the size that is served, and the consent of those asked about."""

    case: Case
    size: Size
    level: str | None = None
    in_flight: int = IN_FLIGHT


class Matrix:
    """Groups of cases, each group in interleaved rounds of its own: its services run side by side, idle in turn."""

    name = "matrix"
    says = "Over actions, rules, models and consents"

    def run(self, bench: Bench) -> SectionResult:
        """Measure group after group."""
        with bench.stage() as stage:
            found: list[Figure] = []
            notes: list[str] = []
            memory: dict[tuple[int, str], float] = {}
            for name, cells in groups(stage.size, quick=bench.quick).items():
                figures, notes_of_group, held = _measured(bench, stage, name, cells)
                found += figures
                notes += notes_of_group
                memory |= held
        found += [Figure("worker", {"actions": n}, measure, "MB", (mb,)) for (n, measure), mb in memory.items()]
        return SectionResult(tuple(found), _bounds(found), tuple(notes))


def groups(size: Size, *, quick: bool) -> Mapping[str, tuple[Cell, ...]]:
    """Return the cases by group; a quick run has only what is promised, and the lowest consent."""
    actions = [Cell({"actions": n, "in_flight": IN_FLIGHT}, replace(size, actions=n)) for n in ACTIONS]
    busy = Cell({"actions": 1000, "in_flight": 64}, replace(size, actions=1000), in_flight=64)
    rules = [Cell({"rules": n}, replace(size, rules=n)) for n in RULES]
    models = [Cell({"model": "trees" if trees else "linear"}, replace(size, trees=trees)) for trees in (False, True)]
    consents = tuple(Cell({"consent": level}, size, level) for level in LEVELS)
    if quick:
        return {"actions": (*actions, busy), "consents": consents[:1]}
    return {"actions": (*actions, busy), "rules": tuple(rules), "models": tuple(models), "consents": consents}


@dataclass(frozen=True, slots=True)
class _Subject:
    """A case that is measured, and the service that answers it."""

    cell: Cell
    decisions: Decisions


def _measured(
    bench: Bench, stage: Stage, group: str, cells: tuple[Cell, ...]
) -> tuple[list[Figure], list[str], dict[tuple[int, str], float]]:
    """Return the figures of a group, what its answers were, and what the workers hold in memory after it."""
    with ExitStack() as opened:
        subjects = _subjects(bench, stage, cells, opened)
        for subject in subjects:
            subject.decisions.window(subject.cell.in_flight, seconds=0.4)
        levels = sorted({cell.in_flight for cell in cells})
        beside = subjects[min(1, len(subjects) - 1)].decisions
        floors = {f"floor {level}": partial(Floor(beside).window, level) for level in levels}
        lanes: dict[str, Callable[[], Window]] = {name: told(bench, name, floor) for name, floor in floors.items()}
        for subject in subjects:
            name = f"decide, {_named(subject.cell.case)}"
            lanes[name] = told(bench, name, partial(subject.decisions.window, subject.cell.in_flight))
        windows = bench.interleaved(lanes)
        held = _memory(subjects) if group == "actions" else {}
        notes = [_note(subject) for subject in subjects]
    found: list[Figure] = []
    for subject in subjects:
        cell = subject.cell
        floor = figures("floor", cell.case, windows[f"floor {cell.in_flight}"], SHOWN)
        decide = figures("decide", cell.case, windows[f"decide, {_named(cell.case)}"], SHOWN)
        found += [*floor, *decide, *ratios(decide, floor)]
    return found, notes, held


def _subjects(bench: Bench, stage: Stage, cells: tuple[Cell, ...], opened: ExitStack) -> list[_Subject]:
    """Start a service for each size that is not served yet."""
    services = {stage.size: stage.service}
    subjects = []
    for cell in cells:
        if cell.size not in services:
            services[cell.size] = opened.enter_context(stage.serve(size=cell.size))
        requests, file = stage.requests_of(cell.level) if cell.level else ((), None)
        subjects.append(_Subject(cell, Decisions(bench, stage, services[cell.size], requests, file)))
    return subjects


def _memory(subjects: list[_Subject]) -> dict[tuple[int, str], float]:
    """Return what each service holds in memory now, under and after its load, by number of actions, in MB."""
    workers = {subject.cell.size.actions: subject.decisions.service.pid for subject in subjects}
    return {(n, name): mb for n, pid in workers.items() for name, mb in memory_mb(pid).items()}


def memory_mb(pid: int) -> dict[str, float]:
    """Return the memory of a process in MB: RSS; PSS, where shared pages count in parts; USS, its own pages only."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return {
        "RSS": kb["Rss"] * 1024 / 1e6,
        "PSS": kb["Pss"] * 1024 / 1e6,
        "USS": (kb["Private_Clean"] + kb["Private_Dirty"]) * 1024 / 1e6,
    }


def _note(subject: _Subject) -> str:
    evidence = subject.decisions.evidence()
    kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in evidence.kinds.items())
    return f"{_named(subject.cell.case)}: {kinds}; {evidence.answered:,} answers, {evidence.logged:,} logged."


def _named(case: Case) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in case.items())


def _bounds(found: list[Figure]) -> tuple[Bound, ...]:
    many = [
        Bound(f"1,000 actions, {level} in flight: requests a second over the floor's",
              one(found, "decide / floor", "requests", actions=1000, in_flight=level).median, at_least=0.50)
        for level in (IN_FLIGHT, 64)
    ]  # fmt: skip
    few, lots = (one(found, "decide", "server CPU", actions=n, in_flight=IN_FLIGHT) for n in (10, 1000))
    worker = one(found, "worker", "USS", actions=1000).median
    return (
        *many,
        Bound("CPU a decision, 1,000 actions over 10", lots.over(few).median, at_most=MOST_GROWTH),
        Bound("memory of a worker at 1,000 actions, its own pages (USS), MB", worker, at_most=MOST_MB),
        Bound("memory of a worker at 1,000 actions, with its part of what is shared (PSS), MB",
              one(found, "worker", "PSS", actions=1000).median, at_most=MOST_MB),
    )  # fmt: skip


SECTION = Matrix()
