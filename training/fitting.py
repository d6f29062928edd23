"""What all learners of outcomes share: how much is needed, which strengths are tried, and how missing consent looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

STRENGTHS = (0.0001, 0.001, 0.01, 0.1, 1.0)
"""The values of C, the inverse of the L2 penalty's strength, that are tried."""

FEWEST_ROWS = 100
FEWEST_OF_EACH = 10
HELD_OUT = 0.2

_MASKED = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """What was known (rows, columns) and whether the outcome happened (rows,), oldest first."""

    x: Floats
    y: Floats

    def part(self, places: Places | slice) -> Examples:
        """Return some of the rows."""
        return Examples(self.x[places], self.y[places])

    def lack(self) -> str:
        """Say in words why nothing can be learned from this, or return an empty text."""
        outcomes = int(self.y.sum())
        if len(self.y) < FEWEST_ROWS:
            return f"{len(self.y)} rows; {FEWEST_ROWS} are needed"
        if min(outcomes, len(self.y) - outcomes) < FEWEST_OF_EACH:
            return f"{outcomes} outcomes in {len(self.y)} rows; {FEWEST_OF_EACH} with and without are needed"
        return ""


@dataclass(frozen=True, slots=True, eq=False)
class Blind:
    """Which columns become 0 and which 1 when a customer has not agreed to one purpose."""

    zeros: tuple[int, ...]
    ones: tuple[int, ...]


def blinded(examples: Examples, blind: Blind, rng: np.random.Generator) -> Examples:
    """Return a random tenth of the rows as they would look without a purpose's consent."""
    some = examples.part(np.flatnonzero(rng.random(len(examples.y)) < _MASKED))
    some.x[:, blind.zeros] = 0.0
    some.x[:, blind.ones] = 1.0
    return some


def blinds_of(columns: Sequence[str], purposes: Sequence[tuple[str, ...]]) -> Iterator[Blind]:
    """Yield which columns each purpose darkens, given the columns of its fields, without those that darken none."""
    for dark in purposes:
        places = [i for i, column in enumerate(columns) if column in dark]
        if places:
            ones = tuple(i for i in places if columns[i].endswith("?"))
            yield Blind(tuple(i for i in places if i not in ones), ones)
