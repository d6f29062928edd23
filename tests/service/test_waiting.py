"""A program that waits for work: one process answers all questions, each its own, and is begun anew when it ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from service.children import Waiting


@asynccontextmanager
async def waiting() -> AsyncIterator[Waiting]:
    """Have a program wait, and end it."""
    one = Waiting("tests.service.answering", ())
    try:
        yield one
    finally:
        await one.close()


async def pid(one: Waiting, question: str = "who") -> int:
    """Return which process answers."""
    ended = await one.ask(question, 30.0)
    assert ended.code == 0
    answer = json.loads(ended.output)
    assert answer["question"] == question
    return int(answer["pid"])


async def test_one_process_answers_each_question_with_its_own_answer() -> None:
    """Also those that are asked at once."""
    async with waiting() as one:
        assert len(set(await asyncio.gather(*(pid(one, f"question {n}") for n in range(5))))) == 1


async def test_a_refusal_is_told_in_its_words() -> None:
    """What it says is wrong are its last words, and it waits on."""
    async with waiting() as one:
        before = await pid(one)
        refused = await one.ask("refuse", 30.0)
        assert (refused.code, refused.last_words) == (1, "It is refused.")
        assert await pid(one) == before


async def test_one_that_ends_is_begun_anew() -> None:
    """The question that it ended over has failed; the next one is answered."""
    async with waiting() as one:
        before = await pid(one)
        ended = await one.ask("end", 30.0)
        assert (ended.code, ended.last_words) == (3, "it ended with 3")
        assert await pid(one) != before


async def test_one_that_takes_too_long_is_ended() -> None:
    """Nobody waits longer than was said, and what it would have answered is no answer to the next question."""
    async with waiting() as one:
        before = await pid(one)
        late = await one.ask("dawdle", 0.2)
        assert "took longer" in late.last_words
        assert not psutil.pid_exists(before)
        assert await pid(one) != before


async def test_a_question_that_is_given_up_leaves_no_answer_behind() -> None:
    """Cancelled half way, the program is ended."""
    async with waiting() as one:
        await pid(one)
        asking = asyncio.create_task(one.ask("dawdle", 30.0))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await pid(one, "another")


@pytest.mark.parametrize("last", ["end", "half"])
async def test_one_that_ends_before_it_has_answered_said_nothing(last: str) -> None:
    """Half an answer is none; why it ended is told, and the next question has its answer."""
    async with waiting() as one:
        ended = await one.ask(last, 30.0)
        assert (ended.answered, ended.last_words) == (False, "it ended with 3")
        assert await pid(one)
