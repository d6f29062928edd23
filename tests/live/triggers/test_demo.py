"""What the demo strategy makes due comes to an e-mail engine, of real customers of the demo, over a real connection."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from service.app import start
from service.config import Settings, StorePlace
from service.core.strategy import Strategy
from service.rpc.client import Event, TactClient
from service.simulating.logged import Logged, LoggedRow, decisions_of
from tests.cli.commands import DEMO
from tests.live.triggers.world import CHANNEL, due, now_ms, told
from tests.logs.world import exported
from tests.service.simulating.world import again, logged_in
from training.worlds.people import Person, Story, tell_contact, tell_contract, tell_joining
from training.worlds.tastes import Traits

HOUR, DAY = 1 / 24, 1.0
HERE_AND_NOW = 14
"""The hour of the day where the customers live: no night, and after the hour of whatever is due today."""
Told = list[tuple[float, str, dict[str, object]]]

CART: Told = [(61 / 60 * HOUR, "cart.updated", {"cart": "c-1", "value": 89.9})]
PAPER: Told = [(7 * DAY, "paper.downloaded", {"paper": "safe-networks"})]
USED_UP: Told = [(HOUR, "usage.reported", {"share": 0.95})]
GOLD: Told = [(50 * DAY, "loyalty.changed", {"tier": "gold", "points": 9_000})]
FLIGHTS: Told = [(days, "flight.credited", {}) for days in (DAY, *range(20, 200, 18))]
CLOSED: Told = [
    (2 * DAY, "ticket.opened", {"ticket": "t-1", "topic": "network"}),
    (DAY, "ticket.closed", {"ticket": "t-1"}),
]
DUE: dict[str, tuple[Told, str, str]] = {
    "left-a-cart": (CART, "cart-left", "finish-cart"),
    "read-a-paper": (PAPER, "paper-read", "paper-follow-up"),
    "used-it-up": (USED_UP, "data-runs-short", "bigger-plan"),
    "almost-there": (GOLD + FLIGHTS, "one-flight-missing", "almost-platinum"),
    "was-helped": (CLOSED, "ticket-closed-yesterday", "survey-request"),
}
NOT_DUE: dict[str, Told] = {
    "bought-it": [*CART, (HOUR / 2, "cart.bought", {"cart": "c-1"})],
    "bought-it-after-reading": [*PAPER, (DAY, "purchase", {"order": "o", "category": "internet", "amount": 9.0})],
    "a-new-month": [*USED_UP, (HOUR / 2, "usage.reported", {"share": 0.01})],
    "is-there": [*GOLD, *FLIGHTS, (HOUR, "flight.credited", {})],
    "told-us": [*CLOSED, (HOUR, "survey.answered", {"score": 9, "ticket": "t-1"})],
    "came-back": [*CLOSED, (HOUR, "ticket.opened", {"ticket": "t-1", "topic": "network"})],
    "has-another": [*CLOSED, (HOUR, "ticket.opened", {"ticket": "t-2", "topic": "network"})],
    "in-trouble": [*CART, (HOUR, "ticket.opened", {"ticket": "t-9", "topic": "network"})],
}


def zone() -> str:
    """Return a zone in which it is early in the afternoon now."""
    ahead = HERE_AND_NOW - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def history(customer: str, own: Told) -> list[Event]:
    """Return what happened to a customer without any trouble, and what is their own, in any order."""
    one = Person(customer, Traits(), "full", True, 900.0, internet=True, insurance=True, phone_months=6)
    story = Story(now_ms())
    tell_joining(story, one)
    tell_contract(story, one, 150.0)
    tell_contact(story, 45.0, "other", waited=0.5, sentiment=0.9)
    story.tell(40.0, "survey.answered", score=10)
    story.tell(40.0, "survey.closed", verdict="happy")
    story.tell(39.0, "profile.updated", time_zone=zone())
    for days_ago, kind, attributes in own:
        story.tell(days_ago, kind, **attributes)
    events = [
        Event(f"{customer}-{at}", customer, one.type, one.at_ms, one.attributes)  # type: ignore[arg-type]  # as told
        for at, one in enumerate(story.told())
    ]
    Random(customer).shuffle(events)
    return events


def in_any_year(folder: Path) -> Path:
    """Copy the demo, with the peace of Christmas in a year in which no test runs."""
    copy = Path(shutil.copytree(DEMO, folder / "demo"))
    for name in ("rules.yaml", "invariants.yaml"):
        text = (copy / name).read_text(encoding="utf-8")
        assert "2026-12-24" in text
        (copy / name).write_text(text.replace("2026-12-24", "2096-12-24").replace("2027-01-02", "2097-01-02"), "utf-8")
    return copy


def replayed(log: Path, strategy: Strategy) -> set[tuple[str, str]]:
    """Return which triggers the log tells and what they said, after all of it came out the same, decided once more."""
    people = logged_in(log, strategy)
    assert all(row.action == said for row, said in again(people, strategy))
    rows = [(one, one.beside) for one in rows_of(people) if one.beside]
    unasked = [structs.replace(one, beside=structs.replace(beside, trigger="")) for one, beside in rows]
    others = again(list(decisions_of(unasked)), strategy)
    assert any(row.action != said for row, said in others)  # what was due is not what somebody who asks would get
    return {(beside.trigger, one.action) for one, beside in rows if one.action}


def rows_of(people: Iterable[tuple[Logged, ...]]) -> list[LoggedRow]:
    """Return the rows of a log."""
    return [row for decisions in people for logged in decisions for row in logged.rows]


@pytest.mark.parametrize("order", ["shuffled", "the other way round"])
async def test_what_the_demo_makes_due_is_sent_and_what_is_not_is_not(
    clean_store_url: str, tmp_path: Path, order: str
) -> None:
    """A cart, a paper, data, a flight and a ticket each make their e-mail due; none is sent whose reason is gone."""
    place = StorePlace.parse(clean_store_url)
    running = await start(Settings(store=place, strategy=in_any_year(tmp_path), model=None, port=0))
    try:
        async with TactClient(f"127.0.0.1:{running.port}", schema=running.strategy.schema, timeout_s=30.0) as tact:
            for customer, own in [*((name, told) for name, (told, *_) in DUE.items()), *NOT_DUE.items()]:
                await tact.set_consent(customer, "full", [CHANNEL])
                events = history(customer, own)
                await told(tact, *(events if order == "shuffled" else events[::-1]))
            moments = await due(tact)
            sent = {one["name"]["customer_id"]: one for one in moments}
            assert {name: one["name"]["trigger_id"] for name, one in sent.items()} == {n: d[1] for n, d in DUE.items()}
            for name, one in sent.items():
                (answer,) = one["decision"]["answers"]
                assert answer["offer"]["action_id"] == DUE[name][2]
            assert len(moments) == len(DUE)
            assert (await tact.triggers.acknowledge(CHANNEL, moments))["held"] == [True] * len(DUE)
            assert await due(tact) == []
            await told(tact, Event("more", "used-it-up", "usage.reported", now_ms(), {"share": 0.97}))
            assert await due(tact) == [], "that data run short is written about once a month"
            await exported(tact, tmp_path / "log")
        assert replayed(tmp_path / "log", running.strategy) == {(one[1], one[2]) for one in DUE.values()}
    finally:
        await running.stop()
