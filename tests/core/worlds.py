"""Random strategies, customers and models, for properties of the decision core."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from models.context import Purpose, Scalar
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.decision import Known, Request
from service.core.rules import Cap, Condition, Eligibility, Guardrail, Kind, Per, Selector, Weight
from service.core.strategy import Action, Channel, ConsentLevel, Strategy, Treatment
from tests.core.expressions import CONDITIONS, NOW_MS, SCHEMA, contexts

LEVELS = (
    ConsentLevel("none", "", ()),
    ConsentLevel("service", "", (Purpose.SERVICE,)),
    ConsentLevel("personal", "", (Purpose.SERVICE, Purpose.PERSONALIZATION)),
    ConsentLevel("full", "", tuple(Purpose)),
)
CHANNELS = (Channel("web", ("greeting", "hero"), False), Channel("email", ("body",), True))
PLACES = [(channel.id, placement) for channel in CHANNELS for placement in channel.placements]
INTENTS = ("upsell", "cross_sell", "service", "recovery", "welcome")
GROUPS = ("internet", "phones", "care")
FEATURES = ("past.purchases", "past.spend", "past.vulnerable", "past.last_seen")

TICKET = Guardrail(
    "no-selling-while-a-ticket-is-open",
    "A customer with an open ticket is helped, not sold to.",
    Selector(kinds=(Kind.OFFER,)),
    Condition("past.open_tickets > 0", "rules.yaml", 1),
    Selector(intents=("service", "recovery")),
)


def _some(words: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(words), max_size=2, unique=True).map(tuple)


SELECTORS = st.builds(
    Selector,
    kinds=st.lists(st.sampled_from(list(Kind)), max_size=2, unique=True).map(tuple),
    intents=_some(INTENTS),
    groups=_some(GROUPS),
    channels=_some(("web", "email")),
)
_conditions = CONDITIONS.map(lambda source: Condition(source, "rules.yaml", 1))
_dimensions = st.lists(st.sampled_from(list(Per)), unique=True).map(tuple)
_money = st.floats(0, 100).map(lambda x: round(x, 2))


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
)


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
                intents=draw(_some(INTENTS)),
                group=draw(st.sampled_from(GROUPS)),
                tags=(),
                says="",
                treatments=tuple(Treatment(channel, placement, f"text {index}") for channel, placement in places),
                value=draw(_money),
                reward=draw(_money),
                cost=draw(st.sampled_from([0.0, 0.1, 5.0])),
                lever=draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])),
                propensity=draw(st.floats(0, 1)),
            )
        )
    return tuple(found)


@st.composite
def strategies(draw: st.DrawFn) -> Strategy:
    """Draw a strategy in which selling is always forbidden while a ticket is open."""
    guardrails = [
        Guardrail(f"guard-{i}", f"Guardrail {i}.", draw(SELECTORS), draw(_conditions), draw(st.none() | SELECTORS))
        for i in range(draw(st.integers(0, 3)))
    ]
    eligibility = [
        Eligibility(f"eligible-{i}", f"Eligibility {i}.", draw(SELECTORS), draw(_conditions))
        for i in range(draw(st.integers(0, 2)))
    ]
    caps = [
        Cap(f"cap-{i}", f"Cap {i}.", draw(SELECTORS), draw(st.integers(1, 3)), 3_600_000, draw(_dimensions))
        for i in range(draw(st.integers(0, 2)))
    ]
    weights = [Weight("weight", "A weight.", draw(SELECTORS), 2.0, draw(_conditions))] if draw(st.booleans()) else []
    rules = draw(st.permutations([TICKET, *guardrails]))
    return replace(
        EMPTY,
        actions=draw(actions()),
        guardrails=tuple(rules),
        eligibility=tuple(eligibility),
        caps=tuple(caps),
        weights=tuple(weights),
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
