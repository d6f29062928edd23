"""Claims about the formulas of a strategy: they say of every customer what the engine does, action by action."""

from __future__ import annotations

from dataclasses import replace

import z3
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.context import ValueType
from models.operations import LARGEST_INT
from service.core.decision import Known
from service.core.strategy import Strategy
from service.proving.prover import Prover
from service.proving.questions import Customer, Decided
from tests.core import worlds
from tests.core.expressions import SCHEMA
from tests.folding import DETERMINISTIC


def customer_of(case: worlds.Case) -> Customer:
    """Return the customer of a random case; whole numbers are such as the service lets in."""
    values = tuple(
        max(-LARGEST_INT, min(LARGEST_INT, value)) if field.type is ValueType.INT and isinstance(value, int) else value
        for field, value in zip(SCHEMA.fields, worlds.consented(case), strict=True)
    )
    channel = case.request.channel
    return Customer(
        values, level_of(case.known), channel == "web" or bool(case.known.channels), case.known.now_ms, channel
    )


def level_of(known: Known) -> str:
    """Return the level that counts: the lowest where none is known."""
    return next((level.id for level in worlds.LEVELS if level.id == known.level), worlds.LEVELS[0].id)


def told(prover: Prover, customer: Customer) -> dict[str, bool]:
    """Return of each action of the customer's channel whether the formulas let it be said."""
    model, symbols = prover.model, prover.model.symbols
    permitted = model.permitted if customer.permitted else z3.Not(model.permitted)
    pinned = (*symbols.pinned(customer.values, customer.now_ms), symbols.at_level(customer.level), permitted)
    found = prover.find(*pinned)
    assert found is not None, "the solver knows no such customer"
    return {
        action.id: z3.is_true(found.eval(model.may_be_said(customer.channel, action), model_completion=True))
        for action in model.sayable[customer.channel]
    }


def decided_by(prover: Prover, customer: Customer) -> Decided:
    """Return what the engine decides about these very values."""
    return list(prover.court.decisions(customer))[-1]


@given(worlds.strategies(), st.lists(worlds.cases(), min_size=6, max_size=8))
@settings(DETERMINISTIC, max_examples=14, phases=[Phase.generate])
def test_the_formulas_of_random_strategies_say_what_the_engine_says(
    strategy: Strategy, cases: list[worlds.Case]
) -> None:
    """For random rules, conditions over actions, exemptions and validities they hold back what the engine does."""
    prover = Prover(replace(strategy, cool_offs=(), promises=()), timeout_s=60.0)
    for case in cases:
        customer = customer_of(case)
        decided = decided_by(prover, customer)
        assert told(prover, customer) == {action: not reasons for action, reasons in decided.held.items()}
