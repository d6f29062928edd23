"""Add up what logged decisions tell of policies, batch by batch: all that estimates, intervals and refusals need.

Memory grows with customers and actions, never with decisions. The rows of one customer may come in several batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions
from .variety import LOG, SUMS, sums_of

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MATCHED, WEIGHT, MODELLED, CORRECTED = range(4)
"""The sums over a customer's rows, with w = policy / probability of what was said, r its worth, q the model's worth:

    sum w r,   sum w,   sum over actions of policy x q,   sum w (r - q of what was said)
"""

_SUMS = 4
_SURE = 1.0 - 1e-9
_ROUNDING = 1e-6
_LEAST = 1e-9


@dataclass(slots=True, eq=False)
class Support:
    """How a policy's probabilities meet those of the log, action by action; arrays of shape (actions,).

    `wanted` is the sum of the policy's probabilities. `lacking` is the part of it on rows where the log could not have
    said the action. `met` is the sum of weights where the action was said: it equals `wanted - lacking` on average if
    the log could and the logged probabilities are true, with a variance of about `spread`.
    """

    wanted: Floats
    lacking: Floats
    met: Floats
    spread: Floats
    squares: float = 0.0
    largest: float = 0.0

    @classmethod
    def of(cls, actions: int) -> Support:
        """Return the support of no rows yet."""
        return cls(np.zeros(actions), np.zeros(actions), np.zeros(actions), np.zeros(actions))


class Tally:
    """Adds up rows for several policies (the arms) at once; a customer has the same code in all of them."""

    def __init__(self, arms: Sequence[str], actions: Sequence[str]) -> None:
        self.arms = tuple(arms)
        self.actions = tuple(actions)
        self.rows = 0
        self.unknown = 0
        self.support = {arm: Support.of(len(self.actions)) for arm in self.arms}
        self._sums = np.zeros((len(self.arms), 0, _SUMS))
        self._counts = np.zeros(0)
        self._own = np.zeros(0)
        self._places: dict[int, int] = {}
        self._first = np.full(len(self.actions), np.nan)
        self._variety = {arm: np.zeros((len(self.actions), SUMS)) for arm in (LOG, *self.arms)}

    def add(self, decisions: Decisions, policies: Mapping[str, Floats], q: Floats | None = None) -> None:
        """Add rows: for every arm its policy (n, actions), and the worth by a model (n, actions) where there is one.

        Rows whose worth is not known are left out and counted. Raises ValueError for a policy that is none.
        """
        for arm in self.arms:
            _must_be_policy(arm, policies[arm], len(decisions), len(self.actions))
        known = ~np.isnan(decisions.worth)
        self.unknown += int(len(known) - known.sum())
        rows = decisions.part(known)
        if not len(rows):
            return
        whose = self._placed(rows.customer)
        self.rows += len(rows)
        self._counts += self._by(whose, np.ones(len(rows)))
        self._own += self._by(whose, rows.worth)
        possible = could_be_said(rows)
        shifted = self._shifted(rows)
        self._variety[LOG] += sums_of(rows.action, np.ones(len(rows)), shifted, len(self.actions))
        for place, arm in enumerate(self.arms):
            policy = policies[arm][known]
            weight = policy[np.arange(len(rows)), rows.action] / rows.probability
            self._sum(place, whose, rows, policy, weight, None if q is None else q[known])
            self._variety[arm] += sums_of(rows.action, weight, shifted, len(self.actions))
            _add_support(self.support[arm], rows, policy, weight, possible)

    def sums(self, arm: str) -> Floats:
        """Return the sums of an arm by customer, (customers, 4); the columns are MATCHED, WEIGHT and so on."""
        return np.asarray(self._sums[self.arms.index(arm), : len(self._places)])

    def variety(self, arm: str) -> Floats:
        """Return the sums (actions, SUMS) that tell how worths differ, weighted for an arm or LOG."""
        return self._variety[arm]

    @property
    def persons(self) -> float:
        """Return how many persons a row counts as: 1 where nobody has two, less where some have many."""
        squares = float((self.counts**2).sum())
        return self.rows / squares if squares else 1.0

    def shares(self, arm: str) -> Floats:
        """Return the share of the decisions that each action gets from an arm, or got in the LOG, (actions,)."""
        said = self._variety[LOG][:, 0] if arm == LOG else self.support[arm].wanted
        return np.asarray(said / max(self.rows, 1))

    @property
    def counts(self) -> Floats:
        """Return how many rows each customer has, (customers,)."""
        return self._counts[: len(self._places)]

    @property
    def own(self) -> Floats:
        """Return what the log itself earned by customer, (customers,)."""
        return self._own[: len(self._places)]

    def _sum(self, place: int, whose: Whole, rows: Decisions, policy: Floats, weight: Floats, q: Floats | None) -> None:
        sums = self._sums[place]
        sums[:, MATCHED] += self._by(whose, weight * rows.worth)
        sums[:, WEIGHT] += self._by(whose, weight)
        if q is not None:
            modelled = np.where(policy > 0.0, q, 0.0)
            sums[:, MODELLED] += self._by(whose, np.einsum("na,na->n", policy, modelled))
            residual = np.where(weight > 0.0, rows.worth - q[np.arange(len(rows)), rows.action], 0.0)
            sums[:, CORRECTED] += self._by(whose, weight * residual)

    def _shifted(self, rows: Decisions) -> Floats:
        """Return worths less the first of their action, so that those that are all the same are exactly 0."""
        codes, places = np.unique(rows.action, return_index=True)
        self._first[codes] = np.where(np.isnan(self._first[codes]), rows.worth[places], self._first[codes])
        return np.asarray(rows.worth - self._first[rows.action])

    def _by(self, whose: Whole, values: Floats) -> Floats:
        return np.bincount(whose, weights=values, minlength=len(self._counts)).astype(np.float64)

    def _placed(self, customer: Whole) -> Whole:
        """Return the place of each row's customer, making room for those who are new."""
        codes, inverse = np.unique(customer, return_inverse=True)
        places = np.array([self._places.setdefault(code, len(self._places)) for code in codes.tolist()])
        if len(self._places) > len(self._counts):
            more = max(len(self._places) - len(self._counts), len(self._counts))
            self._sums = np.concatenate((self._sums, np.zeros((len(self.arms), more, _SUMS))), axis=1)
            self._counts = np.concatenate((self._counts, np.zeros(more)))
            self._own = np.concatenate((self._own, np.zeros(more)))
        return np.asarray(places[inverse], dtype=np.int64)


