"""A service of the demo strategy, and customers to whom something happens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.app import start
from service.config import Settings, StorePlace
from service.rpc.client import Ask, Event, Outcome, TactClient
from service.rpc.plain import Plain
from service.rpc.secured import Secured
from tests.cli.commands import DEMO

DESK = ("greeting", "offer")


@asynccontextmanager
async def served(store_url: str, callers: Path | None = None, **more: object) -> AsyncIterator[str]:
    """Run a service in this process; yield its address."""
    settings = Settings(
        store=StorePlace.parse(store_url), strategy=DEMO, port=0, reload=False, callers=callers, **more  # type: ignore[arg-type]  # as settings are
    )  # fmt: skip
    running = await start(settings)
    try:
        yield running.address
    finally:
        await running.stop(0.0)


def who(token_file: Path) -> Secured:
    """Return how a caller with a token calls, without TLS, on this machine."""
    return Secured(token=token_file)


def now_ms() -> int:
    """Return the time in ms since 1970."""
    return time.time_ns() // 1_000_000


async def happened(tact: TactClient, customer: str, kind: str, name: str = "", **attributes: Plain) -> None:
    """Record one event that happened now; raise AssertionError unless it is stored."""
    event = Event(name or f"{kind}-{time.monotonic_ns()}", customer, kind, now_ms(), attributes)
    answer = await tact.record_events([event])
    assert answer["results"][0]["status"] == "stored", answer


async def decided(tact: TactClient, customer: str, channel: str = "desk") -> tuple[str, dict[str, str]]:
    """Decide at the desk; return the decision and what is said at each placement."""
    answer = await tact.decide(Ask(customer, channel, DESK))
    nothing: dict[str, str] = {}
    said = {
        one["placement"]: (one.get("greeting") or one.get("offer") or nothing).get("action_id", "")
        for one in answer["answers"]
    }
    return answer["decision_id"], said


async def came(tact: TactClient, decision: str, action: str, kind: str) -> None:
    """Record an outcome."""
    answer = await tact.record_outcomes([Outcome(decision, action, kind)])
    assert answer["results"][0]["status"] == "stored", answer
