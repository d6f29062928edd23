"""Adapt: what outcomes say since the last training, as a correction of the model and of priors.

How many times its predicted propensity an action's outcome really comes is gamma distributed: before any decision its
mean is 1 and it weighs as much as `strength` decisions. Of decisions that were expected to bring E outcomes, and
brought s, the rate grows by E and the shape by s: the conjugate update. A segment starts from what all other segments
say of the action. An action starts from what the others of its group say, but no more than half-way: they may be alike,
and are not the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import NormalDist
from zlib import crc32

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from models.context import Scalar
from service.core.decision import Counting
from service.core.exploration import Adaptive, Explores
from service.core.plan import Entry, Learnt
from service.core.strategy import Strategy

SCENARIOS = 128
"""In how many scenarios Thompson sampling looks: the probability of an action is the share in which it is the best."""
LEAST_PROPENSITY = 1e-6
LEAST_SHAPE = 0.1
"""Scenarios are made as if no less were known: narrower than the truth, where an outcome is hardly ever expected."""
_Doubles = npt.NDArray[np.float64]


class Counted(Struct, frozen=True, array_like=True):
    """What came of an action: decisions that said it, how many outcomes were expected of them, and how many came.

    Decisions count the less the older they are, and not before their outcomes have had the time to come.
    """

    said: float = 0.0
    expected: float = 0.0
    came: float = 0.0

    def plus(self, other: Counted, sign: float = 1.0) -> Counted:
        """Return both together, or with a `sign` of -1 what is left without the other; never less than nothing."""
        said, expected = self.said + sign * other.said, self.expected + sign * other.expected
        return Counted(max(0.0, said), max(0.0, expected), max(0.0, self.came + sign * other.came))

    def at_most(self, expected: float) -> Counted:
        """Return the same proportions, with no more expected outcomes than that."""
        part = min(1.0, expected / self.expected) if self.expected > 0.0 else 1.0
        return Counted(part * self.said, part * self.expected, part * self.came)


Counts = Mapping[tuple[str, str], Counted]
"""What was counted, by action and segment."""
NOTHING_COUNTED: Counts = {}
_NONE = Counted()


class Adapted(Struct, frozen=True):
    """What is known of the actions for one segment, in the order of the strategy: gamma distributions of how many times
    the predicted propensity is true. `factor` is their mean, and `scenarios` has the shape (actions, scenarios), where
    the strategy draws by scenarios; elsewhere there are none.
    """

    segment: str
    shape: _Doubles
    rate: _Doubles
    factor: _Doubles
    scenarios: _Doubles


class Learned:
    """What was learned by a moment. It is replaced, never changed; what a segment needs is made when it is wanted."""

    def __init__(self, adapting: Adapting, counts: Counts) -> None:
        self.counts = counts
        self._adapting = adapting
        self._made: dict[str, Adapted] = {}

    def of(self, values: Sequence[Scalar | None]) -> Adapted:
        """Return what is known for the segment of somebody of whom these values are known."""
        segment = self._adapting.segment(values)
        made = self._made.get(segment)
        if made is None:
            made = self._made[segment] = self._adapting.adapted(segment, self.counts)
        return made


class Relearned(Learned):
    """What was learned by the moment of a logged decision, to decide it again."""

    def __init__(self, adapting: Adapting, entry: Entry) -> None:
        super().__init__(adapting, NOTHING_COUNTED)
        self._logged = adapting.logged(entry.segment, entry.learned)

    def of(self, values: Sequence[Scalar | None]) -> Adapted:
        """Return what was known then, whoever it is."""
        return self._logged


class Adapting:
    """Learns for one strategy. Holds no state: what was counted is an argument.

    With `scenarios` the gamma distributions come as scenarios too, always the same of the same distributions: each
    action meets the quantiles of its own in an order that only its name decides.
    """

    def __init__(self, strategy: Strategy, adaptive: Adaptive, *, scenarios: bool) -> None:
        self._strategy, self._adaptive, self._strength = strategy.name, adaptive, adaptive.strength
        self._names = tuple(action.id for action in strategy.actions)
        self._priors = np.maximum([action.propensity for action in strategy.actions], LEAST_PROPENSITY)
        self._group = {action.id: action.group for action in strategy.actions if action.group}
        self._segment = strategy.schema.index.get(adaptive.segment, -1)
        self._normal = _normal(self._names) if scenarios else np.zeros((len(self._names), 0))
        self.unlearned = Learned(self, NOTHING_COUNTED)

    @classmethod
    def of(cls, strategy: Strategy) -> Adapting | None:
        """Return what learns for a strategy; None where it declares nothing of the kind."""
        explores = strategy.exploration
        thompson = explores is not None and explores.policy is Explores.THOMPSON
        return cls(strategy, strategy.adaptive, scenarios=thompson) if strategy.adaptive else None

    def segment(self, values: Sequence[Scalar | None]) -> str:
        """Return by whose counts somebody is judged; empty where that is not known, or not asked."""
        value = values[self._segment] if self._segment >= 0 else None
        return "" if value is None else str(value).lower() if type(value) is bool else str(value)

    def scope(self, model: str) -> str:
        """Return what names the counts that belong to a model: those of another one, or by other terms, are others."""
        return f"{self._strategy}|{model}|{self._adaptive.on}|{self._adaptive.within_ms}|{self._adaptive.half_life_ms}"

    def counting(self, entry: Entry) -> Counting | None:
        """Return what the commit of a plan counts; None where nothing may be said."""
        predicted = {one.action: one.predicted for one in entry.learned}
        actions = (candidate.action for placed in entry.placements for candidate in placed.candidates)
        rows = tuple((action, entry.segment, predicted[action]) for action in actions if action in predicted)
        terms = self._adaptive
        return Counting(self.scope(entry.model), terms.on, terms.within_ms, terms.half_life_ms, rows) if rows else None

    def adapted(self, segment: str, counts: Counts) -> Adapted:
        """Return what these counts say for a segment."""
        actions = _by(counts, lambda action, _: action)
        groups = _by(counts, lambda action, _: self._group.get(action, ""))
        shape, rate = np.empty(len(self._names)), np.empty(len(self._names))
        for place, (name, prior) in enumerate(zip(self._names, self._priors.tolist(), strict=True)):
            action, own = actions.get(name, _NONE), counts.get((name, segment), _NONE)
            others = action.plus(own, -1.0) if self._segment >= 0 else _NONE
            group = groups.get(self._group[name], _NONE).plus(action, -1.0) if name in self._group else _NONE
            # No more than one outcome each: what decayed to nearly nothing would divide to infinity.
            typical = min(1.0, action.expected / action.said) if min(action.said, action.expected) > 0.0 else prior
            weight = self._strength * max(typical, LEAST_PROPENSITY)
            mean = _mean(weight, _mean(weight, 1.0, group.at_most(weight)), others)
            shape[place], rate[place] = weight * mean + own.came, weight + own.expected
        return self._made(segment, shape, rate)

    def logged(self, segment: str, learned: Iterable[Learnt]) -> Adapted:
        """Return what a log entry says was known; what it leaves out had no part in the decision."""
        shape, rate = np.ones(len(self._names)), np.ones(len(self._names))
        place = {name: index for index, name in enumerate(self._names)}
        for one in learned:
            if one.action in place:
                shape[place[one.action]], rate[place[one.action]] = one.shape, one.rate
        return self._made(segment, shape, rate)

    def _made(self, segment: str, shape: _Doubles, rate: _Doubles) -> Adapted:
        scenarios = _scenarios(shape, rate, self._normal) if self._normal.size else self._normal
        return Adapted(segment, shape, rate, shape / rate, scenarios)


def _mean(weight: float, mean: float, counted: Counted) -> float:
    """Return the mean of a gamma distribution of some weight, after what was counted."""
    return (weight * mean + counted.came) / (weight + counted.expected)


def _by(counts: Counts, key: Callable[[str, str], str]) -> dict[str, Counted]:
    found: dict[str, Counted] = {}
    for (action, segment), counted in counts.items():
        name = key(action, segment)
        found[name] = found.get(name, _NONE).plus(counted)
    return found


def _normal(names: Sequence[str]) -> _Doubles:
    """Return the normal deviates of all scenarios: for each action the same quantiles, in an order by its name."""
    quantiles = [NormalDist().inv_cdf((place + 0.5) / SCENARIOS) for place in range(SCENARIOS)]
    orders = [np.random.default_rng(crc32(name.encode())).permutation(SCENARIOS) for name in names]
    return np.array([np.array(quantiles)[order] for order in orders])


def _scenarios(shape: _Doubles, rate: _Doubles, normal: _Doubles) -> _Doubles:
    """Return the quantiles of gamma distributions as Wilson and Hilferty approximate them, with the exact mean."""
    wide, mean = np.maximum(shape, LEAST_SHAPE)[:, None], (shape / rate)[:, None]
    cubes = np.maximum(0.0, 1.0 - 1.0 / (9.0 * wide) + normal / (3.0 * np.sqrt(wide))) ** 3
    found: _Doubles = cubes * (mean / cubes.mean(axis=1, keepdims=True))
    return found
