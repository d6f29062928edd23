"""Random rules of every sort, in force or not, for random strategies."""

from __future__ import annotations

from hypothesis import strategies as st

from service.core.rules import (
    ALWAYS,
    Answered,
    Cap,
    Condition,
    CoolOff,
    Counts,
    Eligibility,
    Exemption,
    Guardrail,
    Kind,
    Layer,
    Per,
    Promise,
    Selector,
    Valid,
)
from tests.core.expressions import ACTION_CONDITIONS, CONDITIONS, NOW_MS

INTENTS = ("upsell", "cross_sell", "service", "recovery", "welcome")
GROUPS = ("internet", "phones", "care")
HOUR_MS = 3_600_000


def some(words: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Draw up to two of these words."""
    return st.lists(st.sampled_from(words), max_size=2, unique=True).map(tuple)


SELECTORS = st.builds(
    Selector,
    kinds=st.lists(st.sampled_from(list(Kind)), max_size=2, unique=True).map(tuple),
    intents=some(INTENTS),
    groups=some(GROUPS),
    channels=some(("web", "email")),
)
weighing = CONDITIONS.map(lambda source: Condition(source, "rules.yaml", 1))
conditions = (CONDITIONS | ACTION_CONDITIONS).map(lambda source: Condition(source, "rules.yaml", 1))
_parts = st.lists(st.sampled_from([Per.ACTION, Per.GROUP, Per.INTENT]), max_size=2, unique=True).map(tuple)
_ends = st.none() | st.sampled_from([NOW_MS - 1, NOW_MS, NOW_MS + 1])
_valid = st.just(ALWAYS) | st.builds(Valid, _ends, _ends)
_dimensions = st.lists(st.sampled_from(list(Per)), unique=True).map(tuple)


def guardrails(number: int) -> st.SearchStrategy[Guardrail]:
    """Draw a rule that forbids."""
    instead = st.none() | SELECTORS
    return st.builds(
        Guardrail,
        id=st.just(f"guard-{number}"),
        says=st.just(f"Guardrail {number}."),
        forbid=SELECTORS,
        when=conditions,
        instead=instead,
        valid=_valid,
    )


def permitting(number: int) -> st.SearchStrategy[Eligibility]:
    """Draw a rule of one layer that permits."""
    instead = st.none() | SELECTORS
    return st.builds(
        Eligibility,
        id=st.just(f"permit-{number}"),
        says=st.just(f"Rule {number}."),
        permit=SELECTORS,
        when=conditions,
        layer=st.sampled_from(Layer),
        instead=instead,
        valid=_valid,
    )


def caps(number: int) -> st.SearchStrategy[Cap]:
    """Draw a cap."""
    return st.builds(
        Cap,
        id=st.just(f"cap-{number}"),
        says=st.just(f"Cap {number}."),
        count=SELECTORS,
        at_most=st.integers(1, 3),
        within_ms=st.just(HOUR_MS),
        per=_dimensions,
        daily=st.booleans(),
        counts=st.sampled_from(Counts),
        hold_ms=st.just(60_000),
        instead=st.none() | SELECTORS,
        valid=_valid,
    )


def cool_offs(number: int) -> st.SearchStrategy[CoolOff]:
    """Draw a cool-off."""
    return st.builds(
        CoolOff,
        id=st.just(f"rest-{number}"),
        says=st.just(f"Cool-off {number}."),
        about=SELECTORS,
        after=st.lists(st.sampled_from(Answered), min_size=1, unique=True).map(tuple),
        durations_ms=st.sampled_from([(HOUR_MS,), (HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS)]),
        forget_ms=st.just(8 * HOUR_MS),
        per=_parts,
        permanent=st.booleans(),
        valid=_valid,
    )


def promises(number: int) -> st.SearchStrategy[Promise]:
    """Draw a consistency rule."""
    return st.builds(
        Promise,
        id=st.just(f"story-{number}"),
        says=st.just(f"Promise {number}."),
        keep=SELECTORS,
        for_ms=st.just(HOUR_MS),
        per=_parts.map(lambda per: tuple(one for one in per if one is not Per.ACTION)),
        material=st.sampled_from([(), (), ("past.tier",)]),
        valid=_valid,
    )


def exemptions(bound: list[str]) -> st.SearchStrategy[Exemption]:
    """Draw an exemption from some of these."""
    names = st.lists(st.sampled_from(bound), min_size=1, max_size=2, unique=True).map(tuple)
    return st.builds(Exemption, st.just("exempt"), st.just(""), SELECTORS, names, valid=_valid)
