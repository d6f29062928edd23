"""How many workers there are, and on which core each runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.config import SettingRefused, read_settings
from service.workers.seat import MOST_WORKERS, Seat, core_of, cores, one_a_core

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares a port out among processes")


def test_a_service_is_one_process_unless_told_otherwise() -> None:
    """Without a word there is one worker, which is number 1, and it runs on any core."""
    settings = read_settings({}, {})
    assert (settings.workers, settings.seat.number, settings.pin) == (1, 1, False)


@LINUX
def test_auto_is_one_worker_a_core() -> None:
    """Only the cores that this process may use count."""
    all_cores = os.sched_getaffinity(0)
    try:
        assert read_settings({"workers": "auto"}, {}).workers == len(all_cores)
        os.sched_setaffinity(0, {max(all_cores)})
        assert read_settings({}, {"TACT_WORKERS": "auto"}).workers == 1
        assert cores() == (max(all_cores),)
    finally:
        os.sched_setaffinity(0, all_cores)


@LINUX
@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({"a/b": "150000 100000"}, 2),
        ({"a/b": "max 100000", "a": "300000 100000"}, 3),
        ({"a/b": "50000 100000", "": "300000 100000"}, 1),
        ({"a/b": "max 100000"}, 8),
        ({"a/b": "1200000 100000"}, 8),
        ({"a/b": "what is this"}, 8),
        ({"c": "100000 100000"}, 8),
        ({}, 8),
    ],
)
def test_auto_counts_the_cores_that_a_container_may_use_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], wanted: int
) -> None:
    """On eight cores, a container with the time of two has two workers; the narrowest limit above it counts."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    for group, limit in limits.items():
        (tmp_path / "tree" / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / group / "cpu.max").write_text(f"{limit}\n")
    groups = tmp_path / "groups"
    assert one_a_core(groups, tmp_path / "tree") == 8
    for text in ("3:cpu:/a/b\n0::/a/b\n", "0::/a/b"):
        groups.write_text(text)
        assert one_a_core(groups, tmp_path / "tree") == wanted
    groups.write_text("3:cpu:/a/b\n")
    assert one_a_core(groups, tmp_path / "tree") == 8


@LINUX
def test_auto_is_never_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine of more cores than there may be workers, there are as many as may be."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(400)))
    assert one_a_core(tmp_path / "none", tmp_path) == MOST_WORKERS


@LINUX
def test_settings_are_taken_as_they_are_said() -> None:
    """A number of workers, and whether they are pinned, come from flags or variables."""
    settings = read_settings({"workers": "256", "pin": True}, {"TACT_WORKERS": "2"})
    assert (settings.workers, settings.pin) == (256, True)
    assert read_settings({}, {"TACT_WORKERS": "3", "TACT_PIN": "yes"}).pin


def test_elsewhere_several_workers_are_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no port is shared out among processes, that is said, and not found out under load."""
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SettingRefused, match="--workers: '2'; write 1: only Linux"):
        read_settings({"workers": "2"}, {})
    assert read_settings({"workers": "1"}, {}).workers == 1


def test_workers_take_the_cores_in_turn() -> None:
    """One after the other, and from the first again where there are more workers than cores."""
    allowed = cores()
    taken = [core_of(Seat(number)) for number in range(1, 2 * len(allowed) + 1)]
    assert taken == [*allowed, *allowed]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells it there")
def test_memory_is_counted() -> None:
    """What a process holds grows by what it takes."""
    said = (
        "import os; from service.workers.seat import memory_bytes; before = memory_bytes();"
        " taken = bytearray(os.urandom(1)) * 30_000_000; print(memory_bytes() - before)"
    )
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert 27_000_000 < int(ran.stdout) < 45_000_000
