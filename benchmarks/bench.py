"""The bench that sections run on: how long and how often to measure, one world for all, and the load generator."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from benchmarks import h2load, loadgen
from benchmarks.evidence import faultless
from benchmarks.processes import Pinned
from benchmarks.section import NotMeasured, turned
from benchmarks.stage import CLIENT_CORE, Size, Stage

T = TypeVar("T")
LEAST_S = 5.0  # nothing is measured in less


@dataclass(frozen=True, slots=True)
class Plan:
    """How often and how long is measured, in calls open at once and in the world that there is.

    `within_s` bounds all sections together: one that takes longer is stopped, and the report says so.
    """

    quick: bool = False
    rounds: int = 5
    seconds: float = 3.0
    warmup_s: float = 0.5
    in_flight: tuple[int, ...] = (8, 64)
    size: Size = field(default_factory=Size)
    soak_s: float = 0.0
    within_s: float | None = None

    @classmethod
    def short(cls) -> Plan:
        """Return the plan of a quick run."""
        return cls(
            quick=True, rounds=2, seconds=0.6, warmup_s=0.2, size=Size(customers=600, requests=5000), within_s=165.0
        )


class Workbench:
    """What sections share, from `with` to its end; see `section.Bench`."""

    kept = loadgen.BUILT.parent

    def __init__(self, folder: Path, plan: Plan, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.plan = plan
        self.quick, self.rounds, self.in_flight = plan.quick, plan.rounds, plan.in_flight
        self.seconds, self.warmup_s, self.soak_s = plan.seconds, plan.warmup_s, plan.soak_s
        self._say = say
        self._open = ExitStack()
        self._began = time.monotonic()
        self._stage: tuple[Size, Stage] | None = None

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    @cached_property
    def program(self) -> Path:
        """The load generator, built when it is first asked for."""
        return loadgen.build()

    @cached_property
    def client(self) -> str:
        """What makes the calls: `load`, in C++, or `h2load` where that cannot be built; raise `CannotBuild`."""
        if not (lacking := loadgen.missing()):
            return "load"
        if not h2load.is_there():
            raise loadgen.CannotBuild(
                f"Nothing to make calls with: {lacking}; and there is no h2load either (Debian: nghttp2-client)."
            )
        self.say(f"{lacking}; h2load makes the calls instead: one request over and over, no schedule")
        return "h2load"

    def say(self, text: str) -> None:
        """Tell whoever waits how far it is."""
        self._say(text)

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """Raise `NotMeasured` as soon as the time of the whole run is up; only in the main thread."""
        within_s = self.plan.within_s
        if within_s is None:
            yield
            return
        left_s = within_s - (time.monotonic() - self._began)

        def stop(number: int, frame: FrameType | None) -> None:
            raise NotMeasured(f"the {within_s:.0f} s of a quick run were over")

        if left_s < LEAST_S:
            stop(signal.SIGALRM, None)
        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, left_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextmanager
    def stage(self, size: Size | None = None) -> Iterator[Stage]:
        """Give the world of a size, of the plan's unless named; it stays until one of another size is wanted.

        Its customers are as they were loaded.
        """
        size = size or self.plan.size
        if self._stage is None or self._stage[0] != size:
            self._open.close()
            self._stage = None
            folder = self.folder / f"stage-{time.monotonic_ns()}"
            folder.mkdir()
            self._stage = size, self._open.enter_context(Stage(folder, size, self._say))
        else:
            self._stage[1].put_back()
        yield self._stage[1]

    def drive(self, server: Pinned, method: str, requests: Path, **load: Any) -> loadgen.Measured:  # noqa: ANN401 - see loadgen.Load
        """Load a server from the client's core; raise `NotDecided` unless all calls were answered with OK."""
        asked = loadgen.Load(
            server.target, method, requests, **{"seconds": self.seconds, "warmup_s": self.warmup_s, **load}
        )
        if self.client == "load":
            measured = loadgen.drive(self.program, asked, core=CLIENT_CORE)
        else:
            measured = h2load.drive(asked, core=CLIENT_CORE)
        faultless(measured, f"{method} with {asked.in_flight} in flight")
        return measured

    def interleaved(
        self, subjects: Mapping[str, Callable[[], T]], rounds: int | None = None
    ) -> dict[str, tuple[T, ...]]:
        """Measure each subject once a round, every second round in the other order; return their values by round."""
        found: dict[str, list[T]] = {name: [] for name in subjects}
        for _, name in turned(tuple(subjects), rounds or self.rounds):
            found[name].append(subjects[name]())
        return {name: tuple(values) for name, values in found.items()}
