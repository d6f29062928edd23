"""A worker is killed where nobody can tell that it works, whatever it has asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.config import Settings, StorePlace
from service.workers.messages import AskVerdict, Beat, Serving, Store, Verdict
from service.workers.process import BEGINS_WITHIN_S, SILENT_S, Ended, Process


class Answers:
    """Answers nothing until told how, and knows when it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    async def store(self) -> Store:
        """Say that there is none."""
        return Store(refused="There is none.")

    async def verdict(self, asked: AskVerdict) -> Verdict:
        """Wait for the answer."""
        self.asked.set()
        return await self.answer


@asynccontextmanager
async def running(answers: Answers, clock: list[float], program: str) -> AsyncIterator[Process]:
    """Give a worker that was begun, by this clock."""

    def told(message: Serving | Beat) -> None:
        pass

    settings = Settings(StorePlace.parse("redis://127.0.0.1:1/0"), Path("strategy"), workers=2)
    process = Process(settings, answers, lambda: clock[0], told, f"tests.service.workers.{program}")
    await process.begin()
    try:
        async with asyncio.timeout(20.0):
            yield process
    finally:
        process.kill("is done with")
        await process.ended()


@asynccontextmanager
async def asking(answers: Answers, clock: list[float], program: str = "asking") -> AsyncIterator[Process]:
    """Give a worker that has asked for a verdict; unless it is another program, it serves."""
    async with running(answers, clock, program) as process:
        await answers.asked.wait()
        yield process


async def goes_on(process: Process) -> None:
    """See that nobody has killed it."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.ended(), 0.1)


async def test_one_that_waits_for_a_verdict_is_taken_for_stuck_all_the_same() -> None:
    """A worker that serves goes on beating while it waits for an answer; one that does not is killed in time."""
    clock = [100.0]
    async with asking(Answers(), clock) as process:
        clock[0] += SILENT_S
        process.look()
        clock[0] += 0.125
        process.look()
        assert await process.ended() == Ended("said nothing for 2 s and was killed", refused=False, served_s=2.125)


async def test_one_that_gets_no_answer_is_not_left_waiting() -> None:
    """Whatever goes wrong with an answer, the worker is replaced by one that may get it."""
    answers, clock = Answers(), [100.0]
    async with asking(answers, clock) as process:
        answers.answer.set_exception(RuntimeError("can't start new thread"))
        ended = await process.ended()
    assert ended == Ended("asked what could not be answered (RuntimeError) and was killed", refused=False, served_s=0.0)


async def test_one_that_begins_has_time_and_more_while_it_waits_for_an_answer() -> None:
    """A worker that loads says nothing for long; what it waits for meanwhile is none of its time; then it is killed."""
    answers, clock = Answers(), [100.0]
    async with asking(answers, clock, "wondering") as process:
        for _ in range(2):
            clock[0] += BEGINS_WITHIN_S
            process.look()
        await goes_on(process)
        answers.answer.set_result(Verdict(1, "version"))
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        clock[0] += BEGINS_WITHIN_S
        process.look()
        await goes_on(process)
        clock[0] += 0.125
        process.look()
        ended = await process.ended()
    assert ended == Ended("said nothing for 60 s and was killed", refused=False, served_s=0.0)


async def test_one_that_hangs_up_is_not_kept() -> None:
    """A worker that goes on without its channel could not be told to drain, nor tell that it is well."""
    async with running(Answers(), [100.0], "closing") as process:
        assert (await process.ended()).how == "was not heard any more and was killed"
