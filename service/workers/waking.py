"""Try out at the start how soon Linux wakes a process on its cores, as `batch` and as `normal`.

SCHED_BATCH saves switches as it does not interrupt whoever runs. On a core that another process keeps busy it therefore
waits for that one's turn to end, milliseconds instead of microseconds: that is what is measured.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

ROUNDS = 40
NAP_S = 0.001
LATE_S = 0.0005
"""How much later than as `normal` a batch process may wake: less than an answer takes."""
MOST_CORES = 4
"""On how many cores it is tried, so that it does not take long."""
SEVERAL = ROUNDS // 10
"""How many of the wakings as `batch` must be late, and more than as `normal`: one alone may be chance."""


def waits_as_batch() -> bool:
    """Tell whether this process, as things are now, waits for others when it is scheduled as `batch`, or cannot be it.

    Takes a tenth of a second, and leaves the process scheduled as it was.
    """
    before = os.sched_getscheduler(0)
    try:
        return is_late(*_naps(time.perf_counter))
    except OSError:  # some containers forbid it
        return True
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, before, os.sched_param(0))


def may_be_batch(cores: Sequence[int] = (), waits: Callable[[], bool] = waits_as_batch) -> bool:
    """Tell whether `batch` is of use as things are now: `waits` is asked on each of the first few of these cores, or,
    without any, wherever Linux puts this process, which is left where it was.

    What was started as neither `batch` nor `normal`, such as by `chrt`, somebody has chosen: it is left as it is.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) not in (os.SCHED_OTHER, os.SCHED_BATCH):
        return False
    if not cores:
        return not waits()
    allowed = os.sched_getaffinity(0)
    try:
        return not any(_on(core, waits) for core in cores[:MOST_CORES])
    finally:
        os.sched_setaffinity(0, allowed)


def _on(core: int, waits: Callable[[], bool]) -> bool:
    os.sched_setaffinity(0, {core})
    return waits()


def is_late(batch: list[float], normal: list[float]) -> bool:
    """Tell whether naps as `batch` were overslept (s) clearly more often than as `normal`."""
    late = [sum(one > NAP_S + LATE_S for one in naps) for naps in (batch, normal)]
    return late[0] >= late[1] + SEVERAL


def _naps(now: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Return how long short naps took as `batch` and as `normal`, taken by turns."""
    naps: tuple[list[float], list[float]] = [], []
    for turn in range(2 * ROUNDS):
        os.sched_setscheduler(0, (os.SCHED_BATCH, os.SCHED_OTHER)[turn % 2], os.sched_param(0))
        began = now()
        time.sleep(NAP_S)
        naps[turn % 2].append(now() - began)
    return naps
