"""What a customer did not agree to never changes what Tact says: random customers who differ in nothing else.

`TACT_CONSENT_CASES` says how many; each is decided for, shown and validated on a real store, also by an alias.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from msgspec import structs
from redis import Redis

from models import folds
from models.context import ContextSchema, Purpose, Scalar, Source, ValueType
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.decision import Request
from service.core.engine import Engine
from service.core.records import EventToFold
from service.core.strategy import Strategy
from service.decide import NoBook, Patience
from service.rpc.convert_context import context_answer
from service.validate import Validator
from tests.service.world import DAY_MS, NOW_MS, World, world
from tests.strategies import SECTIONS

CASES = int(os.environ.get("TACT_CONSENT_CASES", "600"))
AT_ONCE, CHUNK = 16, 2_000
DEADLINE_S = 30.0
LEVELS: dict[str | None, tuple[Purpose, ...]] = {
    None: (),
    "none": (),
    "abolished": (),
    "service": (Purpose.SERVICE,),
    "personal": (Purpose.SERVICE, Purpose.PERSONALIZATION),
    "full": tuple(Purpose),
}
NOT_ALL = tuple(level for level, purposes in LEVELS.items() if len(purposes) < len(Purpose))
PLACES = (("web", ("greeting", "hero")), ("desk", ("offer", "greeting")), ("email", ("body",)))
RULES = """\
guardrails:
  - {id: tickets, says: Helped., forbid: {kinds: [offer]}, when: past.open_tickets > 2, instead: {intents: [service]}}
  - {id: worried, says: Not now., forbid: {intents: [upsell]}, when: present.secret > 0.5}
  - {id: rich, says: Enough., forbid: {ids: [new-phone]}, when: past.interest > 400.0 || past.products > 6}
  - {id: tired, says: Enough., forbid: {ids: [fibre-upgrade]}, when: past.spend_7d > 600.0}
"""
PERMITS = """\
eligibility:
  - {id: gold, says: Gold., permit: {ids: [greet-gold]}, when: "past.tier in ['gold', 'platinum']"}
  - {id: seen, says: Seen., permit: {ids: [ticket-status]}, when: past.first_amount < 300.0 && past.open_tickets > 0}
"""
SECRET = "  - {id: present.secret, says: S., type: double, purpose: profiling, source: request, low: 0, high: 1}\n"
CHANGES = {
    "caps": None, "guardrails": RULES, "eligibility": PERMITS, "fields": SECTIONS["fields"] + SECRET,
    "model": "model: {features: [past.tier, past.phones, past.spend_7d, past.interest, past.products, present.secret]}",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A customer: the consent, what happened, what is asked, and what else happened and came that may be hidden."""

    number: int
    level: str | None
    channels: tuple[str, ...]
    linked: bool
    happened: tuple[EventToFold, ...]
    more: tuple[EventToFold, ...]
    request: Request
    other_context: dict[int, Scalar]

    @property
    def customer(self) -> str:
        """The customer's id."""
        return f"case-{self.number}"

    @property
    def asked(self) -> str:
        """The id that is asked about: an alias where there is one."""
        return f"alias-{self.number}" if self.linked else self.customer


def case(number: int, schema: ContextSchema, levels: Sequence[str | None]) -> Case:
    """Return a random case with one of these levels, always the same for a number."""
    dice = Random(number)
    level = dice.choice(levels)
    channel, placements = dice.choice(PLACES)
    channels = ("email",) if dice.random() < 0.6 else ()
    happened, more = (tuple(events(dice, schema, word)) for word in ("then", "more"))
    linked = dice.random() < 0.15
    told, other = request_fields(dice, schema), request_fields(dice, schema)
    asked = f"alias-{number}" if linked else f"case-{number}"
    request = Request(asked, channel, placements, told, True, "", "", NOW_MS)
    return Case(number, level, channels, linked, happened, more, request, other)


def events(dice: Random, schema: ContextSchema, word: str) -> Iterator[EventToFold]:
    """Yield up to eight random events of the small strategy."""
    for n in range(dice.randint(0, 8)):
        kind, attributes = dice.choice(KINDS)(dice)
        at_ms = NOW_MS - dice.randint(0, 40 * DAY_MS)
        yield EventToFold(f"{word}-{n}", at_ms, folds.operations(schema, kind, attributes))


def _purchase(dice: Random) -> tuple[str, dict[str, Scalar]]:
    product = {"product": dice.choice("abcdefghij"), "category": dice.choice(("phone", "internet", "tv"))}
    return "purchase", {
        "amount": dice.choice((1.0, 50.0, 400.0)),
        "paid_at": NOW_MS - dice.randint(0, DAY_MS),
        **product,
    }


KINDS = (
    _purchase,
    _purchase,
    lambda dice: ("ticket.opened", {"ticket": dice.choice("xyz")}),
    lambda dice: ("ticket.closed", {"ticket": dice.choice("xyz")}),
    lambda dice: ("loyalty.changed", {"tier": dice.choice(("basic", "silver", "gold", "platinum"))}),
    lambda dice: ("survey.answered", {"score": dice.randint(0, 10)}),
)


def request_fields(dice: Random, schema: ContextSchema) -> dict[int, Scalar]:
    """Return random values of some request fields."""
    found: dict[int, Scalar] = {}
    for index, field in enumerate(schema.fields):
        if field.source is Source.REQUEST and dice.random() < 0.7:
            match field.type:
                case ValueType.DOUBLE:
                    found[index] = dice.random()
                case ValueType.BOOL:
                    found[index] = dice.random() < 0.5
                case _:
                    found[index] = dice.choice(field.bounds.values)
    return found


