"""How good probabilities are: do they rank, are they sharp, are they true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss, roc_auc_score

Floats = npt.NDArray[np.float64]

_BINS = 10


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities for rows that the model had not seen, what happened, and the rate known before.

    `outcome` is 0 or 1; `rate` is the share of outcomes among the rows it learned from, the forecast to beat.
    """

    probability: Floats
    outcome: Floats
    rate: Floats


@dataclass(frozen=True, slots=True)
class Metrics:
    """The quality of probabilities on rows that the model had not seen.

    `auc` is unset where only one outcome occurs. `log_loss_of_the_rate` is what forecasting the known rate for
    everybody would have reached. `calibration_error` is the mean gap between forecast and rate over 10 bins of equal
    size, weighted by their size.
    """

    rows: int
    outcomes: int
    auc: float | None
    log_loss: float
    log_loss_of_the_rate: float
    calibration_error: float

    def plain(self) -> dict[str, float | int | None]:
        """Return the figures for a manifest."""
        return asdict(self)


def measured(scores: Scores) -> Metrics:
    """Measure probabilities against what happened."""
    probability, outcome = scores.probability, scores.outcome
    both = len(np.unique(outcome)) == 2
    return Metrics(
        len(outcome),
        int(outcome.sum()),
        float(roc_auc_score(outcome, probability)) if both else None,
        float(log_loss(outcome, probability, labels=[0, 1])),
        float(log_loss(outcome, scores.rate, labels=[0, 1])),
        calibration_error(probability, outcome),
    )


def calibration_error(probability: Floats, outcome: Floats) -> float:
    """Return the expected calibration error over 10 bins that hold equally many rows."""
    order = np.argsort(probability, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    gaps = [abs(float(probability[part].mean() - outcome[part].mean())) * len(part) for part in bins]
    return sum(gaps) / len(order)


def joined(scores: Sequence[Scores]) -> Scores:
    """Put the rows of several models together."""
    return Scores(
        np.concatenate([s.probability for s in scores]),
        np.concatenate([s.outcome for s in scores]),
        np.concatenate([s.rate for s in scores]),
    )
