"""Events count as demand as far as what they say of it can be told."""

from __future__ import annotations

from service.rpc.client import Event
from tests.rpc.test_supply import everything, listening, rows
from tests.service.shop import now_ms


async def test_only_what_can_be_told_is_counted(clean_store_url: str) -> None:
    """Items and places of up to 64 letters count, and up to a billion units; a crowd of the largest can be told."""
    async with listening(clean_store_url) as (client, tally, _):
        now, long, billion = now_ms(), "x" * 64, 1_000_000_000
        events = [
            Event("e1", "ada", "viewed", now, {"item": long, "place": long}),
            Event("e2", "ada", "viewed", now, {"item": long + "x", "place": "north"}),
            Event("e3", "ada", "viewed", now, {"item": "phone", "place": long + "x"}),
            Event("e4", "ada", "carted", now, {"place": "north", "pieces": billion + 1}),
            Event("e5", "ada", "carted", now, {"place": "north", "pieces": 2**53 - 1}),
        ]
        events += [Event(f"m{n}", "ada", "carted", now, {"place": "north", "pieces": billion}) for n in range(100)]
        await client.record_events(events)
        await tally.tell()
        assert rows(await everything(client)) == [
            ("phone", "north", "cart", 100, 100 * billion),
            (long, long, "view", 1, 1),
        ]
