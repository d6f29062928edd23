"""What the customers of the demo world really like: the hidden tastes, and so the true worth of every action.

A customer has six hidden traits, each about normally distributed around 0. An action works with probability
`sigmoid(logit(p) + likes . traits)`; had nothing been said, the same would have happened anyway with
`sigmoid(logit(p) + likes . traits - lift - sways . traits)`. Who learns from the decision log can be judged against
these, because nothing else decides an outcome.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STRATEGY = Path(__file__).parents[2] / "strategies" / "demo"


@dataclass(frozen=True, slots=True)
class Traits:
    """The hidden traits of one customer; 0 is the middle, 1 is one standard deviation more."""

    tech: float = 0.0
    thrift: float = 0.0
    travel: float = 0.0
    family: float = 0.0
    worry: float = 0.0
    warmth: float = 0.0


@dataclass(frozen=True, slots=True)
class Taste:
    """How one action works: for the middle customer, and by how much each trait changes that (in log-odds)."""

    p: float
    lift: float
    likes: Traits
    sways: Traits
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sayable:
    """What the world must know of one action of the strategy."""

    id: str
    kind: str
    group: str
    intents: frozenset[str]
    tags: frozenset[str]
    channels: frozenset[str]
    value: float
    reward: float
    cost: float
    lever: float
    monthly: float


@dataclass(frozen=True, slots=True)
class Worth:
    """The truth about one action and one customer: P(outcome | said), P(outcome | nothing), euros against nothing."""

    p: float
    p0: float
    net: float


def _taste(p: float, lift: float, needs: str = "", sways: Traits | None = None, **likes: float) -> Taste:
    return Taste(p, lift, Traits(**likes), sways or Traits(), tuple(needs.split()))


TASTES: Mapping[str, Taste] = {
    "greet-neutral": _taste(0.45, 0.8, warmth=0.2),
    "greet-welcome-back": _taste(0.50, 0.9, "long-time", warmth=0.5),
    "greet-new-customer": _taste(0.50, 0.9, "new", warmth=0.3),
    "greet-gold": _taste(0.52, 0.9, "gold", travel=0.3, warmth=0.3),
    "greet-one-flight": _taste(0.60, 1.2, "one-flight", travel=0.4),
    "greet-open-ticket": _taste(0.60, 1.2, "ticket", worry=0.3),
    "greet-late-delivery": _taste(0.60, 1.2, "late", worry=0.3),
    "greet-long-wait": _taste(0.58, 1.1, "queued", warmth=0.2),
    "greet-unhappy": _taste(0.50, 0.9, "unhappy", warmth=0.4),
    "greet-recovery": _taste(0.60, 1.2, "recovering", warmth=0.4),
    "greet-continued": _taste(0.60, 1.1, "continued", warmth=0.2),
    "greet-cart": _taste(0.50, 0.9, "cart", tech=0.2),
    "fibre-upgrade": _taste(0.10, 1.2, "fibre-fits", tech=0.9, thrift=-0.5),
    "internet-start": _taste(0.07, 1.0, "no-internet", family=0.7, thrift=0.4),
    "smart-home": _taste(0.06, 0.9, "internet", tech=0.8, worry=0.3, thrift=-0.4),
    "tv-package": _taste(0.08, 1.1, "internet no-tv", family=0.8, tech=0.2),
    "sports-channel": _taste(0.11, 0.9, "tv", family=0.3, thrift=-0.7),
    "bigger-plan": _taste(0.13, 1.1, "data-low not-largest", tech=0.6, thrift=-0.7),
    "data-pass": _taste(0.20, 0.9, "data-low", thrift=0.4, tech=0.4),
    "second-sim": _taste(0.06, 1.0, tech=0.9, thrift=-0.3),
    "family-plan": _taste(0.05, 1.1, family=1.0, thrift=0.3),
    "new-phone": _taste(0.09, 0.8, "old-phone", tech=0.9, thrift=-0.6),
    "trade-in": _taste(0.11, 1.3, "old-phone", Traits(thrift=0.3), tech=0.5, thrift=0.5),
    "phone-insurance": _taste(0.08, 1.3, "not-insured", worry=1.0),
    "security-suite": _taste(0.08, 1.2, worry=0.9, tech=-0.3),
    "earbuds": _taste(0.09, 0.8, tech=0.7, thrift=-0.3),
    "roaming-pass": _taste(0.12, 0.9, travel=1.1),
    "finish-cart": _taste(0.36, 0.9, "cart", Traits(thrift=0.5), tech=0.2, thrift=0.3),
    "stay-discount": _taste(0.45, 0.6, "leaving", Traits(thrift=0.5, warmth=-0.5), warmth=0.7, thrift=0.4),
    "stay-more-data": _taste(0.40, 0.5, "leaving", Traits(tech=0.5, warmth=-0.3), warmth=0.7, tech=0.4),
    "double-miles": _taste(0.18, 0.9, "miles", travel=0.7, thrift=0.3),
    "ticket-progress": _taste(0.55, 0.9, "ticket", worry=0.3),
    "ticket-callback": _taste(0.60, 1.1, "ticket", Traits(worry=0.5), worry=0.4),
    "delivery-date": _taste(0.50, 1.0, "late", warmth=0.3),
    "delivery-apology": _taste(0.65, 1.4, "late", Traits(warmth=-0.3), warmth=0.4, thrift=0.3),
    "price-change-notice": _taste(0.75, 1.8, "new-price", thrift=0.2),
    "complaint-follow-up": _taste(0.50, 1.0, "complained", warmth=0.4),
    "survey-follow-up": _taste(0.45, 0.9, "unhappy", warmth=0.4),
    "survey-request": _taste(0.35, 0.6, "ticket-closed", warmth=0.4),
    "wait-apology": _taste(0.45, 0.8, "waited", warmth=0.3),
    "bill-explained": _taste(0.40, 0.8, "bill", thrift=0.4, worry=0.3),
    "payment-options": _taste(0.50, 1.1, "unpaid", thrift=0.5),
    "setup-help": _taste(0.50, 1.0, "new", tech=-0.5),
    "paper-follow-up": _taste(0.30, 0.6, "paper", tech=0.4),
    "roaming-tip": _taste(0.40, 0.8, "travels", travel=0.5),
    "almost-platinum": _taste(0.50, 1.4, "one-flight", travel=0.5),
    "lounge-thank-you": _taste(0.40, 1.0, "gold", Traits(travel=0.3), travel=0.5, warmth=0.3),
    "your-data-your-choice": _taste(0.10, 0.9, worry=0.7),
}
"""The taste of each action of strategies/demo, and the facts that a customer needs to be able to want it."""


def read_sayables(folder: Path = STRATEGY) -> tuple[Sayable, ...]:
    """Read what can be said and what it earns and costs from a strategy's documents."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Sayable] = []
    for path in sorted(folder.glob("*.yaml")):
        document = yaml.load(path.read_text("utf-8"), loader) or {}  # noqa: S506  a safe loader, the faster one
        found += [_sayable(entry) for entry in document.get("actions", ())]
    return tuple(found)


