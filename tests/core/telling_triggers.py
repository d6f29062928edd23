"""A small strategy with a trigger of every sort, for tests."""

from __future__ import annotations

from pathlib import Path

from service.core.loader import load_strategy
from service.core.strategy import Strategy
from tests.strategies import SECTIONS, write_strategy

TRIGGERS = """\
triggers:
  - id: ticket-closed
    says: On the day after a ticket was closed we ask how it went.
    owner: care
    purpose: service
    after: ticket.closed
    unless: [ticket.opened, survey.answered]
    per: ticket
    wait: 1d
    at: "10:00"
    when: past.worst_score > 3
    good_for: 12h
    look_again: 1h
    for: {ids: [ticket-status]}
    channel: email
    placements: [body]
  - id: bought-thrice
    says: Whoever bought three phones in a week wants another.
    after: {event: purchase, where: {category: phone}, at_least: {amount: 100, pieces: 2}}
    unless: [{event: purchase, where: {category: tv}}]
    times: 3
    within: 7d
    from: 2026-01-01
    until: 2027-01-01
    for: {kinds: [offer]}
    channel: web
    placements: [greeting, hero]
  - id: paid-a-year-ago
    says: A year after it was paid.
    date: past.paid_at
    wait: 365d
    for: {ids: [fibre-upgrade]}
    channel: desk
    placements: [offer]
  - id: before-it-is-paid
    says: The evening before it is paid.
    after: {event: purchase, where: {category: internet}}
    date: paid_at
    per: product
    before: 1d
    at: "18:30"
    for: {ids: [fibre-upgrade]}
    channel: email
    placements: [body]
"""
ZONE = """\
time_zone: {default: Europe/Berlin}
"""


def write_triggers(folder: Path, triggers: str = TRIGGERS, **changes: str | None) -> Path:
    """Write the small strategy with triggers into a folder."""
    return write_strategy(folder, **{"triggers": triggers, "time_zone": ZONE, **changes})


def triggered(folder: Path) -> Strategy:
    """Return the small strategy with triggers."""
    return load_strategy(write_triggers(folder))


def edited_trigger(old: str, new: str) -> str:
    """Return the triggers with the one occurrence of `old` replaced."""
    assert TRIGGERS.count(old) == 1, f"{old!r} stands {TRIGGERS.count(old)} times among the triggers"
    return TRIGGERS.replace(old, new)


assert "triggers" not in SECTIONS
