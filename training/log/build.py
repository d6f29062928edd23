"""From a log to arrays: read in batches, spread over parts by customer, each part built on its own, joined in time.

    built = build(Order(declared, table=Path("log")), bars)
    built.decisions.x, built.decisions.happened, built.counts

However long the log is, only its arrays and one part of it are in memory; where even the arrays would take more than a
third of `memory`, a share of the customers is left out, and `counts.kept` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.progress import Progress

from training.decisions import NOTHING, Decisions, Floats, Whole
from training.errors import TrainingRefused
from training.progress import started
from training.scale import Here, Workers
from training.strategy import Declared

from .chunk import Chunk, Plan, built_part
from .memory import DEFAULT_BYTES, share_that_fits
from .scan import Scanned, scan

__all__ = ["Built", "Counts", "Order", "build"]


@dataclass(frozen=True, slots=True)
class Order:
    """Which log to read for which strategy.

    `table` is a folder of `tact log export` or one file of decisions; `decisions` instead is a file of JSON lines.
    `events` (.jsonl or .csv, or .gz) are needed where outcomes are told by events, or where the table does not hold all
    features. `memory` are the bytes that the whole process may take. With `unfinished`, decisions count whose windows
    run past the end of the log, as if nothing more came of them; otherwise what came of them is not known. What is
    dated later than `now_ms` (unset: the clock's) does not say that the log went on until then.
    """

    declared: Declared
    table: Path | None = None
    events: Path | None = None
    decisions: Path | None = None
    memory: int = DEFAULT_BYTES
    unfinished: bool = False
    now_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What was read: rows, and those that count for nothing, and why; `kept` is the share of customers that was taken.

    `unfinished` decisions were too late for what came of them to be known. `others` are decisions of actions that the
    strategy does not have. `unmatched` are outcomes of decisions that are not in the log. `unknown` are features that
    neither the table nor the events tell. `ahead` is how much was not believed to tell when the log ends.
    """

    decisions: int
    repeated: int
    unfinished: int
    others: int
    outcomes: int
    unmatched: int
    events: int
    unknown: tuple[str, ...]
    kept: float
    first_ms: int
    last_ms: int
    ahead: int = 0

    @property
    def too_late(self) -> tuple[str, ...]:
        """What is to be said of when the log ends, in sentences without a full stop."""
        ahead = (
            f"{self.ahead:,} decisions, outcomes or events are dated later than now, so they do not say that the log "
        )
        unfinished = f"{self.unfinished:,} decisions are too late for what came of them to be known"
        said = (
            (self.ahead, ahead + "went on until then; look at the clock that dated them"),
            (self.unfinished, unfinished),
        )
        return tuple(words for count, words in said if count)


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """A log as arrays, and what was read.

    Besides `decisions`, in the same order of rows: `placement` (n,) as codes of `placements`; `influenced` (n,) is 1 or
    0 where the predicted outcome of what was said can tell, else NaN; `delay_ms` (n,) is how long after the decision
    that outcome happened, NaN where it did not; `amounts` maps each declared outcome to its sums (n,), NaN where they
    are not known; `key` (n,) is `code_of` the decision's id.
    """

    decisions: Decisions
    placements: tuple[str, ...]
    placement: Whole
    influenced: Floats
    delay_ms: Floats
    amounts: Mapping[str, Floats]
    counts: Counts
    key: Whole


def build(order: Order, bars: Progress, workers: Workers | None = None) -> Built:
    """Read a log; raise `TrainingRefused` where there is none, or it cannot be used, with what would be right.

    The parts are built by the workers, here where there are none; the arrays are the same.
    """
    with TemporaryDirectory(prefix="tact-log-") as folder:
        scanned = scan(order, Path(folder), bars)
        plan = planned(order, scanned)
        advance = started(bars, "building", scanned.parts, "parts")
        chunks = _Chunks(Path(folder))
        parts = (scanned.packed(part) for part in range(scanned.parts))
        for chunk in (workers or Here()).map(built_part, plan, parts):
            chunks.add(chunk)
            advance(1)
        return _joined(plan, scanned, chunks)


def planned(order: Order, scanned: Scanned) -> Plan:
    """Return how the rows that were found become arrays."""
    declared = order.declared
    others = sorted(scanned.said - {NOTHING, *declared.actions})
    actions = (NOTHING, *declared.actions, *others)
    kept = share_that_fits(scanned.rows, len(declared.space.columns), len(actions), order.memory)
    return Plan(
        declared,
        actions,
        tuple(sorted(scanned.said_at)),
        scanned.told,
        order.events is not None,
        scanned.until_ms,
        order.unfinished,
        kept,
    )


class _Chunks:
    """Chunks on disk, but for what says where their rows go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._order: list[tuple[Whole, Whole, Whole]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the next chunk."""
        chunk.write(self._folder / f"chunk-{len(self._order)}")
        self._order.append((chunk.placement, chunk.key, chunk.at_ms))

    def in_time(self) -> Iterator[tuple[Whole, Chunk]]:
        """Yield each chunk with the places of its rows when all are in the order of time."""
        by = [np.concatenate(parts) for parts in zip(*self._order, strict=True)]
        places = np.empty(len(by[0]), dtype=np.int64)
        places[np.lexsort(by)] = np.arange(len(places))
        start = 0
        for number, (_, _, at_ms) in enumerate(self._order):
            yield places[start : start + len(at_ms)], Chunk.read(self._folder / f"chunk-{number}")
            start += len(at_ms)

    def __len__(self) -> int:
        return sum(len(at_ms) for _, _, at_ms in self._order)


def _joined(plan: Plan, scanned: Scanned, chunks: _Chunks) -> Built:
    if not len(chunks):
        raise TrainingRefused("there are no decisions to learn from")
    outcomes = plan.declared.outcomes.declared
    whole = Chunk.empty(len(chunks), len(plan.declared.space.columns), len(plan.actions), len(outcomes))
    for places, chunk in chunks.in_time():
        whole.put(places, chunk)
    _say_what_was_allowed(plan, whole, scanned)
    _say_what_did_not_happen(whole)
    told = Decisions(
        whole.customer, whole.at_ms, plan.declared.space.columns, whole.x, plan.actions, whole.action,
        whole.probability, whole.allowed, whole.happened, whole.worth,
    )  # fmt: skip
    amounts = {outcome.id: whole.amounts[:, place] for place, outcome in enumerate(outcomes)}
    counts = _counts(plan, scanned, whole)
    return Built(told, plan.placements, whole.placement, whole.influenced, whole.delay_ms, amounts, counts, whole.key)


def _say_what_was_allowed(plan: Plan, whole: Chunk, scanned: Scanned) -> None:
    """Where the log does not say what else might have been said: all that it ever says at that placement."""
    silent = ~whole.allowed.any(axis=1)
    for code, placement in enumerate(plan.placements):
        said = np.array([action in scanned.said_at[placement] for action in plan.actions])
        said[0] = True
        whole.allowed[silent & (whole.placement == code)] = said


def _say_what_did_not_happen(whole: Chunk) -> None:
    """After nothing, an action's outcome that is reported at all did not happen where it is not reported."""
    silent = (whole.action == 0) & ~whole.unfinished
    unsaid = whole.happened[silent]
    unsaid[:, (unsaid == 1.0).any(axis=0)] = np.nan_to_num(unsaid[:, (unsaid == 1.0).any(axis=0)], nan=0.0)
    whole.happened[silent] = unsaid


def _counts(plan: Plan, scanned: Scanned, whole: Chunk) -> Counts:
    known = len(plan.declared.actions) + 1
    return Counts(
        decisions=len(whole),
        repeated=0 if plan.kept < 1.0 else scanned.rows - len(whole),
        unfinished=int(whole.unfinished.sum()),
        others=int((whole.action >= known).sum()),
        outcomes=scanned.outcomes,
        unmatched=scanned.unmatched,
        events=scanned.events,
        unknown=scanned.unknown,
        kept=plan.kept,
        first_ms=int(whole.at_ms[0]),
        last_ms=int(whole.at_ms[-1]),
        ahead=0 if scanned.own_time else scanned.ahead,
    )
