"""A shop that sells one thing of which there is only so much, for tests of supply and demand."""

from __future__ import annotations

import time
from pathlib import Path

from service.rpc.client import Ask, Report

HOUR_MS = 3_600_000

SECTIONS = {
    "strategy": """\
strategy: {name: shop, says: A shop., currency: EUR, safe_greeting: hello, explore: 0.0}
""",
    "consent": """\
consent:
  - {id: basic, says: What service needs., purposes: [service]}
  - {id: all, says: Everything is agreed., purposes: [service, personalization, profiling]}
""",
    "channels": """\
channels:
  - {id: web, placements: [hero, side]}
""",
    "events": """\
events:
  - id: viewed
    says: Somebody looked at something.
    attributes: {item: string, place: {type: string, optional: true}}
  - id: carted
    says: Somebody put something into the cart.
    attributes: {place: string, pieces: int}
""",
    "fields": """\
fields:
  - {id: past.views, says: Views., type: int, purpose: service, fold: {kind: count, event: viewed}}
  - {id: present.place, says: Where they look., type: string, purpose: service, source: request}
  - id: present.left
    says: What is left.
    type: int
    purpose: service
    source: supply
    item: phone
    place_from: present.place
  - {id: present.gifts, says: Gifts., type: int, purpose: service, max_age: 1h, source: supply, item: gift, place: hq}
""",
    "actions": """\
actions:
  - id: hello
    kind: greeting
    says: Hello.
    propensity: 1.0
    treatments: [{channel: web, placements: [hero], text: Hello.}]
  - id: phone
    kind: message
    says: The phone.
    value: 100.0
    propensity: 0.5
    consumes: {supply: present.left, units: 1, hold: 10m}
    treatments: [{channel: web, placements: [hero, side], text: The phone is here.}]
  - id: gift
    kind: message
    says: A gift.
    value: 1.0
    propensity: 0.5
    consumes: {supply: present.gifts, units: 2, hold: 10m}
    treatments: [{channel: web, placements: [hero, side], text: A gift for you.}]
""",
    "demand": """\
demand:
  - {id: views, says: Views., event: viewed, kind: view, item_from: item, place_from: place}
  - {id: carts, says: Carts., event: carted, kind: cart, item: phone, place_from: place, units_from: pieces}
""",
}


def write_shop(folder: Path, **changes: str) -> Path:
    """Write the strategy, a file a section, and return the folder; changes replace the text of a section."""
    folder.mkdir(parents=True, exist_ok=True)
    for section, text in {**SECTIONS, **changes}.items():
        (folder / f"{section}.yaml").write_text(text, encoding="utf-8")
    return folder


def edited(section: str, old: str, new: str) -> str:
    """Return a section's text with the one occurrence of `old` replaced."""
    assert SECTIONS[section].count(old) == 1
    return SECTIONS[section].replace(old, new)


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


def there_are(item: str, place: str, available: int, observed_ms: int | None = None) -> Report:
    """Return a report of now, that holds for an hour."""
    now = now_ms()
    return Report(item, place, available, now if observed_ms is None else observed_ms, now + HOUR_MS)


def ask(customer: str, place: str = "north", key: str = "", *placements: str, explain: bool = False) -> Ask:
    """Ask what to say to somebody who looks at a place."""
    return Ask(
        customer,
        "web",
        placements or ("hero",),
        {"present.place": place},
        explain=explain,
        idempotency_key=key,
        request_id=customer,
    )
