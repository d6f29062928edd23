"""The calls of a bank in the order in which they were made, and the model that was trained on the first of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from service.logs.importing import import_files
from service.logs.mapping import read_mapping
from service.logs.parts import Format
from training.dataset import blinds
from training.decisions import Decisions
from training.drift.seen import Floats
from training.drift.unseen import Habits, habits_told, unseen_of
from training.drift.watching import Past, Sides, sides_of
from training.folding import Estimator, folded
from training.learning.arrays import estimators_of
from training.learning.learn import FORESTS, Plan, learn
from training.learning.source import Source, read
from training.progress import progress
from training.strategy import Declared

STRATEGY = Path(__file__).parent.parent / "strategies" / "bank"
FILE = "bank-additional-full.csv.gz"
OFFER = "term-deposit"
FIRST = 20_000
"""By how many calls the model is trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """All calls in order, and the model that was trained on the first ones, with what it says of every call."""

    decisions: Decisions
    happened: Floats
    estimator: Estimator
    past: Past
    sides: Sides

    @property
    def forecast(self) -> Floats:
        """Return what the trained model says of every call (rows,)."""
        return self.sides.said[OFFER].forecast

    def told(self, rows: int, most: int) -> Sides:
        """Return the latest calls behind the first ones whose outcomes are known after so many rows."""
        before = max(FIRST, rows - most) - 1
        return self.sides.part((int(self.decisions.at_ms[before]), int(self.decisions.at_ms[rows - 1])))


def decisions_of(data: Path, declared: Declared, folder: Path) -> Decisions:
    """Turn the public file into a log, as `tact log import` does, and read it, as `tact train` does."""
    plan = read_mapping(STRATEGY / "import" / "bank-additional.yaml")
    import_files([data / FILE], plan, folder, Format.PARQUET, False, lambda done, total: None)
    with progress() as bars:
        return read(Source(folder), declared, bars).decisions


def trained(declared: Declared, past: Decisions, forests: int = FORESTS) -> tuple[Estimator, Habits]:
    """Train as `tact train` does, with `--forests`; return the model, and its gaps on rows that it had not seen."""
    learning = learn(past, Plan({}, blinds(declared.schema, declared.space), 0, forests, judged=False))
    return estimators_of(learning, past.actions)[0][OFFER], habits_told(unseen_of(learning))


def stream_of(declared: Declared, decisions: Decisions, forests: int = FORESTS) -> Stream:
    """Train on the first calls, and forecast all."""
    with threadpool_limits(1):
        estimator, habits = trained(declared, decisions.part(slice(0, FIRST)), forests)
    return stream_with(decisions, estimator, habits)


def stream_with(decisions: Decisions, estimator: Estimator, habits: Habits) -> Stream:
    """Forecast all calls with a model, and remember what the first ones were like."""
    sides = sides_of(folded({OFFER: estimator}, {}, len(decisions.columns), ""), decisions)
    past = Past.of(sides.part((-1, int(decisions.at_ms[FIRST - 1]))), habits)
    return Stream(decisions, decisions.happened[:, decisions.actions.index(OFFER)], estimator, past, sides)
