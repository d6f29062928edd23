"""See that a strategy's conditions cost no more together than a decision can wait for."""

from __future__ import annotations

from collections.abc import Iterator

from models.documents import Problem
from service.core.cel import Rows, check_condition
from service.core.cel.cost import LIMIT, Costs
from service.core.rules import Condition
from service.core.strategy import Strategy

_REMEDY = (
    "compare an action's attribute with a field as it is, write == or startsWith() for contains(), or let an event "
    "fold into a field that holds what is computed here"
)


def problems_of_cost(strategy: Strategy) -> list[Problem]:
    """Return the problem that all conditions together cost too much, at the costliest of them; none where they do not.

    All of them must have been checked.
    """
    estimate = Costs(strategy.schema, Rows.of(strategy.actions))
    costs: dict[str, tuple[int, str, Condition]] = {}
    for rule, when in _conditions(strategy):
        if when.source not in costs:
            node = check_condition(when.source, strategy.schema, strategy.attributes).node
            costs[when.source] = (estimate.of(node), rule, when)
    total = sum(cost for cost, _, _ in costs.values())
    if total <= LIMIT:
        return []
    cost, rule, when = max(costs.values(), key=lambda found: found[0])
    what = f"all conditions cost {total:,} units together, of {LIMIT:,}; `{rule}` costs most, {cost:,}; {_REMEDY}"
    return [Problem(when.file, when.line, f"`when`: {what}")]


def _conditions(strategy: Strategy) -> Iterator[tuple[str, Condition]]:
    yield from ((rule.id, rule.when) for rule in strategy.guardrails)
    yield from ((rule.id, rule.when) for rule in strategy.eligibility)
    yield from ((rule.id, rule.when) for rule in strategy.weights)
    yield from ((trigger.id, trigger.when) for trigger in strategy.triggers)
