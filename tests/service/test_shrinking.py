"""Shrinking: which rules a changed strategy lost, and that the last guardrail is not lost by a reload."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.shrinking import MOST_NAMED, GuardrailsGone, check_guarded, listed, rules_gone

DEMO = Path(__file__).parents[2] / "strategies" / "demo"
RESTRAINTS = ("guardrails", "eligibility", "caps", "cool_offs", "promises")


@pytest.fixture(scope="module")
def demo() -> Strategy:
    """Return the demo strategy, which has rules of all kinds."""
    return load_strategy(DEMO)


@pytest.mark.parametrize("kind", RESTRAINTS)
def test_every_rule_that_holds_something_back_is_missed(demo: Strategy, kind: str) -> None:
    """Of each kind the one that is gone is named, in either order; what was added is not."""
    rules = getattr(demo, kind)
    assert rules
    without = replace(demo, **{kind: rules[1:]})
    assert rules_gone(demo, without) == (rules[0].id,)
    assert rules_gone(without, demo) == ()
    assert rules_gone(demo, replace(demo, **{kind: rules[::-1]})) == ()


def test_an_exemption_that_is_gone_holds_more_back(demo: Strategy) -> None:
    """Weights and exemptions hold nothing back, so nobody misses them."""
    assert demo.exemptions
    assert rules_gone(demo, replace(demo, exemptions=(), weights=())) == ()


def test_only_the_last_guardrail_is_kept_by_force(demo: Strategy) -> None:
    """One that is left is enough, and a strategy that never had any needs none."""
    none = replace(demo, guardrails=())
    check_guarded(demo, replace(demo, guardrails=demo.guardrails[:1]))
    check_guarded(none, none)
    check_guarded(none, demo)
    with pytest.raises(GuardrailsGone, match=demo.guardrails[0].id):
        check_guarded(demo, none)


def test_of_many_rules_the_first_are_named() -> None:
    """A sentence stays one, however many rules are gone."""
    rules = [f"rule-{number}" for number in range(MOST_NAMED + 3)]
    assert listed(rules[:2]) == "rule-0, rule-1"
    assert listed(rules).endswith(f"rule-{MOST_NAMED - 1} and 3 more")
