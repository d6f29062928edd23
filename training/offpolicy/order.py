"""From a log and the policies on it to values of all arms: `evaluate` step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from ..decisions import Decisions
from ..progress import started
from .estimates import Intervals
from .evaluation import Evaluated, Policies, summed
from .policies import PolicyTable, widened
from .refusals import MOST_LACKING
from .single import BestSingle, always_nothing, evenly
from .tally import Tally
from .worths import Worths

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

RANDOM, NOTHING_ARM, BEST_SINGLE = "random", "nothing", "best_single"
_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class Arms:
    """All arms evaluated, and which single action was best in most parts; empty where the log carries none."""

    evaluated: Evaluated
    best_single: str


def evaluate_arms(
    decisions: Decisions,
    table: PolicyTable,
    bars: Progress,
    intervals: Intervals,
    most_lacking: float = MOST_LACKING,
) -> Arms:
    """Evaluate the arms of a table of policies, besides `random`, `nothing` and `best_single`, in three passes."""
    wide = widened(decisions, table.actions)
    worths = _learned(wide, bars)
    single = BestSingle(wide.actions, worths)
    for rows, part in _slices(wide, bars, "best single action"):
        single.add(part, table.may_be_said(rows), worths.expected(part))
    best = single.best()
    names = (*table.arms, RANDOM, NOTHING_ARM, *(() if best is None else (BEST_SINGLE,)))
    tally = Tally(names, wide.actions)
    for rows, part in _slices(wide, bars, "valuing"):
        tally.add(part, _policies(table, rows, part, single, best), worths.expected(part))
    name = "" if best is None else wide.actions[int(np.bincount(best).argmax())]
    return Arms(summed(tally, intervals, most_lacking), name)


def _policies(table: PolicyTable, rows: Whole, part: Decisions, single: BestSingle, best: Whole | None) -> Policies:
    found = table.policies(rows)
    permitted = table.may_be_said(rows)
    found[RANDOM] = evenly(permitted)
    found[NOTHING_ARM] = always_nothing(len(part), len(part.actions))
    if best is not None:
        found[BEST_SINGLE] = single.policy(part, permitted, best)
    return found


def _learned(decisions: Decisions, bars: Progress) -> Worths:
    worths = Worths(len(decisions.columns), len(decisions.actions))
    for _, part in _slices(decisions, bars, "what actions earn"):
        worths.add(part)
    return worths


def _slices(decisions: Decisions, bars: Progress, what: str) -> Iterator[tuple[Whole, Decisions]]:
    advance = started(bars, what, len(decisions), "decisions")
    for start in range(0, len(decisions), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(decisions)))
        yield rows, decisions.part(rows)
        advance(len(rows))
