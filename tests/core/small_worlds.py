"""Small random worlds in which a lot can be changed: few actions, and rules whose bounds lie near what is known.

Everything that ends by itself ends a whole number of five minutes from now, so that few moments are all that matter.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np

from models.context import Scalar
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.actionable import Actionable, Fact
from service.core.decision import Known, Request
from service.core.memory import Memory, Refusal
from service.core.parts import parts
from service.core.rules import (
    ALWAYS,
    Answered,
    Cap,
    Condition,
    CoolOff,
    Eligibility,
    Guardrail,
    Kind,
    Per,
    Promise,
    Selector,
    Valid,
    Weight,
)
from service.core.selection import mask
from service.core.strategy import Action, Strategy, Treatment
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.worlds import EMPTY, HOUR_MS, LEVELS, Case

FIVE_MS = 300_000
WAIT_MS = 2 * HOUR_MS
MOMENTS = range(NOW_MS + FIVE_MS, NOW_MS + WAIT_MS + 1, FIVE_MS)
"""When anything can end, until when one may wait."""
FEATURES = ("past.purchases", "past.spend", "past.vulnerable")
FACTS = (
    Fact("past.open_tickets", "A ticket is closed.", (), -1, 0.0),
    Fact("past.purchases", "One more is bought.", (), 1, None, 4.0),
    Fact("past.spend", "Two and a half more are spent.", (), 2.5, None, 12.0),
    Fact("past.tier", "The tier changes.", ("gold", "silver")),
    Fact("past.vulnerable", "Less care is needed.", (False,)),
    Fact("present.logged_in", "The customer logs in.", (True,)),
)
_GROUPS, _INTENTS = ("phones", "care"), ("upsell", "service")


def small_world(random: Random) -> tuple[Strategy, Folded | None, Case, tuple[float, ...]]:
    """Draw a strategy, perhaps with a model, a customer, and the dice."""
    actions = tuple(_action(random, index) for index in range(random.randrange(3, 7)))
    strategy = replace(
        EMPTY,
        actions=actions,
        safe_greeting=actions[0].id,
        features=FEATURES,
        guardrails=tuple(_guardrail(random, f"guard-{i}") for i in range(random.randrange(1, 4))),
        eligibility=tuple(_permitting(random, f"permit-{i}") for i in range(random.randrange(3))),
        caps=tuple(_cap(random, f"cap-{i}") for i in range(random.randrange(3))),
        cool_offs=tuple(_cool_off(random, f"rest-{i}") for i in range(random.randrange(2))),
        promises=tuple(_promise(random, f"story-{i}") for i in range(random.randrange(2))),
        weights=tuple(_weight(random, f"weight-{i}") for i in range(random.randrange(3))),
        explore=random.choice([0.0, 0.4]),
        actionable=Actionable(tuple(random.sample(FACTS, random.randrange(1, 4))), WAIT_MS),
    )
    case = _case(random, strategy)
    model = _model(random, strategy) if random.random() < 0.5 else None
    return strategy, model, case, tuple(random.random() for _ in case.request.placements)


def _action(random: Random, index: int) -> Action:
    places = [("web", "hero"), *random.sample([("web", "greeting"), ("email", "body")], random.randrange(3))]
    return Action(
        index=index,
        id=f"action-{index}",
        kind=random.choice([Kind.OFFER, Kind.OFFER, Kind.MESSAGE]),
        intents=(random.choice(_INTENTS),),
        group=random.choice(_GROUPS),
        tags=(),
        says="",
        treatments=tuple(Treatment(*place, "words") for place in places),
        value=random.choice([5.0, 10.0, 20.0, 40.0]),
        reward=random.choice([0.0, 1.0]),
        cost=random.choice([0.0, 0.1, 2.0]),
        lever=1.0,
        propensity=random.choice([0.05, 0.2, 0.5]),
        attributes=(("price", random.choice([1.0, 5.0, 9.0])),),
    )


def _selector(random: Random) -> Selector:
    which = random.randrange(4)
    return Selector(
        kinds=(Kind.OFFER,) if which == 0 else (),
        intents=(random.choice(_INTENTS),) if which == 1 else (),
        groups=(random.choice(_GROUPS),) if which == 2 else (),
    )


def _condition(random: Random, depth: int = 0, *, of_actions: bool = True) -> str:
    if depth < 2 and random.random() < 0.35:
        a, b = (_condition(random, depth + 1, of_actions=of_actions) for _ in range(2))
        return random.choice([f"({a}) && ({b})", f"({a}) || ({b})", f"!({a})", f"past.vulnerable ? ({a}) : ({b})"])
    number, spend, minutes = random.randrange(4), random.randrange(12), random.randrange(1, 20) * 5
    return random.choice(
        [
            f"past.open_tickets > {number}",
            f"past.purchases < {number}",
            f"past.purchases + past.open_tickets >= {number}",
            f"past.spend >= {spend}.0",
            f"past.tier == '{random.choice(['gold', 'silver', 'basic'])}'",
            "past.vulnerable",
            "present.logged_in",
            f"past.last_seen > now - duration('{minutes}m')",
            "action.price > past.spend" if of_actions else "past.spend > 3.0",
        ]
    )


def _when(random: Random, *, of_actions: bool = True) -> Condition:
    return Condition(_condition(random, of_actions=of_actions), "rules.yaml", 1)


def _valid(random: Random) -> Valid:
    if random.random() < 0.8:
        return ALWAYS
    return random.choice([Valid(random.choice(MOMENTS), None), Valid(None, random.choice(MOMENTS))])


def _guardrail(random: Random, name: str) -> Guardrail:
    instead = _selector(random) if random.random() < 0.4 else None
    return Guardrail(name, name, _selector(random), _when(random), instead, valid=_valid(random))


def _permitting(random: Random, name: str) -> Eligibility:
    return Eligibility(name, name, _selector(random), _when(random), valid=_valid(random))


def _cap(random: Random, name: str) -> Cap:
    per = random.choice([(), (Per.ACTION,), (Per.GROUP,)])
    instead = _selector(random) if random.random() < 0.3 else None
    return Cap(name, name, _selector(random), random.randrange(1, 3), HOUR_MS, per, instead=instead)


def _cool_off(random: Random, name: str) -> CoolOff:
    durations = (HOUR_MS, 2 * HOUR_MS)
    return CoolOff(name, name, _selector(random), (Answered.REFUSED,), durations, 8 * HOUR_MS, (Per.GROUP,))


def _promise(random: Random, name: str) -> Promise:
    return Promise(name, name, _selector(random), HOUR_MS, (Per.GROUP,), random.choice([(), ("past.tier",)]))


def _weight(random: Random, name: str) -> Weight:
    return Weight(name, name, _selector(random), random.choice([0.2, 3.0]), _when(random, of_actions=False))


def _model(random: Random, strategy: Strategy) -> Folded:
    space, some = FeatureSpace.of(SCHEMA, FEATURES), np.random.default_rng(random.randrange(2**32))
    known = tuple(action.id for action in strategy.actions if random.random() < 0.8)
    size = len(known), len(space.columns)
    return Folded(
        version="m@1",
        feature_hash=space.hash,
        actions=known,
        weights=some.normal(0, 0.5, size),
        bias=some.normal(0, 1, len(known)),
        baseline_weights=some.normal(0, 0.5, size),
        baseline_bias=some.normal(-2, 1, len(known)),
        has_baseline=some.random(len(known)) < 0.3,
    )


def _case(random: Random, strategy: Strategy) -> Case:
    told: dict[str, Scalar | None] = {
        "past.open_tickets": random.choice([None, 0, 1, 2, 3]),
        "past.purchases": random.randrange(4),
        "past.spend": random.choice([None, 0.0, 2.5, 7.0]),
        "past.tier": random.choice([None, "basic", "silver", "gold"]),
        "past.vulnerable": random.choice([True, False]),
        "present.logged_in": random.choice([None, True, False]),
        "past.last_seen": NOW_MS - random.randrange(24) * FIVE_MS,
    }
    context = {SCHEMA.index[name]: value for name, value in told.items() if value is not None}
    values = tuple(context.get(index) for index in range(len(SCHEMA.fields)))
    channel, placements = random.choice([("web", ("hero",)), ("web", ("greeting", "hero")), ("email", ("body",))])
    level = random.choice([*LEVELS, *LEVELS[2:], *LEVELS[2:]])
    channels = random.choice([(), ("email",)])
    known = Known(NOW_MS, level.id, channels, {}, _used(random, strategy, channel), memory=_memory(random, strategy))
    return Case(values, known, Request("someone", channel, placements, context))


def _used(random: Random, strategy: Strategy, channel: str) -> dict[str, tuple[int, ...]]:
    found = {}
    for cap in strategy.caps:
        keys = parts(cap.id, cap.per, mask(cap.count, strategy.actions, channel), strategy.actions, channel)
        for key in keys:
            uses = sorted(NOW_MS - random.randrange(14) * FIVE_MS for _ in range(random.randrange(3)))
            found[key] = tuple(uses)
    return {key: uses for key, uses in found.items() if uses}


def _memory(random: Random, strategy: Strategy) -> Memory:
    answers = []
    for mark in (b"aaaaaa", b"bbbbbb"):
        if strategy.cool_offs and random.random() < 0.4:
            action, ago = random.choice(strategy.actions), random.randrange(30) * FIVE_MS
            answers.append(Refusal(action.id, action.group, action.intents, 4, NOW_MS - ago, mark))
    return Memory(tuple(answers))
