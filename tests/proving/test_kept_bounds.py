"""What is said of kept values is said for what comes in: no customer who cannot be, and no proof by what may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.core.loader import load_strategy
from service.proving.counterexample import Court
from service.proving.proofs import Ruling
from service.proving.questions import Customer
from tests.core.policies import POLICY, changed, write_policy
from tests.proving.test_promises import PLAIN, proofs

BOUNDED = changed("events", "attributes: {cost: double}", "attributes: {cost: {type: double, low: 0, high: 100}}")
GUARD = """\
  - id: not-after-costs
    says: Who had costs is sold nothing.
    forbid: {kinds: [offer]}
    when: past.failed_cost_30d > 0.0
"""
LAST = """\
  - id: past.cost
    says: What the last one cost.
    type: double
    purpose: service
    fold: {kind: last, event: contact.failed, attribute: cost}
"""
NEVER = "  - {{id: p, says: P., never: action.kind == 'offer', while: {}}}\n"


def test_nobody_of_a_counterexample_had_less_than_nothing(tmp_path: Path) -> None:
    """Where only amounts from 0 up are let in, the customer of a broken promise has such a sum."""
    found = proofs(tmp_path, NEVER.format("past.failed_cost_30d != 7.5"), **{**PLAIN, "events": BOUNDED})["p"]
    assert found.ruling is Ruling.BROKEN
    assert found.example is not None
    assert float(str(found.example.facts["past.failed_cost_30d"])) >= 0.0


def test_a_sound_strategy_is_not_refused_for_a_customer_who_cannot_be(tmp_path: Path) -> None:
    """Who has costs has more than none: only what was kept under other bounds may be otherwise, and words say so."""
    changes = {**PLAIN, "events": BOUNDED, "guardrails": f"guardrails:\n{GUARD}"}
    found = proofs(tmp_path, NEVER.format("past.failed_cost_30d != 0.0"), **changes)["p"]
    assert found.ruling is Ruling.UNKNOWN
    assert "kept of somebody under wider ones" in found.why


@pytest.mark.parametrize("bound", [50.0, 100.0])
def test_bounds_of_today_prove_nothing_of_what_was_kept(bound: float, tmp_path: Path) -> None:
    """Within the bounds a promise is broken; beyond them it is unknown, for more may have been kept."""
    changes = {**PLAIN, "events": BOUNDED, "fields": POLICY["fields"] + LAST}
    found = proofs(tmp_path, NEVER.format(f"past.cost > {bound} && past.cost == past.cost"), **changes)["p"]
    promise = f"  - {{id: q, says: Q., never: action.kind == 'offer', while: past.cost > {bound}, unknown: permits}}\n"
    sure = proofs(tmp_path / "sure", promise, **changes)["q"]
    assert found.ruling is Ruling.BROKEN  # what is unknown is not held back either
    assert sure.ruling is (Ruling.BROKEN if bound < 100.0 else Ruling.UNKNOWN)


def test_the_court_decides_nobody_whom_the_service_would_not_let_in(tmp_path: Path) -> None:
    """A customer with a negative sum of amounts that are not negative is not decided; one with none is."""
    strategy = load_strategy(write_policy(tmp_path, events=BOUNDED))
    place = strategy.schema.index["past.failed_cost_30d"]
    values = [None] * len(strategy.schema.fields)
    decided = []
    for amount in (-0.5, 0.0):
        told = (*values[:place], amount, *values[place + 1 :])
        decided.append(len(list(Court(strategy).decisions(Customer(told, "full", True, 1_796_083_200_000, "web")))))
    assert decided[0] == 0 < decided[1]
