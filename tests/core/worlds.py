"""Random strategies, customers and models, for properties of the decision core."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
from hypothesis import strategies as st

from models.context import Purpose, Scalar
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.decision import Known, Request
from service.core.memory import Memory, Promised, Refusal
from service.core.rules import (
    CONTACT_PERMISSION,
    Condition,
    Guardrail,
    Kind,
    Selector,
    Weight,
)
from service.core.strategy import Action, Channel, ConsentLevel, Strategy, Treatment
from tests.core import random_rules as rules
from tests.core.expressions import (
    ATTRIBUTES,
    NOW_MS,
    SCHEMA,
    attribute_values,
    contexts,
)
from tests.core.random_rules import GROUPS, HOUR_MS, INTENTS, SELECTORS, some

__all__ = [
    "CHANNELS",
    "EMPTY",
    "FEATURES",
    "GROUPS",
    "HELLO",
    "HOUR_MS",
    "INTENTS",
    "LEVELS",
    "NO_FACTS",
    "PLACES",
    "SELECTORS",
    "SLOTS",
    "TICKET",
    "Case",
    "actions",
    "cases",
    "consented",
    "memories",
    "models",
    "shuffled",
    "strategies",
]

LEVELS = (
    ConsentLevel("none", "", ()),
    ConsentLevel("service", "", (Purpose.SERVICE,)),
    ConsentLevel("personal", "", (Purpose.SERVICE, Purpose.PERSONALIZATION)),
    ConsentLevel("full", "", tuple(Purpose)),
)
CHANNELS = (Channel("web", ("greeting", "hero"), False), Channel("email", ("body",), True))
PLACES = [(channel.id, placement) for channel in CHANNELS for placement in channel.placements]
NO_FACTS = blake2b(b"[]", digest_size=8).digest()
"""The digest of no material fact."""
FEATURES = ("past.purchases", "past.spend", "past.vulnerable", "past.last_seen")

TICKET = Guardrail(
    "no-selling-while-a-ticket-is-open",
    "A customer with an open ticket is helped, not sold to.",
    Selector(kinds=(Kind.OFFER,)),
    Condition("past.open_tickets > 0", "rules.yaml", 1),
    Selector(intents=("service", "recovery")),
)


HELLO = Action(
    index=0,
    id="hello",
    kind=Kind.GREETING,
    intents=("welcome",),
    group="care",
    tags=(),
    says="",
    treatments=(Treatment("web", "greeting", "Hello"),),
    value=1.0,
    reward=0.0,
    cost=0.0,
    lever=1.0,
    propensity=0.5,
)
EMPTY = Strategy(
    name="random",
    version="random@000000000000",
    says="",
    currency="EUR",
    schema=SCHEMA,
    levels=LEVELS,
    channels=CHANNELS,
    actions=(HELLO,),
    guardrails=(),
    eligibility=(),
    caps=(),
    weights=(),
    safe_greeting="hello",
    explore=0.0,
    features=FEATURES,
    attributes=ATTRIBUTES,
)


SLOTS = ("", " {{of}} ", "{present.reason}", "{past.tier}, {past.spend:.2f} €", "{past.purchases} {past.open_tickets}")
"""What follows in the text of an action: in most of them, something that is known of the customer."""


def _treatment(index: int, channel: str, placement: str, slots: str) -> Treatment:
    otherwise = f"text {index}" if "{p" in slots else ""
    return Treatment(channel, placement, f"text {index} {slots}", otherwise)


_money = st.floats(0, 100).map(lambda x: round(x, 2))


@st.composite
def actions(draw: st.DrawFn) -> tuple[Action, ...]:
    """Draw 2 to 12 actions; the first is a greeting that fits on the web."""
    found = [HELLO]
    for index in range(1, draw(st.integers(2, 12))):
        places = draw(st.lists(st.sampled_from(PLACES), min_size=1, unique=True))
        found.append(
            Action(
                index=index,
                id=f"action-{index}",
                kind=draw(st.sampled_from(list(Kind))),
                intents=draw(some(INTENTS)),
                group=draw(st.sampled_from(GROUPS)),
                tags=(),
                says="",
                treatments=tuple(_treatment(index, *place, draw(st.sampled_from(SLOTS))) for place in places),
                value=draw(_money),
                reward=draw(_money),
                cost=draw(st.sampled_from([0.0, 0.1, 5.0])),
                lever=draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])),
                propensity=draw(st.floats(0, 1)),
                attributes=tuple(draw(attribute_values).items()),
            )
        )
    return tuple(found)


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    """Draw what may be remembered of anybody: answers to actions, also to some that are gone, and promises.

    Some are dated ahead of now, as clocks differ.
    The promises are of no material fact, so those of rules with one do not hold.
    """
    names = st.sampled_from([f"action-{number}" for number in range(1, 14)])
    moments = st.integers(NOW_MS - 9 * HOUR_MS, NOW_MS + HOUR_MS)
    marks = st.sampled_from([b"aaaaaa", b"bbbbbb", b"cccccc"])
    answers = st.builds(Refusal, names, st.sampled_from(GROUPS), some(INTENTS), st.integers(4, 6), moments, marks)
    ends = ["", *(f"|g:{group}" for group in GROUPS), *(f"|i:{intent}" for intent in INTENTS)]
    keys = st.builds("story-{}{}".format, st.integers(0, 1), st.sampled_from(ends))
    until = st.sampled_from([NOW_MS - 1, NOW_MS, NOW_MS + 1, NOW_MS + HOUR_MS])
    promised = st.builds(Promised, keys, names, moments, until, st.just("d"), st.just(NO_FACTS))
    return Memory(draw(st.lists(answers, max_size=6).map(tuple)), draw(st.lists(promised, max_size=6).map(tuple)))


@st.composite
def strategies(draw: st.DrawFn) -> Strategy:
    """Draw a strategy in which selling is always forbidden while a ticket is open."""
    guardrails = [draw(rules.guardrails(number)) for number in range(draw(st.integers(0, 3)))]
    eligibility = [draw(rules.permitting(number)) for number in range(draw(st.integers(0, 3)))]
    caps = [draw(rules.caps(number)) for number in range(draw(st.integers(0, 2)))]
    cool_offs = [draw(rules.cool_offs(number)) for number in range(draw(st.integers(0, 2)))]
    promises = [draw(rules.promises(number)) for number in range(draw(st.integers(0, 2)))]
    weights = [Weight("weight", "A weight.", draw(SELECTORS), 2.0, draw(rules.weighing))]
    ordered = draw(st.permutations([TICKET, *guardrails]))
    capped, resting = [rule.id for rule in caps], [rule.id for rule in cool_offs]
    bound = [
        *(rule.id for rule in guardrails),
        *(rule.id for rule in eligibility),
        *capped,
        *resting,
        CONTACT_PERMISSION,
    ]
    return replace(
        EMPTY,
        actions=draw(actions()),
        guardrails=tuple(ordered),
        eligibility=tuple(eligibility),
        caps=tuple(caps),
        weights=tuple(weights),
        cool_offs=tuple(cool_offs),
        promises=tuple(promises),
        exemptions=tuple(draw(st.lists(rules.exemptions(bound), max_size=2))),
        explore=draw(st.sampled_from([0.0, 0.1, 0.5])),
    )


@st.composite
def models(draw: st.DrawFn, strategy: Strategy) -> Folded | None:
    """Draw a model that knows some of a strategy's actions, or none at all; it may say anything."""
    if draw(st.booleans()):
        return None
    space = FeatureSpace.of(SCHEMA, strategy.features)
    known = tuple(a.id for a in strategy.actions if draw(st.booleans()))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = (len(known), len(space.columns))
    return Folded(
        version="m@1",
        feature_hash=space.hash,
        actions=known,
        weights=random.normal(0, 1, size),
        bias=random.normal(0, 3, len(known)),
        baseline_weights=random.normal(0, 1, size),
        baseline_bias=random.normal(0, 3, len(known)),
        has_baseline=random.random(len(known)) < 0.5,
    )


