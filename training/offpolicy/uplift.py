"""How well a strategy ranks people by uplift: on those who were told what it ranks highest, or nothing."""

from __future__ import annotations

import numpy as np

from ..decisions import Decisions
from ..uplift.metrics import Trial, UpliftMetrics, measured
from .policies import PolicyTable


def trial(decisions: Decisions, table: PolicyTable) -> Trial:
    """Return the rows that were told the action worth most to the strategy, or nothing, with that worth as score."""
    fits = (decisions.action == table.top) | (decisions.action == 0)
    known = ~np.isnan(decisions.worth) & ~np.isnan(table.net) & (table.top >= 0)
    rows = fits & known
    return Trial(
        table.net[rows],
        decisions.worth[rows],
        decisions.action[rows] > 0,
        decisions.probability[rows],
        decisions.customer[rows],
    )


def uplift_of(decisions: Decisions, table: PolicyTable, seed: int = 0) -> UpliftMetrics | str:
    """Return how well the strategy ranks by uplift in its currency, or why that cannot be told."""
    found = trial(decisions, table)
    lack = found.lack()
    return lack or measured(found, seed=seed)
