"""Several service processes on one store never grant more than there is, and nothing stays stranded."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from itertools import count
from pathlib import Path

import pytest
from redis import Redis

from service.rpc.client import Answer, Ask, Outcome, TactClient
from service.store import keys
from tests.cli.commands import Process
from tests.service.shop import ask, there_are, write_shop

PROCESSES = 4
REQUESTS = int(os.environ.get("TACT_SUPPLY_REQUESTS", "2500"))
UNITS = 500


@pytest.fixture
def targets(clean_store_url: str, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """Serve the shop from four processes on one store, and return where."""
    shop = write_shop(tmp_path / "shop")
    words = ("--store", clean_store_url, "--strategy", shop, "--port", "0", "--store-wait", "5", "--json")
    with ExitStack() as open_processes:
        started = [open_processes.enter_context(Process("serve", *words)) for _ in range(PROCESSES)]
        yield tuple(process.serving().target for process in started)


def action_of(answer: Answer) -> str:
    """Return what is said at the first placement; empty for nothing."""
    placed = answer["answers"][0]
    said = placed.get("greeting") or placed.get("offer")
    return str(said["action_id"]) if said else ""


async def answered(clients: Sequence[TactClient], asks: Sequence[Ask]) -> list[Answer]:
    """Ask all clients at once, a stream each, and return the answers; what came too late is asked again."""

    async def stream(client: TactClient, part: Sequence[Ask]) -> list[Answer]:
        return [answer async for answer in client.decide_stream(part)]

    parts = await asyncio.gather(*(stream(client, asks[n :: len(clients)]) for n, client in enumerate(clients)))
    answers = [answer for part in parts for answer in part]
    late = {answer["request_id"] for answer in answers if not answer["decision_id"]}
    if not late:
        return answers
    again = await answered(clients, [ask for ask in asks if ask.request_id in late])
    return [*again, *(answer for answer in answers if answer["decision_id"])]


async def phones(clients: Sequence[TactClient], asks: Sequence[Ask]) -> int:
    """Return how many of those who ask are offered the phone."""
    return sum(action_of(answer) == "phone" for answer in await answered(clients, asks))


async def until_gone(clients: Sequence[TactClient], name: str, units: int) -> int:
    """Ask for new customers until so many were offered the phone, and then once more; return how many were.

    A process hears within about a second that there is something again.
    """
    offered, ends = 0, time.monotonic() + 60
    for number in count():
        found = await phones(clients, [ask(f"{name}-{number}-{n}", key="once") for n in range(200)])
        offered += found
        if time.monotonic() > ends or (offered >= units and not found):
            break
    return offered


async def tell(client: TactClient, decisions: Sequence[str], kind: str) -> None:
    """Tell what came of the phone in these decisions."""
    told = await client.record_outcomes(Outcome(decision, "phone", kind) for decision in decisions)
    assert {result["status"] for result in told["results"]} == {"stored"}


def holds_end(url: str) -> None:
    """Move the end of every hold into the past, as ten minutes of waiting would."""
    held = keys.shelf_keys("phone", "north")[2]
    with Redis.from_url(url) as store:
        for lease in store.zrange(held, 0, -1):
            store.zadd(held, {lease: 1})


async def test_exactly_what_there_is_is_granted(targets: tuple[str, ...], clean_store_url: str) -> None:
    """Of thousands of requests to four processes, 500 get one of 500 units; the rest can be had again."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        await clients[0].report_supply([there_are("phone", "north", UNITS)])
        answers = await answered(clients, [ask(f"c{n}", key="once") for n in range(REQUESTS)])
        granted = [answer["decision_id"] for answer in answers if action_of(answer) == "phone"]
        assert len({answer["decision_id"] for answer in answers}) == len(answers) == REQUESTS
        late = await until_gone(
            clients, "late", UNITS - len(granted)
        )  # held for a call that the store was too slow for
        assert len(granted) + late == UNITS
        assert late <= UNITS // 10
        await tell(clients[1], granted[:100], "accepted")
        await tell(clients[2], granted[100:250], "refused")
        (stood,) = (await clients[3].report_supply([there_are("phone", "north", 7, observed_ms=1)]))["results"]
        assert stood["status"] == "refused", "a report of 1970 changes nothing"
        holds_end(clean_store_url)
        again = await until_gone(clients, "again", UNITS - 100)
    assert again == UNITS - 100
