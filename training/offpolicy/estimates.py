"""Values of policies with intervals, and differences of two policies on the same log.

With w = policy / probability of what was said, r its worth and q(x, a) the worth that a model expects:

    IPS     mean of w r                                  unbiased where the logged probabilities are true
    SNIPS   sum of w r / sum of w                        a little biased, steadier
    DM      mean of sum over a of policy(a) q(x, a)      as good as the model, no better
    DR      DM + mean of w (r - q(x, said))              right if the probabilities or the model are, and the steadiest

Dudik, Langford and Li: Doubly Robust Policy Evaluation and Learning, 2011; Swaminathan and Joachims: The
Self-Normalized Estimator for Counterfactual Learning, 2015.

Intervals are robust to the likeness of one person's rows: each estimate is linearised, its influences are summed by
customer, and their spread over customers gives the error, with Student's t quantile; or customers are drawn with
replacement (bootstrap). Where outcomes are rare both would be too narrow by luck: `variety` says by how much they are
widened, and when there is none. The interval of DM leaves out the error of the model, so nothing should be claimed by
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from .tally import CORRECTED, MATCHED, MODELLED, WEIGHT, Tally
from .variety import LOG, Doubt, doubt

Floats = npt.NDArray[np.float64]

LEVEL = 0.95
_AT_ONCE = 4_000_000


class Method(StrEnum):
    """How a value is estimated; the module says what each one is."""

    IPS = "ips"
    SNIPS = "snips"
    DM = "dm"
    DR = "dr"


class Verdict(StrEnum):
    """What the interval of a difference says; only `BETTER` is a claim of better."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value a decision in the strategy's currency, with its standard error and the interval of a level.

    Where `few` says that too few worths differ for an interval, it is without end: nothing may be claimed.
    """

    value: float
    error: float
    low: float
    high: float
    few: str = ""

    @property
    def verdict(self) -> Verdict:
        """Return what the interval says against 0: of a difference, whether the first is better."""
        return Verdict.BETTER if self.low > 0.0 else Verdict.WORSE if self.high < 0.0 else Verdict.UNDECIDED


@dataclass(frozen=True, slots=True)
class Intervals:
    """How intervals are made: of which level, linearised or from so many seeded bootstrap draws of the customers."""

    level: float = LEVEL
    draws: int = 0
    seed: int = 0


BY_INFLUENCE = Intervals()


def value(tally: Tally, arm: str, method: Method, intervals: Intervals = BY_INFLUENCE) -> Estimate:
    """Return the value of a policy by one method."""
    return _estimate([_parts(tally, arm, method)], [1.0], intervals, doubt(tally, arm))


def difference(
    tally: Tally, arm: str, than: str, method: Method, intervals: Intervals = BY_INFLUENCE
) -> Estimate:  # fmt: skip
    """Return by how much one policy is worth more than another on the same decisions: a paired difference."""
    parts = [_parts(tally, arm, method), _parts(tally, than, method)]
    return _estimate(parts, [1.0, -1.0], intervals, doubt(tally, arm, than))


def over_log(tally: Tally, arm: str, method: Method, intervals: Intervals = BY_INFLUENCE) -> Estimate:
    """Return by how much a policy is worth more than what was logged: a paired difference."""
    parts = [_parts(tally, arm, method), (tally.own, tally.counts)]
    return _estimate(parts, [1.0, -1.0], intervals, doubt(tally, arm, LOG))


def logged(tally: Tally, intervals: Intervals = BY_INFLUENCE) -> Estimate:
    """Return what the logged decisions earned a decision."""
    return _estimate([(tally.own, tally.counts)], [1.0], intervals, doubt(tally, LOG))


_Ratio = tuple[Floats, Floats]
"""Every estimate is a ratio of two sums over customers: (customers,) each."""


def _parts(tally: Tally, arm: str, method: Method) -> _Ratio:
    sums = tally.sums(arm)
    match method:
        case Method.IPS:
            return sums[:, MATCHED], tally.counts
        case Method.SNIPS:
            return sums[:, MATCHED], sums[:, WEIGHT]
        case Method.DM:
            return sums[:, MODELLED], tally.counts
        case Method.DR:
            return sums[:, MODELLED] + sums[:, CORRECTED], tally.counts


def _estimate(ratios: list[_Ratio], signs: list[float], intervals: Intervals, doubt: Doubt) -> Estimate:
    if any(not below.sum() for _, below in ratios):
        return Estimate(float("nan"), float("nan"), float("nan"), float("nan"))
    found = float(sum(sign * above.sum() / below.sum() for sign, (above, below) in zip(signs, ratios, strict=True)))
    influence = sum(
        (sign * _influence(above, below) for sign, (above, below) in zip(signs, ratios, strict=True)), np.zeros(1)
    )
    customers = len(influence)
    if customers < 2:
        return Estimate(found, float("inf"), float("-inf"), float("inf"))
    error = float(np.sqrt(customers / (customers - 1) * (influence**2).sum()))
    if few := doubt.few():
        return Estimate(found, error, float("-inf"), float("inf"), few)
    return Estimate(found, error, *_interval(ratios, signs, intervals, found, error, doubt.unseen))


def _interval(
    ratios: list[_Ratio], signs: list[float], intervals: Intervals, found: float, error: float, unseen: float
) -> tuple[float, float]:
    """Return the interval of a level, widened by the variance that the log may hide."""
    quantile = _quantile(intervals.level, len(ratios[0][0]) - 1)
    if not intervals.draws:
        width = quantile * float(np.sqrt(error**2 + unseen))
        return found - width, found + width
    low, high = _drawn(ratios, signs, intervals)
    if not unseen:
        return low, high
    more = quantile**2 * unseen
    return found - float(np.sqrt((found - low) ** 2 + more)), found + float(np.sqrt((high - found) ** 2 + more))


def _influence(above: Floats, below: Floats) -> Floats:
    """Return by how much each customer moves a ratio, to first order."""
    total = below.sum()
    return np.asarray((above - above.sum() / total * below) / total)


def _quantile(level: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + level / 2.0))


def _drawn(ratios: list[_Ratio], signs: list[float], intervals: Intervals) -> tuple[float, float]:
    """Return the interval between quantiles of draws of as many customers, with replacement."""
    dice, customers = np.random.default_rng(intervals.seed), len(ratios[0][0])
    columns = np.stack([part for ratio in ratios for part in ratio], axis=1)
    found: list[Floats] = []
    left = intervals.draws
    while left:
        now = min(left, max(1, _AT_ONCE // customers))
        counts = dice.multinomial(customers, np.full(customers, 1.0 / customers), size=now)
        sums = counts @ columns
        with np.errstate(divide="ignore", invalid="ignore"):  # a draw without any weight says nothing
            found.append(sum(s * sums[:, 2 * i] / sums[:, 2 * i + 1] for i, s in enumerate(signs)) + np.zeros(now))
        left -= now
    tail = 50.0 * (1.0 - intervals.level)
    low, high = np.nanpercentile(np.concatenate(found), [tail, 100.0 - tail])
    return float(low), float(high)
