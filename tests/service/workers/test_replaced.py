"""Workers that die or get stuck are replaced within 5 s, and nobody else is."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from service.config import Settings, StorePlace
from service.workers.process import SILENT_S, Ended, Process
from service.workers.sharing import Sharing
from service.workers.supervisor import CannotBegin, Supervisor
from tests.cli.commands import ROOT, gone, until
from tests.cli.commands import Process as Command
from tests.service.workers.crew import REPLACED_WITHIN_S, answering, served, workers_of
from tests.strategies import write_strategy

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/sched").exists(), reason="only Linux shares a port out among processes"
)

NOTICED_WITHIN_S = 2.5
"""How long a stuck worker may go unnoticed so that another one serves within 5 s, whatever the code says of that."""


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Serve with two workers; each test may take one of them out.

    Which store it is makes no difference to who looks after them.
    """
    folder = tmp_path_factory.mktemp("replaced")
    with served(write_strategy(folder / "strategy"), f"embedded:{folder / 'store'}") as process:
        yield process.serving()


@pytest.fixture(scope="module")
def in_time_s(crew: Command) -> float:
    """Return how soon a worker must be replaced: in 5 s, or in a crowd of tests what the others leave of that: the time
    until it is noticed, and three times that of the imports, which are half of a start.
    """
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import service.app"], cwd=ROOT, check=True)
    return max(REPLACED_WITHIN_S, NOTICED_WITHIN_S + 3.0 * (time.monotonic() - began))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_a_worker_that_is_gone_or_stopped_is_replaced_in_time(
    crew: Command, number: signal.Signals, in_time_s: float
) -> None:
    """Whether it was killed, stopped or told to end: another serves in its place within 5 s."""
    before = workers_of(crew)
    os.kill(before[0], number)
    began = time.monotonic()
    said = answering(
        crew.target,
        lambda said: len(said) == 2 and before[0] not in {one.worker.process_id for one in said.values()},
        in_time_s,
    )
    assert time.monotonic() - began < in_time_s
    replaced = next(one.worker for one in said.values() if one.worker.process_id not in before)
    assert replaced.starts > 1
    assert before[1] in {one.worker.process_id for one in said.values()}, "the other one goes on"
    assert gone(before[:1])


def test_who_was_not_run_for_a_while_is_not_taken_for_stuck(crew: Command) -> None:
    """When the whole service stops for longer than a worker may be silent, as on a paused machine, nobody is killed."""
    workers = workers_of(crew)
    for pid in (crew.pid, *workers):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(SILENT_S + 0.5)
    for pid in (crew.pid, *workers):  # the supervisor first: it looks at its clocks before anybody could say anything
        os.kill(pid, signal.SIGCONT)
    time.sleep(0.75)  # three looks at the clocks
    assert workers_of(crew) == workers


@asynccontextmanager
async def supervised(settings: Settings, program: str) -> AsyncIterator[Supervisor]:
    """Give the supervisor of workers that run another program, not yet started; end it, and see that none is left."""
    supervisor, mine = Supervisor(settings, program), set(psutil.Process().children(recursive=True))
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        assert set(psutil.Process().children(recursive=True)) == mine


def settings(folder: Path) -> Settings:
    """Return the settings of two workers."""
    place = StorePlace.parse(f"embedded:{folder / 'store'}")
    return Settings(place, write_strategy(folder / "strategy"), port=0, workers=2, store_wait_s=5.0)


async def test_a_loop_that_does_not_turn_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, in_time_s: float
) -> None:
    """Workers that compute for ever, and answer nobody, are killed and replaced, both at once; the log says why."""
    async with supervised(settings(tmp_path), "tests.service.workers.busy") as supervisor:
        serving = await supervisor.start()
        target = f"127.0.0.1:{serving.port}"
        supervisor.look_now()
        said = await asyncio.to_thread(
            answering,
            target,
            lambda said: {one.worker.starts for one in said.values()} == {2} and len(said) == 2,
            2.0 * in_time_s,
        )
    assert len(said) == 2
    killed = [line for line in caplog.messages if "said nothing for 2 s and was killed" in line]
    assert len(killed) == 2
    assert all(line.endswith("another one begins now") for line in killed)


