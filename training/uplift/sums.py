"""Least squares from sums alone: what a regression needs to know of rows, one part of the customers after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

PARTS = 10
"""In so many parts customers fall; each part is told by what the others teach."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A linear model: `x @ weights + bias`."""

    weights: Floats
    bias: float

    def of(self, x: Floats) -> Floats:
        """Return what the model says of rows, (rows, columns) to (rows,)."""
        return np.asarray(x @ self.weights + self.bias)

    def less(self, other: Line) -> Line:
        """Return the model of the difference."""
        return Line(self.weights - other.weights, self.bias - other.bias)


def mean_of(lines: Sequence[Line]) -> Line:
    """Return the mean of several models."""
    return Line(np.mean([line.weights for line in lines], axis=0), float(np.mean([line.bias for line in lines])))


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over rows of columns x and a number y that is to be told: of x, y, their products and squares.

    `rows` counts them. `x` and `xy` have the shape (columns,), `xx` (columns, columns).
    """

    rows: float
    x: Floats
    y: float
    xx: Floats
    xy: Floats
    yy: float

    @classmethod
    def of(cls, x: Floats, y: Floats) -> Sums:
        """Add up rows: x of shape (rows, columns), y of shape (rows,)."""
        return cls(float(len(y)), x.sum(axis=0), float(y.sum()), x.T @ x, x.T @ y, float(y @ y))

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over the rows of both."""
        return self._with(other, 1.0)

    def __sub__(self, other: Sums) -> Sums:
        """Return the sums over the rows without those of the other."""
        return self._with(other, -1.0)

    def _with(self, other: Sums, sign: float) -> Sums:
        return Sums(
            self.rows + sign * other.rows,
            self.x + sign * other.x,
            self.y + sign * other.y,
            self.xx + sign * other.xx,
            self.xy + sign * other.xy,
            self.yy + sign * other.yy,
        )

    def means(self) -> tuple[float, Floats]:
        """Return the means of y and of x, 0 without rows."""
        rows = max(self.rows, 1.0)
        return self.y / rows, self.x / rows

    def centred(self) -> tuple[Floats, Floats]:
        """Return the products of x with itself, (columns, columns), and with y, (columns,), around the means."""
        mean, centre = self.means()
        return self.xx - np.outer(self.x, centre), self.xy - self.x * mean

    def error(self, line: Line) -> float:
        """Return the sum of squares by which a line misses y over these rows."""
        weights, bias = line.weights, line.bias
        about_weights = float(weights @ (self.xx @ weights + 2.0 * bias * self.x - 2.0 * self.xy))
        return self.yy + about_weights - 2.0 * bias * self.y + self.rows * bias * bias


def total(parts: Sequence[Sums]) -> Sums:
    """Return the sums over all parts, of which there is at least one."""
    found = parts[0]
    for part in parts[1:]:
        found += part
    return found


def in_parts(x: Floats, y: Floats, part: Whole) -> tuple[Sums, ...]:
    """Return the sums over the rows of each part."""
    return tuple(Sums.of(x[part == place], y[part == place]) for place in range(PARTS))


def part_of(customer: Whole) -> Whole:
    """Return the part that each row belongs to, by a hash of its customer's code: nobody is in two."""
    mixed = customer.astype(np.uint64) * _MIX
    return np.asarray((mixed >> np.uint64(32)) % np.uint64(PARTS), dtype=np.int64)
