"""A small strategy whose models write fields of every type, and a history whose truth is known.

Who looks at the shop for long soon gives notice, who called about one thing mostly calls about it again, and there are
two kinds of shoppers, who buy different things.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.strategies import SECTIONS, write_strategy
from tests.training.world import write_lines

START_MS = 1_760_000_000_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
DAYS = 120
WITHIN_DAYS = 30
REASONS = ("billing", "network", "moving")
SHOPPERS = (("case", "charger", "phone"), ("lamp", "sofa", "tv"))

EVENTS = """\
  - {id: visit, says: A visit of the shop., attributes: {minutes: double}}
  - {id: bought, says: Something was bought., attributes: {product: string}}
  - {id: called, says: A call., attributes: {reason: {type: string, values: [billing, network, moving]}}}
  - {id: notice, says: The customer gave notice., attributes: {}}
"""
FIELDS = """\
  - {id: past.minutes, says: The last visit., type: double, purpose: service,
     fold: {kind: last, event: visit, attribute: minutes}}
  - {id: past.called_about, says: The last call., type: string, purpose: personalization,
     fold: {kind: last, event: called, attribute: reason}}
  - {id: past.bought, says: What was bought last., type: strings, purpose: personalization,
     fold: {kind: recent, event: bought, attribute: product, keep: 8}}
  - {id: predicted.churn, says: Will leave., type: double, low: 0, high: 1, purpose: profiling, max_age: 30d,
     source: model}
  - {id: predicted.reason, says: Will call about., type: string, values: [billing, network, moving], purpose: profiling,
     source: model}
  - {id: predicted.also, says: Also bought., type: strings, purpose: profiling, source: model}
  - {id: predicted.loyal, says: Is loyal., type: bool, purpose: personalization, source: model}
  - {id: predicted.visits, says: To come., type: int, low: 0, high: 100, purpose: personalization, source: model}
  - {id: predicted.returns_at, says: Comes back., type: timestamp, purpose: personalization, source: model}
"""
PREDICTIONS = """\
predictions:
  - {field: predicted.churn, kind: chance, event: notice, within: 30d, once: true,
     features: [past.minutes, past.called_about]}
  - {field: predicted.reason, kind: next, event: called, attribute: reason, within: 60d,
     features: [past.called_about, past.minutes]}
  - {field: predicted.also, kind: bought_with, basket: past.bought, keep: 2}
"""
RETENTION = """\
  - id: stay
    kind: offer
    says: Please stay.
    intents: [retention]
    value: 500.0
    propensity: 0.9
    treatments:
      - {channel: web, placements: [hero], text: Please stay.}
"""
MAY_LEAVE = """\
  - {id: may-leave, says: For those who may leave., permit: {ids: [stay]}, when: predicted.churn > 0.5}
"""


def write_predicting(folder: Path, **changes: str | None) -> Path:
    """Write the strategy, with sections changed where asked for, and return its folder."""
    sections = {
        "events": SECTIONS["events"] + EVENTS,
        "fields": SECTIONS["fields"] + FIELDS,
        "actions": SECTIONS["actions"] + RETENTION,
        "eligibility": SECTIONS["eligibility"] + MAY_LEAVE,
        "predictions": PREDICTIONS,
    }
    return write_strategy(folder, **{**sections, **changes})


def chance_of_notice(minutes: float) -> float:
    """Return the true probability that a visit ends in a notice within `WITHIN_DAYS`."""
    return 1.0 / (1.0 + math.exp(3.0 - 0.6 * minutes))


def history(seed: int, customers: int = 300) -> list[dict[str, Any]]:
    """Draw the events of a population, in no order."""
    dice = random.Random(seed)
    rows = [row for number in range(customers) for row in _life(f"c{number:04}", dice)]
    dice.shuffle(rows)
    return rows


def write_history(folder: Path, seed: int, customers: int = 300) -> Path:
    """Write a population's events to a file and return it."""
    path = folder / "events.jsonl"
    write_lines(path, history(seed, customers))
    return path


def _life(name: str, dice: random.Random) -> Iterator[dict[str, Any]]:
    days = sorted(dice.uniform(0, DAYS) for _ in range(6))
    for number, day in enumerate(days):
        minutes = round(dice.uniform(0, 10), 1)
        yield _row(name, f"v{number}", day, "visit", minutes=minutes)
        if dice.random() < chance_of_notice(minutes):
            yield _row(name, "n", day + dice.uniform(0.1, WITHIN_DAYS), "notice")
            break
    reason = dice.choice(REASONS)
    for number, day in enumerate(sorted(dice.uniform(0, DAYS) for _ in range(5))):
        reason = reason if dice.random() < 0.75 else dice.choice(REASONS)
        yield _row(name, f"c{number}", day, "called", reason=reason)
    likes = dice.choice(SHOPPERS)
    for number in range(3):
        product = dice.choice(likes) if dice.random() < 0.95 else dice.choice(SHOPPERS[0] + SHOPPERS[1])
        yield _row(name, f"b{number}", dice.uniform(0, DAYS), "bought", product=product)


def _row(name: str, event: str, day: float, kind: str, **attributes: object) -> dict[str, Any]:
    at_ms = START_MS + round(day * DAY_MS)
    head = {"event_id": f"{name}-{event}", "customer_id": name, "type": kind}
    return head | {"occurred_at": at_ms, "attributes": attributes}
