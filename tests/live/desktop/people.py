"""Customers for the desktop: what happened to them, told to a running service over Connect as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from uuid import uuid4

CONTACT = {"reason": "billing", "waited_minutes": 1.0, "sentiment": 0.4, "solved": True, "complaints": 0}
CUSTOMER = (
    (900.0, "customer.joined", {"adult": True}),
    (900.0, "care.reviewed", {"extra_care": False, "bereaved": False}),
    (900.0, "fraud.reviewed", {"suspected": False}),
    (900.0, "price.told", {"change": "first"}),
    (900.0, "ticket.opened", {"ticket": "tess-0", "topic": "start"}),
    (899.0, "ticket.closed", {"ticket": "tess-0"}),
    (900.0, "delivery.delayed", {"order": "tess-0", "days": 0}),
    (899.0, "delivery.arrived", {"order": "tess-0"}),
    (900.0, "invoice.unpaid", {"invoice": "tess-0", "amount": 1.0}),
    (899.0, "invoice.paid", {"invoice": "tess-0"}),
    (90.0, "experience.rated", {"bad": 0}),
    (80.0, "loyalty.changed", {"tier": "silver", "points": 4200}),
    (800.0, "profile.updated", {"first_name": "Tess", "language": "en", "time_zone": "Europe/Berlin"}),
    (40.0, "survey.answered", {"score": 9}),
    (40.0, "survey.closed", {"verdict": "happy"}),
    (38.0, "contact.ended", CONTACT),
    (30.0, "purchase", {"order": "tess-0", "category": "accessory", "amount": 39.0}),
    (12.0, "usage.reported", {"share": 0.5}),
    (9.0, "page.viewed", {"topic": "internet", "minutes": 4.0}),
    (2.0, "page.viewed", {"topic": "internet", "minutes": 6.0}),
)  # fmt: skip
CONTRACT = {
    "plan": "mobile_m", "lines": 1, "internet": True, "fibre": False, "fibre_possible": True, "tv": False,
    "insurance": True, "phone_months": 8, "room": 40.0,
}  # fmt: skip


class Service:
    """A running service, as a browser sees it."""

    def __init__(self, address: str) -> None:
        self.address = address

    def call(self, method: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Call one method, such as `DecisionService/Decide`."""
        headers = {"Content-Type": "application/json", "Connect-Protocol-Version": "1"}
        with closing(HTTPConnection(self.address.removeprefix("http://"), timeout=20)) as connection:
            connection.request("POST", f"/tact.v1.{method}", json.dumps(message), headers)
            answer = connection.getresponse()
            said: dict[str, Any] = json.load(answer)
        assert answer.status == 200, said
        return said

    def tell(self, customer: str, *happened: tuple[float, str, Mapping[str, Any]]) -> None:
        """Record what happened so many days ago."""
        events = [_event(customer, *each) for each in happened]
        results = self.call("ContextService/RecordEvents", {"events": events})["results"]
        assert [each for each in results if each["status"] != "EVENT_STATUS_STORED"] == []

    def agrees(self, customer: str, level: str) -> None:
        """Set the consent level."""
        consent = {"level": level, "contactChannels": ["email"], "source": "test"}
        self.call("ContextService/SetConsent", {"customerId": customer, "consent": consent})

    def welcomes(self, customer: str) -> str:
        """Make a customer who is happy, agreed to everything, and would like fibre."""
        self.agrees(customer, "full")
        contract = CONTRACT | {"ends": datetime.now(UTC) + timedelta(days=400)}
        self.tell(customer, *CUSTOMER, (20.0, "contract.reported", contract))
        return customer


def _event(customer: str, days_ago: float, kind: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    typed = {name: _typed(value) for name, value in attributes.items()}
    said = {"eventId": uuid4().hex, "customerId": customer, "type": kind, "attributes": typed}
    return said | {"occurredAt": _moment(at)}


def _typed(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case datetime():
            return {"timestampValue": _moment(value)}
    return {"stringValue": value}


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
