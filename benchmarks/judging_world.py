"""A strategy to measure judging with: 40 rules of every sort over the actions and fields of `benchmarks.world`."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from benchmarks import world
from benchmarks.world import Document
from models.context import ContextSchema, Field, Scalar, ValueType

RULES = 40
OFFERS: Document = {"kinds": ["offer"]}
SOLD: Document = {"intents": ["upsell", "cross_sell"]}
HELP: Document = {"intents": ["service", "recovery"]}
ATTRIBUTES = {"price": "double", "months": "int", "device": "string", "tiers": "strings"}

UNKNOWN = 0.1
"""The share of fields that are not known of a customer."""


def strategy(actions: int) -> Document:
    """Return the whole strategy as one document."""
    declared = [{"id": name, "type": kind, "says": f"For measuring: {name}."} for name, kind in ATTRIBUTES.items()]
    whole = world.strategy(actions)
    del whole["caps"], whole["model"]  # they judge nothing
    return {
        **whole,
        "time_zone": {"default": "Europe/Berlin"},
        "attributes": declared,
        "actions": [_with_attributes(number, action) for number, action in enumerate(whole["actions"])],
        **_rules(),
    }


def _with_attributes(number: int, action: Document) -> Document:
    """Give an offer what a real one has; one in twelve has no price."""
    if action["kind"] != "offer":
        return action
    has = {
        "price": 5.0 + number * 7 % 997 / 10,
        "months": (1, 12, 24)[number % 3],
        "device": world.DEVICES[number % len(world.DEVICES)],
        "tiers": list(world.TIERS[number % 3 :]),
    }
    return action | {"attributes": {name: value for name, value in has.items() if name != "price" or number % 12}}


def _rules() -> Document:
    return {
        "guardrails": _guardrails(),
        "quiet_hours": [{"id": "quiet-nights", "says": "For measuring.", "forbid": SOLD, "between": "22:00-06:00"}],
        "eligibility": _layer("eligible", 7),
        "applicability": _layer("applicable", 6),
        "suitability": _layer("suitable", 4),
        "exemptions": [
            {"id": "messages-go-out", "says": "For measuring.", "actions": {"kinds": ["message"]},
             "exempt_from": ["forbidden-4"]},
            {"id": "once", "says": "For measuring.", "actions": {"tags": ["wave-1"]}, "exempt_from": ["forbidden-1"],
             "until": "2026-01-01"},
        ],
    }  # fmt: skip


def _rule(name: str, verb: str, selector: Document, when: str) -> Document:
    return {"id": name, "says": f"For measuring: {name}.", verb: selector, "when": when}


def _guardrails() -> list[Document]:
    rules = [
        _rule(f"forbidden-{number}", "forbid", selector, when) for number, (selector, when) in enumerate(_FORBIDDEN)
    ]
    rules[0]["instead"] = rules[9]["instead"] = HELP
    rules[2] |= {"from": "2026-01-01", "until": "2090-01-01"}
    rules[3] |= {"until": "2026-01-01"}  # over long ago
    return rules


def _layer(name: str, number: int) -> list[Document]:
    start = {"eligible": 0, "applicable": 7, "suitable": 13}[name]
    return [
        _rule(f"{name}-{place}", "permit", selector, when)
        for place, (selector, when) in enumerate(_PERMITTED[start : start + number])
    ]


_FORBIDDEN: tuple[tuple[Document, str], ...] = (
    (SOLD, "past.open_tickets > 0"),
    (OFFERS, "present.sentiment < -0.5"),
    (OFFERS, "past.delay_hours > 72.0 && past.survey_score < 5"),
    (OFFERS, "past.delays > 0"),
    ({"all": True}, "present.waiting_s > 3600"),
    ({"groups": ["phones"]}, "past.last_category == 'phones' && past.days_since_purchase < 30.0"),
    ({"groups": ["tv"]}, "past.purchases_tv > 2"),
    ({"groups": ["insurance"]}, "past.lowest_score < 3 || past.surveys == 0"),
    ({"groups": ["cart"]}, "past.cart_items < 1 || !present.returning"),
    (OFFERS, "past.lowest_score < 2 && past.days_since_contact < 7.0"),
    ({"tags": ["wave-2"]}, "past.views_1d > 20"),
    ({"tags": ["wave-3"]}, "present.section in ['help', 'bill']"),
    ({"groups": ["roaming"]}, "past.usage < 1.0"),
    ({"groups": ["premium"]}, "past.spend_30d < 10.0"),
    ({"intents": ["upsell"]}, "past.days_since_ticket < 3.0"),
    (OFFERS, "action.price > past.spend"),
    (OFFERS, "action.price > present.cart_value && present.section == 'shop'"),
    (OFFERS, "action.group == past.last_category && past.days_since_purchase < 7.0"),
    (OFFERS, "action.device != present.device && action.months > 12"),
    (OFFERS, "action.months > past.contacts"),
    (OFFERS, "action.value < past.last_amount && !present.logged_in"),
    (OFFERS, "action.reward > past.largest_amount"),
)
_PERMITTED: tuple[tuple[Document, str], ...] = (
    ({"groups": ["premium"]}, "past.tier in ['gold', 'platinum']"),
    ({"groups": ["cart"]}, "past.cart_value > 20.0"),
    ({"groups": ["internet"]}, "past.usage > 5.0"),
    ({"groups": ["roaming"]}, "past.purchases > 1 && past.spend > 50.0"),
    (OFFERS, "past.tier in action.tiers"),
    ({"groups": ["tv"]}, "past.first_tier != 'basic'"),
    ({"groups": ["accessories"]}, "past.views_phones > 0"),
    (SOLD, "present.minutes_on_site > 1.0"),
    ({"tags": ["wave-4"]}, "past.views_shop > past.views_help"),
    ({"tags": ["wave-5"]}, "present.logged_in"),
    ({"groups": ["insurance"]}, "past.spend_decayed > 5.0"),
    ({"intents": ["recovery"]}, "past.delays > 0 || past.tickets > 0"),
    (OFFERS, "action.price <= past.spend_decayed || action.group in ['cart', 'accessories']"),
    ({"groups": ["phones"]}, "past.largest_usage > 2.0"),
    ({"intents": ["upsell"]}, "past.spend > 20.0"),
    (OFFERS, "action.price < past.largest_cart + 50.0"),
    ({"groups": ["premium"]}, "past.usage_30d > 1.0 && past.spend_7d >= 0.0"),
)


def write_strategy(folder: Path, actions: int) -> Path:
    """Write the strategy into a folder of its own, as JSON, which YAML includes; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "strategy.yaml").write_text(json.dumps(strategy(actions), indent=1), encoding="utf-8")
    return folder


def values(schema: ContextSchema, random: Random) -> tuple[Scalar | None, ...]:
    """Return what is known of a random customer."""
    return tuple(None if random.random() < UNKNOWN else _value(field, random) for field in schema.fields)


def _value(field: Field, random: Random) -> Scalar:
    if field.bounds.values:
        return random.choice(field.bounds.values)
    if field.type is ValueType.STRING:
        return "web"
    if field.type is ValueType.BOOL:
        return random.random() < 0.5
    low, high = field.bounds.low or 0.0, field.bounds.high or 40.0
    drawn = random.uniform(low, min(high, 120.0))
    return int(drawn) if field.type is ValueType.INT else drawn
