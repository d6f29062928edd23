"""A run of questions over a stream that breaks: each is answered once, in order, decided once and counted once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from service.core import plan
from service.rpc.client import Answer, Ask, CallFailed, Patience, TactClient
from service.rpc.client_batches import UNANSWERED, keyed
from service.rpc.edge import Edge, Limits
from tests.rpc.world import Alone, Unasked, Untouched, serving
from tests.service.world import NOW_MS, world
from tests.store.proxy import DelayingProxy

CUSTOMERS = 300
QUICK = Patience(attempts=6, first_pause_s=0.01)


def questions(count: int, prefix: str = "") -> list[Ask]:
    """Return questions about customers in turn, each asked about again and again; every 50th is bad."""
    return [
        Ask(f"c-{number % CUSTOMERS}", "fax" if number % 50 == 7 else "web", ("hero",), request_id=f"{prefix}{number}")
        for number in range(count)
    ]


@asynccontextmanager
async def deciding(url: str, folder: Path) -> AsyncIterator[tuple[str, DelayingProxy]]:
    """Serve real decisions, and open a way to them that can be cut; yield the service's address and the way."""
    async with world(url, folder) as tact:
        edge = Edge.of(
            tact.engine.strategy, decider=tact.decider, stores=Alone(Untouched()), limits=Limits(deadline_s=10.0),
            clock=lambda: NOW_MS, validator=Unasked(),
        )  # fmt: skip
        async with serving(edge) as target, DelayingProxy(f"tcp://{target}", delay_ms=1.0) as way:
            yield target, way


def way_to(way: DelayingProxy) -> str:
    """Return the address of the way, as gRPC names it."""
    return way.url.removeprefix("redis://").removesuffix("/0")


def logged(url: str) -> list[str]:
    """Return the ids of all decisions in the log."""
    with Redis.from_url(url) as store:
        entries = [fields for key in store.scan_iter("*:log*") for _, fields in store.xrange(key)]
    return [plan.unpack(fields[b"e"]).decision_id for fields in entries]


async def run_over(way: DelayingProxy, asks: Iterable[Ask], cuts: frozenset[int]) -> list[Answer]:
    """Ask all of it over a way that is cut after so many answers."""
    answers: list[Answer] = []
    async with TactClient(way_to(way)) as tact:
        async for answer in tact.decide_all(asks, run="mailing", patience=QUICK):
            answers.append(answer)
            if len(answers) in cuts:
                way.cut()
    return answers


async def test_a_run_goes_on_over_a_stream_that_breaks(clean_store_url: str, tmp_path: Path) -> None:
    """Cut again and again, a run of 900 has 900 answers in order, and as many decisions as good questions.

    The same run from another process, all over again, is answered the same, and nothing is added to the log.
    """
    asks = questions(900)
    good = {ask.request_id for ask in asks if ask.channel == "web"}
    async with deciding(clean_store_url, tmp_path) as (_, way):
        answers = await run_over(way, asks, frozenset({1, 150, 350, 550, 860}))
        first = logged(clean_store_url)
        again = await run_over(way, asks, frozenset({300}))
    assert way.accepted >= 6
    assert [answer["request_id"] for answer in answers] == [ask.request_id for ask in asks]
    assert {answer["request_id"] for answer in answers if "error" not in answer} == good
    decided = [answer["decision_id"] for answer in answers if "error" not in answer]
    assert len(set(decided) - {""}) == len(good)
    assert sorted(first) == sorted(decided)
    assert [answer["decision_id"] for answer in again] == [answer["decision_id"] for answer in answers]
    assert sorted(logged(clean_store_url)) == sorted(first)


async def test_without_keys_the_log_would_have_more(clean_store_url: str, tmp_path: Path) -> None:
    """What the test above sees can be seen: the same questions twice, without keys, are decided and logged twice."""
    asks = [ask for ask in questions(40) if ask.channel == "web"]
    async with deciding(clean_store_url, tmp_path) as (target, _), TactClient(target) as tact:
        for _ in range(2):
            assert len([answer async for answer in tact.decide_stream(asks)]) == len(asks)
    assert len(logged(clean_store_url)) == 2 * len(asks)


async def test_the_same_question_twice_at_once(clean_store_url: str, tmp_path: Path) -> None:
    """While a broken stream is still worked off, what is sent again joins what is being decided: one decision."""
    ask = keyed(replace(questions(1)[0], request_id="r"), "run")
    async with deciding(clean_store_url, tmp_path) as (target, _), TactClient(target) as tact:
        answers = [answer async for answer in tact.decide_stream([ask] * 20)]
    assert len({answer["decision_id"] for answer in answers}) == 1
    assert len({msgspec.json.encode(answer) for answer in answers}) == 1
    assert len(logged(clean_store_url)) == 1


async def test_a_run_that_cannot_go_on_says_so(free_port: int) -> None:
    """Where nobody answers a run is given up after its attempts; what is asked for has an answer or an error."""
    async with TactClient(f"127.0.0.1:{free_port}") as tact:
        with pytest.raises(CallFailed, match="UNAVAILABLE"):
            await anext(tact.decide_all(questions(3), run="r", patience=Patience(2, 0.01)))


async def test_questions_that_cannot_be_sent(clean_store_url: str, tmp_path: Path) -> None:
    """A question without a request id is the caller's error; what was asked before it is answered first."""
    asks = [*questions(5), Ask("c-1", "web", ("hero",))]
    async with deciding(clean_store_url, tmp_path) as (target, _), TactClient(target) as tact:
        run = tact.decide_all(asks, run="r")
        answers = [await anext(run) for _ in range(5)]
        with pytest.raises(ValueError, match="needs a request_id"):
            await anext(run)
    assert [answer["request_id"] for answer in answers] == [str(number) for number in range(5)]


async def test_questions_are_taken_as_they_are_answered(clean_store_url: str, tmp_path: Path) -> None:
    """Of questions without end no more are taken from the caller than may be unanswered."""
    taken = 0

    async def endless() -> AsyncIterator[Ask]:
        nonlocal taken
        for taken in range(1, 100_000):
            yield Ask("c-1", "web", ("hero",), request_id=str(taken))

    async with deciding(clean_store_url, tmp_path) as (target, _), TactClient(target) as tact:
        answered = 0
        async for _ in tact.decide_all(endless(), run="r"):
            answered += 1
            assert taken <= answered + UNANSWERED + 1
            if answered == 1_000:
                break
        await asyncio.sleep(0.05)
        assert taken <= 1_000 + UNANSWERED + 1
