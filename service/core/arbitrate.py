"""Score and arbitrate: what each action is worth against saying nothing, and which comes first."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from models.features import FeatureSpace
from models.kernel import best, ranker, scoring
from models.propensity import Folded, Scorer
from models.values import RanksBy, Worths
from service.core.adapting import Adapted
from service.core.plan import Candidate, Learnt
from service.core.selection import bits
from service.core.strategy import Strategy

_Doubles = npt.NDArray[np.float64]


class Adjusted(Struct, frozen=True):
    """Propensities as they were `said` by the model or the prior and as they are `corrected` by what was learned since,
    and what each action's net value gains per unit of propensity.
    """

    said: _Doubles
    corrected: _Doubles
    gains: _Doubles
    adapted: Adapted

    def wins(self, order: Sequence[int], net: _Doubles, silence: bool) -> tuple[list[float], float]:
        """Return in which share of the scenarios each of some actions is worth most, and nothing where it may be."""
        size, places = len(order), np.array(order)
        gains = self.gains[places]
        worth = np.zeros((size + silence, self.adapted.scenarios.shape[1]))
        among = worth[:size]
        np.multiply(self.adapted.scenarios[places], self.said[places, None], out=among)
        np.minimum(among, 1.0, out=among)
        among *= gains[:, None]
        among += (net[places] - self.corrected[places] * gains)[:, None]
        shares = (np.bincount(worth.argmax(axis=0), minlength=size + 1) / worth.shape[1]).tolist()
        return shares[:-1], shares[-1]

    def logged(self, names: Sequence[str], mask: int) -> tuple[Learnt, ...]:
        """Return what is logged of the actions in a mask."""
        said, shape, rate = self.said.tolist(), self.adapted.shape.tolist(), self.adapted.rate.tolist()
        return tuple([Learnt(names[i], said[i], shape[i], rate[i]) for i in bits(mask)])


class Scores(Struct, frozen=True):
    """What every action is worth: `net` value of all, and the mask of those `worth` more than silence.

    `lean` is what the models said, empty where there is no model. `learned` is the mask of those whose net value was
    learned from what decisions earned, not made by the formula. `adjusted` is set where outcomes since the training
    correct the models.
    """

    scorer: Scorer
    lean: _Doubles
    net: _Doubles
    worth: int
    learned: int = 0
    adjusted: Adjusted | None = None

    def propensity(self, index: int) -> float:
        """Return the probability of an action's outcome when it is said."""
        if self.adjusted is not None:
            return float(self.adjusted.corrected[index])
        return self.scorer.propensity(self.lean, index)

    def baseline(self, index: int) -> float | None:
        """Return the probability of an action's outcome when nothing is said, or None where it is not known."""
        return self.scorer.baseline(self.lean, index)

    def net_value(self, index: int) -> float:
        """Return what an action is worth against saying nothing."""
        return float(self.net[index])


class Ranking(Struct, frozen=True):
    """Actions in the order in which they are tried, each with the exact probability of standing first.

    `pool` counts those that exploration could draw; `explored` says whether the first one was drawn by it.
    """

    order: tuple[int, ...]
    probabilities: tuple[float, ...]
    pool: int
    explored: bool


NOBODY = Ranking((), (), 0, False)
NO_EXPLORATION = 1.0
"""A draw that explores nothing, whatever the strategy says of exploration, and whatever group the person is in."""


