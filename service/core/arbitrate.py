"""Score and arbitrate: what each action is worth against saying nothing, and which comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from models.features import FeatureSpace
from models.propensity import Folded
from service.core.selection import bits
from service.core.strategy import Strategy

_Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """For every action: its propensity, that of its baseline (NaN where none is known), and its net value."""

    propensity: Sequence[float]
    baseline: Sequence[float]
    net: Sequence[float]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Actions in the order in which they are tried, each with the exact probability of standing first.

    `pool` counts those that exploration could draw; `explored` says whether the first one was drawn by it.
    """

    order: tuple[int, ...]
    probabilities: tuple[float, ...]
    pool: int
    explored: bool


class Arbiter:
    """Values and ranks the actions of one strategy with one model, or with priors where there is none.

    net = lever * weight * (P(outcome | action) * (value - reward) - P(outcome | nothing) * value) - cost

    The reward is paid only when the outcome happens, the cost always; saying nothing is worth 0. Where no baseline is
    known its term is left out: propensity x context x value x lever, minus costs.
    """

    def __init__(self, strategy: Strategy, model: Folded | None) -> None:
        actions = strategy.actions
        self._names = tuple(action.id for action in actions)
        self._explore = strategy.explore
        self._gain: _Doubles = np.array([a.lever * (a.value - a.reward) for a in actions])
        self._anyway: _Doubles = np.array([a.lever * a.value for a in actions])
        self._cost: _Doubles = np.array([a.cost for a in actions])
        priors = np.array([a.propensity for a in actions])
        self._space = FeatureSpace.of(strategy.schema, strategy.features) if model else None
        self._scorer = model.aligned(self._names, priors) if model else None
        self._prior_scores = self._valued(priors, np.full(len(actions), np.nan))

    def score(self, values: Sequence[object], now_ms: int, factors: Sequence[tuple[int, float]]) -> Scores:
        """Return the scores of all actions for one snapshot, in one vectorised call."""
        if self._scorer is None or self._space is None:
            scores = self._prior_scores
        else:
            scores = self._valued(*self._scorer.score(self._space.encode(values, now_ms)))
        return self._weighted(scores, factors) if factors else scores

    def rank(self, survivors: int, preferred: int, scores: Scores, customer: str, draw: float, most: int) -> Ranking:
        """Rank the actions that may be said and are worth more than silence; `draw` in [0, 1) decides exploration.

        Actions that a guardrail asks for instead come before all others. Exact ties break by a hash of the customer,
        never by the order of the actions.
        """
        net = scores.net
        worth = [index for index in bits(survivors) if net[index] > 0.0]
        wanted = [index for index in worth if preferred >> index & 1]
        pool = self._sorted(wanted or worth, net, customer)
        rest = self._sorted([index for index in worth if not preferred >> index & 1], net, customer) if wanted else []
        return self._explored(pool, rest, draw, most)

    def best(self, among: int, scores: Scores, customer: str) -> int | None:
        """Return the action of highest net value among those in a mask, whatever forbids them."""
        return next(iter(self._sorted(list(bits(among)), scores.net, customer)), None)

    def _explored(self, pool: list[int], rest: list[int], draw: float, most: int) -> Ranking:
        size = len(pool)
        if size < 2 or self._explore == 0.0:
            order = [*pool, *rest][:most]
            return Ranking(tuple(order), tuple(float(i == 0) for i in range(len(order))), size, False)
        explored = draw < self._explore
        first = pool[min(int(draw / self._explore * size), size - 1)] if explored else pool[0]
        share = self._explore / size
        order = [first, *(index for index in (*pool, *rest) if index != first)][:most]
        within = set(pool)
        probabilities = tuple((share if i in within else 0.0) + (1.0 - self._explore) * (i == pool[0]) for i in order)
        return Ranking(tuple(order), probabilities, size, explored)

    def _sorted(self, indexes: list[int], net: Sequence[float], customer: str) -> list[int]:
        worths = {net[index] for index in indexes}
        if len(worths) == len(indexes):
            return sorted(indexes, key=net.__getitem__, reverse=True)
        return sorted(indexes, key=lambda i: (-net[i], crc32(f"{customer}\n{self._names[i]}".encode())))

    def _valued(self, propensity: _Doubles, baseline: _Doubles) -> Scores:
        anyway = np.nan_to_num(baseline * self._anyway)
        net = propensity * self._gain - anyway - self._cost
        return Scores(propensity.tolist(), baseline.tolist(), net.tolist())

    def _weighted(self, scores: Scores, factors: Sequence[tuple[int, float]]) -> Scores:
        net = list(scores.net)
        for mask, factor in factors:
            for index in bits(mask):
                net[index] = (net[index] + self._cost[index].item()) * factor - self._cost[index].item()
        return Scores(scores.propensity, scores.baseline, net)
