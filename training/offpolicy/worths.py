"""What every action would have earned, by a linear model an action: cross-fitted, and learned from sums alone.

The direct method and the doubly robust one need it. Rows of one person are never valued by a model that saw this
person: customers fall into parts, and each part is valued by what the others teach. Only sums are kept, so that a log
of any length needs two passes and no memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

PARTS = 5
_STRENGTH = 10.0
_LEAST = 1e-9
_MOST = 50_000_000


class Worths:
    """Learns E[worth | x, action] for every action: ridge regression towards the mean of the action, itself towards
    the mean of all.

    Columns are scaled by their spread over all rows, so that one strength fits all; an action of few rows hardly moves
    from the mean, and one that was never said has just that. Where the sums of so many columns and actions would take
    more than 400 MB, only the means are learned.
    """

    def __init__(self, columns: int, actions: int, parts: int = PARTS, strength: float = _STRENGTH) -> None:
        self._strength = strength
        self._parts = parts
        if parts * actions * (columns + 1) ** 2 > _MOST:
            columns = 0
        self._columns = columns
        self._products = np.zeros((parts, actions, columns + 1, columns + 1))
        self._earned = np.zeros((parts, actions, columns + 1))
        self._made: list[tuple[Floats, Floats]] | None = None

    def add(self, decisions: Decisions) -> None:
        """Learn from rows; those whose worth is not known teach nothing."""
        rows = decisions.part(~np.isnan(decisions.worth))
        part = self.part_of(rows.customer)
        ones = np.concatenate((np.ones((len(rows), 1)), rows.x[:, : self._columns]), axis=1)
        for place, code in np.unique(np.stack((part, rows.action)), axis=1).T:
            here = ones[(part == place) & (rows.action == code)]
            self._products[place, code] += here.T @ here
            self._earned[place, code] += here.T @ rows.worth[(part == place) & (rows.action == code)]
        self._made = None

    def part_of(self, customer: Whole) -> Whole:
        """Return the part into which customers fall, (n,), by a hash of their codes."""
        mixed = customer.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return np.asarray((mixed >> np.uint64(32)) % np.uint64(self._parts), dtype=np.int64)

    def expected(self, decisions: Decisions) -> Floats:
        """Return the expected worth of every action on every row, (n, actions), by models that never saw the person."""
        if self._made is None:
            self._made = [self._fitted(part) for part in range(self._parts)]
        part = self.part_of(decisions.customer)
        q = np.empty((len(decisions), self._earned.shape[1]))
        for place, (weights, bias) in enumerate(self._made):
            rows = part == place
            q[rows] = decisions.x[rows, : self._columns] @ weights.T + bias
        return q

    def means(self) -> tuple[Floats, Floats]:
        """Return how many rows said each action, and what these earned on average (0 without rows), by part left out.

        Both have the shape (parts, actions).
        """
        counts, sums = self._without(self._products[:, :, 0, 0]), self._without(self._earned[:, :, 0])
        return counts, sums / np.maximum(counts, 1.0)

    def _without(self, by_part: Floats) -> Floats:
        """Return the sums of all parts but each one."""
        return np.asarray(by_part.sum(axis=0) - by_part)

    def _fitted(self, part: int) -> tuple[Floats, Floats]:
        """Return weights (actions, columns) and biases (actions,) learned without a part."""
        products = self._products.sum(axis=0) - self._products[part]
        earned = self._earned.sum(axis=0) - self._earned[part]
        rows = max(float(products[:, 0, 0].sum()), 1.0)
        mean = products[:, 0, 1:].sum(axis=0) / rows
        square = np.einsum("aii->i", products[:, 1:, 1:]) / rows
        spread = np.sqrt(np.maximum(square - mean**2, 0.0))
        scale = np.where(spread > _LEAST, 1.0 / np.maximum(spread, _LEAST), 0.0)
        prior = float(earned[:, 0].sum()) / rows
        solved = [self._solved(p, e, mean, scale, prior) for p, e in zip(products, earned, strict=True)]
        weights = np.stack([weight for weight, _ in solved])
        return weights, np.array([bias for _, bias in solved])

    def _solved(
        self, products: Floats, earned: Floats, mean: Floats, scale: Floats, prior: float
    ) -> tuple[Floats, float]:
        """Return the model of one action, in the columns as they are."""
        shift = np.eye(len(mean) + 1)
        shift[1:, 0] = -mean * scale
        shift[1:, 1:] = np.diag(scale)
        standard, worth = shift @ products @ shift.T, shift @ earned
        worth = worth - prior * standard[:, 0]
        ridge = np.full(len(worth), self._strength)
        ridge[0] = 1.0  # the mean of the action counts like one row of the mean of all
        solution = np.linalg.solve(standard + np.diag(ridge), worth)
        weights = solution[1:] * scale
        return weights, float(prior + solution[0] - weights @ mean)
