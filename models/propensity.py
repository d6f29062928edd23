"""How likely each action's outcome is: logistic models folded into arrays, scored in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_STEEPEST = 700.0  # exp() of more overflows a double, and the probability is 0 to 300 digits by then


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """One logistic model an action, and where the data allowed it one for saying nothing instead (the baseline).

    `weights` and `baseline_weights` have the shape (actions, columns), the rest (actions,). The probability of the
    outcome is `1 / (1 + exp(-(weights @ x + bias)))`; a baseline is valid only where `has_baseline` is true.

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

    def aligned(self, action_ids: Sequence[str], priors: npt.ArrayLike) -> Scorer:
        """Arrange the models in the order of a strategy's actions; an action that no model knows gets its prior."""
        position = {action: i for i, action in enumerate(self.actions)}
        rows = [position.get(action) for action in action_ids]
        modelled = tuple(row is not None for row in rows)
        baselines = tuple(row is not None and bool(self.has_baseline[row]) for row in rows)
        said = _negated(self.weights, self.bias, rows)
        silent = _negated(self.baseline_weights, self.baseline_bias, rows) if any(baselines) else None
        return Scorer(
            modelled,
            baselines,
            said[0] if silent is None else np.concatenate((said[0], silent[0])),
            said[1] if silent is None else np.concatenate((said[1], np.where(baselines, silent[1], np.nan))),
            None if all(modelled) else ~np.array(modelled, dtype=bool),
            np.array(priors, dtype=np.float64),
            np.full(len(rows), np.nan),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """Scores all actions of a strategy at once, with and without being said.

    `modelled` and `baselines` say for which actions a model and a baseline exist. The arrays hold the negated weights
    and biases of all models, baselines below, so that one product scores both.
    """

    modelled: tuple[bool, ...]
    baselines: tuple[bool, ...]
    _weights: Floats
    _bias: Floats
    _unmodelled: Flags | None
    _priors: Floats
    _no_baseline: Floats

    def score(self, x: Floats) -> tuple[Floats, Floats]:
        """Return P(outcome | said) and P(outcome | nothing said) for every action, given a row of shape (columns,).

        The first is the prior where no model knows the action; the second is NaN where there is no baseline. Both have
        the shape (actions,), and the caller only reads them.
        """
        odds = self._weights.dot(x)  # against the outcome, as a logarithm
        odds += self._bias
        np.minimum(odds, _STEEPEST, out=odds)
        np.exp(odds, odds)
        odds += 1.0
        np.reciprocal(odds, odds)
        said = odds[: len(self.modelled)]
        if self._unmodelled is not None:
            np.copyto(said, self._priors, where=self._unmodelled)
        return said, self._no_baseline if len(said) == len(odds) else odds[len(said) :]


def _negated(weights: Floats, bias: Floats, rows: Sequence[int | None]) -> tuple[Floats, Floats]:
    """Return the rows in the wanted order with the sign turned, zeros where there is no model."""
    arranged = np.zeros((len(rows), weights.shape[1])), np.zeros(len(rows))
    for place, row in enumerate(rows):
        if row is not None:
            arranged[0][place], arranged[1][place] = -weights[row], -bias[row]
    return arranged
