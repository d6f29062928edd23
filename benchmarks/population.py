"""Customers of the strategy to measure with: what they did, what they agreed to, and what is asked about them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import world
from tact.v1 import context_pb2, decision_pb2, values_pb2

DAY_MS = 86_400_000
HISTORY_DAYS = 120
TRAINING_DAYS = 30  # the last part of the history, in which the decisions to learn from were made

Plain = dict[str, Any]
"""A value an attribute or field, as JSON writes it."""

_TIMES = (
    ("purchase", 2, 8),
    ("page.viewed", 4, 12),
    ("cart.updated", 1, 4),
    ("survey.answered", 1, 3),
    ("loyalty.changed", 1, 2),
    ("delivery.delayed", 1, 2),
    ("usage.reported", 1, 4),
    ("contact.made", 1, 4),
)  # how often each event happens to a customer, at least and at most; tickets come on top


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of one customer."""

    event_id: str
    customer: str
    type: str
    at_ms: int
    attributes: Plain

    def plain(self) -> Plain:
        """Return the event as a line of an event file."""
        return {"event_id": self.event_id, "customer_id": self.customer, "type": self.type, "occurred_at": self.at_ms,
                "attributes": self.attributes}  # fmt: skip

    def message(self) -> context_pb2.Event:
        """Return the event as it is sent."""
        event = context_pb2.Event(event_id=self.event_id, customer_id=self.customer, type=self.type)
        event.occurred_at.FromMilliseconds(self.at_ms)
        for name, value in self.attributes.items():
            event.attributes[name].CopyFrom(value_of(value))
        return event


