"""Lines above what happens anyway: who takes something unasked tells who takes it when it is said."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ..decisions import Decisions, Floats
from .learners import Line, Logistic, Showing, calibrated_line, pipeline_of, solver_for
from .platt import probability
from .pools import Pool

STRENGTHS = (0.002, 0.02, 0.2)
"""The values of C that are tried for what differs when it is said, the most cautious first."""

_FREE = 10.0
"""The logit of what happens anyway enters so many times enlarged, so that the penalty hardly holds its slope back."""

_DECLARED = 20.0
"""How many rows the propensity counts for that the strategy declares."""

_SUREST = 0.001
_WIDEST = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Anyway:
    """What happens of one action where nothing is said: rows `silent` of it or of its group, and the best line of them.

    `said` are the rows where it was said, `declared` is the propensity that the strategy declares.
    """

    decisions: Decisions
    code: int
    said: Pool
    silent: Pool
    line: Logistic
    declared: float
    _lines: dict[bytes, Line | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What it is, in words."""
        return f"{self.silent.name}: {self.line.name}"

    def line_of(self, pool: Pool, showing: Showing) -> Line | None:
        """Return the line of what was known with some of the said rows; None where that teaches nothing.

        It has seen neither what came later than they nor customers of whom earlier rows were left out.
        """
        key = pool.until.to_bytes(8) + pool.places.tobytes()
        if key not in self._lines:
            known = self.known(pool)
            learnable = len(np.unique(known.y)) == 2
            self._lines[key] = self.line.fit(self.decisions.x[known.places], known, showing) if learnable else None
        return self._lines[key]

    def known(self, pool: Pool) -> Pool:
        """Return the silent rows that may be known where some of the said rows are."""
        customer, silent = self.decisions.customer, self.silent.before(pool.until)
        left_out = np.setdiff1d(self.said.before(pool.until).places, pool.places)
        return silent.part(~np.isin(customer[silent.places], customer[left_out])) if len(left_out) else silent


@dataclass(frozen=True, slots=True)
class Above:
    """Logistic regression on the columns and on the logit of what happens anyway, whose line it bends and lifts.

    Equal ones have an equal `below`, which names what `anyway` is.
    """

    strength: float
    below: str
    anyway: Anyway = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """See Learner."""
        return f"logistic regression above what happens anyway, C={self.strength:g}"

    @property
    def simple(self) -> bool:
        """See Learner."""
        return True

    def fit(self, x: Floats, pool: Pool, showing: Showing) -> Line:
        """See Learner; without a line of what happens anyway it is learned like any other."""
        below = self.anyway.line_of(pool, showing)
        if below is None:
            return Logistic(self.strength).fit(x, pool, showing)
        rows = showing.shown(x, pool.y)
        scaler = StandardScaler().fit(rows.x)
        seen = np.column_stack((scaler.transform(rows.x), _FREE * below.logits(rows.x, self.anyway.code)))
        logistic = LogisticRegression(C=self.strength, max_iter=1000, solver=solver_for(seen)).fit(seen, rows.y)
        slope = _FREE * logistic.coef_[0, -1]
        weights, bias = below.raw(self.anyway.code)
        coefficients = logistic.coef_[:, :-1] + slope * weights * scaler.scale_
        intercept = logistic.intercept_ + slope * (bias + weights @ scaler.mean_)
        return Line(pipeline_of(scaler, logistic, coefficients, intercept), pool.codes)


@dataclass(frozen=True, slots=True)
class Level:
    """What happens anyway, lifted until it says what came of the few rows there are and what the strategy declares."""

    below: str
    anyway: Anyway = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """See Learner."""
        return "what happens anyway, lifted"

    @property
    def simple(self) -> bool:
        """See Learner."""
        return True

    def fit(self, x: Floats, pool: Pool, showing: Showing) -> Line:
        """See Learner; without a line of what happens anyway it is learned like any other, as cautiously as can be."""
        below = self.anyway.line_of(pool, showing)
        if below is None:
            return Logistic(STRENGTHS[0]).fit(x, pool, showing)
        code, silent = self.anyway.code, self.anyway.known(pool)
        quiet = below.logits(self.anyway.decisions.x[silent.places], code)
        offset = lift(below.logits(x, code), pool.y, quiet, self.anyway.declared)
        return Line(calibrated_line(below.of(code), 1.0, offset), pool.codes)


def lift(said: Floats, y: Floats, silent: Floats, declared: float) -> float:
    """Return what to add to logits so that those of said rows (n,) forecast their outcomes y (n,).

    The declared propensity counts as 20 more rows, of which each is like the average of the silent ones (m,). Beyond
    what the silent ones reach nothing is claimed of the said ones.
    """
    chance = min(max(declared, _SUREST), 1.0 - _SUREST)
    low, high = float(silent.min()), float(silent.max())
    held = np.clip(said, low, high)

    def surplus(offset: float) -> float:
        more = _DECLARED * (float(probability(silent + offset).mean()) - chance)
        return float((probability(held + offset) - y).sum()) + more

    return float(brentq(surplus, -_WIDEST - high, _WIDEST - low))
