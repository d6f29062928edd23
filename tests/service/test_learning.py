"""A service learns from outcomes between trainings, explores by what it knows, and keeps its control groups."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.app import Running, start
from service.config import Settings, StorePlace
from service.core.adapting import Counts
from service.core.exploration import Control, Group
from service.core.exploring import group_of
from service.core.logged import chances_at, policy_of
from service.core.plan import Entry, unpack
from service.errors import StoreError
from service.learning import Learning
from service.rpc.client import Ask, Outcome, TactClient
from service.store.keys import BUCKETS, log_key
from tests.store.patience import patient
from tests.strategies import edited, write_strategy

LATELY_MS = 600_000
NOTHING_HELD_BACK = {"guardrails": None, "eligibility": None, "caps": None, "weights": None, "model": None}


@asynccontextmanager
async def serving(store: str, folder: Path, **sections: str | None) -> AsyncIterator[tuple[Running, TactClient]]:
    """Serve the small strategy without anything that forbids; callers may choose the moment."""
    calm = edited("strategy", "  explore: 0.05\n", "")
    shop = write_strategy(folder / "shop", strategy=calm, **{**NOTHING_HELD_BACK, **sections})
    running = await start(
        Settings(store=StorePlace.parse(store), strategy=shop, port=0, store_wait_s=5.0, allow_as_of=True)
    )
    try:
        async with TactClient(f"127.0.0.1:{running.port}", schema=running.strategy.schema, timeout_s=20.0) as client:
            yield running, client
    finally:
        await running.stop()


def lately(seconds: float = 0.0) -> datetime:
    """Return a moment of ten minutes ago, and so many seconds."""
    return datetime.fromtimestamp((time.time_ns() // 1_000_000 - LATELY_MS) / 1000 + seconds, UTC)


async def ask(client: TactClient, who: str, at: datetime | None = None, **how: Any) -> dict[str, Any]:  # noqa: ANN401
    """Ask what the hero of the web says to somebody."""
    return dict(await client.decide(Ask(who, "web", ("hero",), {}, as_of=at, explain=True, **how)))


def said(answer: dict[str, Any]) -> str:
    """Return what an answer says."""
    placed = answer["answers"][0]
    found = placed.get("greeting") or placed.get("offer") or placed.get("message")
    return str(found["action_id"]) if found else "nothing"


def propensity(answer: dict[str, Any], action: str) -> float:
    """Return the propensity of an action, as explained."""
    return float(next(f["propensity"] for f in answer["explanation"]["actions"] if f["action_id"] == action))


async def entries(url: str) -> list[Entry]:
    """Return all entries of the decision log."""
    async with patient(url) as connections:
        pages = [await connections.execute("XRANGE", log_key(f"{n:03x}"), "-", "+") for n in range(BUCKETS)]
    return [unpack(dict(zip(row[::2], row[1::2], strict=True))[b"e"]) for page in pages for _, row in page]


async def test_outcomes_change_what_is_said_before_any_training(clean_store_url: str, tmp_path: Path) -> None:
    """An apology that everybody takes is believed in more than its prior was, and what nobody takes, less."""
    adaptive = "adaptive: {within: 1m, half_life: 1d, strength: 10}"
    async with serving(clean_store_url, tmp_path, exploration="exploration: {policy: thompson}", adaptive=adaptive) as (
        running,
        client,
    ):
        before = await ask(client, "nobody", lately())
        assert propensity(before, "apology") == pytest.approx(0.3)
        told: Counter[str] = Counter()
        for number in range(120):
            answer = await ask(client, f"somebody-{number}", lately())
            told[said(answer)] += 1
            if said(answer) == "apology":
                outcome = Outcome(answer["decision_id"], "apology", "accepted", occurred_at=lately(5))
                (result,) = (await client.record_outcomes([outcome]))["results"]
                assert result["status"] == "stored"
        assert told["apology"], "it was explored"
        learning = running.generations.current.learning
        await learning.refresh()
        after = await ask(client, "nobody-yet", lately())
        assert propensity(after, "apology") > 0.3
        assert told["ticket-status"], "it was explored as well"
        assert propensity(after, "ticket-status") < 0.4
    logged = await entries(clean_store_url)
    assert all(policy_of(one.placements[0]) == "thompson" for one in logged)
    for one in logged:
        assert sum(chances_at(one.placements[0]).values()) == pytest.approx(1.0)
        assert {learnt.action for learnt in one.learned} >= {odds.action for odds in one.placements[0].odds} - {
            "nothing"
        }


async def test_control_groups_are_kept_by_the_service(clean_store_url: str, tmp_path: Path) -> None:
    """Of real answers, members of the holdout hear nothing, those of the random group anything, others the best."""
    control = "control: {random: 0.2, holdout: 0.2, salt: a salt}"
    declared = Control(0.2, 0.2, "a salt")
    heard: dict[Group | None, Counter[str]] = {None: Counter(), Group.RANDOM: Counter(), Group.HOLDOUT: Counter()}
    async with serving(clean_store_url, tmp_path, control=control) as (_, client):
        for number in range(150):
            who = f"person-{number}"
            answer = await ask(client, who)
            heard[group_of(who, declared)][said(answer)] += 1
            if group_of(who, declared) is Group.HOLDOUT:
                codes = [reason["code"] for reason in answer["answers"][0]["reasons"]]
                assert codes == ["control_group"]
    assert set(heard[Group.HOLDOUT]) == {"nothing"}
    assert set(heard[Group.RANDOM]) == {"ticket-status", "apology", "nothing"}
    assert len(heard[None]) == 1
    policies = Counter(policy_of(one.placements[0]) for one in await entries(clean_store_url))
    assert policies == {
        "greedy": heard[None].total(),
        "control": heard[Group.RANDOM].total(),
        "holdout": heard[Group.HOLDOUT].total(),
    }


async def test_an_alias_is_in_the_group_of_the_person(clean_store_url: str, tmp_path: Path) -> None:
    """Somebody who logs in stays in the group of the person that they are, whichever id is asked about."""
    declared = Control(0.0, 0.5, "a salt")
    async with serving(clean_store_url, tmp_path, control="control: {holdout: 0.5, salt: a salt}") as (_, client):
        person = next(f"person-{n}" for n in range(99) if group_of(f"person-{n}", declared))
        visitor = next(f"visitor-{n}" for n in range(99) if not group_of(f"visitor-{n}", declared))
        await client.set_consent(person, "full", ())
        assert said(await ask(client, visitor)) != "nothing"
        await client.identities.link(visitor, person)
        assert said(await ask(client, visitor)) == said(await ask(client, person)) == "nothing"


async def test_a_strategy_that_learns_nothing_counts_and_reads_nothing(clean_store_url: str, tmp_path: Path) -> None:
    """Without the section no count is written, and nothing is read in the background."""
    async with serving(clean_store_url, tmp_path) as (running, client):
        answer = await ask(client, "somebody")
        await client.record_outcomes([Outcome(answer["decision_id"], said(answer), "accepted")])
        assert running.generations.current.learning.learned is None
    async with patient(clean_store_url) as connections:
        assert not list(await connections.execute("KEYS", "tact:*:q"))


class Failing:
    """A store that fails, and does not fail, as it is told."""

    def __init__(self) -> None:
        self.fails = True
        self.asked = asyncio.Event()

    async def counted(self, scope: str, now_ms: int, deadline_s: float) -> Counts:
        """Fail, or say that nothing was counted."""
        self.asked.set()
        if self.fails:
            raise StoreError("gone")
        return {}


async def test_what_was_learned_stands_while_the_store_is_away(
    clean_store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading goes on when it fails, says so once, and what was read last is used meanwhile."""
    async with serving(clean_store_url, tmp_path, adaptive="adaptive: {within: 1m, half_life: 1d}") as (running, _):
        counts, adapting = Failing(), running.generations.current.version.engine.adapting
        learning = Learning(counts, adapting, "", lambda: 0, again_s=0.001)
        counts.fails = False
        await learning.refresh()
        before, counts.fails = learning.learned, True
        assert before is not None
        with caplog.at_level(logging.WARNING, "service.learning"):
            learning.open()
            for _ in range(5):
                counts.asked.clear()
                await counts.asked.wait()
        assert learning.learned is before
        assert len([one for one in caplog.records if "what was learned" in one.message]) == 1
        counts.fails = False
        for _ in range(2):
            counts.asked.clear()
            await counts.asked.wait()
        assert learning.learned is not before
        await learning.close()
