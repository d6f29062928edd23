"""A shop whose triggers make something due: a cart that was left, a paper that was read, a ticket that was closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from service.app import Running, start
from service.config import Settings, StorePlace
from service.rpc.client import Answer, Event, TactClient

HOUR_MS = 3_600_000
CHANNEL = "email"
SINCE_MS = time.time_ns() // 1_000_000 - 2 * HOUR_MS
"""When everybody's first ticket was opened."""

STRATEGY = """\
strategy: {name: shop, says: A shop., currency: EUR, safe_greeting: hello, explore: 0.0}
consent:
  - {id: none, says: Nothing., purposes: []}
  - {id: basic, says: What service needs., purposes: [service]}
  - {id: all, says: Everything is agreed., purposes: [service, personalization]}
channels:
  - {id: web, placements: [hero]}
  - {id: email, placements: [body], permission: true}
events:
  - {id: cart.updated, says: Something went into a cart., attributes: {cart: string}}
  - {id: cart.bought, says: A cart was bought., attributes: {cart: {type: string, optional: true}}}
  - {id: paper.read, says: A paper was read., attributes: {}}
  - {id: ticket.opened, says: A ticket was opened., attributes: {ticket: string}}
  - {id: ticket.closed, says: A ticket was closed., attributes: {ticket: string}}
fields:
  - id: past.open_tickets
    says: Open tickets.
    type: int
    purpose: service
    fold: {kind: open, event: ticket.opened, attribute: ticket, closed_by: ticket.closed, closed_key: ticket}
  - {id: past.papers, says: Papers., type: int, purpose: personalization, fold: {kind: count, event: paper.read}}
actions:
  - id: hello
    kind: greeting
    says: Hello.
    propensity: 1.0
    treatments:
      - {channel: web, placements: [hero], text: Hello.}
      - {channel: email, placements: [body], text: Hello.}
  - id: finish-cart
    kind: message
    says: The cart.
    intents: [cart]
    value: 10.0
    propensity: 0.5
    treatments: [{channel: email, placements: [body], text: Your cart is waiting.}]
  - id: news
    kind: message
    says: News, worth more than anything else.
    intents: [news]
    value: 100.0
    propensity: 0.9
    treatments: [{channel: email, placements: [body], text: News.}]
guardrails:
  - id: help-first
    says: Who has an open ticket is not written to.
    forbid: {kinds: [message]}
    when: past.open_tickets > 0
caps:
  - {id: one-news, says: One e-mail of news a minute., count: {ids: [news]}, at_most: 1, within: 1m}
  - {id: one-cart, says: A thousand e-mails about carts a day., count: {ids: [finish-cart]}, at_most: 1000, within: 1d}
triggers:
  - id: cart-left
    says: A cart was left for an hour.
    after: cart.updated
    unless: [cart.bought]
    per: cart
    wait: 1h
    good_for: 12h
    for: {ids: [finish-cart]}
    channel: email
    placements: [body]
  - id: paper-read
    says: A paper was read.
    after: paper.read
    when: past.papers < 3
    good_for: 12h
    for: {ids: [news]}
    channel: email
    placements: [body]
"""


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


def write_shop(folder: Path) -> Path:
    """Write the strategy into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.yaml").write_text(STRATEGY, encoding="utf-8")
    return folder


@asynccontextmanager
async def serving(store_url: str, folder: Path, **more: Any) -> AsyncIterator[Running]:  # noqa: ANN401 - any setting
    """Serve the shop in this process, with more settings."""
    shop = write_shop(folder / "shop")
    settings = Settings(store=StorePlace.parse(store_url), strategy=shop, model=None, **{"port": 0, **more})
    running = await start(settings)
    try:
        yield running
    finally:
        await running.stop()


def client_of(running: Running) -> TactClient:
    """Return a client of a service of this process."""
    return TactClient(f"127.0.0.1:{running.port}", timeout_s=10.0)


def left(customer: str, cart: str = "c1", due_ms: int | None = None, event: str = "") -> Event:
    """Return the event of a cart that is due at a moment, at once where none is named."""
    due = now_ms() - 1_000 if due_ms is None else due_ms
    return Event(event or f"{customer}-{cart}-left", customer, "cart.updated", due - HOUR_MS, {"cart": cart})


def bought(customer: str, cart: str = "c1", at_ms: int | None = None) -> Event:
    """Return the event of a cart that was bought, now where nothing else is said."""
    at = now_ms() if at_ms is None else at_ms
    return Event(f"{customer}-{cart}-bought", customer, "cart.bought", at, {"cart": cart})


def happened(customer: str, kind: str, event: str, **attributes: str) -> Event:
    """Return an event of now."""
    return Event(event, customer, kind, now_ms(), attributes)


async def told(tact: TactClient, *events: Event) -> None:
    """Record events, which must be good."""
    for place in range(0, len(events), 1_000):
        answer = await tact.record_events(events[place : place + 1_000])
        assert {one["status"] for one in answer["results"]} <= {"stored", "repeated"}, answer


async def agreed(tact: TactClient, *customers: str) -> None:
    """Let customers agree to everything, and to e-mail; a ticket of each was closed, so that it is known of none."""
    await asyncio.gather(*(tact.set_consent(customer, "all", ["email"]) for customer in customers))
    for kind, when in (("ticket.opened", SINCE_MS), ("ticket.closed", SINCE_MS + 1)):
        await told(tact, *(Event(f"{one}-{kind}", one, kind, when, {"ticket": "t0"}) for one in customers))


async def due(tact: TactClient, lease_s: int = 60, most: int = 100) -> list[Answer]:
    """Return all that is due now, without acknowledging it."""
    return [one async for one in tact.triggers.due(CHANNEL, most, lease_s, until_none=True)]


def customers_of(moments: Sequence[Answer]) -> list[str]:
    """Return whom moments are about."""
    return sorted(one["name"]["customer_id"] for one in moments)
