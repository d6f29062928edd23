"""Whoever hears what is due decides for that channel, and is told as deep as it may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.rpc.access.who import Role
from service.rpc.callers import LOOKS_EVERY_S
from service.rpc.client import Answer, CallFailed
from tests.edge.access.service import Service, service
from tests.edge.access.world import token_of
from tests.live.triggers.world import CHANNEL, agreed, due, left, told, write_shop


@pytest.fixture
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve the shop."""
    monkeypatch.setattr("tests.edge.access.service.DEMO", write_shop(tmp_path / "shop"))


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Service, Answer]]:
    """Serve callers of each role, with one moment that an e-mail engine was sent."""
    async with service(folder) as tact:
        async with tact.client(token_of(Role.INGEST)) as ingest:
            await agreed(ingest, "ina")
            await told(ingest, left("ina"))
        async with tact.client(token_of(Role.EMAIL)) as engine:
            (moment,) = await due(engine)
        yield tact, moment


async def refused(work: Awaitable[object]) -> str:
    """Return the status with which a call ended that must not succeed."""
    with pytest.raises(CallFailed) as failed:
        await work
    return failed.value.code


@pytest.mark.usefixtures("_shop")
async def test_only_who_decides_for_a_channel_hears_what_is_due_there(tmp_path: Path) -> None:
    """An agent's desktop hears nothing of e-mail, and cannot end what an e-mail engine was lent."""
    async with guarded(tmp_path) as (tact, moment):
        async with tact.client(token_of(Role.DESKTOP)) as desktop:
            assert await refused(due(desktop)) == "PERMISSION_DENIED"
            assert await refused(desktop.triggers.acknowledge(CHANNEL, [moment])) == "PERMISSION_DENIED"
        for role in (Role.WEB, Role.STRATEGIST, Role.PROBE, Role.PRIVACY_OFFICER, Role.INGEST):
            async with tact.client(token_of(role)) as other:
                assert await refused(due(other)) == "PERMISSION_DENIED"
        async with tact.client(token_of(Role.EMAIL)) as engine:
            assert await refused(engine.triggers.release(CHANNEL, [moment])) == "PERMISSION_DENIED"
            assert (await engine.triggers.acknowledge(CHANNEL, [moment]))["held"] == [True]
        async with tact.client(token_of(Role.OPERATOR)) as operator:
            assert (await operator.triggers.dead(CHANNEL))["moments"] == []


@pytest.mark.usefixtures("_shop")
async def test_an_engine_is_told_no_more_than_it_may_see(tmp_path: Path) -> None:
    """At customer depth a moment has words and no scores."""
    async with guarded(tmp_path) as (_, moment):
        offer = moment["decision"]["answers"][0]["offer"]
        assert (offer["text"], offer["propensity"], offer["net_value"]) == ("Your cart is waiting.", 0.0, 0.0)


@pytest.mark.usefixtures("_shop")
async def test_a_token_that_ends_ends_the_stream(tmp_path: Path) -> None:
    """Who is struck off the list hears of nothing that becomes due after that."""
    async with guarded(tmp_path) as (tact, _), tact.client(token_of(Role.EMAIL)) as engine:
        heard = asyncio.ensure_future(anext(engine.triggers.due(CHANNEL)))
        await asyncio.sleep(0.1)
        callers = tact.folder / "callers.yaml"
        callers.write_text(callers.read_text().replace("role: email", "role: probe"))
        await asyncio.sleep(LOOKS_EVERY_S)
        async with tact.client(token_of(Role.INGEST)) as ingest:
            await ingest.get_consent("ina")  # who calls makes it look, and the next one has what it read
            await asyncio.sleep(0.3)
            await told(ingest, left("ina", "c2"))
        assert await refused(heard) == "UNAUTHENTICATED"
