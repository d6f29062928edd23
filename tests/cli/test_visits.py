"""The demo's visitors: they come as of the hours before and go on coming, and what they make of it is recorded."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.app import start
from service.cli.visits import BEFORE, BUSY, moments_before, said, visited
from service.config import Settings, StorePlace
from service.rpc.client import TactClient
from service.rpc.client_log import LogPart, Row
from tests.cli.commands import DEMO

WITHIN_S = 20.0


def visit(customer: str, channel: str = "web", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return one visit, as a world writes it."""
    row = {
        "customer_id": customer, "channel": channel, "placements": ["greeting", "hero"], "context": {},
        "events": [], "takes": {}, "otherwise": "",
    }  # fmt: skip
    return {**row, **more}


async def logged(client: TactClient) -> tuple[list[Row], list[Row]]:
    """Return all decisions, a row a placement, and all outcomes of the log."""
    parts = [part async for part in client.log.read({}) if isinstance(part, LogPart)]
    return [row for part in parts for row, _ in part.decisions], [row for part in parts for row in part.outcomes]


async def test_visitors_came_before_and_go_on_coming(clean_store_url: str, tmp_path: Path) -> None:
    """The first are spread over the hours before, in order; a visitor who cannot be answered stops nobody."""
    opened = {"customer_id": "v3", "type": "ticket.opened", "attributes": {"ticket": "t1", "topic": "network"}}
    rows = [visit(f"v{number}", takes={"greet-neutral": 0.4}) for number in range(8)]
    rows[3]["events"], rows[5]["channel"] = [opened], "no-such-channel"
    (tmp_path / "visits.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Settings(store=StorePlace.parse(clean_store_url), strategy=DEMO, port=0, allow_as_of=True)
    running = await start(settings)
    try:
        async with TactClient(f"127.0.0.1:{running.port}", schema=running.strategy.schema) as client:
            await client.set_consent("v3", "service")
            began = time.time()
            async with visited(client, tmp_path, first=8, pause_s=0.01):
                decisions, outcomes = await until_more_than(client, 24)
            known = await client.get_context("v3")
    finally:
        await running.stop()
    moments = sorted(one["at"] / 1000 for one in decisions)
    spread = BEFORE.total_seconds()
    assert began - spread - 5 < moments[0] < began - spread / 2
    assert moments[6] < began < moments[-1]
    assert {one["customer_id"] for one in decisions} == {f"v{number}" for number in range(8) if number != 5}
    came = {(one["action"], one["kind"]) for one in outcomes}
    assert {("greet-neutral", "shown"), ("greet-neutral", "accepted")} <= came
    assert next(field["value"] for field in known["fields"] if field["field_id"] == "past.open_tickets") == 1


async def until_more_than(client: TactClient, many: int) -> tuple[list[Row], list[Row]]:
    """Wait until so much was decided."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = await logged(client)
            if len(found[0]) > many:
                return found
            await asyncio.sleep(0.05)


def test_more_come_by_day_than_by_night() -> None:
    """The moments are in order, within the hours before, and as many in an hour as that hour is busy."""
    now = datetime(2026, 11, 23, 2, 40, tzinfo=UTC)
    found = list(moments_before(now, 1_000))
    assert found == sorted(found)
    assert now - BEFORE <= found[0] < found[-1] <= now
    ten = datetime(2026, 11, 22, 10, tzinfo=UTC)
    came = sum(ten <= one < ten + timedelta(hours=1) for one in found)
    assert came == pytest.approx(1_000 * BUSY[10] / sum(BUSY), abs=2)


async def test_a_world_without_visits_stays_quiet(tmp_path: Path) -> None:
    """Where a folder was made before there were visits, nothing comes and nothing fails."""
    async with TactClient("127.0.0.1:1") as client, visited(client, tmp_path):
        await asyncio.sleep(0)


OFFER = {"placement": "hero", "offer": {"action_id": "earbuds"}}
GREETING = {"placement": "greeting", "greeting": {"action_id": "greet-neutral"}}
NOTHING = {"placement": "hero", "suppression": {}}


@pytest.mark.parametrize(
    ("takes", "otherwise", "came"),
    [
        ({"earbuds": 22.0}, "refused", [("greet-neutral", "shown"), ("earbuds", "shown"), ("earbuds", "accepted")]),
        ({}, "refused", [("greet-neutral", "shown"), ("earbuds", "shown"), ("earbuds", "refused")]),
        ({"other": 1.0}, "", [("greet-neutral", "shown"), ("earbuds", "shown")]),
    ],
)
def test_what_is_seen_is_taken_or_refused(takes: dict[str, float], otherwise: str, came: list[tuple[str, str]]) -> None:
    """Everything that was said is seen; what the visitor likes is taken, and of the rest only offers are refused."""
    row = visit("v1", takes=takes, otherwise=otherwise)
    outcomes = list(said(row, {"decision_id": "d", "answers": [GREETING, OFFER, NOTHING]}))
    assert [(one.action_id, one.kind) for one in outcomes] == came
    assert [one.amount for one in outcomes if one.kind == "accepted"] == [v for k, v in takes.items() if k == "earbuds"]
    assert list(said(row, {"decision_id": "", "answers": [GREETING]})) == []
