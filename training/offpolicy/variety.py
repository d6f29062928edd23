"""Tell on how many decisions what is known of a policy rests: those whose worth differs from what is usual.

Where outcomes are rare, most worths of an action are the same, and a log of few customers may hold no other one.
The spread that is seen is then too small, and an interval made of it claims what nobody knows. With w the weights of a
policy and d by how much worths differ from the mean of their action,

    (sum w d^2)^2 / sum w^2 d^4

is about how many worths make that spread: a third of the rows where worths are normal, the outcomes alone where these
are rare, none where all are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

LOG = ""
"""The name under which the log itself is asked for where arms are."""
FEWEST_DIFFERENT = 20.0
"""How many different worths must make the spread of what an arm says, for an interval to be made of it."""
SUMS = 8
"""The sums of an action: of w, w v, w v^2, and of w^2 times v to the powers 0 to 4; v is a worth less the first."""
_MORE = 2.0
_ROUNDING = 1e-9


def sums_of(action: Whole, weight: Floats, shifted: Floats, actions: int) -> Floats:
    """Return the sums by action, (actions, SUMS), of rows whose worths are `shifted` by a constant of their action."""
    parts = [weight * shifted**power for power in range(3)] + [weight**2 * shifted**power for power in range(5)]
    return np.stack([np.bincount(action, weights=part, minlength=actions) for part in parts], axis=1)


def different(sums: Floats) -> float:
    """Return how many rows make the spread of worths within the actions of some sums, (actions, SUMS)."""
    spread, fourth = _moments(sums)
    return float(spread.sum() ** 2 / fourth.sum()) if fourth.sum() > 0.0 else 0.0


class Told(Protocol):
    """What a tally tells of an arm, or of the log under its name."""

    @property
    def persons(self) -> float:
        """Return how many persons a row counts as, 1 at most."""

    def variety(self, arm: str, /) -> Floats:
        """Return the sums of an arm, (actions, SUMS)."""

    def shares(self, arm: str, /) -> Floats:
        """Return the share of the decisions that each action gets, (actions,)."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a log leaves in doubt of an arm or of two: on how many `different` worths the one of fewer rests, and the
    variance `unseen` that actions may hide whose worths are too seldom different.
    """

    different: float
    unseen: float

    def few(self) -> str:
        """Say why there is no interval; empty where there is one."""
        if self.different >= FEWEST_DIFFERENT:
            return ""
        return (
            f"too few outcomes: only about {self.different:.0f} decisions earned anything but the usual, and "
            f"{FEWEST_DIFFERENT:.0f} are the fewest that an interval is made of"
        )


def doubt(tally: Told, arm: str, than: str | None = None) -> Doubt:
    """Return what is in doubt of an arm, or of the difference of two.

    The worths of what an arm says must differ often enough, and those of the log, which tell what is unusual. Those of
    saying nothing need not: that it earns nothing may be so, and only widens what is known.
    """
    log = tally.variety(LOG)
    persons, square = tally.persons, _unusual(log)
    if than is None:
        unseen = _unseen(tally.variety(arm), float(tally.shares(arm)[0]), square, persons)
        return Doubt(min(different(log), _of_said(tally, arm)), unseen)
    more = float(tally.shares(arm)[0] - tally.shares(than)[0])
    unseen = _unseen(tally.variety(arm), max(more, 0.0), square, persons)
    unseen += _unseen(tally.variety(than), max(-more, 0.0), square, persons)
    return Doubt(min(different(log), _of_said(tally, arm), _of_said(tally, than)), unseen)


def _of_said(tally: Told, arm: str) -> float:
    if tally.shares(arm)[1:].sum() < _ROUNDING:
        return np.inf
    return different(tally.variety(arm)[1:])


def _unusual(sums: Floats) -> float:
    """Return the square of by how much worths differ that are not usual: sum d^4 / sum d^2, all weights being 1."""
    spread, fourth = _moments(sums)
    return float(fourth.sum() / spread.sum()) if spread.sum() > 0.0 else 0.0


def _unseen(sums: Floats, share: float, square: float, persons: float) -> float:
    """Return the variance that saying nothing may hide with too few different worths: that of two unusual ones more.

    `square` is that of an unusual difference; rows count as so many `persons` each. Two more are what Agresti and Coull
    add to a proportion (Approximate is better than "exact" for interval estimation of binomial proportions, 1998).
    """
    lacking = max(1.0 - different(sums[:1]) / FEWEST_DIFFERENT, 0.0)
    size = sums[0, 0] ** 2 / sums[0, 3] * persons if sums[0, 3] > 0.0 else 1.0
    return float(lacking * share**2 * _MORE * square / max(size, 1.0) ** 2)


def _moments(sums: Floats) -> tuple[Floats, Floats]:
    """Return sum w d^2 and sum w^2 d^4 by action; 0 where only rounding is left."""
    mean = np.divide(sums[:, 1], sums[:, 0], out=np.zeros(len(sums)), where=sums[:, 0] > 0.0)
    spread = sums[:, 2] - mean * sums[:, 1]
    q0, q1, q2, q3, q4 = sums[:, 3:].T
    fourth = q4 - 4.0 * mean * q3 + 6.0 * mean**2 * q2 - 4.0 * mean**3 * q1 + mean**4 * q0
    some = (spread > _ROUNDING * sums[:, 2]) & (fourth > 0.0)
    return np.where(some, spread, 0.0), np.where(some, fourth, 0.0)
