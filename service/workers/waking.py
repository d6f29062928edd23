"""Try out at the start how soon Linux wakes a process on its cores, as `batch` and as `normal`.

SCHED_BATCH saves switches as it does not interrupt whoever runs. On a core that another process keeps busy it therefore
waits for that one's turn to end, milliseconds instead of microseconds: that is what is measured.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

ROUNDS = 40
NAP_S = 0.001
LATE_S = 0.0005
"""How much later than as `normal` a batch process may wake: less than an answer takes."""
SEVERAL = ROUNDS // 10
"""How many of the wakings as `batch` must be late, and more than as `normal`: one alone may be chance."""


def waits_as_batch() -> bool:
    """Tell whether this process, as things are now, waits for others when it is scheduled as `batch`.

    Takes a tenth of a second, and leaves the process scheduled as it was.
    """
    if sys.platform != "linux":
        return False
    before = os.sched_getscheduler(0)
    try:
        return is_late(*_naps(time.perf_counter))
    except OSError:  # some containers forbid it; then there is nothing to choose
        return False
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


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
