"""What a report is made of: sections of words, figures and tables; and the plain values that figures are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Cell = str | float | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts and numbers under a head; a number is written short, None as a dash."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing as an `<svg>` element, what it shows in words for those who cannot see it, and its numbers."""

    svg: str
    alt: str
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A titled part of a report; `words` are paragraphs of plain text."""

    title: str
    words: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A titled sequence of sections; `words` stand before the first one."""

    title: str
    sections: tuple[Section, ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """Probabilities of rows that a model had not seen, and what happened: two arrays of shape (rows,), 0 or 1."""

    name: str
    probability: Floats
    outcome: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A line over `x`, with an interval where `low` and `high` are given: all of shape (points,)."""

    name: str
    x: npt.ArrayLike
    y: npt.ArrayLike
    low: npt.ArrayLike | None = None
    high: npt.ArrayLike | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval, where there is one; `words` say what a reader must know beside it, a refusal say.

    An estimate that could not be made has no value, and words that say why.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """What happened to one group of people: `shares` are by name, between 0 and 1 ("said", "accepted" …)."""

    name: str
    rows: int
    shares: tuple[tuple[str, float], ...]


def reference(name: str, value: float, over: Sequence[float]) -> Curve:
    """Return a level line over the range of some points."""
    ends = np.array([min(over), max(over)], dtype=np.float64)
    return Curve(name, ends, np.full(2, value))
