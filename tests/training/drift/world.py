"""A small log whose world may move: two actions, moods and tiers that come with the request, truths that are known."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000

STRATEGY = """\
strategy: {name: moving, says: A world that moves., currency: EUR, safe_greeting: hello, explore: 0.0}
fields:
  - {id: present.mood, says: The mood., type: double, purpose: service, source: request, low: -9, high: 9}
  - {id: present.hurry, says: The hurry., type: double, purpose: service, source: request, low: -9, high: 9}
  - id: present.tier
    says: The tier.
    type: string
    values: [basic, gold]
    purpose: service
    source: request
actions:
  - {id: hello}
  - {id: phone}
  - {id: fibre}
model: {features: [present.mood, present.hurry, present.tier]}
"""

HEAD = (
    "decision_id", "customer_id", "at", "action", "probability", "feature.present.mood", "feature.present.hurry",
    "feature.present.tier", "outcomes",
)  # fmt: skip


@dataclass(frozen=True)
class Weather:
    """How the world is for some decisions: what is added to all log odds, what mood counts, how moods and tiers are."""

    offset: float = 0.0
    mood: float = 1.0
    moods: float = 0.0
    gold: float = 0.3


def strategy(folder: Path) -> Path:
    """Write the strategy into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.yaml").write_text(STRATEGY)
    return folder


def log(path: Path, weathers: list[tuple[int, Weather]], seed: int = 0) -> Path:
    """Write a table of so many decisions of each weather, a minute apart, and return it."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        number = 0
        for count, weather in weathers:
            for _ in range(count):
                table.writerow(_row(number, weather, rng))
                number += 1
    return path


def since(decisions: int) -> str:
    """Return the moment of the last one of so many decisions."""
    return _written(START_MS + (decisions - 1) * MINUTE_MS)


def _row(number: int, weather: Weather, rng: np.random.Generator) -> tuple[object, ...]:
    mood, hurry = rng.normal(weather.moods, 1.0), rng.normal()
    gold, phone = rng.random() < weather.gold, rng.random() < 0.5
    odds = -1.5 + weather.offset + (weather.mood * mood if phone else hurry) + gold
    happened = rng.random() < 1.0 / (1.0 + np.exp(-odds))
    at_ms, action = START_MS + number * MINUTE_MS, "phone" if phone else "fibre"
    outcome = {"action": action, "kind": "accepted", "at": _written(at_ms + 1000), "amount": None}
    return (
        f"d{number:08d}", f"c{rng.integers(0, 2000)}", _written(at_ms), action, 0.5, f"{mood:.4f}", f"{hurry:.4f}",
        "gold" if gold else "basic", json.dumps([outcome] if happened else []),
    )  # fmt: skip


def _written(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
