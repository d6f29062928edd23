"""What journeys and insight cost those who do not ask for them: little for an event, and no decision waits long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from redis import Redis

from models import folds
from models.schema import load_context
from service.core.journey import letters_of_events
from service.core.records import EventToFold
from service.rpc.client import Ask, TactClient
from service.store.events import EventStore
from service.store.retention import Retention
from service.store.store import Store
from tests.cli.commands import DEMO
from tests.live.insight.world import DESK, served
from tests.profile import cases
from tests.store.patience import patient
from tests.store.running import LEVELS

EVENTS = cases(1_000, 20_000)
DECISIONS = cases(200, 2_000)
CUSTOMERS = 100
DEARER = 1.5
"""How many times as long the store may work for an event that is kept; measured were 1.06 on 23 November 2026."""


async def test_an_event_that_is_kept_costs_the_store_little_more(
    clean_store_url: str, record_property: Callable[[str, object], None]
) -> None:
    """The store's own clock for folding the same events with and without the journey, in turns."""
    schema = load_context(DEMO)
    operations = folds.operations(schema, "ticket.opened", {"ticket": "t1", "topic": "network"})
    letters = letters_of_events(schema)
    spent_us: dict[bool, list[float]] = {True: [], False: []}
    async with patient(clean_store_url) as connections:
        store = Store.over(connections, LEVELS, "none", schema=schema)
        await store.calls.load_functions()
        with Redis.from_url(clean_store_url) as raw:
            for turn in range(10):
                for kept in (True, False):
                    folding = EventStore(store.calls, Retention(), letters=letters if kept else {})
                    raw.config_resetstat()
                    for number in range(EVENTS // 20):
                        name = f"{turn}-{kept}-{number}"
                        event = EventToFold(name, 1_770_000_000_000 + number, operations, type="ticket.opened")
                        await folding.fold(f"customer-{kept}-{number % CUSTOMERS}", [event], 5.0)
                    stats = raw.info("commandstats")["cmdstat_fcall"]
                    spent_us[kept].append(float(stats["usec_per_call"]))
    with_it, without = (min(spent_us[kept]) for kept in (True, False))
    record_property("us an event, kept and not", (with_it, without))
    print(f"\nan event: {with_it:.1f} us kept for the journey, {without:.1f} us not, {with_it / without:.2f} times")
    assert with_it <= DEARER * without


async def test_decisions_go_on_while_insight_is_counted(
    clean_store_url: str, record_property: Callable[[str, object], None]
) -> None:
    """The first call counts everything: meanwhile decisions are answered, none of them late, and all are counted."""
    async with served(clean_store_url) as address, TactClient(address) as tact:
        alone = [await timed(tact, number) for number in range(DECISIONS)]
        counting = asyncio.ensure_future(tact.insight.now())
        beside: list[float] = []
        while not counting.done():
            beside.append(await timed(tact, len(beside)))
        began = time.perf_counter()
        seen = await counting
        for _ in range(100):
            if seen["basis"]["complete"] and seen["basis"]["decisions"] >= DECISIONS:
                break
            await asyncio.sleep(0.05)
            seen = await tact.insight.now()
        spent_s = time.perf_counter() - began
    assert seen["basis"]["decisions"] >= DECISIONS
    assert seen["basis"]["complete"]
    quick, slow = (sorted(ones)[len(ones) // 2] for ones in (alone, beside))
    worst = max(beside)
    record_property("ms a decision alone, beside, worst beside", (1e3 * quick, 1e3 * slow, 1e3 * worst))
    print(f"\ndecisions: median {1e3 * quick:.2f} ms alone, {1e3 * slow:.2f} ms beside ({len(beside)}), worst "
          f"{1e3 * worst:.1f} ms; the rest of counting took {spent_s:.2f} s")  # fmt: skip
    assert worst < 0.5, "nothing that is counted keeps a decision waiting"


async def timed(tact: TactClient, number: int) -> float:
    """Decide for one of the customers; return how many seconds that took."""
    began = time.perf_counter()
    answer = await tact.decide(Ask(f"customer-{number % 997}", "desk", DESK))
    assert len(answer["answers"]) == len(DESK)
    return time.perf_counter() - began
