"""A whole run on a small world: a real store, a trained model, the service as anybody starts it, and the floor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from benchmarks import log_cost
from benchmarks.bench import Plan, Workbench
from benchmarks.compare import RATIO, SECTION
from benchmarks.document import read
from benchmarks.loadgen import BUILT
from benchmarks.section import SectionResult
from benchmarks.stage import SERVER_CORE, Size
from benchmarks.windows import one

ROOT = BUILT.parent.parent
SIZE = Size(actions=8, customers=400, requests=2000)
PLAN = Plan(quick=True, in_flight=(2, 8), rounds=2, seconds=0.4, warmup_s=0.1, size=SIZE)


@dataclass(frozen=True)
class Ran:
    """What a run of the first section and of the log found, what the first said meanwhile, and who served."""

    result: SectionResult
    log: SectionResult
    said: tuple[str, ...]
    cores: list[int]
    pids: tuple[int, ...]


@pytest.fixture(scope="module")
def ran(load_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the first section and that of the log, and end the bench."""
    assert load_program.exists()
    said: list[str] = []
    with Workbench(tmp_path_factory.mktemp("bench"), PLAN, said.append) as bench:
        result = SECTION.run(bench)
        heard = tuple(said)
        log = log_cost.SECTION.run(bench)
        with bench.stage() as stage:
            pids = (stage.service.pid, stage.floor.pid, stage.store_pid)
            cores = psutil.Process(stage.service.pid).cpu_affinity()
    return Ran(result, log, heard, cores, pids)


def test_floor_and_decide_alternate(ran: Ran) -> None:
    """Each round has a window of each at each number of calls in flight; every second round is turned round."""
    order = [" ".join(line.split()[:4]) for line in ran.said if " in flight " in line]
    first = [f"{subject}, {n} in flight" for n in (2, 8) for subject in ("floor", "decide")]
    assert order == [*first, *reversed(first)]


def test_every_answer_was_a_decision(ran: Ran) -> None:
    """Every answer stands in the decision log, and offers are among those that were looked at."""
    evidence = ran.result.details["evidence"]
    assert evidence["logged"] >= evidence["answered"] > 100
    assert evidence["sampled"] > 0
    assert evidence["kinds"].keys() <= {"offer", "greeting", "suppression"}
    assert evidence["kinds"]["offer"] > 0.1


@pytest.mark.parametrize("level", PLAN.in_flight)
def test_the_floor_answers_in_the_size_of_decisions(ran: Ran, level: int) -> None:
    """What is compared moves as many bytes, and both cost processor time."""
    sizes = {name: one(ran.result.figures, name, "reply", in_flight=level).median for name in ("floor", "decide")}
    assert sizes["floor"] == pytest.approx(sizes["decide"], rel=0.2)
    assert all(one(ran.result.figures, name, "server CPU", in_flight=level).median > 20 for name in sizes)


def test_a_ratio_is_that_of_its_round(ran: Ran) -> None:
    """Requests a second over the floor's, round by round, and the bound looks at their median."""
    decide, floor = (one(ran.result.figures, name, "requests", in_flight=8) for name in ("decide", "floor"))
    ratio = one(ran.result.figures, RATIO, "requests", in_flight=8)
    assert ratio.values == tuple(d / f for d, f in zip(decide.values, floor.values, strict=True))
    assert ran.result.bounds[1].measured == ratio.median
    assert [bound.at_least for bound in ran.result.bounds][:2] == [0.6, 0.6]
    assert [bound.at_most for bound in ran.result.bounds][2:] == [1.9, 1.7]


def test_what_keeps_no_log_decides_all_the_same(ran: Ran) -> None:
    """The service without a log was measured: it answers in full, and none of its decisions is in the log."""
    assert [bound.says for bound in ran.log.bounds] == ["awaited log over none: requests a second"]
    assert 0.3 < ran.log.bounds[0].measured < 2.0
    for name in (log_cost.WITH, log_cost.WITHOUT):
        assert one(ran.log.figures, name, "server CPU", in_flight=8).median > 20


def test_the_service_has_one_core(ran: Ran) -> None:
    """The service runs where the floor runs, and nowhere else."""
    assert ran.cores == [SERVER_CORE]


def test_nothing_is_left_running(ran: Ran) -> None:
    """After a run, neither the service nor the floor nor the store lives."""
    assert not any(psutil.pid_exists(pid) for pid in ran.pids)


def small(*more: str) -> list[str]:
    """Return the command of a small run."""
    size = ["--quick", "--actions", "8", "--customers", "100", "--rounds", "1", "--in-flight", "2", "--only", "decide"]
    return [sys.executable, "-m", "benchmarks", *size, *more]


def test_the_program_writes_what_it_measured(ran: Ran, tmp_path: Path) -> None:
    """JSON of the stated schema, the tables in Markdown, and a README with the bounds; one that is missed ends with 1.

    With `--strict`, that is: 2 calls in flight have only one bound, of requests a second, and a window is too short to
    tell whether it holds.
    """
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- the last benchmark begins -->\n<!-- the last benchmark ends -->\nafter\n")
    files = ["--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md"), "--readme", str(readme)]
    done = subprocess.run(small("--seconds", "0.3", *files), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = read((tmp_path / "a.json").read_bytes())
    assert [section.name for section in said.sections] == ["decide"]
    assert said.client == "load"
    assert "| decide / floor |" in (tmp_path / "a.md").read_text()
    assert readme.read_text().startswith("before\n")
    assert "requests a second over the floor's" in readme.read_text()
    assert "requests a second over the floor's" in done.stdout


@pytest.mark.parametrize(
    ("option", "file"),
    [("--json", "nowhere/a.json"), ("--markdown", "."), ("--readme", "absent.md"), ("--readme", "unmarked.md")],
)
def test_where_nothing_could_be_written_nothing_is_measured(tmp_path: Path, option: str, file: str) -> None:
    """It is said in words before the first server starts, not after the last round."""
    (tmp_path / "unmarked.md").write_text("no marks\n")
    done = subprocess.run(small(option, str(tmp_path / file)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr
    assert "Traceback" not in done.stderr
    assert "serves after" not in done.stderr + done.stdout


@pytest.mark.parametrize(("option", "value"), [("--soak", "inf"), ("--seconds", "nan"), ("--rounds", "0")])
def test_what_would_never_end_or_never_begin_is_refused(option: str, value: str) -> None:
    """In words, before anything is started."""
    done = subprocess.run(small(option, value), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"Invalid value for '{option}'" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_a_run_ends_its_servers(ran: Ran, number: signal.Signals) -> None:
    """Ctrl-C and kill -9 in the middle of a run leave no process behind."""
    assert ran.said  # so that the model is there already
    command = small("--seconds", "30")
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True, text=True) as runner:
        assert runner.stderr is not None
        assert any("loaded through gRPC" in line for line in runner.stderr)  # store and service are there
        family = psutil.Process(runner.pid).children(recursive=True)
        assert len(family) >= 3
        os.kill(runner.pid, number)
        runner.wait(20)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
