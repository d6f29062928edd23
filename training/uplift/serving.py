"""The models of worth that a version serves, how they were made, and how well they rank customers they had not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.outcomes import Outcomes, Term
from models.values import RanksBy, Values

from ..decisions import Decisions, Floats
from ..fitting import HELD_OUT, Blind
from ..strategy import Declared
from .metrics import Trial, UpliftMetrics, measured, trial_of_best
from .worth import uplift


@dataclass(frozen=True, slots=True, eq=False)
class Valued:
    """Models of worth, none where nothing could be learned; what was `told` of them and `metrics` for a manifest.

    `judged` is how well they rank the latest rows, or why that cannot be told; unset where none are learned at all.
    """

    values: Values | None
    told: dict[str, Any]
    metrics: dict[str, Any]
    judged: UpliftMetrics | str | None = None

    @property
    def actions(self) -> tuple[str, ...]:
        """Return the actions that there is a model of, in the order of the models."""
        return self.values.actions if self.values else ()


def valued_for(declared: Declared, decisions: Decisions, blinds: Sequence[Blind], seed: int) -> Valued:
    """Return the models of worth that a strategy asks for: none where it ranks by the formula."""
    if declared.ranks_by is not RanksBy.UPLIFT:
        return NOT_VALUED
    outcomes = declared.outcomes
    windows = [outcome.within_ms or 0 for outcome in outcomes.declared if outcome.id in outcomes.worth]
    costs = costs_of(decisions.actions, outcomes)
    return valued(before_costs(decisions, outcomes), blinds, seed, costs, max(windows, default=0))


def before_costs(decisions: Decisions, outcomes: Outcomes) -> Decisions:
    """Return decisions whose worth leaves out what saying something costs: serving takes that off, every time."""
    factor = outcomes.worth.get(Term.COST, 0.0)
    costs = {action.id: factor * action.cost for action in outcomes.actions}
    counted = np.array([costs.get(action, 0.0) for action in decisions.actions])
    return replace(decisions, worth=decisions.worth - counted[decisions.action])


def costs_of(actions: Sequence[str], outcomes: Outcomes) -> Floats:
    """Return what saying each action costs (actions,), which serving takes off what it earns."""
    costs = {action.id: action.cost for action in outcomes.actions}
    return np.array([costs.get(action, 0.0) for action in actions])


def valued(
    decisions: Decisions,
    blinds: Sequence[Blind] = (),
    seed: int = 0,
    costs: Floats | None = None,
    window_ms: int = 0,
) -> Valued:
    """Learn from all rows what each action earns over nothing; and from the first ones alone, judged on the latest.

    The worth of the decisions is before `costs` (actions,), unset where there are none; judged is what is left after
    them. A worth is known when `window_ms` are over.
    """
    learned = uplift(decisions, blinds=blinds, seed=seed)
    told = {
        "learner": str(learned.learner),
        "strengths": {action: list(strengths) for action, strengths in learned.strengths.items()},
        "left_out": dict(learned.left_out),
    }
    trial = trial_on_latest(decisions, blinds, seed, costs, window_ms)
    judged = trial.lack() or measured(trial, seed=seed)
    return Valued(learned.values(), {"worth": told}, {"uplift": _plain(judged)}, judged)


NOT_VALUED = Valued(None, {}, {})
"""What a version has whose strategy does not rank by uplift."""


def trial_on_latest(
    decisions: Decisions, blinds: Sequence[Blind], seed: int, costs: Floats | None = None, window_ms: int = 0
) -> Trial:
    """Return the latest rows that said what promises most after costs, by models of what was known before them."""
    cut = len(decisions) - round(len(decisions) * HELD_OUT)
    late, known = decisions.part(slice(cut, None)), decisions.known_by(cut, window_ms)
    off = np.zeros(len(decisions.actions)) if costs is None else costs
    promised = np.full((len(late), len(off)), np.nan)
    if known:
        promised = uplift(decisions.part(slice(0, known)), blinds=blinds, seed=seed).of(late.x) - off
    return trial_of_best(late, promised, late.worth - off[late.action])


def _plain(judged: UpliftMetrics | str) -> dict[str, Any]:
    if isinstance(judged, str):
        return {"refused": judged}
    return {name: figure if math.isfinite(figure) else None for name, figure in judged.plain().items()}
