"""Several service processes on one store: what is switched off through one of them is said by none."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from redis import Redis

from service.core.memory import Switched
from service.rpc.client import Answer, Ask, TactClient
from service.store import keys
from service.store.switches import switched_of
from tests.cli.commands import ROOT, Process, clean
from tests.strategies import write_strategy

PROCESSES = 4
ROUNDS = int(os.environ.get("TACT_SWITCHES", "2"))
ASKED_AT_ONCE = 8
WHILE_S = 0.4


@pytest.fixture(scope="module")
def targets(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Serve the small strategy from four processes on one store that was empty, and return where."""
    strategy = write_strategy(tmp_path_factory.mktemp("switched") / "strategy")
    with Redis.from_url(store_url) as store:
        store.flushdb()
    words = ("serve", "--store", store_url, "--strategy", strategy, "--port", "0", "--json")
    with ExitStack() as processes:
        started = [processes.enter_context(Process(*words)) for _ in range(PROCESSES)]
        yield tuple(process.serving().target for process in started)


def said(answer: Answer) -> set[str]:
    """Return the actions that an answer says."""
    parts = (one.get("greeting") or one.get("offer") or one.get("message") for one in answer["answers"])
    return {part["action_id"] for part in parts if part}


def store_ms(url: str) -> int:
    """Return the store's clock."""
    with Redis.from_url(url) as store:
        seconds, micros = store.time()
    return int(seconds) * 1000 + int(micros) // 1000


def logged(url: str, action: str) -> list[int]:
    """Return when (ms, by the store's clock) each decision that says an action was committed."""
    found = []
    with Redis.from_url(url) as store:
        for number in range(keys.BUCKETS):
            entries: Any = store.xrange(keys.log_key(f"{number:03x}"))
            found += [
                int(at.partition(b"-")[0]) for at, fields in entries if action.encode() in fields[b"a"].split(b"\x1f")
            ]
    return found


@dataclass(slots=True)
class Asking:
    """Asks all processes all the time, for another customer each time, and keeps when each was asked and answered."""

    clients: list[TactClient]
    answers: list[tuple[float, float, Answer]] = field(default_factory=list)

    async def ask(self, client: TactClient, customers: Iterator[int]) -> None:
        """Ask one process, until cancelled."""
        for number in customers:
            asked = time.monotonic()
            answer = await client.decide(Ask(f"c{number}", "web", ("greeting", "hero")))
            self.answers.append((asked, time.monotonic(), answer))

    def greeted(self, since: float, until: float) -> list[bool]:
        """Return of each that was asked and answered between two moments whether it greets."""
        return ["greet" in said(answer) for asked, at, answer in self.answers if since < asked and at < until]


@asynccontextmanager
async def asking(targets: tuple[str, ...]) -> AsyncIterator[Asking]:
    """Ask all the time, meanwhile."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        all_the_time, customers = Asking(clients), count()
        work = [
            asyncio.create_task(all_the_time.ask(client, customers)) for client in clients for _ in range(ASKED_AT_ONCE)
        ]
        try:
            yield all_the_time
        finally:
            for task in work:
                task.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
            assert {type(one) for one in ended} == {asyncio.CancelledError}


async def test_after_the_acknowledgement_nobody_says_what_is_off(targets: tuple[str, ...], store_url: str) -> None:
    """By the store's clock no decision of any process says it from the answer to the switch on, and no answer does.

    In turn, one action is switched off, and everything; through another process each time.
    """
    off: list[tuple[int, int]] = []
    async with asking(targets) as all_the_time:
        for number in range(ROUNDS):
            action, switch = ("greet", None)[number % 2], all_the_time.clients[number % PROCESSES].control
            began = time.monotonic()
            await asyncio.sleep(WHILE_S)
            assert any(all_the_time.greeted(began, time.monotonic()))
            assert (await switch.switch_off(action, "A test."))["changed"]
            acknowledged, since_ms = time.monotonic(), store_ms(store_url)
            await asyncio.sleep(WHILE_S)
            until_ms, until = store_ms(store_url), time.monotonic()
            assert (await switch.switch_on(action))["changed"]
            off.append((since_ms, until_ms))
            greeted = all_the_time.greeted(acknowledged, until)
            assert len(greeted) > PROCESSES
            assert not any(greeted)
    committed = logged(store_url, "greet")
    assert len(committed) > ROUNDS
    assert [at for at in committed if any(since < at < until for since, until in off)] == []


async def test_who_is_killed_half_way_is_finished_by_the_others(targets: tuple[str, ...], store_url: str) -> None:
    """A switch of which 300 buckets were written when its process was killed holds everywhere within seconds."""
    command = [sys.executable, "-m", "tests.service.dying", store_url, "greet"]
    killed = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=clean(None), check=False, timeout=60)
    assert killed.returncode == -9
    assert Switched(frozenset({"greet"})) in copies(store_url)
    assert await soon(lambda: copies(store_url) == {Switched(frozenset({"greet"}))})
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        answers = [await client.decide(Ask(f"c{n}", "web", ("greeting",))) for client in clients for n in range(20)]
        assert not any("greet" in said(answer) for answer in answers)
        listed = [(await client.control.switches())["switched_off"] for client in clients]
    assert [[one["action_id"] for one in off] for off in listed] == [["greet"]] * PROCESSES


def copies(url: str) -> set[Switched]:
    """Return what the buckets say is off; one value where all agree."""
    with Redis.from_url(url) as store:
        packed = store.mget([keys.switch_key(f"{number:03x}") for number in range(keys.BUCKETS)])
    return {switched_of(one) for one in packed}


async def soon(holds: Callable[[], bool]) -> bool:
    """Tell whether something comes to hold within five seconds."""
    for _ in range(100):
        if holds():
            return True
        await asyncio.sleep(0.05)
    return False
