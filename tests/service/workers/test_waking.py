"""Whether `batch` makes a process wait is tried out at the start, and the process is left as it was."""

from __future__ import annotations

import os
import sys

import pytest

from service.config import Scheduling
from service.scheduling import chosen
from service.workers.seat import cores, cores_of
from service.workers.waking import MOST_CORES, NAP_S, ROUNDS, is_late, may_be_batch, waits_as_batch

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has SCHED_BATCH")
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


@LINUX
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


@LINUX
def test_where_it_is_forbidden_nothing_is_said_to_be_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container that lets nobody choose, the service starts, and says what it is scheduled as."""

    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    assert chosen(Scheduling.AUTO) is Scheduling.NORMAL


@LINUX
@pytest.mark.parametrize("policy", ["SCHED_IDLE", "SCHED_FIFO"])
def test_what_somebody_chose_for_it_stays(monkeypatch: pytest.MonkeyPatch, policy: str) -> None:
    """A service that was started by `chrt` starts, and its workers are scheduled as it is."""
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: getattr(os, policy))
    assert not may_be_batch((), lambda: False)
    assert chosen(Scheduling.AUTO) is Scheduling.NORMAL


@LINUX
@pytest.mark.parametrize("busy", [None, 0, -1])
def test_it_is_tried_on_the_cores_where_workers_will_be(busy: int | None) -> None:
    """Pinned workers cannot evade a busy neighbour on one of their cores, so that each is tried; then any will do."""
    before, tried = os.sched_getaffinity(0), list[set[int]]()
    places = cores_of(2)

    def waits() -> bool:
        tried.append(os.sched_getaffinity(0))
        return busy is not None and tried[-1] == {places[busy]}

    assert may_be_batch(places, waits) is (busy is None)
    assert tried == [{core} for core in places][: len(tried)]
    assert len(tried) == (1 if busy == 0 else len(places))
    assert os.sched_getaffinity(0) == before


@LINUX
def test_a_try_on_many_cores_ends_soon() -> None:
    """Of many cores a few are tried; without any named, the process runs where it may."""
    tried = list[set[int]]()

    def waits() -> bool:
        tried.append(os.sched_getaffinity(0))
        return False

    assert may_be_batch(cores()[:1] * 100, waits)
    assert len(tried) == MOST_CORES
    assert may_be_batch((), waits)
    assert tried[-1] == os.sched_getaffinity(0)


@pytest.mark.parametrize("asked", [Scheduling.BATCH, Scheduling.NORMAL])
def test_what_is_asked_for_is_taken(asked: Scheduling) -> None:
    """Only `auto` is tried out."""
    assert chosen(asked) is asked
    assert chosen(Scheduling.AUTO) is not Scheduling.AUTO