def _sayable(entry: Mapping[str, Any]) -> Sayable:
    return Sayable(
        id=entry["id"],
        kind=entry["kind"],
        group=entry.get("group", ""),
        intents=frozenset(entry.get("intents", ())),
        tags=frozenset(entry.get("tags", ())),
        channels=frozenset(treatment["channel"] for treatment in entry["treatments"]),
        value=float(entry.get("value", 0.0)),
        reward=float(entry.get("reward", 0.0)),
        cost=float(entry.get("cost", 0.0)),
        lever=float(entry.get("lever", 1.0)),
        monthly=float(entry.get("attributes", {}).get("monthly", 0.0)),
    )


def true_worth(sayable: Sayable, traits: Traits) -> Worth:
    """Return how an action truly works for a customer, whether or not the strategy would let it be said."""
    taste = TASTES[sayable.id]
    said = math.log(taste.p / (1.0 - taste.p)) + _dot(taste.likes, traits)
    p, p0 = sigmoid(said), sigmoid(said - taste.lift - _dot(taste.sways, traits))
    net = sayable.lever * (p * (sayable.value - sayable.reward) - p0 * sayable.value) - sayable.cost
    return Worth(p, p0, net)


def sigmoid(x: float) -> float:
    """Return the probability of log-odds."""
    return 1.0 / (1.0 + math.exp(-x))


def _dot(weights: Traits, traits: Traits) -> float:
    return (
        weights.tech * traits.tech
        + weights.thrift * traits.thrift
        + weights.travel * traits.travel
        + weights.family * traits.family
        + weights.worry * traits.worry
        + weights.warmth * traits.warmth
    )
