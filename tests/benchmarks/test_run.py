"""A whole run on a small world: a real store, a trained model, the service as anybody starts it, and the floor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.compare import Plan, Window, compare
from benchmarks.evidence import Evidence
from benchmarks.loadgen import BUILT
from benchmarks.processes import Pinned
from benchmarks.stage import SERVER_CORE, Size, Stage

ROOT = BUILT.parent.parent
PLAN = Plan(in_flight=(2, 8), rounds=2, seconds=0.4, warmup_s=0.1, sample_every=4)


@pytest.fixture(scope="module")
def stage(load_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """Return a stage that is not set yet."""
    assert load_program.exists()
    return Stage(tmp_path_factory.mktemp("stage"), Size(actions=8, customers=400, requests=2000))


@pytest.fixture(scope="module")
def run(stage: Stage) -> tuple[tuple[Window, ...], Evidence, list[str]]:
    """Return what a run measured, and what it said meanwhile."""
    said: list[str] = []
    with stage:
        assert psutil.Process(stage.service.pid).cpu_affinity() == [SERVER_CORE]
        return *compare(stage, PLAN, said.append), said


def test_floor_and_decide_alternate(run: tuple[tuple[Window, ...], Evidence, list[str]]) -> None:
    """Each round has a window of each at each number of calls in flight; every second round is turned round."""
    windows, _, said = run
    order = [(window.round, window.in_flight, window.subject) for window in windows]
    first = [(0, n, subject) for n in (2, 8) for subject in ("floor", "decide")]
    second = [(1, n, subject) for n in (2, 8) for subject in ("decide", "floor")]
    assert order == first + second
    assert len(said) == len(windows)


def test_the_answers_were_decisions(run: tuple[tuple[Window, ...], Evidence, list[str]]) -> None:
    """Every answer stands in the decision log, offers among them, and they are no more than were asked for."""
    windows, evidence, _ = run
    assert evidence.logged >= evidence.answered > sum(w.measured.ok for w in windows if w.subject == "decide") > 0
    assert evidence.sampled > 0
    assert evidence.kinds.keys() <= {"offer", "greeting", "suppression"}
    assert evidence.kinds["offer"] > 0.1


def test_both_are_measured_alike(run: tuple[tuple[Window, ...], Evidence, list[str]]) -> None:
    """Each window of the floor answers in the size that decisions had in the window before it, both measured."""
    windows, _, _ = run
    sizes = [(w.subject, w.measured.reply_bytes["mean"]) for w in windows]
    asked = [max(n for n in range(place) if sizes[n][0] == "decide") for place in range(2, len(sizes))]
    pairs = [(size, sizes[n][1]) for (subject, size), n in zip(sizes[2:], asked, strict=True) if subject == "floor"]
    assert len(pairs) == len(windows) // 2 - 1
    assert all(floor == pytest.approx(decided, rel=0.2) for floor, decided in pairs)
    assert all(w.measured.errors == {} and w.server_cpu_us > 0 for w in windows)


def test_nothing_is_left_running(stage: Stage, run: tuple[tuple[Window, ...], Evidence, list[str]]) -> None:
    """After a run, neither the service nor the floor nor the store lives."""
    assert run
    servers: list[Pinned] = [stage.service, stage.floor]
    assert not any(psutil.pid_exists(pid) for pid in (stage.store_pid, *(server.pid for server in servers)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_a_run_ends_its_servers(run: object, number: signal.Signals) -> None:
    """Ctrl-C and kill -9 in the middle of a run leave no process behind."""
    assert run  # so that the model is there already
    small = ["--quick", "--actions", "8", "--customers", "100"]
    command = [sys.executable, "-m", "benchmarks", *small, "--seconds", "30", "--in-flight", "2"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True, text=True) as runner:
        assert runner.stderr is not None
        assert any("loaded through gRPC" in line for line in runner.stderr)  # store and service are there
        family = psutil.Process(runner.pid).children(recursive=True)
        assert len(family) >= 3
        os.kill(runner.pid, number)
        runner.wait(20)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
