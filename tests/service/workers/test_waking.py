"""Whether `batch` makes a process wait is tried out at the start, and the process is left as it was."""

from __future__ import annotations

import os
import sys

import pytest

from service.config import Scheduling
from service.scheduling import chosen
from service.workers.waking import NAP_S, ROUNDS, is_late, waits_as_batch

SOON, LATE = NAP_S + 0.0001, NAP_S + 0.002


@pytest.mark.parametrize(
    ("batch", "normal", "late"),
    [
        (0, 0, False),
        (1, 0, False),
        (3, 0, False),
        (4, 0, True),
        (10, 7, False),
        (10, 2, True),
        (ROUNDS, ROUNDS, False),
        (0, ROUNDS, False),
    ],
)
def test_it_is_late_where_it_clearly_wakes_later_as_batch(batch: int, normal: int, late: bool) -> None:
    """A few late naps may be chance, and a machine on which all naps are late is no reason against batch."""

    def naps(late: int) -> list[float]:
        return [LATE] * late + [SOON] * (ROUNDS - late)

    assert is_late(naps(batch), naps(normal)) is late


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has SCHED_BATCH")
@pytest.mark.parametrize("policy", ["SCHED_OTHER", "SCHED_BATCH"])
def test_the_process_is_left_as_it_was(policy: str) -> None:
    """Whatever it was scheduled as before, it is afterwards."""
    before = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, getattr(os, policy), os.sched_param(0))
        waits_as_batch()
        assert os.sched_getscheduler(0) == getattr(os, policy)
    finally:
        os.sched_setscheduler(0, before, os.sched_param(0))


@pytest.mark.parametrize("asked", [Scheduling.BATCH, Scheduling.NORMAL])
def test_what_is_asked_for_is_taken(asked: Scheduling) -> None:
    """Only `auto` is tried out."""
    assert chosen(asked) is asked
    assert chosen(Scheduling.AUTO) is not Scheduling.AUTO
