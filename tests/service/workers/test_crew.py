"""A service of two workers: one port, one store, and each of them known by name."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from models.artifacts import load_folded
from models.features import FeatureSpace
from service.config import StorePlace
from service.core.loader import load_strategy
from service.store import keys
from service.store.embedded import EmbeddedStore
from service.workers.messages import AskVerdict
from service.workers.sharing import Sharing
from tests.cli.commands import ROOT, TACT, Process, gone, one_line, report, tact, typed, until
from tests.service.served import write_served
from tests.service.workers.crew import answering, libraries, served, verifying, workers_of
from tests.strategies import edited, write_strategy

LINUX = pytest.mark.skipif(not Path("/proc/self/sched").exists(), reason="only Linux shares a port out among processes")
pytestmark = LINUX


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory, models: tuple[Path, Path]) -> Iterator[Process]:
    """Serve a model with two workers, pinned, on an embedded store."""
    folder = tmp_path_factory.mktemp("crew")
    strategy, store = write_served(folder / "strategy"), f"embedded:{folder / 'store'}"
    words = ("--model", models[0], "--pin", "--scheduling", "batch", "--no-reload")
    with served(strategy, store, *words) as process:
        yield process.serving()


def test_both_answer_on_one_port_and_say_who_they_are(crew: Process) -> None:
    """Connections reach both workers; each names its number, of how many, its process and its memory."""
    said = answering(crew.target, lambda said: len(said) == 2)
    assert {number: one.worker.process_id for number, one in said.items()} == dict(enumerate(workers_of(crew), 1))
    assert {(one.worker.of, one.worker.starts) for one in said.values()} == {(2, 1)}
    for one in said.values():
        resident = psutil.Process(one.worker.process_id).memory_info().rss
        assert abs(one.worker.memory_bytes - resident) < 0.2 * resident
    assert (crew.said["workers"], crew.said["scheduling"]) == (2, "batch")


def test_status_shows_the_worker(crew: Process) -> None:
    """`tact status` tells which worker answered."""
    assert report("status", "--target", crew.target)["worker"]["of"] == 2
    shown = tact("status", "--target", crew.target).stdout
    assert any(f"worker    {number} of 2 (process {pid}, " in shown for number, pid in enumerate(workers_of(crew), 1))


async def test_a_model_is_verified_once_for_all(models: tuple[Path, Path], tmp_path: Path) -> None:
    """Whoever asks of the same version gets the same verdict without another look; another version is looked at."""
    strategy = load_strategy(write_served(tmp_path / "strategy"))
    version = load_folded(models[0], FeatureSpace.of(strategy.schema, strategy.features)).version
    folder = shutil.copytree(models[0], tmp_path / "model")
    sharing = Sharing(StorePlace.parse("redis://127.0.0.1:1/0"), waits=True)
    try:
        found = await asyncio.gather(*(sharing.verdict(AskVerdict(n, str(folder), version)) for n in range(3)))
        assert [(one.number, one.version, one.refused) for one in found] == [(n, version, "") for n in range(3)]
        assert len(verifying()) == 1
        (folder / "manifest.json").write_text("{}")
        assert (await sharing.verdict(AskVerdict(4, str(folder), version))).version == version, "it is known"
        other = await sharing.verdict(AskVerdict(5, str(folder), "another"))
        assert other.refused
        assert not other.unknown
    finally:
        await sharing.close()
    assert verifying() == []


def test_no_worker_holds_what_only_learning_needs(crew: Process) -> None:
    """A worker with a model has nothing of scikit-learn, scipy or pyarrow in memory, and verifies nothing itself."""
    for pid in workers_of(crew):
        assert not [path for path in libraries(pid) if set(path.split("/")) & {"sklearn", "scipy", "pyarrow"}]
        assert psutil.Process(pid).children() == []


def test_the_supervisor_holds_no_grpc(crew: Process) -> None:
    """It answers no call, so that nothing of gRPC is in its memory."""
    assert not [path for path in libraries(crew.pid) if "/grpc/" in path]


def test_each_is_pinned_and_scheduled_as_asked(crew: Process) -> None:
    """Workers run on one core each, one after the other, as `batch`; the supervisor as it was started."""
    cores = sorted(os.sched_getaffinity(0))
    pinned = [os.sched_getaffinity(pid) for pid in workers_of(crew)]
    assert pinned == [{cores[number % len(cores)]} for number in range(2)]
    assert {os.sched_getscheduler(pid) for pid in workers_of(crew)} == {os.SCHED_BATCH}
    assert os.sched_getscheduler(crew.pid) == os.SCHED_OTHER
    assert os.sched_getaffinity(crew.pid) == set(cores)


def test_one_alone_can_be_pinned_as_well(tmp_path: Path) -> None:
    """Without other workers there is no supervisor: the service itself runs on the first core that it may use."""
    place = f"embedded:{tmp_path / 'store'}"
    with served(write_strategy(tmp_path / "strategy"), place, "--pin", workers=1) as process:
        assert os.sched_getaffinity(process.serving().pid) == {min(os.sched_getaffinity(0))}
        assert workers_of(process) == ()
        assert process.said["scheduling"] in ("batch", "normal")


def test_the_port_is_taken_for_everybody_else(crew: Process, tmp_path: Path) -> None:
    """Neither a single process nor other workers begin on the port of a crew, and nothing is left of the attempt."""
    strategy = write_strategy(tmp_path / "strategy")
    for workers in ("1", "2"):
        place = f"embedded:{tmp_path / f'store-{workers}'}"
        ran = tact("serve", "--strategy", strategy, "--store", place, "--port", crew.port, "--workers", workers)
        said = one_line(ran, 1)
        assert f"127.0.0.1:{crew.port}" in said
        assert "--port" in said
    assert not (tmp_path / "store-2").exists()


def test_a_port_of_somebody_else_is_said_in_one_line(tmp_path: Path) -> None:
    """A crew does not begin on a port that another program has, also one that would share it."""
    for shares in (0, 1):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            ran = tact("serve", "--store", f"embedded:{tmp_path / 'store'}", "--port", port, "--workers", "2")
        assert f"Cannot listen on 127.0.0.1:{port}" in one_line(ran, 1)
    assert not (tmp_path / "store").exists()


def test_a_bad_strategy_is_said_once_and_leaves_nothing(tmp_path: Path) -> None:
    """What the first worker refuses is the one line of the command; there is no process, and no store was made."""
    strategy = write_strategy(tmp_path / "strategy", guardrails="guardrails: [{id: x}]")
    ran = tact(
        "serve", "--strategy", strategy, "--store", f"embedded:{tmp_path / 'store'}", "--port", 0, "--workers", 2
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("tact: guardrails.yaml:1: the guardrail has no `forbid`")
    assert ran.stderr.count("guardrails.yaml") == ran.stderr.count("\n")
    assert not (tmp_path / "store").exists()
    assert not [one for one in psutil.process_iter(["cmdline"]) if str(strategy) in " ".join(one.info["cmdline"] or ())]


@pytest.mark.parametrize("workers", ["0", "-1", "257", "two", "1.5", "9" * 5000, "²"])
def test_a_bad_number_of_workers_is_refused_in_words(workers: str) -> None:
    """The setting, where it came from and what is right are named."""
    said = one_line(typed("serve", "--workers", workers), 2)
    assert "--workers: " in said
    assert "from 1 to 256, or auto" in said
    assert len(said) < 300


def test_all_drain_and_then_the_store_ends(tmp_path: Path) -> None:
    """After SIGTERM every worker says NOT_SERVING and lingers; then all end in order, with 0, and nothing is lost."""
    strategy, place = write_strategy(tmp_path / "strategy"), f"embedded:{tmp_path / 'store'}"
    with served(strategy, place, "--linger", "1.5", "--erasure-key-file", key_file(tmp_path)) as process:
        process.serving()
        started = process.offspring()
        assert len(workers_of(process)) == 2
        report("context", "consent", "ina", "--level", "full", "--target", process.target)
        os.kill(process.pid, signal.SIGTERM)
        until(lambda: "not serving" in typed("health", "--target", process.target).stdout)
        assert not gone(workers_of(process))
        for pid in workers_of(process):
            os.kill(pid, signal.SIGTERM)  # as what ends a whole group of processes does
        assert len(workers_of(process)) == 2, "they go on lingering"
        until(lambda: process.offspring() == ())
        assert process.ended() == 0
        assert gone(started)
        assert process.errors() == ""
    with EmbeddedStore(tmp_path / "store") as url, Redis.from_url(url) as store:
        assert store.exists(keys.context_key("ina"))


def key_file(folder: Path) -> Path:
    """Write an erasure key, which then goes to the workers."""
    file = folder / "key"
    file.write_text("k" * 40)
    file.chmod(0o600)
    return file


def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    """While workers linger, a second SIGINT ends the service; they go with it, and so does the store."""
    strategy, place = write_strategy(tmp_path / "strategy"), f"embedded:{tmp_path / 'store'}"
    with served(strategy, place, "--linger", "60") as process:
        started = process.serving().offspring()
        os.kill(process.pid, signal.SIGINT)
        until(lambda: "not serving" in typed("health", "--target", process.target).stdout)
        assert process.told(signal.SIGINT) == 128 + signal.SIGINT
        until(lambda: gone(started))


def test_kill_9_of_the_supervisor_leaves_no_process(tmp_path: Path) -> None:
    """Workers, store and all end with a supervisor that was killed."""
    place = f"embedded:{tmp_path / 'store'}"
    with served(write_strategy(tmp_path / "strategy"), place) as process:
        started = process.serving().offspring()
        assert len(started) >= 4
        process.told(signal.SIGKILL)
        until(lambda: gone(started))


def test_a_store_that_dies_ends_the_service_in_words(tmp_path: Path) -> None:
    """Without its embedded store no worker can answer: all end, and the reason is the last line."""
    with served(write_strategy(tmp_path / "strategy"), f"embedded:{tmp_path / 'store'}") as process:
        process.serving()
        started = process.offspring()
        os.kill(process.wait_for_child("valkey-server"), signal.SIGKILL)
        assert process.ended() == 1
        assert process.errors().splitlines()[-1].startswith("tact: The embedded store has ended by itself")
        assert gone(started)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hangup_before_it_serves_does_not_end_it(tmp_path: Path, workers: int) -> None:
    """Whoever has the folders judged while the service begins does not kill it."""
    strategy, place = write_strategy(tmp_path / "strategy"), f"embedded:{tmp_path / 'store'}"
    with served(strategy, place, workers=workers) as process:
        process.wait_for_child("valkey-server")
        os.kill(process.pid, signal.SIGHUP)
        assert process.serving().said["workers"] == workers


def test_it_serves_where_nobody_reads_what_it_says(tmp_path: Path) -> None:
    """Started with stdin, stdout and stderr closed, as some that start services do, it serves and ends as always."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("serve", "--strategy", write_strategy(tmp_path / "strategy"), "--store", f"embedded:{tmp_path / 'store'}")
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *TACT, *map(str, words)]
    with subprocess.Popen([*command, f"--port={port}", "--workers=2"], cwd=ROOT) as process:
        try:
            answering(f"127.0.0.1:{port}", lambda said: len(said) == 2, 30.0)
            process.terminate()
            assert process.wait(10.0) == 0
        finally:
            process.kill()


def test_a_hangup_that_is_meant_for_all_ends_no_worker(crew: Process) -> None:
    """What goes to every process of the service, such as of `pkill -HUP`, is the supervisor's to hear."""
    workers = workers_of(crew)
    for pid in (*workers, crew.pid):
        os.kill(pid, signal.SIGHUP)
    said = answering(crew.target, lambda said: len(said) == 2)
    assert {one.worker.process_id for one in said.values()} == set(workers)


def test_changes_and_hups_reach_every_worker(tmp_path: Path) -> None:
    """With --no-reload a changed strategy waits for SIGHUP, which every worker hears of."""
    strategy = write_strategy(tmp_path / "strategy")
    with served(strategy, f"embedded:{tmp_path / 'store'}", "--no-reload") as process:
        before = process.serving().said["strategy"]
        write_strategy(strategy, strategy=edited("strategy", "explore: 0.05", "explore: 0.1"))
        assert {one.strategy for one in answering(process.target, lambda said: len(said) == 2).values()} == {before}
        os.kill(process.pid, signal.SIGHUP)
        answering(process.target, lambda said: len(said) == 2 and before not in {one.strategy for one in said.values()})
