"""Alarms of drift, each with its reason in words; quiet where chance explains what is seen.

An alarm needs both: a difference large enough to matter, and one that chance hardly makes (about 1 in 10,000 a check).
Fewer than 100 people raise none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np

from .calibration import Habit, Shape, Told, Window, shape, windows
from .seen import Floats, Seen, Whole, mean_and_error
from .stability import Moved, Population

MATTERS = 0.1
"""A rate that moved by less than this share of itself raises no alarm, however many rows say so."""

_BY_CHANCE = 1e-4
_BEYOND_CHANCE = 0.01  # of the calibration error
_FEWEST = 100


class Kind(StrEnum):
    """What has drifted."""

    FEATURE = "feature"
    BASE_RATE = "base_rate"
    FORECAST = "forecast"
    CALIBRATION = "calibration"
    IN_TIME = "calibration_in_time"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something drifted: which field or action it is about, the figure, the limit it passed, and why in words."""

    kind: Kind
    of: str
    figure: float
    limit: float
    reason: str


@dataclass(frozen=True, slots=True)
class Drift:
    """What a look at recent rows found: how far each field moved, the windows in time, and the alarms."""

    stability: tuple[Moved, ...]
    windows: tuple[Window, ...]
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What rows looked like that a model learned from: the population, its own gaps, how often the outcome happened."""

    population: Population
    habit: Habit
    rate: float
    error: float

    @classmethod
    def of(cls, columns: Sequence[str], seen: Seen) -> Reference:
        """Remember what recent rows are compared with."""
        return cls(Population.of(columns, seen.x, seen.customer), Habit.of(seen), *_rate(seen))

    @classmethod
    def of_outcomes(cls, seen: Seen, habit: Habit | None = None) -> Reference:
        """Remember forecasts and outcomes alone; `habit` has the gaps where the model had seen these very rows."""
        return cls(Population((), (), 0), habit or Habit.of(seen), *_rate(seen))

    def against(self, recent: Seen, of: str) -> Drift:
        """Look at recent rows of an action (or of anything else with that name)."""
        stability = moved(self.population, recent.x, recent.customer)
        return Drift(stability, *self.forecasts(recent, of, feature_alarms(stability)))

    def forecasts(
        self, recent: Seen, of: str, alarms: tuple[Alarm, ...] = ()
    ) -> tuple[tuple[Window, ...], tuple[Alarm, ...]]:
        """Look at outcomes and forecasts alone; return the windows, and the alarms behind those given."""
        return self.told(self.habit.told(recent), of, alarms)

    def told(self, told: Told, of: str, alarms: tuple[Alarm, ...] = ()) -> tuple[tuple[Window, ...], tuple[Alarm, ...]]:
        """Look at recent rows whose old gaps are taken off; return windows, and the alarms behind those given."""
        in_time = windows(told)
        if told.people < _FEWEST:
            return in_time, alarms
        found = (
            self._base_rate(told, of),
            _forecast(told, of),
            _calibration(shape(told), of),
            _in_time(in_time, of),
        )
        return in_time, (*alarms, *(alarm for alarm in found if alarm))

    def _base_rate(self, told: Told, of: str) -> Alarm | None:
        rate, error = mean_and_error(told.happened, told.customer)
        z = _standard(rate - self.rate, float(np.hypot(max(error, _coin(self.rate, len(told))), self.error)))
        if not _serious(z, rate, self.rate):
            return None
        reason = f"base rate of {of}: {rate:.1%} happened, it was {self.rate:.1%} ({z:+.1f} standard errors)"
        return Alarm(Kind.BASE_RATE, of, rate, self.rate, reason)


def moved(population: Population, x: Floats, customer: Whole) -> tuple[Moved, ...]:
    """Return how far each field moved, furthest first; nothing of fewer than 100 people, who cannot tell."""
    return population.moved(x, customer) if len(np.unique(customer)) >= _FEWEST else ()


def _rate(seen: Seen) -> tuple[float, float]:
    known = np.isfinite(seen.happened)
    return mean_and_error(seen.happened[known], seen.customer[known])


def feature_alarms(stability: Sequence[Moved]) -> tuple[Alarm, ...]:
    """Return an alarm for each field that moved much."""
    return tuple(Alarm(Kind.FEATURE, one.field, one.index, one.limit, _moved(one)) for one in stability if one.much)


def _moved(one: Moved) -> str:
    return f"{one.field} moved: population stability index {one.index:.2f}, much from {one.limit:.2f} on"


def _forecast(told: Told, of: str) -> Alarm | None:
    rate, said = float(told.happened.mean()), float(told.forecast.mean())
    z = _standard(*told.gap(told.dependence()))
    if not _serious(z, rate, float(told.usual.mean())):
        return None
    reason = f"forecast of {of}: {said:.1%} were forecast, {rate:.1%} happened ({z:+.1f} standard errors)"
    return Alarm(Kind.FORECAST, of, rate, said, reason)


def _calibration(found: Shape, of: str) -> Alarm | None:
    limit = _chi2(found.bins)
    if found.statistic <= limit or found.calibration_error < found.by_chance + _BEYOND_CHANCE:
        return None
    reason = (
        f"calibration of {of}: in 10 bins rates are {found.calibration_error:.3f} away from what such "
        f"forecasts had, chance explains {found.by_chance:.3f}"
    )
    return Alarm(Kind.CALIBRATION, of, found.calibration_error, found.by_chance, reason)


def _in_time(in_time: Sequence[Window], of: str) -> Alarm | None:
    """Return an alarm where forecasts left what happened in some window, from the first one on."""
    limit = _normal(max(len(in_time), 1))
    for one in in_time:
        if abs(one.z) > limit and _matters(one.rate, one.forecast):
            reason = (
                f"calibration of {of} in time: from row {one.first:,} of the recent ones on, {one.forecast:.1%} were "
                f"forecast and {one.rate:.1%} happened"
            )
            return Alarm(Kind.IN_TIME, of, one.rate, one.forecast, reason)
    return None


def _serious(z: float, rate: float, before: float) -> bool:
    return abs(z) > _normal(1) and _matters(rate, before)


def _matters(rate: float, before: float) -> bool:
    return abs(rate - before) > MATTERS * max(rate, before)


def _coin(rate: float, rows: int) -> float:
    """Return the standard error of a rate over independent rows."""
    return math.sqrt(rate * (1.0 - rate) / rows) if rate > 0.0 else 0.0


def _standard(gap: float, error: float) -> float:
    return gap / error if error > 0.0 else 0.0


@cache
def _normal(checks: int) -> float:
    """Return how many standard errors chance hardly reaches in so many checks."""
    from scipy.stats import norm

    return float(norm.isf(_BY_CHANCE / 2.0 / checks))


@cache
def _chi2(freedom: int) -> float:
    from scipy.stats import chi2

    return float(chi2.isf(_BY_CHANCE, freedom))
