"""What would change an answer is told by a running service; when it comes about, the service answers so."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from service.app import start
from service.config import Settings, StorePlace
from service.rpc.client import Answer, Ask, CallFailed, Event, TactClient, WhatIf
from tests.cli.commands import one_line, typed
from tests.strategies import edited, write_strategy

DAY_MS = 86_400_000
ACTIONABLE = "actionable: [{field: past.open_tickets, says: An open ticket is closed., add: -1}]\n"
CERTAIN = edited("strategy", "  explore: 0.05\n", "")
FIBRE = "fibre-upgrade"


@dataclass(frozen=True, slots=True)
class Serving:
    """A service with its client, and one customer with an open ticket."""

    tact: TactClient
    address: str
    customer: str

    async def decided(self, channel: str = "web", placement: str = "hero", as_of: datetime | None = None) -> Answer:
        """Decide about the customer."""
        return await self.tact.decide(Ask(self.customer, channel, (placement,), as_of=as_of))

    async def would(self, decision: Answer, action: str = FIBRE, goal: str = "win") -> Answer:
        """Ask what would have changed a decision."""
        told = await self.tact.explain_decision(decision["decision_id"], what_if=WhatIf(action, goal))
        found: Answer = told["what_would_change"]
        return found

    async def told(self, kind: str, **attributes: Any) -> None:  # noqa: ANN401  whatever the event has
        """Let something happen to the customer."""
        now_ms = int(time.time() * 1000)
        await self.tact.record_events([Event(f"{kind}-{now_ms}", self.customer, kind, now_ms, attributes)])


@asynccontextmanager
async def serving(folder: Path, url: str, customer: str, **changes: str | None) -> AsyncIterator[Serving]:
    """Serve a strategy that explores nothing, for a customer with an open ticket."""
    sections: dict[str, str | None] = {"strategy": CERTAIN, "actionable": ACTIONABLE, **changes}
    written = write_strategy(folder, **sections)
    settings = Settings(StorePlace.parse(url), written, port=0, reload=False, store_wait_s=5.0, allow_as_of=True)
    running = await start(settings)
    try:
        async with TactClient(running.address, schema=running.strategy.schema) as tact:
            found = Serving(tact, running.address, customer)
            await found.told("ticket.opened", ticket="t1")
            yield found
    finally:
        await running.stop(0.0)


def said(answer: Answer) -> str:
    """Return the action that is said at the first placement; empty for nothing."""
    placed = answer["answers"][0]
    found = placed.get("offer") or placed.get("greeting") or {}
    return str(found.get("action_id", ""))


def kinds(would: Answer) -> list[str]:
    """Return what is changed."""
    assert would["verdict"] == "found", would
    return [change["kind"] for change in would["changes"]]


async def test_a_ticket_is_closed(tmp_path: Path, clean_store_url: str) -> None:
    """The one fact that stands in the way is told with its values; once it has come about, the action wins."""
    async with serving(tmp_path / "strategy", clean_store_url, "wilma") as wilma:
        await wilma.tact.set_consent("wilma", "full", source="test")
        before = await wilma.decided()
        would = await wilma.would(before)
        assert would["changes"] == [
            {
                "kind": "fact",
                "field_id": "past.open_tickets",
                "before": 1,
                "after": 0,
                "consent_level": "",
                "sentence": "An open ticket is closed.",
            }
        ]
        assert (would["then_action_id"], would["goal"]) == (FIBRE, "win")
        await wilma.told("ticket.closed", ticket="t1")
        assert (said(before) == FIBRE, said(await wilma.decided())) == (False, FIBRE)


async def test_a_higher_consent_and_the_permission_to_contact(tmp_path: Path, clean_store_url: str) -> None:
    """Both are asked of the customer, in the least level that does; then the action wins on that channel."""
    async with serving(tmp_path / "strategy", clean_store_url, "wim") as wim:
        await wim.tact.set_consent("wim", "service", source="test")
        await wim.told("ticket.closed", ticket="t1")
        before = await wim.decided("email", "body")
        would = await wim.would(before)
        assert kinds(would) == ["consent", "permission"]
        assert would["changes"][0]["consent_level"] == "personal"
        await wim.tact.set_consent("wim", "personal", ["email"], source="test")
        assert (said(before), said(await wim.decided("email", "body"))) == ("", would["then_action_id"])


async def test_a_cap_is_waited_for(tmp_path: Path, clean_store_url: str) -> None:
    """Until the moment at which it frees: a millisecond before it still holds back, and from then on no more."""
    async with serving(tmp_path / "strategy", clean_store_url, "wanda", caps=ONE) as wanda:
        await wanda.tact.set_consent("wanda", "full", source="test")
        await wanda.told("ticket.closed", ticket="t1")
        first, before = await wanda.decided(), await wanda.decided()
        assert (said(first), said(before)) == (FIBRE, "apology")
        would = await wanda.would(before)
        assert kinds(would) == ["wait"]
        until = datetime.fromisoformat(would["changes"][0]["wait_until"])
        early = datetime.fromtimestamp(until.timestamp() - 0.001, until.tzinfo)
        assert said(await wanda.decided(as_of=early)) != FIBRE
        assert said(await wanda.decided(as_of=until)) == FIBRE


ONE = "caps: [{id: one-offer-a-week, says: One offer a week., count: {kinds: [offer]}, at_most: 1, within: 7d}]\n"


async def test_what_is_out_of_reach_is_told_with_how_far_was_looked(tmp_path: Path, clean_store_url: str) -> None:
    """The reason that nothing removes, and all that was tried; and on the command line the same in words."""
    async with serving(tmp_path / "strategy", clean_store_url, "wolf") as wolf:
        await wolf.tact.set_consent("wolf", "full", source="test")
        await wolf.told("ticket.closed", ticket="t1")
        decision = await wolf.decided()
        would = await wolf.would(decision, "ticket-status")
        assert (would["verdict"], [one["rule_id"] for one in would["stands"]]) == ("none", ["status-needs-a-ticket"])
        assert would["reach"]["most_changes"] == 3
        words = ("what-if", decision["decision_id"], "--target", wolf.address, "--action")
        ran = await asyncio.to_thread(typed, *words, "ticket-status")
        assert ran.returncode == 0, ran.stderr
        assert "none is within reach" in ran.stdout
        assert "A ticket's status can be told when there is a ticket." in ran.stdout
        assert "tried (up to 3 together" in ran.stdout
        assert "waiting until" in ran.stdout
        beaten = await asyncio.to_thread(typed, *words, "new-phone")
        assert "before it come: fibre-upgrade" in beaten.stdout


async def test_the_command_tells_the_changes(tmp_path: Path, clean_store_url: str) -> None:
    """As a table with what each fact was and has to be, as JSON, and the other way round for what was said."""
    async with serving(tmp_path / "strategy", clean_store_url, "wenke") as wenke:
        await wenke.tact.set_consent("wenke", "full", source="test")
        decision = await wenke.decided()
        words = ("what-if", decision["decision_id"], "--target", wenke.address, "--action")
        ran = await asyncio.to_thread(typed, *words, FIBRE)
        assert ran.returncode == 0, ran.stderr
        assert "An open ticket is closed." in ran.stdout
        assert "then it says: fibre-upgrade" in ran.stdout
        told = json.loads((await asyncio.to_thread(typed, *words, FIBRE, "--json")).stdout)
        assert (told["verdict"], told["changes"][0]["after"]) == ("found", 0)
        loses = json.loads((await asyncio.to_thread(typed, *words, said(decision), "--json")).stdout)
        assert (loses["goal"], loses["then_action_id"] == said(decision)) == ("lose", False)
        as_it_is = await asyncio.to_thread(typed, *words, said(decision), "--win")
        assert "nothing needs to change" in as_it_is.stdout


async def test_bad_questions_are_answered_in_one_line(tmp_path: Path, clean_store_url: str) -> None:
    """An action, a placement or a decision that there is not, and wishes that exclude each other."""
    async with serving(tmp_path / "strategy", clean_store_url, "willi") as willi:
        await willi.tact.set_consent("willi", "full", source="test")
        decision = (await willi.decided())["decision_id"]

        async def line(code: int, *words: str) -> str:
            ran = await asyncio.to_thread(typed, "what-if", *words, "--target", willi.address)
            return one_line(ran, code)

        assert "there is no action `fibre-upgrad`" in await line(1, decision, "--action", "fibre-upgrad")
        assert "placement `cart` was not asked for" in await line(1, decision, "--action", FIBRE, "--placement", "cart")
        assert "There is no decision of this decision_id" in await line(1, "0" * 26, "--action", FIBRE)
        assert "exclude each other" in await line(2, decision, "--action", FIBRE, "--win", "--lose")
        with pytest.raises(CallFailed):
            await willi.tact.explain_decision(decision, what_if=WhatIf(FIBRE, "win", "", 9))
