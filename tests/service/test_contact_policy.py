"""Contact policy through the real service: what counts is what the cap says, and the answer tells when it frees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from service.app import start
from service.config import Settings, StorePlace
from service.rpc.client import Answer, Ask, Outcome, TactClient
from tests.service.test_consistency import said
from tests.strategies import write_strategy

CAPS = {
    "shown": "{id: cap, says: Seldom., count: {kinds: [offer]}, at_most: 1, within: 7d, counts: shown, hold: 10m}",
    "clicked": "{id: cap, says: Seldom., count: {kinds: [offer]}, at_most: 1, within: 7d, counts: clicked, hold: 10m}",
    "decided": "{id: cap, says: Seldom., count: {kinds: [offer]}, at_most: 1, within: 7d}",
    "day": "{id: cap, says: Once a day., count: {kinds: [offer]}, at_most: 1, within: day}",
    "group": "{id: cap, says: One of each., count: {kinds: [offer]}, at_most: 1, within: 7d, per: [group]}",
}
HELD, WEEK = timedelta(minutes=10), timedelta(days=7)


@asynccontextmanager
async def shop(store: str, folder: Path, cap: str, zone: str = "Europe/Berlin") -> AsyncIterator[TactClient]:
    """Serve the small strategy with one cap and without guardrails."""
    zoned = f"time_zone: {{default: {zone}}}\n"
    caps = f"caps:\n  - {CAPS[cap]}\n"
    strategy = write_strategy(folder / cap, caps=caps, guardrails=None, model=None, time_zone=zoned)
    running = await start(Settings(store=StorePlace.parse(store), strategy=strategy, port=0, store_wait_s=5.0))
    try:
        async with TactClient(f"127.0.0.1:{running.port}", schema=running.strategy.schema) as client:
            yield client
    finally:
        await running.stop()


async def told(client: TactClient, who: str, channel: str = "email", placement: str = "body") -> Answer:
    """Decide once for somebody who agreed to everything."""
    await client.set_consent(who, "full", ("email",))
    return await client.decide(Ask(who, channel, (placement,), explain=True))


def held_until(answer: Answer) -> datetime:
    """Return when the cap frees, as every explanation of a held back offer tells it."""
    fates = [one for one in answer["explanation"]["actions"] if one["action_id"] in ("new-phone", "fibre-upgrade")]
    capped = [reason for fate in fates for reason in fate["vetoes"] if reason["code"] == "cap_reached"]
    assert {reason["rule_id"] for reason in capped} == {"cap"}
    (until,) = {reason["until"] for reason in capped}
    return datetime.fromisoformat(until)


def about(found: datetime, wanted: timedelta) -> bool:
    """Tell whether a moment is so long from now, to the minute."""
    return abs(found - datetime.now(UTC) - wanted) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("cap", "kind", "then"),
    [
        ("shown", None, HELD),
        ("shown", "shown", WEEK),
        ("shown", "clicked", WEEK),
        ("clicked", "shown", HELD),
        ("clicked", "clicked", WEEK),
        ("decided", None, WEEK),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_counts_is_what_the_cap_says(
    clean_store_url: str, tmp_path: Path, cap: str, kind: str | None, then: timedelta
) -> None:
    """What was decided is held, and counts for the window only once it was shown, or clicked."""
    async with shop(clean_store_url, tmp_path, cap) as client:
        first = await told(client, "ann")
        assert said(first) in ("new-phone", "fibre-upgrade")
        if kind:
            await client.record_outcomes([Outcome(first["decision_id"], said(first), kind)])
        again = await told(client, "ann", "web", "hero")
        assert said(again) not in ("new-phone", "fibre-upgrade")
        assert about(held_until(again), then)


async def test_a_day_ends_at_the_customers_midnight(clean_store_url: str, tmp_path: Path) -> None:
    """Where it is about noon now, the cap frees when the day ends there."""
    shift = 12 - datetime.now(UTC).hour
    zone = f"Etc/GMT{-shift:+d}"  # the sign of these names is that of the way to Greenwich
    async with shop(clean_store_url, tmp_path, "day", zone) as client:
        await told(client, "bob")
        until = held_until(await told(client, "bob", "web", "hero"))
        noon = datetime.now(ZoneInfo(zone))
        assert 11 <= noon.hour <= 13
        assert until == (noon + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


async def test_each_group_counts_for_itself(clean_store_url: str, tmp_path: Path) -> None:
    """One offer of each group is made, and then none, on any channel; asked at once, no group's offer twice."""
    async with shop(clean_store_url, tmp_path, "group") as client:
        await client.set_consent("cem", "full", ("email",))
        answers = await asyncio.gather(
            *(told(client, "cem", *(("email", "body"), ("web", "hero"))[i % 2]) for i in range(9))
        )
        offers = [said(answer) for answer in answers if said(answer) in ("new-phone", "fibre-upgrade")]
        assert sorted(offers) == ["fibre-upgrade", "new-phone"]
