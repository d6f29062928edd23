"""Read everything that is counted and measured, as families."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.telemetry.counts import COUNTED, Counts
from service.telemetry.families import Family, Kind, Point, Spreading
from service.telemetry.spreads import Durations, Lags

STAGE_BUCKETS = 2
"""Stages are many, so their buckets are told in pairs: each twice as wide as the one before."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What is in force: the strategy, the model and the challenger; empty where there is none."""

    strategy: str = ""
    model: str = ""
    challenger: str = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything that a process measures. May be read from any thread."""

    counts: Counts
    durations: Durations
    lags: Lags
    versions: Callable[[], Versions]
    store_away: Callable[[], bool]
    admission: Callable[[], tuple[Family, ...]] = tuple

    def families(self) -> tuple[Family, ...]:
        """Return the numbers of now."""
        return (*self._durations(), *self._states(), *self.admission(), *self._counted(), *_process())

    def _durations(self) -> Iterator[Family]:
        whole = tuple(
            Spreading((("channel", channel),), spread, exemplars=exemplars)
            for channel, spread, exemplars in self.durations.whole()
        )
        stages = tuple(
            Spreading((("channel", channel), ("stage", stage)), spread, STAGE_BUCKETS)
            for channel, stage, spread in self.durations.stages()
        )
        lags = (Spreading((), self.lags.spread(), STAGE_BUCKETS),)
        yield Family("tact.decide.duration", Kind.HISTOGRAM, "s", "How long decisions took.", spreads=whole)
        yield Family("tact.decide.stage.duration", Kind.HISTOGRAM, "s", "How long their stages took.", spreads=stages)
        yield Family("tact.loop.lag", Kind.HISTOGRAM, "s", "How late the event loop does what is due.", spreads=lags)

    def _states(self) -> Iterator[Family]:
        versions = self.versions()
        named = (("strategy", versions.strategy), ("model", versions.model), ("challenger", versions.challenger))
        yield Family("tact.version", Kind.INFO, "", "The versions in force.", (Point(named, 1),))
        away = (Point((), int(self.store_away())),)
        yield Family("tact.store.away", Kind.GAUGE, "", "1 while the store cannot be reached, else 0.", away)

    def _counted(self) -> Iterator[Family]:
        told = self.counts.told()
        for count in COUNTED:
            points = tuple(
                Point(((count.label, label),) if count.label else (), number)
                for label, number in sorted({**dict.fromkeys(count.known, 0), **told[count.name]}.items())
            )
            yield Family(f"tact.{count.name}", Kind.COUNTER, count.unit, count.says, points)


def _process() -> Iterator[Family]:
    cpu = (Point((), time.process_time()),)
    yield Family("process.cpu", Kind.COUNTER, "s", "Processor time that this process used.", cpu)
    memory = (Point((), _resident_bytes()),)
    yield Family("process.resident.memory", Kind.GAUGE, "By", "Memory that this process holds.", memory)
    if (descriptors := _open_descriptors()) is not None:
        yield Family("process.open.fds", Kind.GAUGE, "", "Descriptors that are open.", (Point((), descriptors),))


def _resident_bytes() -> int:
    """Return the memory of now; where the system does not tell, the most that it ever was."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _open_descriptors() -> int | None:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return None
