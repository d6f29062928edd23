"""A fact that changes the answer is told within milliseconds, to each who watches that customer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from tact.client import AsyncClient
from tact.v1 import decision_pb2 as pb
from tests.live.watch.world import Watcher, close_ticket, open_ticket, served, watching
from tests.profile import cases, full

WATCHERS, EVENTS = cases(10, 200), cases(100, 10_000)
A_SECOND = 100.0
WITHIN_S, WITHIN_SHORT_S = 0.010, 0.250


async def test_every_change_is_told_within_ten_milliseconds(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Of 10,000 tickets that open and close, each reaches who watches: 99 of 100 within 10 ms of being acknowledged.

    The short profile tries fewer, and holds half of them to it, and 99 of 100 to 250 ms: other tests share the machine.
    """
    customers = [f"customer-{number}" for number in range(WATCHERS)]
    with served(tmp_path) as service:
        async with AsyncClient(service.address, timeout_s=5.0) as tact:
            for customer in customers:
                await tact.set_consent(customer, "full")
            async with watching(service.address, customers) as watchers:
                acknowledged = await _tickets(tact, watchers)
                for watcher in watchers:
                    await _heard_all(watcher, acknowledged)
                late = _late(watchers, acknowledged)
    p50, p99 = (late[int(share * (len(late) - 1))] for share in (0.5, 0.99))
    words = f"p50 {1000 * p50:.2f} ms, p99 {1000 * p99:.2f} ms, longest {1000 * late[-1]:.2f} ms"
    record_property("printed", f"{len(late)} events, {WATCHERS} watchers: {words} from acknowledged to received")
    assert len(late) == EVENTS
    assert (p99 if full() else p50) <= WITHIN_S, words
    assert p99 <= WITHIN_SHORT_S, words


async def _tickets(tact: AsyncClient, watchers: list[Watcher]) -> dict[str, float]:
    """Open and close a ticket of each customer in turn; return when each event was acknowledged."""
    acknowledged: dict[str, float] = {}
    begun = time.monotonic()
    for number in range(EVENTS):
        if (ahead := begun + number / A_SECOND - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        watcher, turn = watchers[number % len(watchers)], number // len(watchers)
        ticket = f"{watcher.customer}-{turn // 2}"
        if turn % 2:
            acknowledged[f"{ticket}-closed"] = await close_ticket(tact, watcher.customer, ticket)
        else:
            acknowledged[f"{ticket}-opened"] = await open_ticket(tact, watcher.customer, ticket)
    return acknowledged


async def _heard_all(watcher: Watcher, acknowledged: dict[str, float]) -> None:
    mine = {name for name in acknowledged if name.startswith(f"{watcher.customer}-")}
    await watcher.until(lambda: mine <= set(_answered(watcher)), "every event")


def _answered(watcher: Watcher) -> dict[str, float]:
    """Return when the answer came that each event caused."""
    return {
        cause.id: at_s
        for at_s, message in watcher.told
        if message.kind == pb.WATCH_KIND_ANSWER
        for cause in message.causes
    }


def _late(watchers: list[Watcher], acknowledged: dict[str, float]) -> list[float]:
    came = {name: at_s for watcher in watchers for name, at_s in _answered(watcher).items()}
    return sorted(max(0.0, came[name] - at_s) for name, at_s in acknowledged.items())
