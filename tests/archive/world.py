"""A company with everything that decisions depend on, changing its strategy and its model while it is asked.

Its models are made of drawn numbers: whether they are any good is not the subject here, so nothing verifies them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.artifacts import ESTIMATORS, FOLDED, MANIFEST, Manifest, Parity
from models.features import FeatureSpace
from models.propensity import Folded
from service.app import Running, start
from service.config import Settings, StorePlace
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.rpc.client import Ask, Event, Outcome, Prediction, TactClient
from tests.core.policies import POLICY, write_policy
from tests.models.forgery import _ROWS, npz, restamp, zipped

BEGINS = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=60)
PEOPLE = tuple(f"person-{number}" for number in range(30))
ACTIONS = ("fibre-upgrade", "new-phone", "ticket-status", "apology", "greet-gold", "legal-notice")
REGULARS = ("regular-1", "regular-2", "regular-3")
"""To whom anything may be sold: what they are offered is promised to them."""
PLACES = (("web", ("greeting", "hero")), ("desk", ("greeting", "offer")), ("email", ("body",)), ("web", ("hero",)))
CALM = {"strategy": POLICY["strategy"].replace("  explore: 0.05\n", "")}
EDITIONS: tuple[dict[str, str | None], ...] = (
    {},
    {
        **CALM,
        "exploration": "exploration: {policy: softmax, temperature: 2.0, rate: 0.1}\n",
        "control": "control: {random: 0.15, holdout: 0.3, salt: first}\n",
        "guardrails": POLICY["guardrails"].replace("past.open_tickets > 0", "past.open_tickets > 1"),
    },
    {
        **CALM,
        "exploration": "exploration: {policy: thompson}\n",
        "adaptive": "adaptive: {within: 7d, half_life: 90d, strength: 5, segment: past.tier}\n",
        "control": "control: {random: 0.1, salt: second}\n",
        "actions": POLICY["actions"].replace("The new phone is here.", "The new phone is here and costs 29 €."),
    },
    {
        **CALM,
        "exploration": "exploration: {policy: epsilon_greedy, rate: 0.3}\n",
        "household": None,
        "caps": POLICY["caps"].partition("  - id: three-a-household")[0],
    },
)
"""The strategies that follow one another, by what each has otherwise than the one of `policies.py`."""


class Trusting:
    """What a worker has of its service, as far as it is asked here: it takes every model."""

    async def verify(self, folder: Path, folded: Folded) -> None:
        """Take it."""

    async def store_url(self) -> str:
        """Fail: the store has a URL."""
        raise AssertionError("there is no embedded store here")


def write_edition(folder: Path, number: int) -> Path:
    """Write the edition of a number over what is in a folder."""
    wanted = write_policy(folder.with_name(f"{folder.name}-{number}"), **EDITIONS[number])
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.yaml"):
        if not (wanted / path.name).exists():
            path.unlink()
    for path in wanted.glob("*.yaml"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def write_model(folder: Path, strategy: Strategy, seed: int) -> Path:
    """Write a model of drawn numbers for a strategy, in a folder that bears its version."""
    space, dice = FeatureSpace.of(strategy.schema, strategy.features), np.random.default_rng(seed)
    shape = len(ACTIONS), len(space.columns)
    arrays = {
        "weights": dice.normal(0.0, 0.6, shape),
        "bias": dice.normal(-2.0, 0.5, shape[0]),
        "baseline_weights": dice.normal(0.0, 0.2, shape) * np.array([[False]] + [[True]] * (shape[0] - 1)),
        "baseline_bias": np.array([0.0] + [-4.0] * (shape[0] - 1)),
        "has_baseline": np.array([False] + [True] * (shape[0] - 1)),
    }
    folder.mkdir(parents=True)
    (folder / FOLDED).write_bytes(npz(**arrays))
    (folder / ESTIMATORS).write_bytes(zipped({"schema.json": b"{}"}))
    manifest = Manifest(
        format=1, name="drawn", version="", strategy=sha256(b"").hexdigest(), features=space.features,
        columns=space.columns, feature_hash=space.hash, actions=ACTIONS, baselines=ACTIONS[1:], left_out={},
        rows=_ROWS, seed=seed, metrics={}, parity=Parity(rows=1, largest_difference=0.0), libraries={}, files={},
    )  # fmt: skip
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    restamp(folder)
    return folder


@dataclass(slots=True)
class Company:
    """A running company: what it was asked, and what it answered, by decision."""

    running: Running
    client: TactClient
    folder: Path
    dice: random.Random
    now: datetime = BEGINS
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def edition(self, number: int) -> None:
        """Put an edition in force, and every other time another model."""
        before = self.running.strategy.version
        write_edition(self.folder / "strategy", number)
        await self.running.reloading.look(asked=True)
        assert self.running.strategy.version != before, self.running.reloading.refused
        if number % 2:
            await self.running.use_model(self.folder / "models" / "second")

    async def promise(self) -> None:
        """Offer something to those who buy, at noon of a Wednesday, and ask about them on another channel."""
        noon = self.now.replace(hour=10) + timedelta(days=(2 - self.now.weekday()) % 7 or 7)
        for number, who in enumerate(REGULARS):
            for later, (channel, placement) in enumerate((("web", "hero"), ("desk", "offer"), ("web", "hero"))):
                at = noon + timedelta(minutes=10 * number + later)
                await self._asked(Ask(who, channel, (placement,), {"present.reason": "move"}, as_of=at))
        self.now = noon + timedelta(hours=1)

    async def decide(self, count: int) -> None:
        """Ask so many questions about everybody, some at a time, and live on with the answers."""
        for first in range(0, count, 20):
            self.now += timedelta(minutes=self.dice.choice((1, 30, 300)))
            await asyncio.gather(*(self._one(first + number) for number in range(min(20, count - first))))

    async def _one(self, number: int) -> None:
        channel, placements = self.dice.choice(PLACES)
        context: dict[str, Any] = {"present.sentiment": self.dice.uniform(-1, 1)}
        if self.dice.random() < 0.7:
            context |= {"present.reason": self.dice.choice(["bill", "move"]), "present.waiting": bool(number % 2)}
        if self.dice.random() < 0.5:
            context["present.cart_value"] = self.dice.uniform(0, 90)
        key = f"key-{self.dice.random()}" if number % 7 == 0 else ""
        who, at = self.dice.choice(PEOPLE), self.now + timedelta(seconds=number % 20)
        answer = await self._asked(Ask(who, channel, placements, context, idempotency_key=key, as_of=at))
        await self._answered(who, answer, at)

    async def _asked(self, ask: Ask) -> dict[str, Any]:
        answer = await self.client.decide(ask)
        assert answer["decision_id"], answer["degraded_reasons"]
        self.answers[answer["decision_id"]] = answer
        return answer

    async def _answered(self, who: str, answer: dict[str, Any], at: datetime) -> None:
        said = [p["offer"]["action_id"] for p in answer["answers"] if "offer" in p]
        if said and self.dice.random() < 0.4:
            kind = self.dice.choice(["shown", "clicked", "accepted", "accepted", "refused", "not_now", "never"])
            outcome = Outcome(answer["decision_id"], said[0], kind, 9.0, at + timedelta(seconds=5))
            await self.client.record_outcomes([outcome])
        if self.dice.random() < 0.15:
            await self.client.record_events([happening(self.dice, who, at)])

    async def learn(self) -> None:
        """Let it learn at once what it would read within seconds."""
        await self.running.generations.current.learning.refresh()


def happening(dice: random.Random, who: str, at: datetime) -> Event:
    """Draw something that happens to somebody."""
    kinds: dict[str, dict[str, Any]] = {
        "ticket.opened": {"ticket": f"t{dice.randrange(3)}", "topic": "billing"},
        "ticket.closed": {"ticket": f"t{dice.randrange(3)}"},
        "purchase": {"amount": dice.uniform(1, 90), "product": "cable", "category": dice.choice(["phone", "tv"])},
        "loyalty.changed": {"tier": dice.choice(["basic", "silver", "gold"])},
        "contact.failed": {"cost": dice.uniform(0, 5)},
        "contract.changed": {"plan": dice.choice("sml")},
        "survey.answered": {"score": dice.randrange(11)},
    }
    kind = dice.choice(sorted(kinds))
    return Event(f"e-{dice.random()}", who, kind, at, kinds[kind])


async def settle(company: Company) -> None:
    """Let everybody agree to something, move in somewhere, and have a past."""
    dice, client = company.dice, company.client
    for place, who in enumerate(PEOPLE):
        level = ("none", "service", "personal", "full", "full")[place % 5]
        channels = ("email",) if place % 3 else ()
        await client.set_consent(who, level, channels, given_at=BEGINS - timedelta(days=40))
        home = {"household": f"house-{place // 3}", "city": "Ulm"}
        moved = Event(f"home-{place}", who, "household.joined", BEGINS - timedelta(days=30), home)
        past = [happening(dice, who, BEGINS - timedelta(days=dice.randrange(1, 29))) for _ in range(6)]
        await client.record_events([moved, *past])
        if level == "full":
            churn = Prediction(who, "churn@1", BEGINS - timedelta(days=1), {"predicted.churn": dice.random()})
            await client.predictions.record([churn])
    for who in REGULARS:
        await client.set_consent(who, "full", ("email",), given_at=BEGINS - timedelta(days=40))
        kinds: tuple[tuple[str, dict[str, Any]], ...] = (
            ("ticket.opened", {"ticket": "t"}), ("ticket.closed", {"ticket": "t"}), ("contract.changed", {"plan": "m"}),
            ("purchase", {"amount": 900.0, "product": "cable"}), ("loyalty.changed", {"tier": "gold"}),
            ("contact.failed", {"cost": 1.0}), ("household.joined", {"household": who, "city": "Ulm"}),
        )  # fmt: skip
        days = [BEGINS - timedelta(days=20 - number) for number in range(len(kinds))]
        events = [Event(f"{who}-{at}", who, kind, at, about) for at, (kind, about) in zip(days, kinds, strict=True)]
        await client.record_events(events)
        churn = Prediction(who, "churn@1", BEGINS - timedelta(days=1), {"predicted.churn": 0.5})
        await client.predictions.record([churn])


@asynccontextmanager
async def company(url: str, folder: Path) -> AsyncIterator[Company]:
    """Open a company on a store, with its first edition, a model and a challenger."""
    shop = load_strategy(write_edition(folder / "strategy", 0))
    first = write_model(folder / "models" / "first", shop, 1)
    write_model(folder / "models" / "second", shop, 2)
    rival = write_model(folder / "models" / "rival", shop, 3)
    settings = Settings(
        store=StorePlace.parse(url), strategy=folder / "strategy", model=first, challenger=rival, port=0,
        store_wait_s=5.0, allow_as_of=True,
    )  # fmt: skip
    running = await start(settings, Trusting())
    try:
        async with TactClient(running.address, schema=running.strategy.schema, timeout_s=30.0) as client:
            found = Company(running, client, folder, random.Random(7))
            await settle(found)
            yield found
    finally:
        await running.stop()


async def lived(url: str, folder: Path, decisions: int) -> Company:
    """Let a company live through all its editions, with something switched off now and then."""
    async with company(url, folder) as found:
        await found.promise()
        share = -(-decisions // (2 * len(EDITIONS)))
        for number in range(len(EDITIONS)):
            if number:
                await found.edition(number)
            await found.decide(share)
            await found.learn()
            await found.client.control.switch_off("fibre-upgrade" if number % 2 else "apology", "broken", "a test")
            await found.decide(share)
            await found.client.control.switch_on("fibre-upgrade" if number % 2 else "apology")
        return found
