"""Which worker a process is, and on which core it runs."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOST_WORKERS = 256


@dataclass(frozen=True, slots=True)
class Seat:
    """Which of several workers a process is: its number, from 1, and how often a worker with this number was started.

    `guarded` names the guardrails of a strategy that was in force in a worker of this service: from then on none
    without any comes into force.
    """

    number: int = 1
    starts: int = 1
    guarded: tuple[str, ...] = ()


def cores() -> tuple[int, ...]:
    """Return the numbers of the cores that this process may use, in order; at least one."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def one_a_core(groups: Path = Path("/proc/self/cgroup"), tree: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many workers there are to be with one a core: no more than may run at once by the limits of this
    process's control groups, as containers have them (`groups` names its own, `tree` holds them all).
    """
    limits = [math.ceil(limit) for limit in _limits(groups, tree)]
    return max(1, min(len(cores()), MOST_WORKERS, *limits))


def _limits(groups: Path, tree: Path) -> Iterator[float]:
    """Give the cores' time that each group above this process is allowed; one without a limit tells none."""
    with suppress(OSError):
        for own in (line[4:] for line in groups.read_text().splitlines() if line.startswith("0::/")):
            for group in (tree / own, *(tree / own).parents):
                with suppress(OSError, ValueError):
                    quota, period = (group / "cpu.max").read_text().split()
                    yield float(quota) / float(period)


def core_of(seat: Seat) -> int:
    """Return the core of a worker: one after the other, and again from the first where there are more workers."""
    allowed = cores()
    return allowed[(seat.number - 1) % len(allowed)]


def cores_of(workers: int) -> tuple[int, ...]:
    """Return the cores of so many workers, each once."""
    return cores()[:workers]


def memory_bytes() -> int:
    """Return the memory that this process holds, what it shares with others included; 0 where the system is silent."""
    try:
        resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(resident) * os.sysconf("SC_PAGE_SIZE")
