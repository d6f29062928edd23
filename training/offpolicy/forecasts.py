"""How true the propensities of a strategy are on a log: of what was said, against what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions
from ..metrics import Metrics, Scores, measured
from .policies import PolicyTable

Floats = npt.NDArray[np.float64]
_FEWEST = 50


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Propensities of said actions and their outcomes, (rows,) each, with their quality, of all and by action."""

    probability: Floats
    outcome: Floats
    metrics: Metrics | None
    actions: dict[str, Metrics]


def forecast(decisions: Decisions, table: PolicyTable) -> Forecast:
    """Measure the propensities where something was said and its outcome is known."""
    here = np.arange(len(decisions))
    outcome = decisions.happened[here, decisions.action]
    probability = table.propensity
    known = ~np.isnan(outcome) & ~np.isnan(probability)  # of nothing neither is known
    said = decisions.action[known]
    probability, outcome = probability[known], outcome[known]
    codes, counts = np.unique(said, return_counts=True)
    enough = codes[counts >= _FEWEST].tolist()
    return Forecast(
        probability,
        outcome,
        _measured(probability, outcome),
        {
            decisions.actions[code]: found
            for code in enough
            if (found := _measured(probability[said == code], outcome[said == code]))
        },
    )


def _measured(probability: Floats, outcome: Floats) -> Metrics | None:
    if len(outcome) < _FEWEST:
        return None
    return measured(Scores(probability, outcome, np.full(len(outcome), outcome.mean())))
