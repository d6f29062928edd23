"""Random strategies with everything that the independent check knows of: validity, exemptions, what actions say."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import strategies as st
from msgspec import structs

from service.core.memory import Switched
from service.core.rules import ALWAYS, CONTACT_PERMISSION, Condition, Exemption, Guardrail, Valid
from service.core.strategy import Strategy
from tests.core.expressions import ATTRIBUTES, NOW_MS
from tests.core.grammar import Grammar, Values
from tests.core.worlds import SELECTORS, Case, cases, strategies

VALID = st.sampled_from(
    [
        *[ALWAYS] * 4,
        Valid(NOW_MS, None),
        Valid(NOW_MS + 1, None),
        Valid(None, NOW_MS),
        Valid(None, NOW_MS + 1),
        Valid(NOW_MS - 5, NOW_MS + 5),
    ]
)
_SEEDS = st.integers(0, 2**32)


@st.composite
def policed(draw: st.DrawFn) -> Strategy:
    """Draw a strategy whose guardrails ask about actions, too, are in force for a time, and have exemptions."""
    strategy = draw(strategies())
    random = Random(draw(_SEEDS))
    values = Values.near(random, ())
    actions = tuple(
        replace(action, attributes=made.attributes)
        for action, made in zip(strategy.actions, values.actions(len(strategy.actions)), strict=True)
    )
    about_actions = tuple(
        Guardrail(f"asks-{i}", "", draw(SELECTORS), Condition(Grammar(random, True).condition(), "rules.yaml", 1))
        for i in range(draw(st.integers(0, 3)))
    )
    guardrails = tuple(replace(rule, valid=draw(VALID)) for rule in (*strategy.guardrails, *about_actions))
    rules = st.lists(st.sampled_from([CONTACT_PERMISSION, *(rule.id for rule in guardrails)]), min_size=1, unique=True)
    exemptions = tuple(
        Exemption(f"exempt-{i}", "", draw(SELECTORS), tuple(draw(rules)), valid=draw(VALID))
        for i in range(draw(st.integers(0, 2)))
    )
    return replace(strategy, actions=actions, attributes=ATTRIBUTES, guardrails=guardrails, exemptions=exemptions)


@st.composite
def asked(draw: st.DrawFn) -> Case:
    """Draw a customer and what operators have switched off."""
    case = draw(cases())
    some = frozenset(draw(st.lists(st.sampled_from(["hello", "action-1", "action-2", "another"]), max_size=2)))
    off = draw(st.sampled_from([Switched(), Switched(), Switched(some), Switched(frozenset(), everything=True)]))
    return replace(case, known=structs.replace(case.known, off=off))
