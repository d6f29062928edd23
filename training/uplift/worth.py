"""Learn, for every action of a log, what saying it earns over saying nothing, or how much likelier its outcome gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.values import Values

from ..decisions import NOTHING, Decisions
from ..fitting import FEWEST_ROWS, Blind, Examples, blinded
from .learners import Contrast, Difference, Learner, learned
from .sums import part_of

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Target = Callable[[Decisions, int], Floats]
"""What came of decisions where the action of a code is compared with nothing, (n,); NaN where it is not known."""

_FLAT = 1e-9


def worth(decisions: Decisions, code: int) -> Floats:
    """Return what each decision earned."""
    return decisions.worth


def outcome(decisions: Decisions, code: int) -> Floats:
    """Return whether an action's outcome happened."""
    return decisions.happened[:, code]


@dataclass(frozen=True, slots=True, eq=False)
class Uplift:
    """What saying each action changes, linear in the columns; `left_out` says why some have no model.

    `strengths` are those of the penalties of each action that has one. `weights` has the shape (actions, columns),
    `bias`, `least` and `most` (actions,); actions by code, nothing first.
    """

    learner: Learner
    columns: tuple[str, ...]
    actions: tuple[str, ...]
    weights: Floats
    bias: Floats
    least: Floats
    most: Floats
    strengths: Mapping[str, tuple[float, ...]]
    left_out: Mapping[str, str]

    def of(self, x: Floats) -> Floats:
        """Return the uplift of every action, (n, columns) to (n, actions): 0 of nothing, NaN without a model."""
        return np.clip(x @ self.weights.T + self.bias, self.least, self.most)

    def values(self) -> Values | None:
        """Return the models as they serve, or None where there is none."""
        codes = [code for code, action in enumerate(self.actions) if action in self.strengths]
        names = tuple(self.actions[code] for code in codes)
        arrays = (array[codes] for array in (self.weights, self.bias, self.least, self.most))
        return Values(names, *arrays) if codes else None


def uplift(
    decisions: Decisions,
    learner: Learner = Learner.MEAN,
    target: Target = worth,
    blinds: Sequence[Blind] = (),
    seed: int = 0,
) -> Uplift:
    """Learn the uplift of every action over nothing, from customers who were told it and others who were told nothing.

    Some rows are also shown as they would look without each purpose's consent, as `learning.learners.Showing` does.
    """
    shown, x = _shown(decisions, blinds, seed)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > _FLAT, 1.0 / np.maximum(spread, _FLAT), 0.0)
    scaled = (x - mean) * scale
    contrasts = {
        action: _contrast(shown, scaled, code, target)
        for code, action in enumerate(decisions.actions)
        if action != NOTHING
    }
    left_out = {action: lack for action, contrast in contrasts.items() if (lack := _lack(contrast))}
    learnable = [action for action in contrasts if action not in left_out]
    differences = learned([contrasts[action] for action in learnable], learner)
    found = dict(zip(learnable, differences, strict=True))
    return _in_columns(decisions, learner, found, left_out, (x, mean, scale))


def _shown(decisions: Decisions, blinds: Sequence[Blind], seed: int) -> tuple[Decisions, Floats]:
    """Return all rows, and some of them again as they look without a purpose's consent."""
    rng = np.random.default_rng(seed)
    places = [np.arange(len(decisions))]
    seen = [decisions.x]
    for blind in blinds:
        darkened = blinded(Examples(decisions.x, places[0].astype(np.float64)), blind, rng)
        seen.append(darkened.x)
        places.append(darkened.y.astype(np.intp))
    return decisions.part(np.concatenate(places)), np.concatenate(seen)


def _contrast(shown: Decisions, x: Floats, code: int, target: Target) -> Contrast:
    y = target(shown, code)
    known = ~np.isnan(y)
    rows = shown.allowed[:, code] | (shown.action == code)
    return Contrast(
        x[rows],
        y[rows],
        (known & (shown.action == code))[rows],
        (known & (shown.action == 0))[rows],
        shown.probability[rows],
        part_of(shown.customer[rows]),
    )


def _lack(contrast: Contrast) -> str:
    """Say in words why nothing can be learned from this, or return an empty text."""
    for rows, what in ((contrast.said, "it"), (contrast.silent, "nothing where it might have been")):
        if rows.sum() < FEWEST_ROWS:
            return f"{int(rows.sum())} rows said {what}; {FEWEST_ROWS} are needed to tell what it earns over nothing"
    return ""


def _in_columns(
    decisions: Decisions,
    learner: Learner,
    found: Mapping[str, Difference],
    left_out: Mapping[str, str],
    seen: tuple[Floats, Floats, Floats],
) -> Uplift:
    """Return the models for columns as they are, held within what they say of the rows that they were learned from."""
    x, mean, scale = seen
    weights, bounds = np.zeros((len(decisions.actions), x.shape[1])), np.full((3, len(decisions.actions)), np.nan)
    bounds[:, 0] = 0.0
    for action, difference in found.items():
        code = decisions.actions.index(action)
        weights[code] = difference.line.weights * scale
        start = difference.line.bias - float(weights[code] @ mean)
        said = x @ weights[code] + start
        bounds[:, code] = start, said.min(), said.max()
    strengths = {action: difference.strengths for action, difference in found.items()}
    bias, least, most = np.asarray(bounds)
    return Uplift(learner, decisions.columns, decisions.actions, weights, bias, least, most, strengths, dict(left_out))
