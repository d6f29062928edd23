"""A strategy of any size to measure with: 60 context fields, 8 rules, 3 caps, and as many actions as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]

CATEGORIES = ("phones", "internet", "roaming", "premium", "cart", "tv", "accessories", "insurance")
SECTIONS = ("home", "shop", "help", "bill", "phones", "news")
TIERS = ("basic", "silver", "gold", "platinum")
DEVICES = ("phone", "tablet", "desktop")
CONTACTS = ("web", "desk", "store")
LEVELS = ("none", "service", "personal", "full")
SAFE_GREETING = "greeting-000"
OWN_RULES = 8
MOST_IN_A_FILE = 1_500

EVENTS: Mapping[str, Document] = {
    "purchase": {"category": {"type": "string", "values": list(CATEGORIES)}, "amount": "double"},
    "page.viewed": {"section": {"type": "string", "values": list(SECTIONS)}},
    "cart.updated": {"value": "double", "items": "int"},
    "survey.answered": {"score": {"type": "int", "low": 0, "high": 10}},
    "loyalty.changed": {"tier": {"type": "string", "values": list(TIERS)}},
    "ticket.opened": {"ticket": "string"},
    "ticket.closed": {"ticket": "string"},
    "delivery.delayed": {"hours": "double"},
    "usage.reported": {"gigabytes": "double"},
    "contact.made": {"channel": {"type": "string", "values": list(CONTACTS)}},
}


@dataclass(frozen=True, slots=True)
class Declared:
    """One context field: its id, type, the purpose it needs, and how its event folds (None: comes with the request)."""

    id: str
    type: str
    purpose: str
    fold: Document | None
    bounds: Document

    def document(self) -> Document:
        """Return the field as the strategy writes it."""
        source: Document = {"source": "request"} if self.fold is None else {"fold": self.fold, "max_age": "400d"}
        return {"id": self.id, "says": f"For measuring: {self.id}.", "type": self.type, "purpose": self.purpose} | (
            source | self.bounds
        )


def _past(name: str, type_: str, purpose: str, kind: str, event: str, attribute: str = "", **more: object) -> Declared:
    values = more.pop("values", None)
    fold = {"kind": kind, "event": event} | ({"attribute": attribute} if attribute else {}) | more
    return Declared(f"past.{name}", type_, purpose, fold, {"values": list(values)} if isinstance(values, tuple) else {})


def _present(name: str, type_: str, **bounds: object) -> Declared:
    return Declared(f"present.{name}", type_, "service", None, bounds)


def fields() -> tuple[Declared, ...]:
    """Return the 60 fields: 52 folded from events in every way there is, 8 that come with the request."""
    return (*_purchase_fields(), *_visit_fields(), *_service_fields(), *_profile_fields(), *_request_fields())


def _purchase_fields() -> tuple[Declared, ...]:
    buys = ("personalization", "purchase")
    return (
        Declared("past.purchases", "int", buys[0], {"kind": "count", "event": "purchase"}, {}),
        _past("spend", "double", buys[0], "sum", "purchase", "amount"),
        _past("last_category", "string", buys[0], "last", "purchase", "category", values=CATEGORIES),
        _past("last_amount", "double", buys[0], "last", "purchase", "amount"),
        _past("largest_amount", "double", buys[0], "max", "purchase", "amount"),
        _past("purchases_30d", "int", buys[0], "window_count", "purchase", window="30d"),
        _past("spend_30d", "double", buys[0], "window_sum", "purchase", "amount", window="30d"),
        _past("spend_7d", "double", buys[0], "window_sum", "purchase", "amount", window="7d"),
        _past("days_since_purchase", "double", buys[0], "since", "purchase"),
        *(_past(f"purchases_{c}", "int", buys[0], "count", "purchase", where={"category": c}) for c in CATEGORIES),
        *(_past(f"spend_{c}", "double", buys[0], "sum", "purchase", "amount", where={"category": c})
          for c in CATEGORIES[:4]),
    )  # fmt: skip


def _visit_fields() -> tuple[Declared, ...]:
    return (
        *(_past(f"views_{s}", "int", "personalization", "count", "page.viewed", where={"section": s})
          for s in SECTIONS),
        _past("views_1d", "int", "personalization", "window_count", "page.viewed", window="1d"),
        _past("days_since_visit", "double", "personalization", "since", "page.viewed"),
        _past("last_section", "string", "personalization", "last", "page.viewed", "section", values=SECTIONS),
        _past("cart_value", "double", "personalization", "last", "cart.updated", "value"),
        _past("cart_items", "int", "personalization", "last", "cart.updated", "items"),
        _past("largest_cart", "double", "personalization", "max", "cart.updated", "value"),
    )  # fmt: skip


def _service_fields() -> tuple[Declared, ...]:
    closing = {"closed_by": "ticket.closed", "closed_key": "ticket"}
    return (
        _past("open_tickets", "int", "service", "open", "ticket.opened", "ticket", **closing),
        _past("tickets", "int", "service", "count", "ticket.opened"),
        _past("days_since_ticket", "double", "service", "since", "ticket.opened"),
        _past("delay_hours", "double", "service", "last", "delivery.delayed", "hours"),
        _past("delays", "int", "service", "count", "delivery.delayed"),
        _past("delay_hours_all", "double", "service", "sum", "delivery.delayed", "hours"),
        _past("survey_score", "int", "service", "last", "survey.answered", "score"),
        _past("lowest_score", "int", "service", "min", "survey.answered", "score"),
        _past("surveys", "int", "service", "count", "survey.answered"),
        _past("last_contact", "string", "service", "last", "contact.made", "channel", values=CONTACTS),
        _past("contacts", "int", "service", "count", "contact.made"),
        _past("days_since_contact", "double", "service", "since", "contact.made"),
    )


def _profile_fields() -> tuple[Declared, ...]:
    return (
        _past("tier", "string", "personalization", "last", "loyalty.changed", "tier", values=TIERS),
        _past("first_tier", "string", "profiling", "first", "loyalty.changed", "tier", values=TIERS),
        _past("usage", "double", "profiling", "last", "usage.reported", "gigabytes"),
        _past("largest_usage", "double", "profiling", "max", "usage.reported", "gigabytes"),
        _past("usage_decayed", "double", "profiling", "decay", "usage.reported", "gigabytes", half_life="30d"),
        _past("usage_30d", "double", "profiling", "window_sum", "usage.reported", "gigabytes", window="30d"),
        _past("spend_decayed", "double", "profiling", "decay", "purchase", "amount", half_life="30d"),
    )


def _request_fields() -> tuple[Declared, ...]:
    return (
        _present("sentiment", "double", low=-1, high=1),
        _present("cart_value", "double", low=0, high=100000),
        _present("waiting_s", "int", low=0, high=86400),
        _present("section", "string", values=list(SECTIONS)),
        _present("device", "string", values=list(DEVICES)),
        _present("minutes_on_site", "double", low=0, high=1440),
        _present("returning", "bool"),
        _present("logged_in", "bool"),
    )


def action_ids(count: int) -> dict[str, list[str]]:
    """Return the ids by kind: a tenth greetings, three twentieths messages, the rest offers; at least 8 in all.

    With fewer, the rules would speak of groups and intents that no action has.
    """
    greetings, messages = max(1, count // 10), max(2, count * 3 // 20)
    offers = count - greetings - messages
    if offers < 5:
        raise ValueError(f"a strategy to measure has at least 8 actions, not {count}")
    numbers = {"greeting": greetings, "offer": offers, "message": messages}
    return {kind: [f"{kind}-{i:03d}" for i in range(number)] for kind, number in numbers.items()}


def _treated(text: str, *places: tuple[str, str]) -> list[Document]:
    return [{"channel": channel, "placements": [placement], "text": text} for channel, placement in places]


def _greeting(number: int, id_: str) -> Document:
    text = f"Good to see you again. Is there anything we can do for you today? (greeting {number})"
    said = {"id": id_, "kind": "greeting", "says": f"Greeting {number}.", "intents": ["welcome"]}
    worth = {"value": 2.0, "propensity": 0.2}
    return {**said, **worth, "treatments": _treated(text, ("web", "greeting"), ("desk", "greeting"))}


def _message(number: int, id_: str) -> Document:
    text = f"We are looking after your case and will let you know at once when it is done (message {number})."
    intent = ("service", "recovery", "retention")[number % 3]
    said = {"id": id_, "kind": "message", "says": f"Message {number}.", "intents": [intent]}
    worth = {"value": 6.0 + number % 5, "cost": 0.02, "propensity": 0.2}
    return {**said, **worth, "treatments": _treated(text, ("web", "hero"), ("desk", "offer"))}


def _offer(number: int, id_: str) -> Document:
    group = CATEGORIES[number % len(CATEGORIES)]
    text = f"More from {group} for you: take a look, try it for a month, and give it back if you do not like it."
    said = {"id": id_, "kind": "offer", "says": f"Offer {number}.", "intents": [("upsell", "cross_sell")[number % 2]]}
    worth = {"value": 20.0 + number % 40, "reward": 2.0 + number % 5, "cost": 0.05, "propensity": 0.1}
    sorts = {"group": group, "tags": [f"wave-{number % 7}"]}
    return {**said, **sorts, **worth, "treatments": _treated(text, ("web", "hero"), ("desk", "offer"))}


def _actions(count: int) -> list[Document]:
    make = {"greeting": _greeting, "offer": _offer, "message": _message}
    return [make[kind](number, id_) for kind, ids in action_ids(count).items() for number, id_ in enumerate(ids)]


def _rule(id_: str, verb: str, selector: Document, when: str, **more: object) -> Document:
    return {"id": id_, "says": f"For measuring: {id_}.", verb: selector, "when": when, **more}


UNLIKELY = ("past.contacts > {}", "past.tickets > {}", "past.delays > {}", "past.delay_hours_all > {}.0")
HARDLY_EVER = ("present.waiting_s > {}", "present.cart_value > {}.0")


def more_rules(count: int) -> tuple[list[Document], list[Document]]:
    """Return so many more guardrails and permits in turn, no two conditions alike, that hardly ever change an answer.

    They look at facts that also a low level of consent leaves known, or they would forbid everything there.
    """
    guardrails, eligibility = [], []
    for number in range(count):
        id_, place = f"more-{number:03d}", number % 5
        many = UNLIKELY[number % len(UNLIKELY)].format(300 + number)
        if number % 2 == 0:
            late = HARDLY_EVER[number // 2 % len(HARDLY_EVER)].format(2000 + number)
            guardrails.append(_rule(id_, "forbid", {"groups": [CATEGORIES[place]]}, f"{many} || {late}"))
        else:
            eligibility.append(_rule(id_, "permit", {"tags": [f"wave-{place}"]}, f"!({many})"))
    return guardrails, eligibility


def _rules(count: int) -> Document:
    """Return the first rules, as many as wanted, and more of them where there are not enough; caps and weights."""
    document = _own_rules()
    guardrails, eligibility = more_rules(max(0, count - OWN_RULES))
    permits = max(0, count - len(document["guardrails"]))
    document["guardrails"] = [*document["guardrails"][:count], *guardrails]
    document["eligibility"] = [*document["eligibility"][:permits], *eligibility]
    return document


def _own_rules() -> Document:
    offers = {"kinds": ["offer"]}
    return {
        "guardrails": [
            _rule("helped-not-sold-to", "forbid", {"intents": ["upsell", "cross_sell"]}, "past.open_tickets > 0",
                  instead={"intents": ["service", "recovery"]}),
            _rule("not-while-upset", "forbid", offers, "present.sentiment < -0.5"),
            _rule("not-after-a-long-delay", "forbid", offers, "past.delay_hours > 72.0 && past.survey_score < 5"),
            _rule("not-the-same-again", "forbid", {"groups": ["phones"]},
                  "past.last_category == 'phones' && past.days_since_purchase < 30.0"),
        ],
        "eligibility": [
            _rule("premium-for-the-loyal", "permit", {"groups": ["premium"]}, "past.tier in ['gold', 'platinum']"),
            _rule("cart-for-carts", "permit", {"groups": ["cart"]}, "past.cart_value > 20.0"),
            _rule("internet-for-users", "permit", {"groups": ["internet"]}, "past.usage > 5.0"),
            _rule("roaming-for-buyers", "permit", {"groups": ["roaming"]},
                  "past.purchases > 1 && past.spend > 50.0"),
        ],
        "caps": [
            {"id": "few-offers", "says": "Few offers at a time.", "count": offers, "at_most": 36, "within": "1m",
             "per": ["channel"]},
            {"id": "seldom-the-same", "says": "Seldom the same.", "count": offers, "at_most": 24, "within": "1m",
             "per": ["action"]},
            {"id": "few-messages", "says": "Few messages at a time.", "count": {"kinds": ["message"]}, "at_most": 48,
             "within": "1m"},
        ],
        "weights": [
            {"id": "hot-cart", "says": "A full cart.", "boost": {"groups": ["cart"]}, "factor": 1.5,
             "when": "present.cart_value > 50.0"},
            {"id": "waiting", "says": "Those who wait.", "boost": {"intents": ["service"]}, "factor": 2.0,
             "when": "present.waiting_s > 60"},
        ],
    }  # fmt: skip


def strategy(actions: int, rules: int = OWN_RULES) -> Document:
    """Return the whole strategy as one document, with so many guardrails and permits."""
    purposes = ("service", "personalization", "profiling")
    declared = fields()
    assert len(declared) == 60, f"{len(declared)} fields"
    return {
        "strategy": {"name": "measured", "says": "A strategy to measure with.", "currency": "EUR",
                     "safe_greeting": SAFE_GREETING, "explore": 0.05},
        "consent": [{"id": level, "says": f"Agreed to: {level}.", "purposes": list(purposes[:i])}
                    for i, level in enumerate(LEVELS)],
        "channels": [{"id": "web", "placements": ["greeting", "hero"]},
                     {"id": "desk", "placements": ["greeting", "offer"]}],
        "events": [{"id": id_, "says": f"For measuring: {id_}.", "attributes": attributes}
                   for id_, attributes in EVENTS.items()],
        "fields": [field.document() for field in declared],
        "actions": _actions(actions),
        **_rules(rules),
        "model": {"features": [field.id for field in declared]},
    }  # fmt: skip


class _NoAliases(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # which there is, is seen here
    def ignore_aliases(self, data: object) -> bool:
        return True


def write_strategy(folder: Path, actions: int, rules: int = OWN_RULES) -> Path:
    """Write the strategy into a folder of its own, many actions over several files; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = strategy(actions, rules)
    listed = whole["actions"]
    files = {"strategy": {**whole, "actions": listed[:MOST_IN_A_FILE]}}
    for at in range(MOST_IN_A_FILE, len(listed), MOST_IN_A_FILE):
        files[f"actions-{at}"] = {"actions": listed[at : at + MOST_IN_A_FILE]}
    for name, document in files.items():
        text = yaml.dump(document, Dumper=_NoAliases, sort_keys=False, allow_unicode=True, width=120)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder
