"""The public Starbucks files as they are: offers, members, and the month's lines; and what a customer spent when."""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import msgspec

ACTIONS = {
    ("bogo", 10, 7): "bogo-10-in-7-days",
    ("bogo", 10, 5): "bogo-10-in-5-days",
    ("bogo", 5, 7): "bogo-5-in-7-days",
    ("bogo", 5, 5): "bogo-5-in-5-days",
    ("discount", 20, 10): "discount-5-on-20-in-10-days",
    ("discount", 7, 7): "discount-3-on-7-in-7-days",
    ("discount", 10, 10): "discount-2-on-10-in-10-days",
    ("discount", 10, 7): "discount-2-on-10-in-7-days",
    ("informational", 0, 4): "news-for-4-days",
    ("informational", 0, 3): "news-for-3-days",
}
"""The action of each offer, by type, difficulty in dollars and duration in days: no two offers share all three."""


class Offer(msgspec.Struct, frozen=True):
    """One line of portfolio.json; dollars and days."""

    id: str
    offer_type: str
    difficulty: int
    duration: float
    reward: int

    @property
    def action(self) -> str:
        """Return the id of the action that stands for this offer."""
        return ACTIONS[self.offer_type, self.difficulty, int(self.duration)]


class Member(msgspec.Struct, frozen=True):
    """One line of profile.json.gz."""

    id: str
    gender: str | None
    age: int
    income: float | None
    became_member_on: str


class Line(msgspec.Struct, frozen=True):
    """One line of transcript.json.gz; `time` is the hour."""

    person: str
    event: str
    value: dict[str, str | float]
    time: int

    @property
    def offer(self) -> str:
        """Return the offer's id in the data; it has one of two names."""
        return str(self.value["offer id"] if "offer id" in self.value else self.value["offer_id"])


@dataclass(slots=True)
class Data:
    """The three files as they are, and how many blank lines stood between the events."""

    offers: Mapping[str, Offer]
    members: Sequence[Member]
    lines: Sequence[Line]
    blank: int


@dataclass(slots=True)
class Payments:
    """One customer's payments in order: their hours, and the total up to each."""

    hours: list[int] = field(default_factory=list)
    amounts: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)

    def spent(self, first_hour: int, hours: int) -> tuple[int, float]:
        """Return the number of payments and their sum in `hours` hours from `first_hour` on."""
        low, high = bisect_left(self.hours, first_hour), bisect_left(self.hours, first_hour + hours)
        return high - low, self.totals[high] - self.totals[low]


def read(folder: Path) -> Data:
    """Read the three public files."""
    offers = [msgspec.json.decode(line, type=Offer) for line in _lines(folder / "portfolio.json")]
    member, line = msgspec.json.Decoder(Member), msgspec.json.Decoder(Line)
    members = [member.decode(text) for text in _lines(folder / "profile.json.gz") if text.strip()]
    texts = list(_lines(folder / "transcript.json.gz"))
    lines = [line.decode(text) for text in texts if text.strip()]
    return Data({offer.id: offer for offer in offers}, members, lines, len(texts) - len(lines))


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield from file


def happened(offer: Offer, payments: Payments, hour: int) -> int:
    """Return 1 when the customer spends the offer's difficulty from an hour on within its duration, else 0."""
    count, spent = payments.spent(hour, int(offer.duration * 24))
    # The hundredth of a cent makes up for sums that floats cannot hold exactly.
    return int(count > 0 and spent + 1e-4 >= offer.difficulty)


def payments_of(lines: Sequence[Line]) -> Mapping[str, Payments]:
    """Return the payments of each customer, exact repeats counted once."""
    found: dict[str, Payments] = {}
    seen: set[tuple[str, int, float]] = set()
    for line in lines:
        if line.event == "transaction" and (key := (line.person, line.time, float(line.value["amount"]))) not in seen:
            seen.add(key)
            payments = found.setdefault(line.person, Payments())
            payments.hours.append(line.time)
            payments.amounts.append(key[2])
    for payments in found.values():
        payments.totals = [0.0, *accumulate(payments.amounts)]
    return found
