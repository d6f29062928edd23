"""Ridge regressions: as strong as other customers' rows ask for, and rather too strong than too weak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .sums import Line, Sums, total

Floats = npt.NDArray[np.float64]

STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e9)
"""The L2 penalties that are tried, for columns of spread 1, counted in rows; the last one leaves only the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The regressions of all strengths over all rows, those over all but one part, and by how much these miss it.

    `lines` holds one a strength, `without` the same a part; `errors` has the shape (parts, strengths).
    """

    lines: Sequence[Line]
    without: Sequence[Sequence[Line]]
    errors: Floats


def path(parts: Sequence[Sums]) -> Path:
    """Return the regressions of all strengths."""
    whole = total(parts)
    without = [ridges(whole - part) for part in parts]
    errors = [[part.error(line) for line in lines] for part, lines in zip(parts, without, strict=True)]
    return Path(ridges(whole), without, np.array(errors))


def ridges(sums: Sums) -> list[Line]:
    """Return the ridge regression of each strength; the mean itself is never shrunk."""
    mean, centre = sums.means()
    return [Line(weights, mean - float(weights @ centre)) for weights in shrunk(*sums.centred())]


def shrunk(products: Floats, aims: Floats) -> list[Floats]:
    """Solve (products + strength) weights = aims for each strength."""
    spread, axes = np.linalg.eigh(products)
    along = axes.T @ aims
    return [axes @ (along / (np.maximum(spread, 0.0) + strength)) for strength in STRENGTHS]


def strength_of(errors: Sequence[Floats]) -> int:
    """Return the place of the strength to take for several regressions, given the errors of each, (parts, strengths).

    One alone has too few rows to tell. Of the strengths that are not worse by more than one standard error on customers
    who were not learned from, it is the strongest: noise is taken for structure more often than structure for noise.
    """
    together = np.sum(errors, axis=0)
    worse = together - together[:, [int(together.sum(axis=0).argmin())]]
    sure = worse.std(axis=0, ddof=1) * np.sqrt(len(worse))
    return int(np.flatnonzero(worse.sum(axis=0) <= sure).max())
