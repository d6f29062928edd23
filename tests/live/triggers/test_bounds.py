"""What one consumer takes, or may not take, costs the others nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis import Redis

from service.rpc import triggers
from service.rpc.access.who import Role
from service.rpc.client import Answer, CallFailed, TactClient
from service.rpc.triggers import MOST_STREAMS
from service.store.moments import MomentStore
from tests.edge.access.service import service
from tests.edge.access.world import digest, token_of
from tests.live.triggers import world
from tests.live.triggers.test_access import _shop as _shop
from tests.live.triggers.test_access import refused
from tests.live.triggers.test_due import shop
from tests.live.triggers.world import CHANNEL, agreed, bought, customers_of, due, left, now_ms, told

TOKEN = "another token of its own, 0123456789 abc"


async def heard_by(engine: TactClient, heard: list[Answer]) -> None:
    """Hear of all that is due, also where the stream ends before."""
    async for moment in engine.triggers.due(CHANNEL, 100, 60, until_none=True):
        heard.append(moment)


@pytest.mark.usefixtures("_shop")
async def test_who_is_over_its_quota_takes_nothing_from_others(tmp_path: Path) -> None:
    """However often it asks, what it is refused is there for another one at once, never dead, and not counted."""
    caller = f"  - {{name: mailer, role: email, token_sha256: {digest(TOKEN)}, customers_per_hour: 1}}"
    async with service(tmp_path, caller) as tact:
        async with tact.client(token_of(Role.INGEST)) as ingest:
            await agreed(ingest, "ina", "jon", "kim")
            await told(ingest, left("ina"), left("jon"), left("kim"))
        heard: list[Answer] = []
        async with tact.client(TOKEN) as engine:
            for _ in range(8):
                assert await refused(heard_by(engine, heard)) == "RESOURCE_EXHAUSTED"
        assert len(heard) == 1
        async with tact.client(token_of(Role.EMAIL)) as other:
            rest = await due(other)
        assert sorted(customers_of(heard + rest)) == ["ina", "jon", "kim"]
        assert [one["delivery"] for one in rest] == [1, 1]
        async with tact.client(token_of(Role.OPERATOR)) as operator:
            assert (await operator.triggers.dead(CHANNEL))["moments"] == []


async def test_who_acknowledges_nothing_is_looked_after_seldom(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full stream asks the store ever more seldom, in the end at its longest rest: a second, a third of one here. It
    has more at once where it acknowledges.
    """
    monkeypatch.setattr(triggers, "LOOK_AT_LOANS_AT_LEAST_S", 0.3)
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        heard: list[Answer] = []
        await told(tact, *(left("ina", f"c{number}") for number in range(4)))

        async def listen() -> None:
            async for moment in tact.triggers.due(CHANNEL, 2, 60):
                heard.append(moment)

        listener = asyncio.create_task(listen())
        await asyncio.sleep(0.8)
        with Redis.from_url(clean_store_url) as raw:
            before = raw.info("commandstats")["cmdstat_zmscore"]["calls"]
            await asyncio.sleep(1.0)
            looks = raw.info("commandstats")["cmdstat_zmscore"]["calls"] - before
        assert len(heard) == 2
        assert 1 <= looks <= 6, "twenty where it looks every 50 ms"
        await tact.triggers.acknowledge(CHANNEL, heard[:2])
        await asyncio.sleep(0.4)
        assert len(heard) == 4
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def test_one_caller_has_so_many_streams(clean_store_url: str, tmp_path: Path) -> None:
    """One more is refused, with when to try again; when one has ended there is room."""
    async with shop(clean_store_url, tmp_path) as tact:
        streams = [asyncio.ensure_future(anext(tact.triggers.due(CHANNEL))) for _ in range(MOST_STREAMS)]
        await asyncio.sleep(0.5)
        with pytest.raises(CallFailed) as failed:
            await due(tact)
        assert failed.value.code == "RESOURCE_EXHAUSTED"
        streams.pop().cancel()
        await asyncio.sleep(0.3)
        assert await due(tact) == []
        for one in streams:
            one.cancel()
        await asyncio.gather(*streams, return_exceptions=True)


async def test_caps_are_free_after_what_was_not_sent(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cart that was sent before is left again and bought while it is decided: that one counts for nothing."""
    monkeypatch.setattr(world, "STRATEGY", world.STRATEGY.replace("at_most: 1000", "at_most: 2"))
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        await told(tact, left("ina", "c1", now_ms() - 60_000))
        await tact.triggers.acknowledge(CHANNEL, await due(tact))
        await told(tact, left("ina", "c1", event="again"))
        sent = MomentStore.sent

        async def bought_before(*given: object) -> object:
            await told(tact, bought("ina"))
            return await sent(*given)  # type: ignore[arg-type]  # as it is called

        monkeypatch.setattr(MomentStore, "sent", bought_before)
        assert await due(tact) == []
        monkeypatch.setattr(MomentStore, "sent", sent)
        await told(tact, left("ina", "c2"))
        assert len(await due(tact)) == 1