def only(of: Iterable[EventToFold], purposes: Iterable[Purpose]) -> list[EventToFold]:
    """Return what these events do to the fields of some purposes."""
    groups = {purpose.group for purpose in purposes}
    kept = (replace(e, operations=tuple(op for op in e.operations if op.group in groups)) for e in of)
    return [event for event in kept if event.operations]


def mixed(schema: ContextSchema, one: Case, varied: Iterable[Purpose]) -> dict[int, Scalar]:
    """Return the request's context with the values of these purposes replaced by the others."""
    purposes = set(varied)
    kept = {i: v for i, v in one.request.context.items() if schema.fields[i].purpose not in purposes}
    return kept | {i: v for i, v in one.other_context.items() if schema.fields[i].purpose in purposes}


def opinionated(strategy: Strategy) -> Folded:
    """Return a model whose scores depend on every feature."""
    space, dice = FeatureSpace.of(strategy.schema, strategy.features), np.random.default_rng(7)
    names = tuple(action.id for action in strategy.actions)
    weights, baseline = (dice.normal(0, 2, (len(names), len(space.columns))) for _ in range(2))
    bias, has_baseline = np.zeros(len(names)), np.ones(len(names), dtype=bool)
    return Folded("m@1", space.hash, names, weights, bias, baseline, bias, has_baseline)


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told of a customer: the decision, what is shown, and whether an earlier decision may still be said."""

    decision: object
    shown: bytes
    valid: object


class Teller:
    """Tells what Tact says of a case, before and after something changed."""

    def __init__(self, tact: World) -> None:
        self._tact = tact
        self._store = tact.store
        self.schema = tact.engine.strategy.schema
        self._validator = Validator(
            lambda: tact.decider.engine, tact.store.issued, tact.store.customers, tact.store.supply, NoBook()
        )

    async def differs(self, one: Case, varied: Iterable[Purpose]) -> bool:
        """Say whether anything that is told changes when only data of these purposes does."""
        varied = tuple(varied)
        if one.level is not None:
            await self._tact.agreed(one.customer, one.level, *one.channels)
        if one.linked:
            await self._store.identities.link(one.asked, one.customer, DEADLINE_S)
        await self._happen(one, one.happened)
        first, decision_id = await self._told(one, one.request, "")
        await self._happen(one, only(one.more, varied))
        request = structs.replace(one.request, context=mixed(self.schema, one, varied))
        return (await self._told(one, request, decision_id))[0] != first

    async def _happen(self, one: Case, happened: Iterable[EventToFold]) -> None:
        """Fold every other event under the alias, where there is one."""
        by_id: dict[str, list[EventToFold]] = {}
        for number, event in enumerate(happened):
            by_id.setdefault(one.asked if number % 2 else one.customer, []).append(event)
        for customer, its_own in by_id.items():
            await self._store.events.fold(customer, its_own, DEADLINE_S)

    async def _told(self, one: Case, request: Request, decision_id: str) -> tuple[Telling, str]:
        decision = await self._tact.decider.decide(request, DEADLINE_S)
        assert decision.decision_id
        known = await self._store.customers.context(one.asked, DEADLINE_S)
        shown = context_answer(known, self._tact.engine.strategy, NOW_MS)
        first = decision_id or decision.decision_id
        valid = await self._validator.validate(first, NOW_MS, DEADLINE_S)
        told = Telling(structs.replace(decision, decision_id=""), shown.SerializeToString(), valid)
        return told, first


async def differing(
    url: str, folder: Path, numbers: Iterable[int], levels: Sequence[str | None], *, allowed: bool
) -> list[int]:
    """Return the cases in which something is told otherwise when what is not allowed (or what is) changes."""
    async with world(url, folder, Patience(share=1.0, most_s=DEADLINE_S), **CHANGES) as tact:
        tact.decider.engine = Engine(tact.engine.strategy, opinionated(tact.engine.strategy))
        teller, found, waiting = Teller(tact), list[int](), iter(numbers)

        async def work() -> None:
            for number in waiting:
                one = case(number, teller.schema, levels)
                varied = [purpose for purpose in Purpose if (purpose in LEVELS[one.level]) is allowed]
                if await teller.differs(one, varied):
                    found.append(number)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return found


def test_what_is_not_allowed_never_changes_an_answer(store_url: str, store_kind: str, tmp_path: Path) -> None:
    """Decisions with all reasons, the context and the validity of earlier decisions are the same, byte for byte."""
    cases = CASES if store_kind == "embedded" else CASES // 10
    for start in range(0, cases, CHUNK):
        numbers = range(start, min(start + CHUNK, cases))
        assert asyncio.run(differing(store_url, tmp_path / str(start), numbers, NOT_ALL, allowed=False)) == []
        with Redis.from_url(store_url) as store:
            store.flushdb()


@pytest.mark.parametrize("level", ["service", "personal", "full"])
def test_what_is_allowed_does_change_answers(clean_store_url: str, tmp_path: Path, level: str) -> None:
    """The comparison can fail: the same changes to what is allowed are told in most cases."""
    found = asyncio.run(differing(clean_store_url, tmp_path, range(40), [level], allowed=True))
    assert len(found) > 0.7 * 40
