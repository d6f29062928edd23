"""Three ways to learn what saying an action earns over saying nothing, each linear in what is known.

    two models      one of those who were told, one of those who were told nothing; the difference of both
    single model    one of all, with a part of its own for those who were told: what is common is learned once
    doubly robust   two models, corrected by what they miss times 1 / probability, and then learned again as one
    mean            of these three: where data cannot tell them apart it depends least on how the noise fell

The first is the plainest. The last is right where either the models or the logged probabilities are (Kennedy: Towards
optimal doubly robust estimation of heterogeneous causal effects, 2020): it learns the difference itself, which is often
simpler than what it is the difference of. Nobody is told by models that saw this person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from .ridges import STRENGTHS, Path, path, shrunk, strength_of
from .sums import Line, Sums, in_parts, mean_of, total

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

HEAVIEST = 200.0
"""No row corrects for more than so many others, however improbable what was said there was."""


class Learner(StrEnum):
    """How uplift is learned; the module says what each one is."""

    TWO_MODELS = "two_models"
    SINGLE_MODEL = "single_model"
    DOUBLY_ROBUST = "doubly_robust"
    MEAN = "mean"


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Rows of one action against nothing: `x` (n, columns) of spread about 1, and what came of it in `y` (n,).

    `said` and `silent` (n,) flag the rows where the action or nothing was said and y is known. `probability` (n,) is
    that of what was said. `part` (n,) is the part of the row's customer.
    """

    x: Floats
    y: Floats
    said: Flags
    silent: Flags
    probability: Floats
    part: Whole

    def sums(self, rows: Flags) -> tuple[Sums, ...]:
        """Return the sums of some rows in parts."""
        return in_parts(self.x[rows], self.y[rows], self.part[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """What was learned of one action: a model of the uplift, and how strong the penalties were."""

    line: Line
    strengths: tuple[float, ...]


def learned(contrasts: Sequence[Contrast], learner: Learner) -> list[Difference]:
    """Learn the uplift of each action over nothing; how strong the penalties are is told by all of them together."""
    return _LEARN[learner](contrasts) if contrasts else []


def _two_models(contrasts: Sequence[Contrast]) -> list[Difference]:
    said, silent = _outcomes(contrasts)
    strengths = STRENGTHS[said.place], STRENGTHS[silent.place]
    return [Difference(told.less(untold), strengths) for told, untold in zip(said.lines(), silent.lines(), strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Regressions of one strength, by its place."""

    paths: Sequence[Path]
    place: int

    @classmethod
    def of(cls, parts: Iterable[Sequence[Sums]]) -> Fitted:
        """Fit each of these, all with the strength that serves them best together."""
        paths = [path(one) for one in parts]
        return cls(paths, strength_of([one.errors for one in paths]))

    def lines(self) -> list[Line]:
        """Return what was learned of each from all rows."""
        return [one.lines[self.place] for one in self.paths]

    def unseen(self, number: int, contrast: Contrast) -> Floats:
        """Return what one says of rows whose customers it never saw."""
        told = np.empty(len(contrast.y))
        for part, lines in enumerate(self.paths[number].without):
            rows = contrast.part == part
            told[rows] = lines[self.place].of(contrast.x[rows])
        return told


def _outcomes(contrasts: Sequence[Contrast]) -> tuple[Fitted, Fitted]:
    """Return the models of those who were told, and of those who were told nothing."""
    said, silent = ([c.sums(c.said) for c in contrasts], [c.sums(c.silent) for c in contrasts])
    return Fitted.of(said), Fitted.of(silent)


def _single_model(contrasts: Sequence[Contrast]) -> list[Difference]:
    sums = [(c.sums(c.said), c.sums(c.silent)) for c in contrasts]
    wholes = [(total(said), total(silent)) for said, silent in sums]
    errors = []
    for (told, untold), parts in zip(wholes, sums, strict=True):
        left = [(_pairs(told - one, untold - other), one, other) for one, other in zip(*parts, strict=True)]
        errors.append(np.array([[one.error(a) + other.error(b) for a, b in pairs] for pairs, one, other in left]))
    place = strength_of(errors)
    pairs = [_pairs(*whole)[place] for whole in wholes]
    return [Difference(told.less(untold), (STRENGTHS[place],)) for told, untold in pairs]


def _pairs(said: Sums, silent: Sums) -> list[tuple[Line, Line]]:
    """Return what one model says of those told and of those not, for each strength; neither mean is shrunk.

    The model is `common @ x + own @ x where told`, with one penalty for both.
    """
    (told, told_aims), (untold, untold_aims) = said.centred(), silent.centred()
    products = np.block([[told + untold, told], [told, told]])
    (mean, centre), (silent_mean, silent_centre) = said.means(), silent.means()
    found = []
    for weights in shrunk(products, np.concatenate((told_aims + untold_aims, told_aims))):
        common, own = np.split(weights, 2)
        both = common + own
        found.append(
            (Line(both, mean - float(both @ centre)), Line(common, silent_mean - float(common @ silent_centre)))
        )
    return found


def _doubly_robust(contrasts: Sequence[Contrast]) -> list[Difference]:
    said, silent = _outcomes(contrasts)
    differences = []
    for number, contrast in enumerate(contrasts):
        told, untold = said.unseen(number, contrast), silent.unseen(number, contrast)
        weight = np.minimum(1.0 / contrast.probability, HEAVIEST)
        missed = weight * (contrast.y - np.where(contrast.said, told, untold))
        missed = np.where(contrast.said, missed, 0.0) - np.where(contrast.silent, missed, 0.0)
        differences.append(in_parts(contrast.x, told - untold + missed, contrast.part))
    again = Fitted.of(differences)
    strengths = tuple(STRENGTHS[fitted.place] for fitted in (said, silent, again))
    return [Difference(line, strengths) for line in again.lines()]


def _mean(contrasts: Sequence[Contrast]) -> list[Difference]:
    each = [_two_models(contrasts), _single_model(contrasts), _doubly_robust(contrasts)]
    return [
        Difference(mean_of([one.line for one in of_action]), tuple(s for one in of_action for s in one.strengths))
        for of_action in zip(*each, strict=True)
    ]


_LEARN = {
    Learner.TWO_MODELS: _two_models,
    Learner.SINGLE_MODEL: _single_model,
    Learner.DOUBLY_ROBUST: _doubly_robust,
    Learner.MEAN: _mean,
}
