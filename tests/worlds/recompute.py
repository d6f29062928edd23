"""The context of a Starbucks customer, computed straight from the public files with nothing of the project's code.

`Month.read(folder).context(customer, hour)` gives every field of strategies/starbucks as of that hour, from what
happened strictly before it; None is unknown. Tests compare the store and the folds with it.
"""

from __future__ import annotations

import gzip
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Value = int | float | str | None
Past = list[dict[str, Any]]

HOUR_ZERO = datetime(2018, 8, 1, tzinfo=UTC)
TYPES = ("bogo", "discount", "informational")
NAMES = {"bogo": "bogo-{reward}", "discount": "discount-{reward}-on-{difficulty}"}


def data_folder() -> Path:
    """Return where the public data lie."""
    home = os.environ.get("TACT_DATA")
    return (Path(home) if home else Path(__file__).parents[3] / "shared" / "data") / "starbucks"


@dataclass(frozen=True)
class Month:
    """The files by customer; exact repeats are left out."""

    profiles: dict[str, dict[str, Any]]
    offers: dict[str, dict[str, Any]]
    events: dict[str, Past]
    lines: int
    blank: int
    repeats: int

    @classmethod
    def read(cls, folder: Path) -> Month:
        """Read the three files."""
        texts = gzip.decompress((folder / "transcript.json.gz").read_bytes()).decode().split("\n")[:-1]
        full = [text for text in texts if text.strip()]
        different = list(dict.fromkeys(full))
        events: dict[str, Past] = defaultdict(list)
        for text in different:
            event = json.loads(text)
            events[event["person"]].append(event)
        profiles = gzip.decompress((folder / "profile.json.gz").read_bytes()).decode().split("\n")
        return cls(
            {(p := json.loads(text))["id"]: p for text in profiles if text.strip()},
            {(o := json.loads(text))["id"]: o for text in (folder / "portfolio.json").read_text().split("\n") if text},
            dict(events),
            len(full),
            len(texts) - len(full),
            len(full) - len(different),
        )

    def context(self, customer: str, hour: int) -> dict[str, Value]:
        """Return every field as of an hour after the start of the month."""
        past = [event for event in self.events.get(customer, []) if event["time"] < hour]
        found = {**self._profile(customer, hour), **_payments(past, hour)}
        for what in ("received", "viewed", "completed"):
            found |= self._offers([event for event in past if event["event"] == f"offer {what}"], what, hour)
        return {f"past.{name}": value for name, value in found.items()}

    def _profile(self, customer: str, hour: int) -> dict[str, Value]:
        profile = self.profiles[customer]
        joined = datetime.strptime(profile["became_member_on"], "%Y%m%d").replace(tzinfo=UTC)
        return {
            "member_days": (HOUR_ZERO - joined).days + hour / 24,
            "gender": profile["gender"],
            "age": None if profile["age"] == 118 else profile["age"],
            "income": profile["income"],
        }

    def _offers(self, events: Past, what: str, hour: int) -> dict[str, Value]:
        offers = [self.offers[event["value"].get("offer id") or event["value"]["offer_id"]] for event in events]
        found: dict[str, Value] = {what: len(events) or None}
        for kind in TYPES:
            found[f"{what}_{kind}"] = sum(offer["offer_type"] == kind for offer in offers) or None
        if what == "received":
            found["received_7d"] = sum(event["time"] >= hour - 168 for event in events) if events else None
            found["last_offer"] = self.name(offers[-1]) if offers else None
        if what == "completed":
            del found["completed_informational"]
            found["rewards"] = sum(event["value"]["reward"] for event in events) if events else None
            recent = [event["value"]["reward"] for event in events if event["time"] >= hour - 720]
            found["rewards_30d"] = sum(recent) if events else None
        return found

    @staticmethod
    def name(offer: dict[str, Any]) -> str:
        """Return the id of the action that stands for an offer."""
        days = int(offer["duration"])
        if offer["offer_type"] == "informational":
            return f"news-for-{days}-days"
        return NAMES[offer["offer_type"]].format(**offer) + f"-in-{days}-days"


def _payments(past: Past, hour: int) -> dict[str, Value]:
    paid = [(event["time"], event["value"]["amount"]) for event in past if event["event"] == "transaction"]
    if not paid:
        names = (
            "transactions",
            "spend",
            "largest_transaction",
            "smallest_transaction",
            "last_transaction",
            "transactions_7d",
            "spend_7d",
            "days_since_transaction",
        )
        return dict.fromkeys(names)
    recent = [amount for time, amount in paid if time >= hour - 168]
    return {
        "transactions": len(paid),
        "spend": sum(amount for _, amount in paid),
        "largest_transaction": max(amount for _, amount in paid),
        "smallest_transaction": min(amount for _, amount in paid),
        "last_transaction": paid[-1][1],
        "transactions_7d": len(recent),
        "spend_7d": float(sum(recent)),
        "days_since_transaction": (hour - paid[-1][0]) / 24,
    }