def value_of(value: object) -> values_pb2.Value:
    """Return a plain value in the type it has."""
    match value:
        case bool():
            return values_pb2.Value(bool_value=value)
        case int():
            return values_pb2.Value(int_value=value)
        case float():
            return values_pb2.Value(double_value=value)
        case str():
            return values_pb2.Value(string_value=value)
    raise TypeError(f"no attribute of these events is a {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Population:
    """So many customers, the same for the same seed. The history ends at `now_ms`."""

    customers: tuple[str, ...]
    now_ms: int
    seed: int

    @classmethod
    def of(cls, size: int, now_ms: int, seed: int = 7) -> Population:
        """Name the customers."""
        return cls(tuple(f"customer-{number:06d}" for number in range(size)), now_ms, seed)

    def events(self) -> Iterator[Happened]:
        """Give each customer every kind of event at least once, about 28 in all, in no particular order of time."""
        dice = random.Random(self.seed)
        for customer in self.customers:
            for number, (kind, attributes, ago_ms) in enumerate(_history(dice)):
                yield Happened(f"{customer}-{number}", customer, kind, self.now_ms - ago_ms, attributes)

    def level(self, customer: str) -> str | None:
        """Return the consent level: most agreed to everything, a twentieth never said anything (None)."""
        draw = random.Random(f"{self.seed} consent {customer}").random()
        return "full" if draw < 0.70 else "personal" if draw < 0.85 else "service" if draw < 0.95 else None

    def requests(self, count: int, level: str | None = None) -> tuple[decision_pb2.DecideRequest, ...]:
        """Ask about the customers in a random order, again and again: seven in ten for a web page, the rest for a call.

        So calls that are open at once are about different customers, as they are where there are millions of them.
        With `level`, only about customers of that consent; `none` are those who never said anything.
        """
        dice = random.Random(self.seed + 1)
        asked = list(self.customers if level is None else self.agreed(level))
        dice.shuffle(asked)
        return tuple(_request(dice, f"{number:08d}", asked[number % len(asked)]) for number in range(count))

    def agreed(self, level: str) -> tuple[str, ...]:
        """Return the customers of a consent level; raise `ValueError` where there is none."""
        found = tuple(customer for customer in self.customers if (self.level(customer) or "none") == level)
        if not found:
            raise ValueError(f"none of {len(self.customers)} customers is of the level {level}")
        return found

    def decisions(self, rows: int, actions: Sequence[str]) -> Iterator[Plain]:
        """Give decisions with outcomes to learn from: `rows` for each action, and as many that said nothing.

        The latter say what would have happened anyway to every action, for the baselines.
        """
        dice = random.Random(self.seed + 2)
        tastes = [dice.gauss(0.0, 1.0) for _ in actions]
        everything = range(len(actions))
        for number in range(rows * (len(actions) + 1)):
            said = number % (len(actions) + 1)
            silent = said == len(actions)
            context = seen_now(dice)
            pull = context["present.sentiment"] + context["present.cart_value"] / 60 - (2.7 if silent else 1.2)
            chances = {i: 1 / (1 + math.exp(-0.6 * tastes[i] - pull)) for i in (everything if silent else (said,))}
            yield {
                "decision_id": f"d-{number}",
                "customer_id": dice.choice(self.customers),
                "at": self.now_ms - dice.randrange(1, TRAINING_DAYS * DAY_MS),
                "channel": "web",
                "action": "nothing" if silent else actions[said],
                "probability": 1 / (len(actions) + 1),
                "context": context,
                "outcomes": {actions[i]: int(dice.random() < chance) for i, chance in chances.items()},
                "amount": 0.0,
            }


def seen_now(dice: random.Random) -> Plain:
    """Return what a page or a desktop sees of a customer right now: five of the eight request fields."""
    return {
        "present.sentiment": round(max(-1.0, min(1.0, dice.gauss(0.2, 0.45))), 3),
        "present.cart_value": round(dice.expovariate(1 / 40), 2),
        "present.waiting_s": dice.randrange(120),
        "present.section": dice.choice(world.SECTIONS),
        "present.device": dice.choice(world.DEVICES),
    }


def _request(dice: random.Random, request_id: str, customer: str) -> decision_pb2.DecideRequest:
    draw = dice.random()
    channel, placement = ("web", "hero") if draw < 0.7 else ("desk", "offer") if draw < 0.9 else ("desk", "greeting")
    request = decision_pb2.DecideRequest(
        customer_id=customer, channel=channel, placements=[placement], request_id=request_id
    )
    for field, value in seen_now(dice).items():
        request.context[field].CopyFrom(value_of(value))
    return request


def _history(dice: random.Random) -> Iterator[tuple[str, Plain, int]]:
    """Give what happened to one customer: the event, its attributes, and how many milliseconds ago."""
    for kind, fewest, most in _TIMES:
        for _ in range(dice.randrange(fewest, most + 1)):
            yield kind, attributes_of(kind, dice), dice.randrange(1, HISTORY_DAYS * DAY_MS)
    for number in range(dice.randrange(1, 3)):
        opened_ago = dice.randrange(2, HISTORY_DAYS * DAY_MS)
        yield "ticket.opened", {"ticket": f"t{number}"}, opened_ago
        if dice.random() < 0.9:  # so that about one customer in seven has a ticket open
            yield "ticket.closed", {"ticket": f"t{number}"}, dice.randrange(1, opened_ago)


def attributes_of(kind: str, dice: random.Random) -> Plain:
    """Draw the attributes of an event that is not about a ticket."""
    match kind:
        case "purchase":
            return {"category": dice.choice(world.CATEGORIES), "amount": _money(dice)}
        case "page.viewed":
            return {"section": dice.choice(world.SECTIONS)}
        case "cart.updated":
            return {"value": _money(dice), "items": dice.randrange(1, 9)}
        case "survey.answered":
            return {"score": dice.randrange(11)}
        case "loyalty.changed":
            return {"tier": dice.choice(world.TIERS)}
        case "delivery.delayed":
            return {"hours": round(dice.expovariate(1 / 20), 1)}
        case "usage.reported":
            return {"gigabytes": round(dice.expovariate(1 / 15), 2)}
        case _:
            return {"channel": dice.choice(world.CONTACTS)}


def _money(dice: random.Random) -> float:
    return round(dice.expovariate(1 / 45) + 1, 2)
