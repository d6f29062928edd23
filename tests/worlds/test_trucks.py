"""The truck rental: a shortage is reported, bookings are throttled, and who has booked hears of it before the day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from redis import Redis

from service.rpc.client import Answer, Ask, Event, Outcome, TactClient
from tests.cli.commands import Process
from tests.project.tree import ROOT
from tests.service.shop import HOUR_MS, now_ms, there_are

TRUCKS = ROOT / "strategies" / "trucks"
CUSTOMERS = [f"visitor-{n}" for n in range(120)]
DAY_MS = 24 * HOUR_MS


@pytest.fixture(scope="module")
def target(store_url: str) -> Iterator[str]:
    """Serve the strategy and return where; each test has a town and customers of its own."""
    with Redis.from_url(store_url) as store:
        store.flushdb()
    with Process("serve", "--store", store_url, "--strategy", TRUCKS, "--port", "0", "--json") as process:
        yield process.serving().target


@asynccontextmanager
async def customers_at(target: str, *customers: str) -> AsyncIterator[TactClient]:
    """Yield a client of a service; the customers consent to offers."""
    async with TactClient(target, timeout_s=30.0) as tact:
        await asyncio.gather(*(tact.set_consent(customer, "personal", ("email",)) for customer in customers))
        yield tact


async def booked(tact: TactClient, customer: str, branch: str) -> None:
    """Let a customer have booked a truck yesterday."""
    event = Event("b-1", customer, "booking.made", now_ms() - DAY_MS, {"booking": "b-1", "branch": branch})
    await tact.record_events([event])


def ask(customer: str, branch: str, channel: str = "web") -> Ask:
    """Ask what to say to somebody who looks at a branch."""
    context = {"present.branch": branch} if branch else {}
    return Ask(customer, channel, ("main",), context, explain=True)


def action_of(answer: Answer) -> str:
    """Return what is said; empty for nothing."""
    placed = answer["answers"][0]
    said = placed.get("greeting") or placed.get("offer")
    return str(said["action_id"]) if said else ""


def vetoes(answer: Answer, action: str) -> list[str]:
    """Return the codes of what forbids an action."""
    (fate,) = (fate for fate in answer["explanation"]["actions"] if fate["action_id"] == action)
    return [reason["code"] for reason in fate["vetoes"]]


async def reported(tact: TactClient, branch: str, available: int) -> None:
    """Report what is free, and wait until decisions know."""
    await tact.report_supply([there_are("truck", branch, available)])
    await asyncio.sleep(1.2)


async def mailed(tact: TactClient, customer: str) -> str:
    """Return what a customer is told unasked."""
    return action_of(await tact.decide(ask(customer, "", "email")))


async def offered(tact: TactClient, branch: str, customers: list[str]) -> list[str]:
    """Return the decisions by which these customers are offered a truck."""
    answers = await asyncio.gather(*(tact.decide(ask(customer, branch)) for customer in customers))
    return [answer["decision_id"] for answer in answers if action_of(answer) == "book-a-truck"]


async def test_a_shortage_from_report_to_message(target: str) -> None:
    """From plenty to none: everybody, some and nobody is offered a truck; whoever has booked is told; the ERP hears."""
    async with customers_at(target, *CUSTOMERS, "ina") as tact:
        await booked(tact, "ina", "hamburg")
        before = await tact.decide(ask("visitor-0", "hamburg"))
        assert (action_of(before), vetoes(before, "book-a-truck")) == ("good-day", ["out_of_stock"])

        await reported(tact, "hamburg", 300)
        plenty = await offered(tact, "hamburg", CUSTOMERS[:20])
        assert len(plenty) == 20
        assert await mailed(tact, "ina") == ""

        await reported(tact, "hamburg", 20 + 12)  # what is held comes off: 12 are free
        short = [await tact.decide(ask(customer, "hamburg")) for customer in CUSTOMERS[20:100]]
        throttled = [answer for answer in short if action_of(answer) != "book-a-truck"]
        assert all(vetoes(answer, "book-a-truck") == ["short_supply"] for answer in throttled)
        assert 68 <= len(throttled) < 80, "some get one, and never more than the 12 that there are"

        await tact.record_outcomes([Outcome(plenty[0], "book-a-truck", "accepted")])
        await reported(tact, "hamburg", 0)
        assert await offered(tact, "hamburg", CUSTOMERS[100:]) == []
        told = await tact.decide(ask("ina", "", "email"))
        assert action_of(told) == "trucks-are-short-where-you-booked"
        assert told["answers"][0]["reasons"][0]["code"] == "instead"
        assert await mailed(tact, "ina") == "", "once a day is enough"

        await asyncio.sleep(1.2)  # until the demand was told
        rows = [row async for message in tact.watch_demand(until_none=True) for row in message["demands"]]
        here = [row for row in rows if (row["item"], row["place"]) == ("truck", "hamburg")]
        units = {kind: sum(row["units"] for row in here if row["kind"] == kind) for kind in ("decision", "accepted")}
        assert units == {"decision": 20 + len(short) - len(throttled), "accepted": 1}


async def test_another_branch_is_another_matter(target: str) -> None:
    """A shortage in one town neither throttles another nor frightens those who have booked elsewhere."""
    async with customers_at(target, "jan", "kim", "lou") as tact:
        await booked(tact, "kim", "kiel")
        await booked(tact, "lou", "bremen")
        await tact.report_supply([there_are("truck", "bremen", 0), there_are("truck", "kiel", 80)])
        assert action_of(await tact.decide(ask("jan", "kiel"))) == "book-a-truck"
        assert (await mailed(tact, "kim"), await mailed(tact, "lou")) == ("", "trucks-are-short-where-you-booked")


async def test_a_booking_that_ended_needs_no_message(target: str) -> None:
    """Whoever has brought the truck back hears nothing of a shortage."""
    async with customers_at(target, "max") as tact:
        await booked(tact, "max", "jena")
        await tact.report_supply([there_are("truck", "jena", 0)])
        await tact.record_events([Event("b-2", "max", "booking.ended", now_ms(), {"booking": "b-1"})])
        assert await mailed(tact, "max") == ""


async def test_a_warned_customer_is_sold_no_boxes(target: str) -> None:
    """Beside the warning nothing is sold; where there are trucks enough, the boxes are offered."""
    async with customers_at(target, "nic", "ole") as tact:
        await booked(tact, "nic", "emden")
        await booked(tact, "ole", "lingen")
        await tact.report_supply([there_are("truck", "emden", 2), there_are("truck", "lingen", 3)])
        said = [await tact.decide(Ask(name, "web", ("note",), {})) for name in ("nic", "ole")]
        assert [action_of(answer) for answer in said] == ["trucks-are-short-where-you-booked", "moving-boxes"]
