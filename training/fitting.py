"""One logistic regression an action: strength chosen forwards in time, quality measured on the latest rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .metrics import Scores

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

STRENGTHS = (0.0001, 0.001, 0.01, 0.1, 1.0)
"""The values of C, the inverse of the L2 penalty's strength, that are tried."""

FEWEST_ROWS = 100
FEWEST_OF_EACH = 10
HELD_OUT = 0.2

_SPLITS = 3
_MASKED = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What was known (rows, columns) and whether the outcome happened (rows,), oldest first."""

    x: Floats
    y: Floats

    def part(self, places: Places | slice) -> Examples:
        """Return some of the rows."""
        return Examples(self.x[places], self.y[places])

    def lack(self) -> str:
        """Say in words why nothing can be learned from this, or return an empty text."""
        outcomes = int(self.y.sum())
        if len(self.y) < FEWEST_ROWS:
            return f"{len(self.y)} rows; {FEWEST_ROWS} are needed"
        if min(outcomes, len(self.y) - outcomes) < FEWEST_OF_EACH:
            return f"{outcomes} outcomes in {len(self.y)} rows; {FEWEST_OF_EACH} with and without are needed"
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class Blind:
    """Which columns become 0 and which 1 when a customer has not agreed to one purpose."""

    zeros: tuple[int, ...]
    ones: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """An estimator made from all rows, the strength it uses, and its scores on the latest rows before it saw them."""

    estimator: Pipeline
    strength: float
    held_out: Scores | None


@dataclass(frozen=True, slots=True)
class Fitting:
    """Fits estimators. Equal inputs give equal estimators.

    A tenth of the rows is also shown as it would look without each purpose's consent: a column that was never unknown
    in the log must not make an unknown customer look like one whose value is 0.
    """

    blinds: Sequence[Blind]
    seed: int

    def fit(self, examples: Examples) -> Fitted:
        """Choose the strength and measure on the first and last part of the rows, then learn from all of them."""
        cut = len(examples.y) - round(len(examples.y) * HELD_OUT)
        past, late = examples.part(slice(0, cut)), examples.part(slice(cut, None))
        if _one_sided(past):
            return Fitted(self._estimator(examples, STRENGTHS[0]), STRENGTHS[0], None)
        strength = self._strength(past)
        forecast = self._estimator(past, strength).predict_proba(late.x)[:, 1]
        held_out = Scores(forecast, late.y, np.full(len(late.y), past.y.mean()))
        return Fitted(self._estimator(examples, strength), strength, held_out)

    def _strength(self, past: Examples) -> float:
        """Return the strength with the lowest log loss when every part is forecast from those before it."""
        splits = [(past.part(train), past.part(test)) for train, test in TimeSeriesSplit(_SPLITS).split(past.x)]
        usable = [(train, test) for train, test in splits if not _one_sided(train)]
        if not usable:
            return STRENGTHS[0]
        return min(STRENGTHS, key=lambda strength: sum(self._loss(*split, strength) for split in usable))

    def _loss(self, train: Examples, test: Examples, strength: float) -> float:
        forecast = self._estimator(train, strength).predict_proba(test.x)[:, 1]
        return float(log_loss(test.y, forecast, labels=[0, 1]))

    def _estimator(self, examples: Examples, strength: float) -> Pipeline:
        shown = self._with_blinds(examples)
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        return pipeline.fit(shown.x, shown.y)

    def _with_blinds(self, examples: Examples) -> Examples:
        rng = np.random.default_rng(self.seed)
        parts = [examples, *(blinded(examples, blind, rng) for blind in self.blinds)]
        return Examples(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))


def blinded(examples: Examples, blind: Blind, rng: np.random.Generator) -> Examples:
    """Return a random tenth of the rows as they would look without a purpose's consent."""
    some = examples.part(np.flatnonzero(rng.random(len(examples.y)) < _MASKED))
    some.x[:, blind.zeros] = 0.0
    some.x[:, blind.ones] = 1.0
    return some


def blinds_of(columns: Sequence[str], purposes: Sequence[tuple[str, ...]]) -> Iterator[Blind]:
    """Yield which columns each purpose darkens, given the columns of its fields, without those that darken none."""
    for dark in purposes:
        places = [i for i, column in enumerate(columns) if column in dark]
        if places:
            ones = tuple(i for i in places if columns[i].endswith("?"))
            yield Blind(tuple(i for i in places if i not in ones), ones)


def _one_sided(examples: Examples) -> bool:
    return len(np.unique(examples.y)) < 2
