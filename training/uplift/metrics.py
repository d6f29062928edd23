"""Whether those who are said to gain most do gain most: uplift at a share, uplift and Qini curves, with intervals.

People are sorted by score. With w = 1 / probability of what was said to each, over the highest share of them:

    uplift(share) = sum w y of the told / sum w of the told - the same of those told nothing     (in this share)
    gain(share)   = sum w y of the told / sum w of all told - the same of those told nothing     (over everybody)

`gain` is what telling this share brings per person of everybody; with equal probabilities it is the curve of Radcliffe
(Using control groups to target on predicted lift, 2007) divided by the number of the told. The Qini coefficient is the
area between it and the straight line that telling a random share would follow. Intervals are quantiles of bootstrap
draws of whole customers, for the rows of one person are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SHARES = np.linspace(0.0, 1.0, 21)
"""The shares of people at which curves are told."""
TOLD_AT = (0.1, 0.3)
DRAWS = 200
LEVEL = 0.95
FEWEST = 30


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Rows of people who were told something or nothing, (n,) each: how high the `score` promises the uplift to be,
    what came of it in `y`, the `probability` of what was said, and the customer's code.
    """

    score: Floats
    y: Floats
    told: Flags
    probability: Floats
    customer: Whole

    def lack(self) -> str:
        """Say in words why nothing can be measured on this, or return an empty text."""
        for rows, what in ((self.told, "were told it"), (~self.told, "were told nothing")):
            if int(rows.sum()) < FEWEST:
                return f"{int(rows.sum())} rows {what}; {FEWEST} are needed to tell what it changes"
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Values over `x` with their intervals; all of shape (points,)."""

    x: Floats
    y: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class UpliftMetrics:
    """How well a score ranks by uplift: both curves, the Qini coefficient and the uplift of all."""

    uplift: Curve
    gain: Curve
    qini: Measured
    overall: Measured

    def at(self, share: float) -> Measured:
        """Return the uplift of the highest share of people, of those at which the curve is told."""
        place = int(np.abs(self.uplift.x - share).argmin())
        return Measured(*(float(line[place]) for line in (self.uplift.y, self.uplift.low, self.uplift.high)))

    def plain(self) -> dict[str, float]:
        """Return the figures for a manifest or a table."""
        found = {"qini": self.qini, "uplift": self.overall}
        found |= {f"uplift_at_{share}": self.at(share) for share in TOLD_AT}
        bounds = ("", "value"), ("_low", "low"), ("_high", "high")
        return {f"{name}{end}": getattr(one, bound) for name, one in found.items() for end, bound in bounds}


def trial_of_action(decisions: Decisions, code: int, uplift: Floats, target: Floats) -> Trial:
    """Return the rows that were told one action or nothing while both might have been said; `uplift` and `target` (n,)
    are what a model promises of it and what came of it.
    """
    rows = np.isin(decisions.action, (0, code)) & decisions.allowed[:, code] & ~np.isnan(target + uplift)
    return _trial(decisions, rows, uplift, target)


def trial_of_best(decisions: Decisions, uplift: Floats, target: Floats) -> Trial:
    """Return the rows that were told just what promises most to each, or nothing; `uplift` is (n, actions)."""
    promised = np.where(decisions.allowed & ~np.isnan(uplift), uplift, -np.inf)
    promised[:, 0] = -np.inf
    best = promised.argmax(axis=1)
    score = promised[np.arange(len(best)), best]
    rows = ((decisions.action == best) | (decisions.action == 0)) & np.isfinite(score) & ~np.isnan(target)
    return _trial(decisions, rows, score, target)


def _trial(decisions: Decisions, rows: Flags, score: Floats, target: Floats) -> Trial:
    return Trial(
        score[rows], target[rows], decisions.action[rows] > 0, decisions.probability[rows], decisions.customer[rows]
    )


def measured(trial: Trial, draws: int = DRAWS, seed: int = 0, level: float = LEVEL) -> UpliftMetrics:
    """Measure a score. Equal inputs give equal figures; raise ValueError in words where there is too little."""
    if lack := trial.lack():
        raise ValueError(lack)
    ranked = _Ranked.of(trial)
    rng, found = np.random.default_rng(seed), ranked.curves(np.ones(len(trial.y)))
    _, people = np.unique(trial.customer[ranked.order], return_inverse=True)
    several = int(people.max()) + 1
    drawn = np.empty((draws, 2, len(SHARES)))
    for draw in drawn:
        draw[:] = ranked.curves(np.bincount(rng.integers(several, size=several), minlength=several)[people])
    uplift, gain = (Curve(SHARES, *lines) for lines in zip(found, *_between(drawn, level), strict=True))
    area = _between(_area(drawn[:, 1]), level)
    return UpliftMetrics(
        Curve(*(line[1:] for line in (uplift.x, uplift.y, uplift.low, uplift.high))),  # of nobody there is none
        gain,
        Measured(float(_area(found[1])), float(area[0]), float(area[1])),
        Measured(float(gain.y[-1]), float(gain.low[-1]), float(gain.high[-1])),
    )


def _between(drawn: Floats, level: float) -> Floats:
    """Return the quantiles between which the draws (draws, ...) mostly fall, (2, ...); NaN where no draw says any."""
    tail, found = 50.0 * (1.0 - level), np.full((2, *drawn.shape[1:]), np.nan)
    told = ~np.isnan(drawn).all(axis=0)
    found[:, told] = np.nanpercentile(drawn[:, told], (tail, 100.0 - tail), axis=0)
    return found


def _area(gain: Floats) -> Floats:
    """Return the area between curves over `SHARES`, (..., points), and the straight lines to their ends."""
    above = gain - gain[..., [-1]] * SHARES
    return np.asarray(((above[..., 1:] + above[..., :-1]) / 2.0 * np.diff(SHARES)).sum(axis=-1))


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """Rows in the order of their scores: weights of the told and of the others, these times y, and where ties end."""

    order: npt.NDArray[np.intp]
    sums: Floats
    ends: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, trial: Trial) -> _Ranked:
        order = np.argsort(-trial.score, kind="stable")
        weight, told, score = 1.0 / trial.probability[order], trial.told[order], trial.score[order]
        weights = np.stack((np.where(told, weight, 0.0), np.where(told, 0.0, weight)))
        ends = np.append(score[1:] != score[:-1], True)
        return cls(order, np.concatenate((weights, weights * trial.y[order])), ends)

    def curves(self, times: npt.NDArray[np.int64] | Floats) -> Floats:
        """Return uplift and gain at `SHARES`, (2, points), of rows that are there so many times; within ties the line
        is straight, for their order means nothing.
        """
        sums = np.cumsum(self.sums * times, axis=1)[:, self.ends]
        sums = np.concatenate((np.zeros((4, 1)), sums), axis=1)
        people = (sums[0] + sums[1]) / (sums[0, -1] + sums[1, -1])
        told, silent, told_y, silent_y = (np.interp(SHARES, people, one) for one in sums)
        with np.errstate(divide="ignore", invalid="ignore"):  # a share in which nobody was told says nothing
            uplift = told_y / told - silent_y / silent
            return np.stack((uplift, told_y / told[-1] - silent_y / silent[-1]))
