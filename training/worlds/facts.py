"""What holds for a customer of the demo world at a moment, and which actions the demo strategy then lets be said.

The strategy's rules say the same in CEL; a test compares the two on every logged decision. Training must not depend on
the service, so they are written twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import cast

from models import folds
from models.clock import zone_of
from models.context import ContextSchema, Scalar, ValueType

from .files import moment_ms
from .people import DAY_MS, Happening
from .tastes import TASTES, Sayable

Values = Mapping[str, Scalar | None]


class Observer:
    """Sees what is known of a customer at past moments, from the events strictly before each."""

    def __init__(self, schema: ContextSchema) -> None:
        self._folding = folds.Folding(schema)
        self._readers = [(f.id, f.key, folds.reader(f)) for f in schema.fields if f.fold is not None]
        self._moments = {
            event.id: [a.name for a in event.attributes if a.type is ValueType.TIMESTAMP]
            for event in schema.events.values()
        }

    def observe(self, happenings: Iterable[Happening], moments: Iterable[int]) -> Iterator[dict[str, Scalar | None]]:
        """Yield every folded field's value at each moment (ms, ascending); events must be in order of time."""
        states: dict[int, folds.State] = {}
        coming = list(happenings)
        at = 0
        for now_ms in moments:
            while at < len(coming) and coming[at].at_ms < now_ms:
                self._fold(states, coming[at])
                at += 1
            yield {name: read(states[key], now_ms) if key in states else None for name, key, read in self._readers}

    def _fold(self, states: dict[int, folds.State], happening: Happening) -> None:
        attributes = cast("dict[str, Scalar]", happening.attributes)
        if names := self._moments[happening.type]:
            attributes = attributes | {name: moment_ms(str(attributes[name])) for name in names}
        for operation in self._folding.operations(happening.type, attributes):
            states[operation.key] = folds.apply(states.get(operation.key), operation, happening.at_ms)


def facts_of(v: Values, now_ms: int, channel: str = "") -> frozenset[str]:
    """Return the facts that are known to hold; `v` has the folded fields and those that came with the request.

    No case goes on in the demo world: nobody was told anything minutes before.
    """
    reasons = {v.get("present.contact_reason"), v.get("predicted.contact_reason")}
    tier, flights = v["past.tier"], _number(v, "past.flights_this_year")
    ends = _number(v, "past.contract_ends", 1e18)
    found = {
        "new": _number(v, "past.tenure_days", 1e9) < 60.0,
        "long-time": _number(v, "past.tenure_days") > 730.0,
        "gold": tier in ("gold", "platinum"),
        "one-flight": tier == "gold" and flights == 11,
        "miles": _number(v, "past.points") > 0,
        "internet": v["past.has_internet"] is True,
        "no-internet": v["past.has_internet"] is False,
        "fibre-fits": v["past.has_internet"] is True and v["past.has_fibre"] is False and v["past.fibre_possible"],
        "tv": v["past.has_tv"] is True,
        "no-tv": v["past.has_tv"] is False,
        "not-insured": v["past.has_insurance"] is False,
        "not-largest": v["past.plan"] not in (None, "mobile_l"),
        "old-phone": _number(v, "past.phone_months") >= 12,
        "data-low": _number(v, "past.data_share") > 0.8,
        "cart": _number(v, "present.open_carts") > 0 and _number(v, "present.cart_value") > 0.0,
        "queued": _number(v, "present.queue_minutes") > 5.0,
        "waited": _number(v, "past.waiting_minutes") > 10.0 and _number(v, "past.days_since_contact", 1e9) < 30.0,
        "leaving": _number(v, "predicted.churn") > 0.2 or "leaving" in reasons or ends < now_ms + 60 * DAY_MS,
        "bill": "billing" in reasons or v["past.contact_reason"] == "billing",
        "paper": _number(v, "past.days_since_paper", 1e9) < 14.0,
        "travels": _number(v, "past.interest_travel") > 0.5 or "roaming" in reasons,
    }
    return frozenset(name for name, holds in found.items() if holds) | _troubles(v) | _times(v, now_ms, channel)