async def test_workers_that_end_at_once_are_given_up_in_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Five in a row, each begun later than the one before, and the service does not start; the reason is said."""
    caplog.set_level(logging.WARNING)
    async with supervised(settings(tmp_path), "tests.service.workers.dying") as supervisor:
        with pytest.raises(
            CannotBegin,
            match=r"5 in a row ended before they did. The last one ended by itself with 7\.",
        ):
            await supervisor.start()
    assert [line.rpartition("begins ")[2] for line in caplog.messages] == ["now", "in 0.5 s", "in 1 s", "in 2 s"]


async def test_what_one_worker_finds_of_the_store_ends_all(tmp_path: Path) -> None:
    """A store on which no worker may go on ends the service with the reason, as it ends a single process."""
    async with supervised(settings(tmp_path), "tests.service.workers.refusing") as supervisor:
        await supervisor.start()
        supervisor.look_now()
        async with asyncio.timeout(10.0):
            assert (await supervisor.until_failed()).startswith("The store evicts what it holds.")


async def test_who_does_not_drain_in_time_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that beats and does not leave is waited for as long as it may take, and no longer."""
    monkeypatch.setattr("service.workers.supervisor.LEAVES_WITHIN_S", 0.3)  # instead of five seconds
    told, now = replace(settings(tmp_path), grace_s=0.2), asyncio.get_running_loop().time
    async with supervised(told, "tests.service.workers.staying") as supervisor:
        await supervisor.start()
        began = now()
        await supervisor.stop()
        assert 0.5 <= now() - began < SILENT_S


async def test_a_supervisor_that_looks_after_nobody_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where looking after the workers fails, the service ends and says so: it never goes on unwatched."""

    def fails(sharing: Sharing) -> bool:
        raise RuntimeError

    monkeypatch.setattr(Sharing, "store_ended", property(fails))  # as a defect might
    async with supervised(settings(tmp_path), "tests.service.workers.busy") as supervisor:
        with pytest.raises(CannotBegin, match="The supervisor failed to look after its workers: RuntimeError"):
            await supervisor.start()


async def test_a_name_that_workers_cannot_be_told_is_refused_in_words(tmp_path: Path) -> None:
    """A folder whose name is no text in UTF-8 is refused before anything begins, and what would do is said."""
    odd = replace(settings(tmp_path), strategy=Path("strategy-\udcff"))
    async with supervised(odd, "tests.service.workers.dying") as supervisor:
        with pytest.raises(CannotBegin, match=r"is no UTF-8.*--workers 1"):
            await supervisor.start()


async def test_who_says_what_is_none_of_ours_is_not_kept(tmp_path: Path) -> None:
    """A worker that nobody can understand cannot be told to drain: it is killed at once."""
    told, now = settings(tmp_path), asyncio.get_running_loop().time
    process = Process(told, Sharing(told.store, waits=False), now, print, "tests.service.workers.babbling")
    await process.begin()
    ended = await process.ended()
    assert ended == Ended("said what is none of ours and was killed", refused=False, served_s=0.0)


def test_a_strategy_without_guardrails_does_not_come_in_by_a_replaced_worker(tmp_path: Path) -> None:
    """What a reload refuses, a worker that begins refuses as well: the others go on, until the file is back."""
    strategy = write_strategy(tmp_path / "strategy")
    with served(strategy, f"embedded:{tmp_path / 'store'}", "--no-reload") as process:
        before = workers_of(process.serving())
        text = (strategy / "guardrails.yaml").read_text()
        (strategy / "guardrails.yaml").write_text("guardrails: []\n")
        os.kill(before[0], signal.SIGKILL)
        until(lambda: gone(before[:1]))
        tried = until(lambda: next(iter(set(workers_of(process)) - set(before)), None))
        until(lambda: tried not in workers_of(process))
        (strategy / "guardrails.yaml").write_text(text)
        said = answering(process.target, lambda said: len(said) == 2)
        versions = {one.strategy for one in said.values()}
        assert process.told(signal.SIGTERM) == 0
        errors = process.errors()
    assert versions == {process.said["strategy"]}
    assert "does not serve: There is no guardrail in the strategy's folder, and other workers serve one with" in errors
