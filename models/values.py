"""What saying each action earns over saying nothing: linear models of worth, learned from what decisions earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from .packed import VALUES, ArtifactRefused, Shape, refuse_unless_shaped

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class RanksBy(StrEnum):
    """By what a strategy ranks: `model: {ranks_by: ...}`.

    formula  the net value of the outcome that models predict: its declared value and reward, and what happens anyway
    uplift   what saying it was seen to earn over saying nothing, where the model knows; elsewhere the formula
    """

    FORMULA = "formula"
    UPLIFT = "uplift"


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """One linear model of worth an action: what saying it earns over saying nothing, its rewards paid off.

    `weights` has the shape (actions, columns), the rest (actions,). The worth is `weights @ x + bias`, in the currency
    of the strategy, held within `least` and `most`: beyond the range of what was learned from nothing is claimed.

    >>> import numpy as np
    >>> values = Values(("hello",), np.array([[0.5]]), np.array([-1.0]), np.array([-1.0]), np.array([2.0]))
    >>> values.of(np.array([[0.0], [4.0], [100.0]])).ravel().tolist()
    [-1.0, 1.0, 2.0]
    """

    actions: tuple[str, ...]
    weights: Floats
    bias: Floats
    least: Floats
    most: Floats

    def of(self, x: Floats) -> Floats:
        """Return the worth of every action over nothing, (rows, columns) to (rows, actions)."""
        return np.clip(x @ self.weights.T + self.bias, self.least, self.most)

    def aligned(self, action_ids: Sequence[str], levers: npt.ArrayLike, costs: npt.ArrayLike) -> Worths:
        """Arrange the models in the order of a strategy's actions, each times its lever and less its contact cost."""
        place = {action: i for i, action in enumerate(self.actions)}
        rows = [place.get(action, -1) for action in action_ids]
        known = np.array([row >= 0 for row in rows], dtype=np.bool_)
        lever, cost = np.asarray(levers, dtype=np.float64), np.asarray(costs, dtype=np.float64)
        bias, least, most = (np.append(a, 0.0)[rows] * lever - cost for a in (self.bias, self.least, self.most))
        weights = np.concatenate((self.weights, np.zeros((1, self.weights.shape[1]))))[rows] * lever[:, np.newaxis]
        return Worths(known, bool(known.all()), weights, bias, least, most)


@dataclass(frozen=True, slots=True, eq=False)
class Worths:
    """The net values of all actions of a strategy at once, where a model of worth is `known`."""

    known: Flags
    _complete: bool
    _weights: Floats
    _bias: Floats
    _least: Floats
    _most: Floats

    def over(self, net: Floats, x: Floats) -> Floats:
        """Return the net values with those that are learned in their places, given a row of shape (columns,).

        Both have the shape (actions,).
        """
        learned: Floats = self._weights.dot(x)
        learned += self._bias
        np.maximum(learned, self._least, out=learned)
        np.minimum(learned, self._most, out=learned)
        return learned if self._complete else np.where(self.known, learned, net)


def values_of(arrays: Mapping[str, npt.NDArray[Any]], actions: Sequence[str], columns: int) -> Values:
    """Return the models of worth that `values.npz` holds; raise `ArtifactRefused` where its arrays do not fit."""
    count = len(actions)
    each: Shape = ((count,), np.float64)
    shapes = {"weights": ((count, columns), np.float64), "bias": each, "least": each, "most": each}
    refuse_unless_shaped(arrays, VALUES, shapes)
    if not (arrays["least"] <= arrays["most"]).all():
        raise ArtifactRefused(f"{VALUES} has an action whose least worth is more than its most")
    if not count or len(set(actions)) < count:
        raise ArtifactRefused(f"{VALUES} is of no action, or of one twice")
    return Values(tuple(actions), arrays["weights"], arrays["bias"], arrays["least"], arrays["most"])


def arrays_of_values(values: Values) -> dict[str, Floats]:
    """Return the arrays as `values.npz` holds them, for `values_of` to read."""
    return {name: np.ascontiguousarray(getattr(values, name)) for name in ("weights", "bias", "least", "most")}