def _troubles(v: Values) -> frozenset[str]:
    angry = _number(v, "past.last_sentiment") < -0.5 and _number(v, "past.days_since_contact", 1e9) < 14.0
    found = {
        "ticket": _number(v, "past.open_tickets") > 0,
        "ticket-closed": _number(v, "past.surveys_due") > 0,
        "late": _number(v, "past.late_deliveries") > 0,
        "unpaid": _number(v, "past.unpaid_invoices") > 0,
        "unhappy": v["past.survey_verdict"] == "unhappy",
        "complained": _number(v, "past.complaints_90d") > 0.0,
        "angry": angry,
        "chasing": _number(v, "past.contacts_7d") > 3,
        "upset": _number(v, "present.sentiment") < -0.2,
        "care": v["past.extra_care"] is True,
        "bereaved": v["past.bereaved"] is True,
        "fraud": v["past.fraud_suspected"] is True,
        "recovering": _number(v, "past.bad_experiences_30d") >= 3.0,
        "new-price": _number(v, "past.price_changes") > 0,
        "minor": v["past.adult"] is False,
    }
    return frozenset(name for name, holds in found.items() if holds)


_BILLS = (-5, 0, 6, 8, 9, 10, 25, 29)
"""What contracts of the strategy add to the monthly bill, in euros."""
_PEACE = moment_ms("2026-12-24T00:00:00Z"), moment_ms("2027-01-02T00:00:00Z")


def _times(v: Values, now_ms: int, channel: str) -> frozenset[str]:
    """Return what the hour forbids an e-mail, and which bills the customer lets grow."""
    zone = zone_of(str(v.get("past.time_zone") or "Europe/Berlin"))
    hour = datetime.fromtimestamp(now_ms // 1000, zone).hour
    email = channel == "email"
    found = {"night": email and not 8 <= hour < 21, "peace": email and _PEACE[0] <= now_ms < _PEACE[1]}
    room = _number(v, "past.monthly_room", -1e9)
    found |= {_affords(euros): euros <= room for euros in _BILLS}
    return frozenset(name for name, holds in found.items() if holds)


def _affords(euros: float) -> str:
    return f"affords-{euros:g}"


def _number(v: Values, name: str, unknown: float = 0.0) -> float:
    found = v.get(name)
    return found if isinstance(found, int | float) else unknown


_ALL_OFFERS = frozenset({"ticket", "late", "care", "bereaved", "fraud", "peace"})
_SELLING = frozenset({"unhappy", "complained", "upset", "angry", "chasing", "new-price"})
_CONTRACTS = frozenset({"unpaid", "minor"})
_CHEER = frozenset({"ticket", "late", "unhappy", "bereaved"})
_AT_NIGHT = frozenset({"delivery", "legal"})
"""The groups of messages that may be sent at night."""


def may_be_said(sayable: Sayable, facts: frozenset[str]) -> bool:
    """Return whether the demo strategy lets an action be said to a customer for whom these facts hold."""
    needs = {*TASTES[sayable.id].needs, *([_affords(sayable.monthly)] if "contract" in sayable.tags else ())}
    return facts.issuperset(needs) and facts.isdisjoint(forbidding(sayable))


def forbidding(sayable: Sayable) -> frozenset[str]:
    """Return the facts that forbid an action."""
    found: frozenset[str] = frozenset()
    if sayable.kind == "offer":
        found |= _ALL_OFFERS
        if "loyalty" in sayable.intents:
            found |= {"unhappy"}
    if sayable.kind != "greeting" and sayable.group not in _AT_NIGHT:
        found |= {"night"}
    if not sayable.intents.isdisjoint({"upsell", "cross_sell", "loyalty"}):
        found |= {"recovering"}
    if not sayable.intents.isdisjoint({"upsell", "cross_sell"}):
        found |= _SELLING
    if "contract" in sayable.tags:
        found |= _CONTRACTS
    if "cheerful" in sayable.tags:
        found |= _CHEER
    return found