def could_be_said(rows: Decisions) -> Flags:
    """Return which actions the log could have said on each row, (n, actions).

    It is what was allowed, and where what was said was certain nothing else. What was said could be.
    """
    possible = rows.allowed & (rows.probability < _SURE)[:, None]
    possible[np.arange(len(rows)), rows.action] = True
    return possible


def _chances(rows: Decisions, possible: Flags) -> Floats:
    """Return about how probably the log said each action, (n, actions); 1 where it could not have said it.

    Only the probability of what was said is logged; what that leaves is shared evenly by what else could be said.
    """
    others = np.maximum(possible.sum(axis=1) - 1, 1)
    chances = np.where(possible, np.maximum((1.0 - rows.probability) / others, _LEAST)[:, None], 1.0)
    chances[np.arange(len(rows)), rows.action] = rows.probability
    return chances


def _add_support(support: Support, rows: Decisions, policy: Floats, weight: Floats, possible: Flags) -> None:
    actions = len(support.wanted)
    support.wanted += policy.sum(axis=0)
    lacking = np.where(possible, 0.0, policy)
    support.lacking += lacking.sum(axis=0)
    support.met += np.bincount(rows.action, weights=weight, minlength=actions)
    support.spread += ((policy - lacking) ** 2 * (1.0 / _chances(rows, possible) - 1.0)).sum(axis=0)
    support.squares += float((weight**2).sum())
    support.largest = max(support.largest, float(weight.max()))


def _must_be_policy(arm: str, policy: Floats, rows: int, actions: int) -> None:
    if policy.shape != (rows, actions):
        raise ValueError(f"the policy of {arm} has the shape {policy.shape}, not {(rows, actions)}")
    off = np.abs(policy.sum(axis=1) - 1.0)
    if not ((policy >= 0.0).all() and (off <= _ROUNDING).all()):  # false for NaN, too
        raise ValueError(f"the policy of {arm} has a row whose probabilities are negative or do not sum to 1")
