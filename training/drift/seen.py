"""What a model saw and said over a stretch of time, and what came of it: the two sides of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Rows in order of time: `customer` (rows,) are codes, rows of one person are not independent of each other.

    `x` (rows, columns) is what was known, `forecast` and `happened` (rows,) probability and outcome, NaN where unknown;
    `at_ms` (rows,) is when, where that matters.
    """

    customer: Whole
    x: Floats
    forecast: Floats
    happened: Floats
    at_ms: Whole = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.customer)

    def part(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Seen:
        """Return some of the rows."""
        at_ms = self.at_ms[rows] if len(self.at_ms) else self.at_ms
        return Seen(self.customer[rows], self.x[rows], self.forecast[rows], self.happened[rows], at_ms)

    def told(self) -> Seen:
        """Return the rows whose forecast and outcome are known."""
        return self.part(np.isfinite(self.forecast) & np.isfinite(self.happened))

    def in_time(self) -> Seen:
        """Return the rows in order of time; their moments must be known."""
        return self.part(np.argsort(self.at_ms, kind="stable"))

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """Put rows behind each other."""
        none = cls(np.empty(0, dtype=np.int64), np.empty((0, 0)), np.empty(0), np.empty(0))
        return cls(*(np.concatenate([getattr(part, name) for part in parts or [none]]) for name in _PARTS))


_PARTS = ("customer", "x", "forecast", "happened", "at_ms")


def mean_and_error(values: Floats, customer: Whole) -> tuple[float, float]:
    """Return the mean of values and its standard error, clustered by customer; both NaN without values.

    The error is that of a ratio estimator: sums of deviations by customer, `sqrt(Σ s² × k / (k − 1)) / n`.
    """
    if not len(values):
        return float("nan"), float("nan")
    mean = float(values.mean())
    _, places = np.unique(customer, return_inverse=True)
    sums = np.bincount(places, weights=values - mean)
    groups = len(sums)
    spread = float((sums**2).sum()) * groups / max(groups - 1, 1)
    return mean, spread**0.5 / len(values)
