"""Several service processes on one store keep one customer's promises together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack

import pytest
from redis import Redis

from service.rpc.client import Answer, Ask, Event, TactClient
from service.store import keys
from tests.cli.commands import Process
from tests.strategies import edited, write_strategy

PROCESSES, EACH = 4, 60
DAY_MS = 86_400_000
MOST = 2  # the strategy's cap: two offers a week


@pytest.fixture(scope="module")
def targets(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Serve the small strategy from four processes on one store, and return where; each test has its own customers."""
    strategy = write_strategy(
        tmp_path_factory.mktemp("many") / "strategy", strategy=edited("strategy", "explore: 0.05", "explore: 0.0")
    )
    with Redis.from_url(store_url) as store:
        store.flushdb()
    words = ("serve", "--store", store_url, "--strategy", strategy, "--port", "0", "--json")
    with ExitStack() as open_processes:
        started = [open_processes.enter_context(Process(*words)) for _ in range(PROCESSES)]
        yield tuple(process.serving().target for process in started)


async def prepare(tact: TactClient, customer: str) -> None:
    """Make a customer to whom anything may be sold."""
    now_ms = time.time_ns() // 1_000_000
    await tact.set_consent(customer, "full", ("email",))
    await tact.record_events(
        Event(f"{customer}-{what}", customer, f"ticket.{what}", now_ms - days * DAY_MS, {"ticket": "t1"})
        for what, days in (("opened", 3), ("closed", 2))
    )


def offers(answers: list[Answer]) -> list[str]:
    """Return the ids of the decisions that made an offer."""
    return [answer["decision_id"] for answer in answers if "offer" in answer["answers"][0] and sells(answer)]


def sells(answer: Answer) -> bool:
    """Say whether the first placement sells."""
    return bool(answer["answers"][0]["offer"]["sells"])


async def test_four_processes_hammering_one_customer_never_exceed_a_cap(
    targets: tuple[str, ...], store_url: str
) -> None:
    """Whoever is asked four ways at once, on all channels, gets two offers and not three, and one apology a channel."""
    places = (("web", "hero"), ("desk", "offer"), ("email", "body"))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        await prepare(clients[0], "ada")
        asks = [Ask("ada", *places[n % 3][:1], places[n % 3][1:]) for n in range(EACH)]
        answers = list(await asyncio.gather(*(client.decide(ask) for client in clients for ask in asks)))
    assert not any(answer["degraded_reasons"] and not answer["decision_id"] for answer in answers)
    assert len(offers(answers)) == MOST
    with Redis.from_url(store_url) as store:
        assert store.xlen(keys.log_key(keys.bucket("ada"))) == len(answers)
    bound = [
        reason for answer in answers for reason in answer["answers"][0]["reasons"] if reason["code"] == "cap_reached"
    ]
    assert "two-offers-a-week" in {reason["rule_id"] for reason in bound}
    said = [tuple(sorted(answer["answers"][0].get("offer", {}).items())) for answer in answers]
    apologies = Counter(line for line in map(str, said) if "'apology'" in line)
    assert apologies
    assert max(apologies.values()) == 1, "one apology a day on each channel, and each channel has its own words"


async def test_one_key_gives_one_answer_from_every_process(targets: tuple[str, ...], store_url: str) -> None:
    """The same key asked of four processes at once returns one decision, byte for byte, and counts once."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        await prepare(clients[0], "bo")
        ask = Ask("bo", "web", ("hero",), idempotency_key="once")
        answers = list(await asyncio.gather(*(client.decide(ask) for client in clients for _ in range(EACH))))
        again = [await client.decide(ask) for client in clients]
    assert all(answer == answers[0] for answer in (*answers, *again))
    assert sells(answers[0])
    with Redis.from_url(store_url) as store:
        assert store.xlen(keys.log_key(keys.bucket("bo"))) == 1


async def test_ids_that_are_linked_under_fire_are_one_person_in_every_process(
    targets: tuple[str, ...], store_url: str
) -> None:
    """From the answer to the link on, every process decides for the person, whichever id is named; caps add up."""
    asks = [Ask(customer, "web", ("hero",)) for customer in ("eve", "visitor") for _ in range(10)]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        for customer in ("eve", "visitor"):
            await prepare(clients[0], customer)

        async def ask_all() -> list[Answer]:
            return list(await asyncio.gather(*(client.decide(ask) for client in clients for ask in asks)))

        before, linked = await asyncio.gather(ask_all(), clients[0].identities.link("visitor", "eve"))
        after = await ask_all()
        people = [await client.identities.of("visitor") for client in clients]
        shown = await clients[1].get_context("visitor")
    assert all(answer["decision_id"] for answer in (*before, *after))
    assert linked["newly_linked"]
    assert all(person == {"person": linked["person"]} for person in people)
    assert MOST <= len(offers(before)) <= 2 * MOST
    assert offers(after) == []
    assert {answer["decision_id"][:3] for answer in after} == {keys.bucket("eve")}
    assert {field["field_id"] for field in shown["fields"] if field["state"] == "known"} >= {"past.open_tickets"}
    with Redis.from_url(store_url) as store:
        logged = sum(store.xlen(keys.log_key(keys.bucket(who))) for who in ("eve", "visitor"))
    assert logged == len(before) + len(after)
