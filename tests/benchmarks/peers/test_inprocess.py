"""What answers in process is measured in turn, each in a process of its own, and what does not answer is left out."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.bench import Plan, Workbench
from benchmarks.peers import environment
from benchmarks.peers.environment import NotInstalled
from benchmarks.peers.inprocess import BANDITS, PACKAGES, bandits, result
from benchmarks.peers.ours import Ours
from benchmarks.peers.workers import DoesNotAnswer, Spent, Worker
from benchmarks.stage import SERVER_CORE

PYTHON = Path(sys.executable)
SHORT = Plan(quick=True, rounds=1, seconds=0.2)


def test_a_worker_answers_as_often_as_it_is_told(version: tuple[Path, Path], tmp_path: Path) -> None:
    """It says what it saw, runs on the server's core alone, costs CPU for each answer, and ends with its block."""
    words = ("logic", *map(str, version))
    with Worker(PYTHON, "benchmarks.peers.ours", words, SERVER_CORE, tmp_path / "log") as worker:
        spent = worker.answers(200)
        children = psutil.Process().children()
        assert [child.cpu_affinity() for child in children if "benchmarks.peers.ours" in child.cmdline()] == [[0]]
        assert worker.seen["ready"] is True
        assert worker.seen["kinds"]["offer"] > 0
        assert 1.0 < spent.cpu_us <= spent.took_us * 1.1
    assert not any(child.is_running() and "benchmarks.peers.ours" in child.cmdline() for child in children)


@pytest.mark.parametrize(
    ("module", "why"),
    [("benchmarks.peers.programs.linucb", "ModuleNotFoundError|IndexError"), ("no.such.module", "No module named")],
    ids=["without its peer", "that is not there"],
)
def test_one_that_cannot_answer_says_why(tmp_path: Path, module: str, why: str) -> None:
    """What it wrote last is the reason."""
    with (
        pytest.raises(DoesNotAnswer, match=why),
        Worker(PYTHON, module, (str(tmp_path),), SERVER_CORE, tmp_path / "log"),
    ):
        pass


def test_peers_that_are_not_installed_are_left_out_in_words(
    version: tuple[Path, Path], ours: Ours, tmp_path: Path
) -> None:
    """Without any, nothing is measured: a figure of ours alone compares with nobody."""
    with Workbench(tmp_path / "bench", SHORT) as bench:
        bench.kept = tmp_path / "kept"
        found = bandits(bench, version, ours.asked(), tmp_path / "in-process")
    assert not found.figures
    assert not found.bounds
    assert set(found.left_out) == set(BANDITS)
    assert all("make bench-peers" in why for why in found.left_out.values())


def test_one_peer_that_fails_does_not_take_the_others_along(
    version: tuple[Path, Path], ours: Ours, tmp_path: Path
) -> None:
    """A peer whose package is broken is left out with its words, as if it did not install."""
    broken = tmp_path / "kept" / "peers" / "mabwiser"
    (broken / "bin").mkdir(parents=True)
    (broken / "bin" / "python").write_text(f'#!/bin/sh\nexec {PYTHON} "$@"\n')  # which has all but the peer
    (broken / "bin" / "python").chmod(0o755)
    (broken / environment.STAMP).write_text(environment.origin("mabwiser"))
    with Workbench(tmp_path / "bench", SHORT) as bench:
        bench.kept = tmp_path / "kept"
        found = bandits(bench, version, ours.asked(), tmp_path / "in-process")
    assert "No module named 'mabwiser'" in found.left_out["mabwiser"]
    assert "make bench-peers" in found.left_out["vowpal"]


def test_a_bound_is_about_the_rounds_in_which_both_were_measured() -> None:
    """How many times cheaper we are is the median of the ratios of the rounds, to the bare steps."""
    costs = {
        "vowpal": [Spent(240.0, 250.0), Spent(500.0, 500.0), Spent(260.0, 260.0)],
        "our logic": [Spent(20.0, 21.0), Spent(50.0, 50.0), Spent(20.0, 20.0)],
    }
    found = result(100, costs, {}, {}, {"vowpal": "9.9 on Python 3.12"})
    (bound,) = found.bounds
    assert (bound.measured, bound.at_least, bound.holds) == (12.0, 12.0, True)
    assert [figure.subject for figure in found.figures] == ["vowpal", "our logic", "vowpal / our logic"]
    assert found.notes == ("vowpalwabbit 9.9 on Python 3.12, in process.",)


@pytest.mark.parametrize("peer", PACKAGES)
def test_a_peer_answers_here(peer: str, version: tuple[Path, Path], ours: Ours, tmp_path: Path) -> None:
    """Where it is installed it has a figure in every round, of answers that were looked at."""
    try:
        python = environment.python_of(peer)
    except NotInstalled as error:
        pytest.skip(f"{peer}: {error}")  # nowhere is it asked for, in no automatic run either
    with Workbench(tmp_path / "bench", SHORT) as bench:
        bench.kept = tmp_path / "kept"
        (bench.kept / "peers").mkdir(parents=True)
        (bench.kept / "peers" / peer).symlink_to(python.parents[1])
        found = bandits(bench, version, ours.asked(), tmp_path / "in-process")
    costs = {figure.subject: figure for figure in found.figures}
    assert all(len(costs[subject].values) == len(costs["our logic"].values) >= 5 for subject in (peer, "our decider"))
    assert costs[f"{peer} / our logic"].median > 1.0
    assert found.details["in process"][peer]["distinct"] > 1
