"""A strategy that serves what the small world of the training tests knows."""

from __future__ import annotations

from pathlib import Path

from tests.training.world import STRATEGY

SERVED = """\
consent:
  - {id: none, says: Nothing., purposes: []}
  - {id: personal, says: Personal offers., purposes: [service, personalization]}
channels:
  - {id: web, placements: [hero]}
actions:
  - id: hello
    kind: greeting
    says: Hello.
    propensity: 1.0
    treatments: [{channel: web, placements: [hero], text: Hello.}]
  - id: phone
    kind: offer
    says: A phone.
    intents: [cross_sell]
    value: 100.0
    propensity: 0.1
    treatments: [{channel: web, placements: [hero], text: A phone.}]
  - id: fibre
    kind: offer
    says: Fibre.
    intents: [upsell]
    value: 50.0
    propensity: 0.1
    treatments: [{channel: web, placements: [hero], text: Fibre.}]
"""
FEATURES = "model: {features: [past.visits, past.tier, present.mood]}\n"


def write_served(folder: Path, features: str = FEATURES) -> Path:
    """Write a strategy that serves what the small world knows."""
    head, _, rest = STRATEGY.partition("actions:\n")
    assert FEATURES in rest
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.yaml").write_text(head + SERVED + features)
    return folder
