"""A worker is killed while its watches go on: who watched there goes on at another; nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tact.client import AsyncClient, question
from tests.edge.client.world import Replica
from tests.live.watch.world import Watcher, close_ticket, open_ticket, said_at, served, watching
from tests.profile import cases

WATCHERS, EVENTS = cases(12, 200), cases(72, 4_000)
A_SECOND = 100.0


async def test_nothing_is_lost_when_a_worker_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Two workers; one is killed at half time. Each event is told as a cause to who watches its customer, no answer is
    told twice, and in the end everybody shows the greeting that `Decide` gives by then.
    """
    customers = [f"customer-{number}" for number in range(WATCHERS)]
    with served(tmp_path, "--workers", "2") as service:
        async with AsyncClient(service.address, timeout_s=10.0) as tact:
            for customer in customers:
                await tact.set_consent(customer, "full")
            async with watching(service.address, customers, 8, heartbeat_s=1.0) as watchers:
                events = await _tickets(tact, service, watchers)
                for watcher in watchers:
                    await _heard(watcher, events)
                ends = [({"greeting": watcher.said["greeting"]}, await _now(tact, watcher)) for watcher in watchers]
    told = [cause.id for watcher in watchers for message in watcher.messages for cause in message.causes]
    resumed = sum(watcher.streams > 1 for watcher in watchers)
    answers = [
        message.answer.decision_id for watcher in watchers for message in watcher.messages if message.answer.answers
    ]
    doubled = len(answers) - len(set(answers))
    record_property(
        "printed",
        f"{len(events)} events, {WATCHERS} watchers, one of two workers killed, {resumed} streams resumed: "
        f"{len(set(events) - set(told))} events lost, {doubled} answers told twice",
    )
    assert resumed > 0, "nobody watched at the worker that was killed"
    assert set(events) <= set(told)
    assert doubled == 0
    assert [said for said, _ in ends] == [now for _, now in ends]


async def _tickets(tact: AsyncClient, service: Replica, watchers: list[Watcher]) -> list[str]:
    """Open and close a ticket of each customer in turn, and kill a worker at half time; return the events."""
    events, begun = [], time.monotonic()
    for number in range(EVENTS):
        if number == EVENTS // 2:
            _kill_one_worker(service)
        if (ahead := begun + number / A_SECOND - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        watcher, turn = watchers[number % len(watchers)], number // len(watchers)
        ticket = f"{watcher.customer}-{turn // 2}"
        await (close_ticket if turn % 2 else open_ticket)(tact, watcher.customer, ticket)
        events.append(f"{ticket}-{'closed' if turn % 2 else 'opened'}")
    return events


def _kill_one_worker(service: Replica) -> None:
    assert service.process is not None
    children = psutil.Process(service.process.pid).children()
    workers = [one for one in children if "service.workers" in " ".join(one.cmdline())]
    assert len(workers) == 2, [one.cmdline() for one in children]
    workers[0].kill()


async def _heard(watcher: Watcher, events: list[str]) -> None:
    mine = {name for name in events if name.startswith(f"{watcher.customer}-")}

    def told() -> set[str]:
        return {cause.id for message in watcher.messages for cause in message.causes}

    await watcher.until(lambda: mine <= told(), f"{mine - told()}", 20.0)


async def _now(tact: AsyncClient, watcher: Watcher) -> dict[str, str]:
    """Return the greeting that is to be said now: it depends on the ticket, and no cap counts it."""
    asked = question(watcher.customer, watcher.channel, ("greeting",))
    return {placed.placement: said_at(placed) for placed in (await tact.decide(asked)).answers}