class Arbiter:
    """Values and ranks the actions of one strategy with one model, or with priors where there is none.

    net = lever * weight * (P(outcome | action) * (value - reward) - P(outcome | nothing) * value) - cost

    The reward is paid only when the outcome happens, the cost always; saying nothing is worth 0. Where no baseline is
    known its term is left out: propensity x context x value x lever, minus costs. Where the strategy ranks by uplift
    and the model knows what an action earns over saying nothing, net = lever * weight * that - cost.
    """

    def __init__(self, strategy: Strategy, model: Folded | None) -> None:
        actions = strategy.actions
        self._names = tuple(action.id for action in actions)
        self._explore = strategy.explore
        self._space = FeatureSpace.of(strategy.schema, strategy.features) if model else None
        self._scorer = (model or _nobody()).aligned(self._names, [action.propensity for action in actions])
        self._cost: _Doubles = np.array([a.cost for a in actions])
        values = model.values if model and strategy.ranks_by is RanksBy.UPLIFT else None
        self._worths = values.aligned(self._names, [a.lever for a in actions], self._cost) if values else None
        self._learned = _mask(self._worths.known) if self._worths else 0
        gain = np.array([a.lever * (a.value - a.reward) for a in actions])
        self._gain: _Doubles = np.where(self._worths.known, 0.0, gain) if self._worths else gain
        anyway = np.array([a.lever * a.value for a in actions])
        modelled, baselines = np.array(self._scorer.modelled), np.array(self._scorer.baselines)
        # With P = (1 + lean) / 2 the net value is linear in the leans: gains * lean - anyways * lean below + constant.
        gains = np.where(modelled, gain / 2, 0.0)
        anyways = np.where(baselines, anyway / 2, 0.0) if baselines.any() else None
        said = np.where(modelled, gain / 2, np.array(self._scorer.priors) * gain)
        constant = said - np.where(baselines, anyway / 2, 0.0) - self._cost
        scorer, space = self._scorer, self._space
        self._scoring = scoring(space, scorer.weights, scorer.bias, scorer.trees, gains, anyways, constant, self._cost)
        self._models = len(scorer.bias) if space else 0
        self._mask_bytes = (len(actions) + 7) // 8
        self._vectors: dict[tuple[int, float], _Doubles] = {}
        self._ranker = ranker(
            Candidate, self._names, scorer.modelled, scorer.baselines, scorer.priors, float(self._explore)
        )

    def score(self, values: Sequence[object], now_ms: int, factors: Sequence[tuple[int, float]]) -> Scores:
        """Return the scores of all actions for one snapshot, in one call of the kernel."""
        lean, net = np.empty(self._models), np.empty(len(self._names))
        if self._worths is not None:
            return self._worth(self._worths, tuple(values), now_ms, factors, lean, net)
        by = [self._factor(factor) for factor in factors]
        bits_worth = self._scoring.score(tuple(values), now_ms, by, None, lean, net)
        return Scores(self._scorer, lean, net, int.from_bytes(bits_worth, "little"), self._learned)

    def _worth(
        self,
        worths: Worths,
        values: tuple[object, ...],
        now_ms: int,
        factors: Sequence[tuple[int, float]],
        lean: _Doubles,
        net: _Doubles,
    ) -> Scores:
        """Return the scores where what some actions earn was learned, and no formula."""
        x = np.empty(len(self._scorer.weights))
        self._scoring.score(values, now_ms, [], x, lean, net)
        net = worths.over(net, x)
        if factors:
            net = self._weighted(net, factors)
        return Scores(self._scorer, lean, net, _mask(net > 0.0), self._learned)

    def adjusted(
        self, values: Sequence[object], now_ms: int, factors: Sequence[tuple[int, float]], adapted: Adapted
    ) -> Scores:
        """Return the scores as `score` does, corrected by what was learned since the training."""
        plain, gains = self.score(values, now_ms, ()), self._gain
        said = self._said(plain.lean)
        corrected = np.minimum(said * adapted.factor, 1.0)
        net = plain.net + (corrected - said) * gains
        if factors:
            net = self._weighted(net, factors)
            gains = self._weighted(gains - self._cost, factors) + self._cost
        adjusted = Adjusted(said, corrected, gains, adapted)
        return Scores(self._scorer, plain.lean, net, _mask(net > 0.0), self._learned, adjusted)

    def _said(self, lean: _Doubles) -> _Doubles:
        priors = np.array(self._scorer.priors)
        return np.where(self._scorer.modelled, (1.0 + lean[: len(priors)]) / 2.0, priors) if self._space else priors

    def candidates(
        self, survivors: int, preferred: int, scores: Scores, draw: float, most: int
    ) -> tuple[tuple[Candidate, ...], int] | None:
        """Return what `rank` ranks as candidates, and the size of the pool, in one call of the kernel.

        None for what is unusual: an action is drawn to explore, two are worth the same, nothing is worth saying, or
        what outcomes said since the training counts. Promises are not known here.
        """
        worth = survivors & scores.worth
        if self._ranker is None or not worth or scores.adjusted is not None or scores.learned:
            return None
        liked = worth & preferred
        pool = liked or worth
        size = pool.bit_count()
        if size > 1 and draw < self._explore:
            return None
        masks = pool.to_bytes(self._mask_bytes, "little"), (worth ^ pool).to_bytes(self._mask_bytes, "little")
        found = self._ranker.candidates(scores.lean, scores.net, *masks, most, liked != 0)
        return None if found is None else (found, size)

    def rank(
        self, survivors: int, preferred: int, scores: Scores, customer: str, draw: float, most: int, promised: int = 0
    ) -> Ranking:
        """Rank the actions that survive and are worth more than silence; `draw` in [0, 1) decides exploration.

        Actions that a rule asks for instead come before all others, and those that are `promised` before these: they
        are kept to whatever they are worth by now, and nothing is explored. Exact ties break by a hash of the customer,
        never by the order of the actions. At most `most` are returned.
        """
        if promised & survivors:
            return self._kept(promised & survivors, survivors & ~promised, preferred, scores, customer, most)
        worth = survivors & scores.worth
        if not worth:
            return NOBODY
        pool = worth & preferred or worth
        size = pool.bit_count()
        explored = size > 1 and draw < self._explore
        order = self._best(pool, scores, customer, size if explored else most)
        best = order[0]
        if explored:
            drawn = order.pop(min(int(draw / self._explore * size), size - 1))
            order = [drawn, *order[: most - 1]]
        if len(order) < most and worth != pool:
            order += self._best(worth & ~pool, scores, customer, most - len(order))
        return Ranking(tuple(order), self._probabilities(order, best, pool, size), size, explored)

    def _kept(self, kept: int, others: int, preferred: int, scores: Scores, customer: str, most: int) -> Ranking:
        order = self._best(kept, scores, customer, most)
        second = NOBODY
        if len(order) < most:
            second = self.rank(others, preferred, scores, customer, NO_EXPLORATION, most - len(order))
        order += second.order
        return Ranking(tuple(order), (1.0, *[0.0] * (len(order) - 1)), 1, False)

    def best(self, among: int, scores: Scores, customer: str) -> int | None:
        """Return the action of highest net value among those in a mask, whatever forbids them."""
        return self._best(among, scores, customer, 1)[0] if among else None

    def ordered(self, among: int, scores: Scores, customer: str) -> list[int]:
        """Return all actions of a mask in the order of their net values; ties break by the customer's hash."""
        return self._best(among, scores, customer, among.bit_count())

    def _probabilities(self, order: Sequence[int], best: int, pool: int, size: int) -> tuple[float, ...]:
        if size == 1:
            return tuple([float(index == best) for index in order])
        share, most = self._explore / size, 1.0 - self._explore
        return tuple([(share if pool >> i & 1 else 0.0) + (most if i == best else 0.0) for i in order])

    def _best(self, among: int, scores: Scores, customer: str, most: int) -> list[int]:
        """Return the best actions of a mask, and break ties of the exact same net value by the customer's hash."""
        net = scores.net
        found, tied = best(net, among.to_bytes(self._mask_bytes, "little"), most)
        if tied:
            found.sort(key=lambda i: (-net[i], crc32(f"{customer}\n{self._names[i]}".encode())))
        return found[:most]

    def _weighted(self, net: _Doubles, factors: Sequence[tuple[int, float]]) -> _Doubles:
        revenue = net + self._cost
        for factor in factors:
            revenue *= self._factor(factor)
        revenue -= self._cost
        return revenue

    def _factor(self, factor: tuple[int, float]) -> _Doubles:
        vector = self._vectors.get(factor)
        if vector is None:
            vector = self._vectors[factor] = self._vector(*factor)
        return vector

    def _vector(self, mask: int, factor: float) -> _Doubles:
        vector = np.ones(len(self._names))
        vector[list(bits(mask))] = factor
        return vector


def _mask(flags: npt.NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")


def _nobody() -> Folded:
    """Return the model that knows no action, so that all priors hold."""
    none, rows = np.zeros(0), np.zeros((0, 0))
    return Folded("", "", (), rows, none, rows, none, np.zeros(0, dtype=bool))
