"""Events to measure with: a strategy of 60 fields that events fold into, a stream of events, and whole customers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import yaml

from benchmarks import world
from benchmarks.population import DAY_MS, Happened, Plain, Population, attributes_of

_Fold: TypeAlias = tuple[str, str, world.Document]
"""The type that a fold gives, its kind and what else it says."""

HISTORY_MS = 120 * DAY_MS
STORED = 60
_SHARES = {
    "page.viewed": 8, "purchase": 5, "cart.updated": 3, "usage.reported": 3, "contact.made": 3, "survey.answered": 2,
    "loyalty.changed": 2, "delivery.delayed": 2, "ticket.opened": 1, "ticket.closed": 1,
}  # fmt: skip
"""How often each event happens, about as in the histories that decisions are measured with."""

_FOLDED = {
    "page.viewed": ("personalization", "section", "string"),
    "purchase": ("personalization", "amount", "double"),
    "cart.updated": ("personalization", "value", "double"),
    "usage.reported": ("profiling", "gigabytes", "double"),
    "loyalty.changed": ("profiling", "tier", "string"),
    "contact.made": ("service", "channel", "string"),
    "survey.answered": ("service", "score", "int"),
    "delivery.delayed": ("service", "hours", "double"),
    "ticket.opened": ("service", "ticket", "string"),
    "ticket.closed": ("service", "ticket", "string"),
}
"""The purpose of each event's fields, and the attribute that is folded, with its type."""


def write_strategy(folder: Path) -> Path:
    """Write the strategy that decisions are measured with, but with six fields for each event, all of them stored."""
    document = world.strategy(8)
    kept = {key: document[key] for key in ("strategy", "consent", "channels", "events", "actions")}
    fields = [field for event in _FOLDED for field in _fields(event)]
    assert len(fields) == STORED, f"{len(fields)} fields"
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(kept | {"fields": fields}, sort_keys=False, allow_unicode=True, width=120)
    (folder / "strategy.yaml").write_text(text, encoding="utf-8")
    return folder


def _fields(event: str) -> Iterator[world.Document]:
    """Declare how often an event happened, in all and lately, how long ago, and what it said last, at most, in all."""
    purpose, attribute, type_ = _FOLDED[event]
    of = {"attribute": attribute}
    most: _Fold = (type_, "max", of)
    whole: _Fold = ("double", "decay", of | {"half_life": "30d"}) if event == "cart.updated" else ("double", "sum", of)
    if type_ == "string":
        most, whole = ("int", "window_count", {"window": "7d"}), ("int", "distinct", of)
    folds: dict[str, _Fold] = {
        "times": ("int", "count", {}),
        "times_30d": ("int", "window_count", {"window": "30d"}),
        "days_since": ("double", "since", {}),
        "last": (type_, "last", of),
        "most": most,
        "in_all": whole,
    }
    for name, (gives, kind, more) in folds.items():
        yield {
            "id": f"past.{event.replace('.', '_')}_{name}", "says": f"For measuring: {name} of {event}.",
            "type": gives, "purpose": purpose, "fold": {"kind": kind, "event": event, **more},
        }  # fmt: skip


def stream(population: Population, count: int) -> Iterator[Happened]:
    """Give events in the order of their times, each of a customer drawn at random; the last happen now."""
    dice = random.Random(population.seed)
    kinds = dice.choices(list(_SHARES), list(_SHARES.values()), k=count)
    first_ms = population.now_ms - HISTORY_MS
    for number, kind in enumerate(kinds):
        at_ms = first_ms + HISTORY_MS * number // count
        yield Happened(f"e{number}", dice.choice(population.customers), kind, at_ms, _attributes(kind, dice))


def whole(population: Population) -> Iterator[Happened]:
    """Give each customer 20 events, two of each kind, in the order of their times: they make all 60 fields known."""
    dice = random.Random(population.seed)
    kinds = [*_SHARES, *_SHARES]
    for customer in population.customers:
        dice.shuffle(kinds)
        times = sorted(population.now_ms - dice.randrange(HISTORY_MS) for _ in kinds)
        for number, (kind, at_ms) in enumerate(zip(kinds, times, strict=True)):
            yield Happened(f"{customer}-{number}", customer, kind, at_ms, _attributes(kind, dice))


def _attributes(kind: str, dice: random.Random) -> Plain:
    return {"ticket": f"t{dice.randrange(3)}"} if kind.startswith("ticket.") else attributes_of(kind, dice)