@dataclass(frozen=True, slots=True)
class Case:
    """A customer at a moment: what is true, what the store gives out, and what is asked."""

    values: tuple[Scalar | None, ...]
    known: Known
    request: Request


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw what is true of a customer, their consent, and a request that tells all of it."""
    values = draw(contexts())
    level = draw(st.sampled_from([None, *(level.id for level in LEVELS), "no-such-level"]))
    known = Known(NOW_MS, level, draw(st.sampled_from([(), ("email",)])), {}, {})
    channel = draw(st.sampled_from(CHANNELS))
    placements = tuple(draw(st.permutations(channel.placements)))
    context = {index: value for index, value in enumerate(values) if value is not None}
    return Case(values, known, Request("someone", channel.id, placements, context))


def consented(case: Case) -> tuple[Scalar | None, ...]:
    """Return the values with everything unknown that the case's consent does not allow."""
    level = next((level for level in LEVELS if level.id == case.known.level), LEVELS[0])
    return tuple(
        value if field.purpose in level.purposes else None
        for field, value in zip(SCHEMA.fields, case.values, strict=True)
    )


def shuffled(strategy: Strategy, order: list[int]) -> Strategy:
    """Return the strategy with its actions in another order."""
    moved = tuple(replace(strategy.actions[old], index=new) for new, old in enumerate(order))
    return replace(strategy, actions=moved)
