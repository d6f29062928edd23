"""Do forecasts still say what happens: over a stretch of time, in 10 bins, and from one window to the next.

What counts as drift is a change. A model that always forecast a tenth too much in some range has not drifted by doing
so again: the gaps that it had on the rows of then are taken off first; how well they are known is part of the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .seen import Floats, Seen, Whole, mean_and_error

WINDOWS = 10
FEWEST_IN_A_WINDOW = 100

_BINS = 10
_LEAST_VARIANCE = 5.0  # below it a count of outcomes is no normal number
_TENTHS = np.linspace(0.1, 0.9, 9)


@dataclass(frozen=True, slots=True, eq=False)
class Habit:
    """By how much a model missed on rows of then that it had not seen, in bins of its forecast; the gaps' variances."""

    edges: Floats
    gaps: Floats
    variances: Floats

    @classmethod
    def of(cls, then: Seen) -> Habit:
        """Learn the gaps from rows whose forecast and outcome are known; without any, nothing is taken off."""
        told = then.told()
        return cls.from_forecasts(told.forecast, told.happened)

    @classmethod
    def from_forecasts(cls, forecast: Floats, happened: Floats) -> Habit:
        """Learn the gaps from forecasts and outcomes (rows,).

        Their spread is no less than that of coins with such probabilities: of a few rows the seen one may be none.
        """
        edges = np.unique(np.quantile(forecast, _TENTHS)) if len(forecast) else np.empty(0)
        places, bins = np.searchsorted(edges, forecast), len(edges) + 1
        count = np.maximum(np.bincount(places, minlength=bins), 1)
        gaps = np.bincount(places, weights=happened - forecast, minlength=bins) / count
        rest = np.bincount(places, weights=(happened - forecast - gaps[places]) ** 2, minlength=bins)
        coins = np.bincount(places, weights=forecast * (1.0 - forecast), minlength=bins)
        return cls(edges, gaps, np.maximum(rest, coins) / count**2)

    def told(self, recent: Seen) -> Told:
        """Return the recent rows whose outcome is known, with the old gaps taken off."""
        known = recent.told()
        places = np.searchsorted(self.edges, known.forecast)
        usual = np.clip(known.forecast + self.gaps[places], 0.0, 1.0)
        return Told(known.customer, known.forecast, usual, known.happened, places, self.variances)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Rows with a known outcome: what was forecast, and the rate that such forecasts usually had."""

    customer: Whole
    forecast: Floats
    usual: Floats
    happened: Floats
    places: npt.NDArray[np.intp]
    variances: Floats

    def __len__(self) -> int:
        return len(self.customer)

    @classmethod
    def joined(cls, parts: Sequence[Told], order: npt.NDArray[np.intp]) -> Told:
        """Put rows of several models behind each other, then in an order; each keeps the bins of its own model."""
        starts = np.cumsum([0, *(len(part.variances) for part in parts[:-1])])
        places = [part.places + start for part, start in zip(parts, starts, strict=True)]
        columns = ([getattr(part, name) for part in parts] for name in ("customer", "forecast", "usual", "happened"))
        customer, forecast, usual, happened, place = (np.concatenate(column)[order] for column in (*columns, places))
        return cls(customer, forecast, usual, happened, place, np.concatenate([part.variances for part in parts]))

    def part(self, rows: slice | npt.NDArray[np.intp]) -> Told:
        """Return some of the rows."""
        return Told(
            self.customer[rows],
            self.forecast[rows],
            self.usual[rows],
            self.happened[rows],
            self.places[rows],
            self.variances,
        )

    @property
    def people(self) -> int:
        """Return how many people the rows are of."""
        return len(np.unique(self.customer))

    def gap(self, dependence: float = 1.0) -> tuple[float, float]:
        """Return how far the rate is above the usual one, and the standard error of that.

        The spread is that between customers, but no less than that of coins with these probabilities that depend on
        each other so much: of a few outcomes the seen spread may be none.
        """
        gap, error = mean_and_error(self.happened - self.usual, self.customer)
        return gap, max(error, (self.spread() * dependence) ** 0.5 / len(self)) if len(self) else error

    def spread(self) -> float:
        """Return the variance of the number of outcomes, were all rows independent, with that of the old gaps."""
        shares = np.bincount(self.places, minlength=len(self.variances)).astype(np.float64)
        return float((self.usual * (1.0 - self.usual)).sum() + (shares**2 * self.variances).sum()) + 1e-9

    def dependence(self) -> float:
        """Return how many times the variance is what it would be, were the rows independent; 1 at least."""
        _, error = mean_and_error(self.happened - self.usual, self.customer)
        _, plain = mean_and_error(self.happened - self.usual, np.arange(len(self)))
        return max(1.0, (error / plain) ** 2) if plain > 0.0 else 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of rows: the first and one past the last, mean forecast, rate, calibration error in 10 bins.

    `z` is how many standard errors the rate is above what such forecasts usually had.
    """

    first: int
    stop: int
    forecast: float
    rate: float
    calibration_error: float
    z: float


@dataclass(frozen=True, slots=True)
class Shape:
    """How far usual and seen rates are apart in 10 bins of equally many rows, and what chance alone would give.

    `statistic` is that of Hosmer and Lemeshow over `bins`, divided by how much less independent rows of a customer are.
    """

    calibration_error: float
    by_chance: float
    statistic: float
    bins: int


def windows(told: Told) -> tuple[Window, ...]:
    """Return up to 10 windows in order of time, of at least 100 people a window, or one where there are fewer."""
    count = min(WINDOWS, max(told.people // FEWEST_IN_A_WINDOW, len(told) > 0))
    ends = np.linspace(0, len(told), count + 1).astype(int).tolist() if count else []
    dependence = told.dependence()
    return tuple(window(told, first, stop, dependence) for first, stop in pairwise(ends))


def window(told: Told, first: int, stop: int, dependence: float = 1.0) -> Window:
    """Measure one stretch of rows; `dependence` is that of all rows, for a few people cannot tell theirs."""
    part = told.part(slice(first, stop))
    gap, error = part.gap(dependence)
    apart = shape(part).calibration_error
    return Window(first, stop, float(part.forecast.mean()), float(part.happened.mean()), apart, gap / error)


def shape(told: Told) -> Shape:
    """Compare usual and seen rates in 10 bins; for the statistic in bins of equal variance, 5 at least in each."""
    order = np.argsort(told.forecast, kind="stable")
    gaps, spreads = _sums([told.part(rows) for rows in np.array_split(order, _BINS) if len(rows)])
    by_chance = float(np.sqrt(spreads * 2.0 / np.pi).sum()) / len(told)  # the mean of a normal's absolute value
    variance = np.cumsum((told.usual * (1.0 - told.usual))[order])
    count = int(min(_BINS, max(1.0, variance[-1] // _LEAST_VARIANCE)))
    ends = np.searchsorted(variance, variance[-1] * np.arange(1, count) / count)
    wide, wide_spreads = _sums([told.part(rows) for rows in np.split(order, ends) if len(rows)])
    statistic = float((wide**2 / wide_spreads).sum()) / told.dependence()
    return Shape(float(np.abs(gaps).sum()) / len(told), by_chance, statistic, len(wide))


def _sums(bins: list[Told]) -> tuple[Floats, Floats]:
    gaps = np.array([float((one.happened - one.usual).sum()) for one in bins])
    return gaps, np.array([one.spread() for one in bins])
