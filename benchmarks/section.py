"""What a part of the benchmark is: it runs on a bench, and says figures, bounds that hold or not, and what it left out.

A module that measures something has one `SECTION`; `benchmarks.sections` names the module. A section

- takes everything it needs from the `Bench` (the world, the load generator, rounds and seconds), and is short where
  `bench.quick`;
- measures what is compared in interleaved rounds (`bench.interleaved`), and says one value a round for each figure;
- raises `NotMeasured` where it cannot run at all, and leaves out a case in words where only that one cannot.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from benchmarks.loadgen import Measured
    from benchmarks.processes import Pinned
    from benchmarks.stage import Size, Stage

T = TypeVar("T")
Case = Mapping[str, str | int | float]
"""What was measured under which circumstances: {"actions": 100, "in_flight": 8}."""


class NotMeasured(Exception):
    """A section or one of its cases cannot be measured here: the message says why, for the report."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one subject in one case, a value a round: `Figure("decide", {"in_flight": 8}, "p99", "µs", …)`.

    A ratio names both: subject "decide / floor", unit "x", each value the ratio within one round.
    """

    subject: str
    case: Case
    measure: str
    unit: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse a figure without a value, or with one that is no number."""
        if not self.values or not all(math.isfinite(value) for value in self.values):
            raise ValueError(f"{self.subject} {self.measure}: {self.values} are no figures")

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.values)

    def over(self, other: Figure) -> Figure:
        """Return the ratio to another subject's figure, round by round."""
        pairs = zip(self.values, other.values, strict=True)
        ratios = tuple(mine / yours for mine, yours in pairs)
        return Figure(f"{self.subject} / {other.subject}", self.case, self.measure, "x", ratios)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure should be: `Bound("decide / floor, requests a second", figure.median, at_least=0.6)`."""

    says: str
    measured: float
    at_least: float = -math.inf
    at_most: float = math.inf

    @property
    def holds(self) -> bool:
        """Whether it is so."""
        return self.at_least <= self.measured <= self.at_most


@dataclass(frozen=True, slots=True)
class SectionResult:
    """What a section found. `left_out` says of each case that was not measured why; `details` is anything JSON takes.

    `notes` are sentences that a reader of the figures needs: what was sampled and seen, what a peer was asked.
    """

    figures: tuple[Figure, ...] = ()
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


class Bench(Protocol):
    """What sections share, from the beginning of a run to its end."""

    @property
    def quick(self) -> bool:
        """Whether the whole run has three minutes: one or two cases a section, few seconds each."""

    @property
    def rounds(self) -> int:
        """How often each subject is measured; at least 5 unless quick."""

    @property
    def in_flight(self) -> tuple[int, ...]:
        """Calls open at once, for what is measured at several numbers: 8 and 64."""

    @property
    def soak_s(self) -> float:
        """How long a soak is asked for; 0: not at all."""

    @property
    def seconds(self) -> float:
        """How long each window is."""

    @property
    def warmup_s(self) -> float:
        """How long the load runs before each window."""

    @property
    def folder(self) -> Path:
        """A folder for what is gone after the run; each section makes its own in it."""

    @property
    def kept(self) -> Path:
        """The folder that is kept for the next run, `.bench/`."""

    @property
    def client(self) -> str:
        """What makes the calls: `load`, or `h2load` (closed loop only, one request) where that cannot be built."""

    @property
    def program(self) -> Path:
        """The C++ load generator, built; raises `loadgen.CannotBuild` where there is none."""

    def say(self, text: str) -> None:
        """Tell whoever waits how far it is."""

    def stage(self, size: Size | None = None) -> AbstractContextManager[Stage]:
        """Give a store, a service with model and customers, and requests; the one there is, if it has that size.

        It stays up for the next section after `with`, so whoever changes it (starts the floor in another size, loads
        more) leaves it usable. `stage.serve(*options, cores=…)` starts another service on the same store.
        """

    def drive(self, server: Pinned, method: str, requests: Path, **load: Any) -> Measured:  # noqa: ANN401 - see loadgen.Load
        """Load a server from the client's core and return what was measured; raise `NotDecided` unless all were OK.

        `load` are fields of `loadgen.Load`; `seconds` and `warmup_s` are the bench's unless given.
        """

    def interleaved(
        self, subjects: Mapping[str, Callable[[], T]], rounds: int | None = None
    ) -> dict[str, tuple[T, ...]]:
        """Measure each subject once a round, every second round in the other order; return their values by round."""


class Section(Protocol):
    """A part of the benchmark."""

    name: str
    """One word: `--only` chooses by it."""

    says: str
    """What it measures, as a heading."""

    def run(self, bench: Bench) -> SectionResult:
        """Measure; raise `NotMeasured` where that is impossible here."""


def turned(subjects: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Give round and subject, with every second round turned round: what drifts weighs on none of them alone."""
    for number in range(rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            yield number, subject
