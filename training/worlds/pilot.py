"""The randomised pilot of the demo world: who was told what with which probability, and what came of it.

Customers who agreed to everything were asked at some moments of the last 60 days, half of them within hours of
something that happened. Each time nothing was said with probability 0.25, and else one of the actions that the
strategy allowed then and there, all equally likely. Visitors without a history were greeted or not, so that models
learn what is best where nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from models.context import Scalar

from .facts import Observer, facts_of, may_be_said
from .files import Row, rfc3339
from .people import DAY_MS, Happening, Person
from .tastes import Sayable, Traits, true_worth

PILOT_DAYS = 60.0
ASKED = 24
"""How often each customer of the pilot was asked."""
NOTHING = 0.25

_REASONS = ("network", "billing", "device", "delivery", "roaming", "leaving", "other")
_PAGES = ("home", "internet", "phone", "tv", "travel", "help", "account")
_VISITORS_MAY_HEAR = ("greet-neutral", "your-data-your-choice")


def decisions(
    one: Person, happenings: Sequence[Happening], moment_ms: int, observer: Observer, sayables: Sequence[Sayable],
    dice: Random,
) -> Iterator[Row]:  # fmt: skip
    """Yield the logged decisions about one customer, in order of time."""
    asked = moments(one, happenings, moment_ms, dice)
    for number, (now_ms, seen) in enumerate(zip(asked, observer.observe(happenings, asked), strict=True)):
        channel = dice.choices(("web", "desk", "email"), (0.5, 0.3, 0.2 * one.email))[0]
        given = context(channel, one.traits, dice)
        facts = facts_of(seen | given, now_ms, channel)
        candidates = [s for s in sayables if channel in s.channels and may_be_said(s, facts)]
        said, rest = _drawn(candidates, one.traits, dice)
        head = _head(one.id, number, now_ms, channel)
        yield {**head, "action": said.id if said else "nothing", **rest, "context": given}


def visitors(count: int, moment_ms: int, sayables: Sequence[Sayable], dice: Random) -> Iterator[Row]:
    """Yield the decisions about visitors of the web shop of whom nothing is known, each seen once."""
    candidates = [sayable for sayable in sayables if sayable.id in _VISITORS_MAY_HEAR]
    for number in range(count):
        now_ms = moment_ms - int(dice.uniform(0.1, PILOT_DAYS) * DAY_MS) // 1000 * 1000
        given = context("web", Traits(), dice)
        said, rest = _drawn(candidates, Traits(), dice)
        head = _head(f"visitor-{number:06}", 0, now_ms, "web")
        yield {**head, "action": said.id if said else "nothing", **rest, "context": given}


def _head(customer: str, number: int, now_ms: int, channel: str) -> dict[str, object]:
    decision_id = f"pilot-{customer}-{number:02}"
    return {"decision_id": decision_id, "customer_id": customer, "at": rfc3339(now_ms), "channel": channel}


def moments(one: Person, happenings: Sequence[Happening], moment_ms: int, dice: Random) -> list[int]:
    """Draw the moments (ms, ascending) at which a customer was asked."""
    earliest = moment_ms - int(min(PILOT_DAYS, one.tenure_days - 18.0) * DAY_MS)
    recent = [h.at_ms for h in happenings if earliest <= h.at_ms < moment_ms - DAY_MS] or [earliest]
    found = []
    for _ in range(ASKED):
        after = dice.choice(recent) if dice.random() < 0.5 else dice.uniform(earliest, moment_ms - DAY_MS)
        found.append(int(after + dice.uniform(0.01, 0.5) * DAY_MS) // 1000 * 1000)
    return sorted(found)


def context(channel: str, traits: Traits, dice: Random) -> dict[str, Scalar | None]:
    """Draw what comes with a request on a channel."""
    if channel == "desk":
        mood = max(-1.0, min(1.0, 0.2 + 0.3 * traits.warmth + dice.gauss(0.0, 0.35)))
        return {
            "present.sentiment": round(mood, 2),
            "present.queue_minutes": round(dice.expovariate(1 / 4.0), 1),
            "present.contact_reason": dice.choice(_REASONS),
        }
    if channel == "web":
        return {"present.page": dice.choice(_PAGES), "present.device": dice.choice(("phone", "tablet", "computer"))}
    return {}


def _drawn(candidates: Sequence[Sayable], traits: Traits, dice: Random) -> tuple[Sayable | None, dict[str, object]]:
    """Draw what is said, and what comes of it by the true propensities."""
    if not candidates or dice.random() < NOTHING:
        anyway = {s.id: int(dice.random() < true_worth(s, traits).p0) for s in candidates}
        return None, {"probability": NOTHING if candidates else 1.0, "outcomes": anyway, "amount": 0.0}
    said = dice.choice(candidates)
    happened = int(dice.random() < true_worth(said, traits).p)
    return said, {
        "probability": (1.0 - NOTHING) / len(candidates),
        "outcomes": {said.id: happened},
        "amount": happened * (said.value - said.reward),
    }
