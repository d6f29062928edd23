"""Population stability: how far what is known of customers has moved, field by field.

The index of a field is `Σ (p − q) × ln(p / q)` over bins, q the shares then and p the shares now: a number has a bin
for each tenth of then and one for unknown, a text one for each value. By an old habit 0.1 is little and 0.25 is much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .seen import Floats, Whole

Places = npt.NDArray[np.intp]

MUCH = 0.25
"""From this index on a field counts as moved, unless so few people were seen that chance explains it."""

_TENTHS = np.linspace(0.1, 0.9, 9)
_HALF = 0.5  # is added to each bin: an empty one must not make the index infinite
_BY_CHANCE = 1e-6


@dataclass(frozen=True, slots=True, order=True)
class Moved:
    """A field's index, and the one from which it counts as moved, given how many people were seen."""

    field: str
    index: float
    limit: float

    @property
    def much(self) -> bool:
        """Tell whether it moved much, and not by chance."""
        return self.index >= self.limit


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """How what was known then was spread: the bins of each field and the share of each; `people` were seen."""

    binnings: tuple[_Binning, ...]
    shares: tuple[Floats, ...]
    people: int

    @classmethod
    def of(cls, columns: Sequence[str], x: Floats, customer: Whole) -> Population:
        """Learn the bins from rows (rows, columns)."""
        binnings = tuple(_Binning.of(name, places, x) for name, places in fields_of(columns).items())
        return cls(binnings, tuple(one.counts(x) for one in binnings), len(np.unique(customer)))

    def moved(self, x: Floats, customer: Whole) -> tuple[Moved, ...]:
        """Return how far each field has moved in other rows, the furthest first."""
        people = len(np.unique(customer))
        found = []
        for binning, then in zip(self.binnings, self.shares, strict=True):
            index = _index(then, binning.counts(x))
            limit = max(MUCH, _by_chance(len(then) - 1, self.people, people))
            found.append(Moved(binning.field, index, limit))
        return tuple(sorted(found, key=lambda one: (-one.index, one.field)))


def fields_of(columns: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Return the places of each field's columns, by the names that `FeatureSpace` gives them."""
    found: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        field = column.partition("=")[0].removesuffix("?").removesuffix(":days")
        found.setdefault(field, []).append(place)
    return {field: tuple(places) for field, places in found.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Binning:
    """Bins of one field: `edges` between those of its number, or None where it is a text; `flags` are 0 or 1."""

    field: str
    number: int
    edges: Floats | None
    flags: tuple[int, ...]

    @classmethod
    def of(cls, field: str, places: tuple[int, ...], x: Floats) -> _Binning:
        number, *flags = places
        if len(flags) > 1 or not len(x):
            return cls(field, -1, None, places)
        known = x[:, number] if not flags else x[x[:, flags[0]] == 0.0, number]
        edges = np.unique(np.quantile(known, _TENTHS)) if len(known) else np.empty(0)
        return cls(field, number, edges, tuple(flags))

    def counts(self, x: Floats) -> Floats:
        """Return how many rows are in each bin, half of one more in each."""
        unknown = x[:, list(self.flags)].sum(axis=0)
        if self.edges is None:
            return _HALF + np.append(unknown, len(x) - unknown.sum())
        known = x[:, self.number] if not self.flags else x[x[:, self.flags[0]] == 0.0, self.number]
        bins = np.bincount(np.searchsorted(self.edges, known), minlength=len(self.edges) + 1)
        return _HALF + np.append(bins, unknown)


def _index(then: Floats, now: Floats) -> float:
    q, p = then / then.sum(), now / now.sum()
    return float(((p - q) * np.log(p / q)).sum())


def _by_chance(freedom: int, then: int, now: int) -> float:
    """Return the index that chance alone hardly reaches: n × m / (n + m) times it follows chi-squared."""
    from scipy.stats import chi2

    if not then or not now:
        return float("inf")
    return float(chi2.isf(_BY_CHANCE, max(freedom, 1))) * (then + now) / (then * now)
