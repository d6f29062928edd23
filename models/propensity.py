"""How likely each action's outcome is: logistic models folded into arrays, scored in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .boosted import Boosted
from .kernel import Lean, logistic
from .values import Values

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """One logistic model an action, and where the data allowed it one for saying nothing instead (the baseline).

    `weights` and `baseline_weights` have the shape (actions, columns), the rest (actions,). The probability of the
    outcome is `1 / (1 + exp(-(weights @ x + bias)))`; a baseline is valid only where `has_baseline` is true. What
    `boosted` trees say, where there are any, is added to the weighted sum. `values` are models of what saying an action
    earns over saying nothing, also of actions that are not among `actions`.

    >>> import numpy as np
    >>> one, none = np.zeros((1, 2)), np.zeros(1)
    >>> folded = Folded("m@0", "", ("hello",), one, none, one, none, np.array([False]))
    >>> folded.aligned(("bye", "hello"), priors=(0.03, 0.2)).score(np.array([1.0, 5.0]))
    (array([0.03, 0.5 ]), array([nan, nan]))
    """

    version: str
    feature_hash: str
    actions: tuple[str, ...]
    weights: Floats
    bias: Floats
    baseline_weights: Floats
    baseline_bias: Floats
    has_baseline: Flags
    boosted: Boosted | None = None
    values: Values | None = None

    @property
    def knows(self) -> frozenset[str]:
        """Return the actions that some model is of."""
        return frozenset((*self.actions, *(self.values.actions if self.values else ())))

    def aligned(self, action_ids: Sequence[str], priors: npt.ArrayLike) -> Scorer:
        """Arrange the models in the order of a strategy's actions; an action that no model knows gets its prior."""
        position = {action: i for i, action in enumerate(self.actions)}
        rows = [position.get(action) for action in action_ids]
        modelled = tuple(row is not None for row in rows)
        baselines = tuple(row is not None and bool(self.has_baseline[row]) for row in rows)
        said = _halved(self.weights, self.bias, rows)
        silent = _halved(self.baseline_weights, self.baseline_bias, rows) if any(baselines) else None
        weights = np.ascontiguousarray((said[0] if silent is None else np.concatenate((said[0], silent[0]))).T)
        bias = said[1] if silent is None else np.concatenate((said[1], silent[1]))
        boosted = self._hung(rows, baselines) if self.boosted else None
        trees = boosted.walked_by if boosted else None
        lasting = tuple(np.asarray(priors, dtype=np.float64).tolist())
        return Scorer(modelled, baselines, lasting, weights, bias, trees, logistic(weights, bias, trees))

    def _hung(self, rows: Sequence[int | None], baselines: Sequence[bool]) -> Boosted | None:
        """Return the trees at the places of the wanted order, at half their scale as the weights are."""
        places = {row: place for place, row in enumerate(rows) if row is not None}
        below = {row + len(self.actions): place + len(rows) for row, place in places.items() if baselines[place]}
        return self.boosted.placed(places | below, 0.5) if self.boosted else None

    def chances(self, x: Floats) -> tuple[Floats, Floats]:
        """Return P(outcome | said) and P(outcome | nothing said) of many rows: (rows, columns) to (rows, actions) each.

        The actions are in the order of `actions`; the second is NaN where there is no baseline.
        """
        odds = np.concatenate(
            (x @ self.weights.T + self.bias, x @ self.baseline_weights.T + self.baseline_bias), axis=1
        )
        if self.boosted:
            odds[:, self.boosted.rows] += self.boosted.scale * self.boosted.sums_of(x)[:, self.boosted.forest]
        said, silent = np.split((1.0 + np.tanh(odds / 2.0)) / 2.0, 2, axis=1)
        return said, np.where(self.has_baseline, silent, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Scores all actions of a strategy at once, with and without being said.

    `modelled` and `baselines` say for which actions a model and a baseline exist, `priors` what holds where no model
    does. `weights`, of shape (columns, models), and `bias` are halves of those of all models, baselines behind, so that
    one pass scores both: 1 / (1 + exp(-z)) = (1 + tanh(z / 2)) / 2, which never overflows. `trees` are hung on them.
    """

    modelled: tuple[bool, ...]
    baselines: tuple[bool, ...]
    priors: tuple[float, ...]
    weights: Floats
    bias: Floats
    trees: tuple[npt.NDArray[Any], ...] | None
    _models: Lean

    def lean(self, x: Floats) -> Floats:
        """Return tanh(z / 2) of every model, from -1 (never) to 1 (surely), given a row of shape (columns,).

        The shape is (actions,), or (2 * actions,) with the baselines behind where there are any. It is 0 where no model
        knows the action.
        """
        lean = np.empty(len(self.bias))
        self._models.lean(np.ascontiguousarray(x, dtype=np.float64), lean)
        return lean

    def propensity(self, lean: Floats, index: int) -> float:
        """Return P(outcome | said) of one action: from its lean, or the prior where no model knows it."""
        return (1.0 + float(lean[index])) / 2.0 if self.modelled[index] else self.priors[index]

    def baseline(self, lean: Floats, index: int) -> float | None:
        """Return P(outcome | nothing said) of one action, or None where there is no baseline."""
        return (1.0 + float(lean[len(self.modelled) + index])) / 2.0 if self.baselines[index] else None

    def score(self, x: Floats) -> tuple[Floats, Floats]:
        """Return P(outcome | said) and P(outcome | nothing said) for every action, given a row of shape (columns,).

        The first is the prior where no model knows the action; the second is NaN where there is no baseline. Both have
        the shape (actions,).
        """
        lean = self.lean(x)
        indexes = range(len(self.modelled))
        said = [self.propensity(lean, index) for index in indexes]
        silent = [self.baseline(lean, index) for index in indexes]
        return np.array(said), np.array(silent, dtype=np.float64)


def _halved(weights: Floats, bias: Floats, rows: Sequence[int | None]) -> tuple[Floats, Floats]:
    """Return half of each row in the wanted order, zeros where there is no model."""
    arranged = np.zeros((len(rows), weights.shape[1])), np.zeros(len(rows))
    for place, row in enumerate(rows):
        if row is not None:
            arranged[0][place], arranged[1][place] = weights[row] / 2.0, bias[row] / 2.0
    return arranged
