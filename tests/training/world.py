"""A small world whose truth is known: customers, what happens to them, and how likely they say yes.

The chance of each outcome is a logistic function of what the customer did before the decision and of the mood that
comes with the request. The world keeps its own account of what happened, without the folds that training uses.
"""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START = 1_790_000_000_000
HOUR_MS = 3_600_000
DAYS = 60

STRATEGY = """\
strategy: {name: yes-or-no, says: A world of yes and no., currency: EUR, safe_greeting: hello, explore: 0.0}
events:
  - {id: visit, says: A visit., attributes: {minutes: double}}
  - id: loyalty.changed
    says: Another tier.
    attributes: {tier: {type: string, values: [basic, gold]}}
fields:
  - {id: past.visits, says: Visits., type: int, purpose: personalization, fold: {kind: count, event: visit}}
  - id: past.tier
    says: The tier.
    type: string
    values: [basic, gold]
    purpose: service
    fold: {kind: last, event: loyalty.changed, attribute: tier}
  - {id: present.mood, says: The mood., type: double, purpose: service, source: request, low: -1, high: 1}
actions:
  - {id: hello}
  - {id: phone}
  - {id: fibre}
  - {id: rare}
model: {features: [past.visits, past.tier, present.mood]}
"""


@dataclass(frozen=True)
class Person:
    """What truly was known of a customer at one moment."""

    visits: int
    gold: bool | None
    mood: float

    def chance(self, action: str) -> float:
        """Return the true probability of the outcome of `phone` or `fibre` when said, and of `phone` unsaid."""
        odds = {
            "phone": -1.5 + 0.25 * self.visits + 1.0 * bool(self.gold) + 1.2 * self.mood,
            "fibre": 0.5 - 0.3 * self.visits - 1.5 * (self.gold is None),
            "nothing": -2.5 + 0.2 * self.visits + 1.5 * self.mood,
            "rare": -1.0,
        }[action]
        return 1.0 / (1.0 + math.exp(-odds))


@dataclass(frozen=True)
class World:
    """Events and decisions as plain rows, and the truth behind each decision in the same order."""

    events: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    truths: list[Person]

    def write(self, folder: Path, packed: bool = False) -> list[str]:
        """Write strategy, events and decisions; return the arguments of `fit` that name them."""
        strategy = folder / "yes-or-no"
        strategy.mkdir(parents=True, exist_ok=True)
        (strategy / "all.yaml").write_text(STRATEGY)
        end = ".jsonl.gz" if packed else ".jsonl"
        files = {name: folder / f"{name}{end}" for name in ("events", "decisions")}
        write_lines(files["events"], self.events)
        write_lines(files["decisions"], self.decisions)
        return [f"--strategy={strategy}", *(f"--{name}={path}" for name, path in files.items())]


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines, packed where the name says so."""
    text = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def world(seed: int, customers: int = 250, decisions_each: int = 12) -> World:
    """Draw a world."""
    rng = random.Random(seed)
    events: list[dict[str, Any]] = []
    drawn: list[tuple[dict[str, Any], Person]] = []
    for number in range(customers):
        name = f"c{number}"
        happened = sorted(_events(name, rng), key=lambda event: int(event["occurred_at"]))
        moments = rng.sample(range(DAYS * 24), decisions_each)
        events += happened
        drawn += [_decision(f"{name}-{hour}", name, START + hour * HOUR_MS, happened, rng) for hour in moments]
    rng.shuffle(events)
    rng.shuffle(drawn)
    return World(events, [row for row, _ in drawn], [truth for _, truth in drawn])


def _events(name: str, rng: random.Random) -> Iterable[dict[str, Any]]:
    for number in range(rng.randint(0, 8)):
        visit = {"event_id": f"{name}-v{number}", "customer_id": name, "type": "visit"}
        yield visit | {"occurred_at": START + _hour(rng), "attributes": {"minutes": 5}}
    if rng.random() < 0.7:
        change = {"event_id": f"{name}-t", "customer_id": name, "type": "loyalty.changed"}
        yield change | {"occurred_at": START + _hour(rng), "attributes": {"tier": rng.choice(["basic", "gold"])}}


def _hour(rng: random.Random) -> int:
    return rng.randint(0, DAYS * 24) * HOUR_MS


def _decision(
    decision: str, name: str, at_ms: int, happened: Iterable[dict[str, Any]], rng: random.Random
) -> tuple[dict[str, Any], Person]:
    before = [event for event in happened if event["occurred_at"] < at_ms]
    tiers = [event["attributes"]["tier"] == "gold" for event in before if event["type"] == "loyalty.changed"]
    truth = Person(len(before) - len(tiers), tiers[-1] if tiers else None, round(rng.uniform(-1, 1), 3))
    action = "rare" if rng.random() < 0.01 else rng.choice(["phone", "fibre", "nothing"])
    outcome = int(rng.random() < truth.chance(action))
    row = {"decision_id": decision, "customer_id": name, "at": at_ms, "channel": "web", "action": action}
    outcomes = {"phone": outcome} if action == "nothing" else {action: outcome}
    return row | {"probability": 0.33, "context": {"present.mood": truth.mood}, "outcomes": outcomes}, truth
