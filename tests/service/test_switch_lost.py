"""A process that knows what is off goes by it when the store does not, and looks at that before anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from service import watching
from service.core.control import EVERYTHING
from service.core.decision import Decision, ReasonCode
from service.core.memory import NOTHING_OFF, Switched
from service.decide import Decider, NoBook, Patience
from service.store import keys
from service.store.connection import Connections
from service.store.switches import UNREADABLE, SwitchStore
from service.switching import Switching
from service.validate import Validator
from service.watching import StoreWatch
from tests.service.test_decide import Meanwhile, logged
from tests.service.world import NOW_MS, World, ask, no_exploration, world

DEADLINE_S = 10.0
PERSON = "anna"
WHY = ("The price is wrong.", "olga")
BUCKETS = [keys.switch_key(f"{number:03x}") for number in range(keys.BUCKETS)]


def switching(tact: World) -> Switching:
    """Return the switches as a process sees them."""
    return Switching(SwitchStore(tact.store.calls), keys.BUCKETS, lambda: NOW_MS)


def decider(tact: World, process: Switching) -> Decider:
    """Return what decides in that process."""
    return Decider(
        tact.engine, tact.store.customers, no_exploration, lambda: NOW_MS, Patience(most_s=5.0), switches=process
    )


def said(decision: Decision) -> list[str]:
    """Return what is said at each placement; empty for nothing."""
    return [answer.action for answer in decision.answers]


def lost(url: str) -> None:
    """Make the store forget what is off."""
    with Redis.from_url(url) as store:
        store.delete(keys.switches_key(), *BUCKETS)


@pytest.mark.parametrize("action", ["greet", EVERYTHING])
async def test_what_the_store_has_lost_is_not_said(clean_store_url: str, tmp_path: Path, action: str) -> None:
    """Right after the loss, before any look: neither anew, nor under the key of an earlier decision, nor as valid."""
    async with world(clean_store_url, tmp_path) as tact:
        process = switching(tact)
        deciding = decider(tact, process)
        before = await deciding.decide(ask("nobody", "web", "greeting", key="k"), DEADLINE_S)
        assert said(before) == ["greet"]
        await process.set(action, WHY)
        lost(clean_store_url)
        anew = await deciding.decide(ask("nobody", "web", "greeting", explain=True), DEADLINE_S)
        again = await deciding.decide(ask("nobody", "web", "greeting", key="k"), DEADLINE_S)
        assert [said(one) for one in (anew, again)] == [[""], [""]]
        assert all(ReasonCode.SWITCHED_OFF in {why.code for why in one.answers[0].reasons} for one in (anew, again))
        planned = [c.action for e in logged(clean_store_url, "nobody")[1:] for p in e.placements for c in p.candidates]
        assert "greet" not in planned
        store = tact.store
        validator = Validator(
            lambda: tact.engine, store.issued, store.customers, store.supply, NoBook(), switches=process
        )
        validity = await validator.validate(before.decision_id, NOW_MS, DEADLINE_S)
        assert ReasonCode.SWITCHED_OFF in {why.code for why in validity.placements[0].reasons}


async def test_a_decision_that_another_made_meanwhile_does_not_say_what_was_lost(
    clean_store_url: str, tmp_path: Path
) -> None:
    """Under the same key it is found at the commit alone; it says what is off as little as one that was read."""
    async with world(clean_store_url, tmp_path) as tact:
        process = switching(tact)
        await process.set("greet", WHY)
        lost(clean_store_url)
        question = ask("nobody", "web", "greeting", key="k")

        async def another() -> None:
            assert said(await tact.decider.decide(question, DEADLINE_S)) == ["greet"]

        store = Meanwhile(tact, another, 1)
        deciding = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0), switches=process)
        assert said(await deciding.decide(question, DEADLINE_S)) == [""]


async def test_a_copy_that_is_behind_takes_nothing_back(clean_store_url: str, tmp_path: Path) -> None:
    """What an older copy says is off is off, beside what this process knows."""
    async with world(clean_store_url, tmp_path) as tact:
        process, bucket = switching(tact), keys.switch_key(keys.bucket("nobody"))
        await process.set("apology", WHY)
        with Redis.from_url(clean_store_url) as store:
            older = store.get(bucket)
            await process.set("apology", None)
            await process.set("ticket-status", WHY)
            store.set(bucket, older or b"")
        deciding = decider(tact, process)
        assert said(await deciding.decide(ask("nobody", "web", "greeting"), DEADLINE_S)) == ["greet"]
        assert deciding._off == Switched(frozenset({"apology", "ticket-status"}))


async def test_a_copy_that_is_newer_holds(clean_store_url: str, tmp_path: Path) -> None:
    """What another process has switched on since is said, whatever this one knew."""
    async with world(clean_store_url, tmp_path) as tact:
        process = switching(tact)
        await process.set("greet", WHY)
        other = switching(tact)
        await other.set("greet", None)
        assert process.off == Switched(frozenset({"greet"}))
        assert said(await decider(tact, process).decide(ask("nobody", "web", "greeting"), DEADLINE_S)) == ["greet"]


async def test_a_copy_that_cannot_be_read_is_not_read_as_what_was_known(clean_store_url: str, tmp_path: Path) -> None:
    """Everything is off by it, also for a process that knows better: it may be the newer one."""
    async with world(clean_store_url, tmp_path) as tact:
        process = switching(tact)
        await process.set("apology", WHY)
        Redis.from_url(clean_store_url).set(keys.switch_key(keys.bucket("nobody")), b"\xc1")
        assert said(await decider(tact, process).decide(ask("nobody", "web", "greeting"), DEADLINE_S)) == [""]


async def test_a_master_that_cannot_be_read_silences_the_process(clean_store_url: str, tmp_path: Path) -> None:
    """Nobody knows what is off, so nothing is said; the watch warns of it and goes on."""
    async with world(clean_store_url, tmp_path) as tact:
        process = switching(tact)
        Redis.from_url(clean_store_url).hset(keys.switches_key(), "#", "x1")
        watch = watched(tact, process, tact.connections)
        await watch.look()
        try:
            assert watch.warnings == (UNREADABLE,)
            assert said(await decider(tact, process).decide(ask("nobody", "web", "greeting"), DEADLINE_S)) == [""]
        finally:
            await watch.close()


def watched(tact: World, process: Switching, connections: Connections) -> StoreWatch:
    """Return a watch over the store."""
    return StoreWatch(connections, tact.store, None, tact.engine.strategy, process)


async def test_what_is_off_is_known_though_the_store_takes_nothing_in(clean_store_url: str, tmp_path: Path) -> None:
    """A process that begins over a full store, whose safe greeting is all it can say, knows that it is off."""
    async with world(clean_store_url, tmp_path) as tact:
        await switching(tact).set("greet", WHY)
        process = switching(tact)
        with Redis.from_url(clean_store_url) as raw:
            raw.config_set("maxmemory", "1")
            watch = watched(tact, process, tact.connections)
            try:
                await watch.look()
                assert process.off == Switched(frozenset({"greet"}))
            finally:
                raw.config_set("maxmemory", "0")
                await watch.close()


class Stumbling(Switching):
    """Switches whose looks fail in a way that nobody foresaw, a few times."""

    stumbles = 0

    async def look(self, *, anew: bool) -> None:
        """Stumble, or look."""
        if self.stumbles:
            self.stumbles -= 1
            raise ValueError(PERSON)
        await super().look(anew=anew)


async def soon(holds: Callable[[], bool]) -> bool:
    """Tell whether something comes to hold within five seconds."""
    for _ in range(500):
        if holds():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_the_watch_outlives_what_nobody_foresaw(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged without what it says, and the next look does what this one could not."""
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.01)
    async with world(clean_store_url, tmp_path) as tact:
        process = Stumbling(SwitchStore(tact.store.calls), keys.BUCKETS, lambda: NOW_MS)
        watch = watched(tact, process, tact.connections)
        await watch.look()
        try:
            assert process.off is NOTHING_OFF
            process.stumbles = 3
            assert await soon(lambda: watch.away)
            await switching(tact).set("greet", WHY)
            assert await soon(lambda: process.off == Switched(frozenset({"greet"})) and not watch.away)
        finally:
            await watch.close()
    errors = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert len(errors) == 1
    assert "ValueError" in errors[0]
    assert PERSON not in caplog.text
