"""Generations: a running service changes from one version to the next while calls and the store go on."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from service.app import Running, start
from service.config import Settings, StorePlace
from service.generation import KEPT_ENGINES
from service.rpc.client import Ask, TactClient
from service.store.embedded import EmbeddedStore
from tests.service.editions import editions_in, write_edition
from tests.strategies import SECTIONS, write_strategy

WEB = Ask("anna", "web", ("greeting", "hero"))


@asynccontextmanager
async def serving(url: str, folder: Path, *, reload: bool = True) -> AsyncIterator[tuple[Running, TactClient]]:
    """Serve a folder, of the first edition unless it is there."""
    if not await asyncio.to_thread(folder.exists):
        write_edition(folder, 0)
    running = await start(
        Settings(store=StorePlace.parse(url), strategy=folder, port=0, store_wait_s=5.0, reload=reload)
    )
    try:
        async with TactClient(running.address, timeout_s=10.0) as client:
            yield running, client
    finally:
        await running.stop(grace_s=1.0)


async def until(holds: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until something holds, which must be in time."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what it waits for is done by the service, which tells nobody
            await asyncio.sleep(0.01)


def edition(running: Running) -> str:
    """Return which edition is in force."""
    return running.strategy.actions[0].says.partition(" ")[0]


async def test_without_reload_only_who_asks_gets_another_version(clean_store_url: str, tmp_path: Path) -> None:
    """With reloading switched off a change waits until somebody says so."""
    async with serving(clean_store_url, tmp_path / "served", reload=False) as (running, _):
        write_edition(tmp_path / "served", 1)
        await asyncio.sleep(0.8)
        assert edition(running) == "e0e"
        running.reloading.look_now()
        await until(lambda: edition(running) == "e1e")


async def test_a_generation_is_closed_when_its_last_call_has_ended(clean_store_url: str, tmp_path: Path) -> None:
    """As long as a call holds it, its background goes on; then it ends, and nothing of it is left."""
    async with serving(clean_store_url, tmp_path / "served") as (running, _):
        held = running.generations.current.edge  # as a call holds it
        before = len(asyncio.all_tasks())
        write_edition(tmp_path / "served", 1)
        await until(lambda: edition(running) == "e1e")
        await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) > before
        del held
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_stop_does_not_wait_for_generations_that_are_leaving(clean_store_url: str, tmp_path: Path) -> None:
    """What still holds an earlier generation at the end is no reason to go on."""
    async with serving(clean_store_url, tmp_path / "served") as (running, _):
        held = running.generations.current.edge
        write_edition(tmp_path / "served", 1)
        await until(lambda: edition(running) == "e1e")
    assert held.strategy.version != running.strategy.version
    del held
    gc.collect()


async def test_an_answer_that_is_repeated_across_a_reload_is_the_same(clean_store_url: str, tmp_path: Path) -> None:
    """The key of an earlier decision gives its actions, its reasons and its version, in the words it was made in."""
    async with serving(clean_store_url, tmp_path / "served") as (running, client):
        ask = replace(WEB, idempotency_key="once")
        first = await client.decide(ask)
        assert editions_in(first) == {"e0e"}
        write_edition(tmp_path / "served", 1)
        await until(lambda: edition(running) == "e1e")
        assert await client.decide(ask) == first
        assert editions_in(await client.decide(WEB)) == {"e1e"}


async def test_a_field_that_moves_to_another_purpose_is_refused(clean_store_url: str, tmp_path: Path) -> None:
    """What the store keeps for one purpose is not read under another, whoever changes the strategy meanwhile."""
    folder = write_strategy(tmp_path / "served")
    async with serving(clean_store_url, folder) as (running, client):
        version = running.strategy.version
        moved = SECTIONS["fields"].replace("purpose: service", "purpose: profiling", 1)
        write_strategy(folder, fields=moved)
        await until(lambda: running.reloading.refused is not None)
        refused = (await client.control.status())["refused"]
        assert "in this store" in refused["problems"][0]
        assert (await client.decide(WEB))["versions"]["strategy"] == version
        assert await client.health() == "serving"
        write_strategy(folder)
        await until(lambda: running.reloading.refused is not None and not running.reloading.refused.stands)


async def test_a_version_waits_while_the_store_is_away(tmp_path: Path) -> None:
    """Nothing is refused for that; when the store is back, the version is in force."""
    embedded = EmbeddedStore(tmp_path / "store")
    with embedded as url:
        async with serving(url, tmp_path / "served") as (running, _):
            os.kill(embedded.processes[1], signal.SIGSTOP)
            try:
                write_edition(tmp_path / "served", 1)
                await asyncio.sleep(2.5)
                assert (edition(running), running.reloading.refused) == ("e0e", None)
            finally:
                os.kill(embedded.processes[1], signal.SIGCONT)
            await until(lambda: edition(running) == "e1e")


async def test_what_is_switched_off_stays_off_across_versions(clean_store_url: str, tmp_path: Path) -> None:
    """A switch is not of a version: the next one does not say it either, and it can be switched on when it is gone."""
    folder = tmp_path / "served"
    async with serving(clean_store_url, folder) as (running, client):
        await client.control.switch_off("greet", "A test.")
        write_edition(folder, 1)
        await until(lambda: edition(running) == "e1e")
        answer = await client.decide(WEB)
        assert "switched_off" in {reason["code"] for reason in answer["answers"][0]["reasons"]}
        assert "greet" not in {one.get("greeting", {}).get("action_id") for one in answer["answers"]}


async def test_a_queued_answer_is_no_longer_valid_when_it_is_switched_off(clean_store_url: str, tmp_path: Path) -> None:
    """What was decided before must not be said any more, and that is told with the reason."""
    async with serving(clean_store_url, tmp_path / "served") as (_, client):
        decided = await client.decide(replace(WEB, idempotency_key="once"))
        assert (await client.validate_decision(decided["decision_id"]))["valid"]
        await client.control.switch_off(None, "A test.")
        judged = await client.validate_decision(decided["decision_id"])
        assert [reason["code"] for reason in judged["placements"][0]["reasons"]] == ["switched_off"]
        again = await client.decide(replace(WEB, idempotency_key="once"))
        assert [reason["code"] for reason in again["answers"][0]["reasons"]] == ["switched_off"]
        assert "suppression" in again["answers"][0]


async def test_a_safe_greeting_that_is_off_is_not_said_while_the_store_is_away(tmp_path: Path) -> None:
    """The process goes by what it knew last: nothing is said, and both reasons are told."""
    embedded = EmbeddedStore(tmp_path / "store")
    with embedded as url:
        async with serving(url, tmp_path / "served") as (_, client):
            await client.control.switch_off("greet", "A test.")
            os.kill(embedded.processes[1], signal.SIGSTOP)
            try:
                answer = await client.decide(WEB)
            finally:
                os.kill(embedded.processes[1], signal.SIGCONT)
            assert [reason["code"] for reason in answer["answers"][0]["reasons"]] == [
                "store_unavailable",
                "switched_off",
            ]
            assert all("suppression" in one for one in answer["answers"])


async def test_a_version_that_is_back_in_force_keeps_its_words(clean_store_url: str, tmp_path: Path) -> None:
    """After a, b, c, d, a, e an answer of a is repeated in the words of a, which was in force just before."""
    folder, key = tmp_path / "served", replace(WEB, idempotency_key="once")
    async with serving(clean_store_url, folder, reload=False) as (running, client):
        first = await client.decide(key)
        for number in (1, 2, 3, 0, 4):
            write_edition(folder, number)
            await running.reloading.look(asked=True)
            assert edition(running) == f"e{number}e"
        assert await client.decide(key) == first


async def test_versions_that_are_not_taken_leave_the_words_of_others(clean_store_url: str, tmp_path: Path) -> None:
    """What the store refuses, however often, is never in force, and no earlier version is forgotten for it."""
    folder, key = write_strategy(tmp_path / "served"), replace(WEB, idempotency_key="once")
    async with serving(clean_store_url, folder, reload=False) as (running, client):
        first = await client.decide(key)
        for number in range(KEPT_ENGINES + 1):
            moved = SECTIONS["fields"].replace("purpose: service", "purpose: profiling", 1)
            write_strategy(folder, fields=f"{moved}# {number}\n")
            await running.reloading.look(asked=True)
            assert running.reloading.refused is not None
        write_edition(folder, 1)
        await running.reloading.look(asked=True)
        assert edition(running) == "e1e"
        assert await client.decide(key) == first
