"""What is read from a process at one moment: families of numbers, in a form that any way out can write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from typing import TypeAlias

from service.telemetry.spreads import BOUNDS_NS, Exemplar, Spread

Labels: TypeAlias = tuple[tuple[str, str], ...]


class Kind(StrEnum):
    """What can be done with the numbers of a family."""

    COUNTER = "counter"
    GAUGE = "gauge"
    INFO = "info"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Point:
    """One number."""

    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class Spreading:
    """How something spreads, in buckets of which `each` are told as one; with examples by the number of the bucket."""

    labels: Labels
    spread: Spread
    each: int = 1
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)

    def steps(self) -> Iterator[tuple[int, int]]:
        """Return the number of each bucket that is told, the endless one last, and how many are in it or below."""
        below = tuple(accumulate(self.spread.counts))
        told = (*range(0, len(BOUNDS_NS), self.each), len(BOUNDS_NS))
        return zip(told, map(below.__getitem__, told), strict=True)


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one name: what kind they are, their unit (`s`, `By`, `{…}` or none) and what they say."""

    name: str
    kind: Kind
    unit: str
    says: str
    points: tuple[Point, ...] = ()
    spreads: tuple[Spreading, ...] = ()
