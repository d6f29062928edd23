"""Reloading: under load every answer is of exactly one version, and a bad version never gets in a good one's way."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.rpc.client import Answer, Ask, Event, TactClient
from tests.cli.commands import Process
from tests.service.editions import BAD, WAYS, by_link, editions_in, write_edition

PROCESSES = 2
RELOADS = int(os.environ.get("TACT_RELOADS", "4"))
A_SECOND = 200
IN_FORCE_WITHIN_S = 2.0
DAY_MS = 86_400_000
NOON_MS = 1_790_000_000_000
SELLERS = tuple(f"seller-{number}" for number in range(50))
"""So many that no cap is ever used up."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, of which process, when it was asked and when it was there (s)."""

    process: int
    asked: float
    at: float
    answer: Answer

    @property
    def version(self) -> str:
        """The version of the strategy that it says it was decided by."""
        return str(self.answer["versions"]["strategy"])


@dataclass(slots=True)
class Load:
    """Asks both processes 200 times a second, half of it over a stream that stays open, and keeps what they say."""

    clients: list[TactClient]
    told: list[Told] = field(default_factory=list)
    ends: asyncio.Event = field(default_factory=asyncio.Event)

    async def singly(self, process: int) -> None:
        """Ask with a call of its own each time, as often as a quarter of the load."""
        work = set()
        async for ask in self._asks(process, "single"):
            work.add(asyncio.create_task(self._single(process, ask)))
        await asyncio.gather(*work)

    async def over_a_stream(self, process: int) -> None:
        """Ask over one stream that is open all the time."""
        asked: dict[str, float] = {}

        async def asks() -> AsyncIterator[Ask]:
            async for ask in self._asks(process, "stream"):
                asked[ask.request_id] = time.monotonic()
                yield ask

        async for answer in self.clients[process].decide_stream(asks()):
            self.told.append(Told(process, asked.pop(answer["request_id"]), time.monotonic(), answer))
        assert not asked, "every request of the stream was answered"

    async def in_force(self, process: int, known: set[str]) -> Told:
        """Return the first answer of a process whose version is none of those known."""
        seen = 0
        while True:
            for told in self.told[seen:]:
                if told.process == process and told.version not in known:
                    return told
            seen = len(self.told)
            await asyncio.sleep(0.005)

    async def _single(self, process: int, ask: Ask) -> None:
        asked = time.monotonic()
        answer = await self.clients[process].decide(ask)
        self.told.append(Told(process, asked, time.monotonic(), answer))

    async def _asks(self, process: int, way: str) -> AsyncIterator[Ask]:
        every_s = 2 * PROCESSES / A_SECOND
        due, number = time.monotonic(), 0
        while not self.ends.is_set():
            customer = SELLERS[number // 2 % len(SELLERS)] if number % 2 else f"somebody-{number % 100}"
            yield Ask(customer, "web", ("greeting", "hero"), request_id=f"{process}-{way}-{number}")
            number, due = number + 1, due + every_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of the first edition, behind a link."""
    write_edition(tmp_path / "first", 0)
    (tmp_path / "served").symlink_to(tmp_path / "first", target_is_directory=True)
    return tmp_path / "served"


@pytest.fixture
def targets(clean_store_url: str, folder: Path) -> Iterator[tuple[str, ...]]:
    """Serve the folder from two processes on one store, and return where."""
    with ExitStack() as processes:
        words = ("serve", "--store", clean_store_url, "--strategy", folder, "--port", "0", "--allow-as-of", "--json")
        started = [processes.enter_context(Process(*words)) for _ in range(PROCESSES)]
        yield tuple(process.serving().target for process in started)


@asynccontextmanager
async def clients_of(targets: tuple[str, ...]) -> AsyncIterator[list[TactClient]]:
    """Open a client of each process, and make customers to whom anything may be sold."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        now_ms = time.time_ns() // 1_000_000
        sellers = ("seller", *SELLERS)
        await asyncio.gather(*(clients[0].set_consent(seller, "full", ("email",)) for seller in sellers))
        await clients[0].record_events(
            Event(f"ticket-{what}", seller, f"ticket.{what}", now_ms - days * DAY_MS, {"ticket": "t1"})
            for seller in sellers
            for what, days in (("opened", 3), ("closed", 2))
        )
        yield clients


@asynccontextmanager
async def under_load(clients: list[TactClient]) -> AsyncIterator[Load]:
    """Ask all the time, meanwhile."""
    load = Load(clients)
    async with asyncio.TaskGroup() as group:
        for process in range(PROCESSES):
            group.create_task(load.singly(process))
            group.create_task(load.over_a_stream(process))
        try:
            yield load
        finally:
            load.ends.set()


async def refused(clients: list[TactClient], *, stands: bool) -> list[Answer]:
    """Return what each process says it refused, as soon as that stands everywhere, or nowhere any more."""
    while True:
        found = [(await client.control.status()).get("refused") for client in clients]
        told = [one for one in found if one and one["stands"] is stands]
        if len(told) == len(clients):
            return told
        await asyncio.sleep(0.02)


async def decided(clients: list[TactClient]) -> list[Answer]:
    """Ask each process the same questions as of the same moment; return the answers without what is new each time: what
    names them, what was drawn, and how much of its caps earlier questions used.
    """
    asks = [Ask("seller", *place, as_of=NOON_MS, explain=True) for place in (("web", ("hero",)), ("desk", ("offer",)))]
    asks += [Ask(f"nobody-{n}", "web", ("greeting", "hero"), as_of=NOON_MS) for n in range(5)]
    answers = [await client.decide(ask) for client in clients for ask in asks]
    return [without(answer, ("decision_id", "draw", "uses")) for answer in answers]


def without(told: Any, names: Collection[str]) -> Any:  # noqa: ANN401 - part of an answer
    """Return a part of an answer without the parts of these names, however deep they stand."""
    if isinstance(told, dict):
        return {name: without(part, names) for name, part in told.items() if name not in names}
    return [without(part, names) for part in told] if isinstance(told, list) else told


def contents(folder: Path) -> dict[str, bytes]:
    """Return what the files of a folder hold."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def took(load: Load, moments: list[tuple[float, float]], *, inside: bool) -> str:
    """Return the median and the 99th percentile of the answers that were asked for while it was reloaded, or not."""
    found = sorted(
        (told.at - told.asked) * 1000
        for told in load.told
        if any(since <= told.asked <= until for since, until in moments) is inside
    )
    return f"p50 {found[len(found) // 2]:.1f} ms, p99 {found[int(len(found) * 0.99)]:.1f} ms ({len(found)} answers)"


async def test_reloads_under_load_lose_nothing_and_mix_nothing(targets: tuple[str, ...], folder: Path) -> None:
    """Every answer is a full one and of one edition; each edition is in force in both processes within two seconds.

    Bad editions in between are refused, and what is decided meanwhile is what was decided before, byte for byte.
    """
    reloads: list[tuple[float, float]] = []
    spoilt = list(BAD)
    async with clients_of(targets) as clients, under_load(clients) as load:
        known = {(await load.in_force(process, set())).version for process in range(PROCESSES)}
        began = time.monotonic()
        for number in range(1, RELOADS + 1):
            if number % 3 == 0:
                by_link(folder, number)
            else:
                WAYS[number % 3 - 1](folder, number)
            written = time.monotonic()
            async with asyncio.timeout(30.0):
                first = [await load.in_force(process, known) for process in range(PROCESSES)]
            assert {editions_in(told.answer) == {f"e{number}e"} for told in first} == {True}
            known |= {told.version for told in first}
            reloads.append((written, max(told.at for told in first)))
            if number % 4 == 0:
                await spoiled(clients, folder, spoilt[number // 4 % len(spoilt)])
        rate = len(load.told) / (time.monotonic() - began)
    slowest = max(until - since for since, until in reloads)
    assert slowest < IN_FORCE_WITHIN_S
    assert len(known) == RELOADS + 1
    of_version = {told.version: editions_in(told.answer) for told in load.told}
    assert {len(editions) for editions in of_version.values()} == {1}
    assert [told for told in load.told if editions_in(told.answer) != of_version[told.version]] == []
    assert [told.answer for told in load.told if not told.answer["decision_id"]] == []
    print(
        f"\n{RELOADS} reloads at {rate:.0f} decisions/s: 0 errors and 0 mixed versions in {len(load.told)} answers; "
        f"in force after {slowest:.2f} s at the latest; while a version is loaded {took(load, reloads, inside=True)}, "
        f"else {took(load, reloads, inside=False)}"
    )


async def spoiled(clients: list[TactClient], folder: Path, name: str) -> None:
    """Spoil the folder, see that it is refused and nothing else changes, and mend it again."""
    before, good = await decided(clients), contents(folder)
    BAD[name](folder)
    async with asyncio.timeout(30.0):
        said = await refused(clients, stands=True)
    assert all(one["what"] == "strategy" and ".yaml" in one["problems"][0] for one in said), name
    assert await decided(clients) == before
    for file, content in good.items():
        (folder / file).write_bytes(content)
    async with asyncio.timeout(30.0):
        await refused(clients, stands=False)
    assert await decided(clients) == before
