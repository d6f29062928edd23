"""Claims about ranking by uplift: what was learned decides, the formula stands in, and the answer says which it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.features import FeatureSpace
from models.propensity import Folded
from models.values import RanksBy, Values
from service.core.arbitrate import Arbiter
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.plan import PlacementPlan
from service.core.strategy import Strategy
from tests.strategies import edited, write_strategy

NOW_MS = 1_796_083_200_000
FORMULA_ONLY = edited("model", "model:\n", "model:\n  ranks_by: formula\n")
BY_UPLIFT = edited("model", "model:\n", "model:\n  ranks_by: uplift\n")


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return the small strategy, which ranks by uplift, forbids nothing and explores nothing."""
    folder = tmp_path_factory.mktemp("uplift")
    head = edited("strategy", "explore: 0.05", "explore: 0.0")
    write_strategy(folder, model=BY_UPLIFT, strategy=head, guardrails=None, eligibility=None, weights=None)
    return load_strategy(folder)


def model(strategy: Strategy, **worths: float) -> Folded:
    """Return a model that says even chances of two actions, and what some actions are worth to everybody."""
    space = FeatureSpace.of(strategy.schema, strategy.features)
    names, columns = ("fibre-upgrade", "new-phone"), len(space.columns)
    none, rows = np.zeros(2), np.zeros((2, columns))
    of = tuple(name.replace("_", "-") for name in worths)
    bias = np.array(list(worths.values()))
    values = Values(of, np.zeros((len(of), columns)), bias, bias - 1.0, bias + 1.0) if of else None
    return Folded("m@0", space.hash, names, rows, none, rows, none, np.array([True, False]), values=values)


def net(strategy: Strategy, model: Folded, action: str, factors: tuple[tuple[int, float], ...] = ()) -> float:
    """Return the net value of an action for a customer of whom nothing is known."""
    scores = Arbiter(strategy, model).score((None,) * len(strategy.schema.fields), NOW_MS, factors)
    return scores.net_value(_index(strategy, action))


def _index(strategy: Strategy, action: str) -> int:
    return next(one.index for one in strategy.actions if one.id == action)


def planned(strategy: Strategy, model: Folded, placement: str = "hero") -> tuple[PlacementPlan, str]:
    """Return the plan of a placement for a customer who agreed to everything, and the first sentence of why."""
    engine, request = Engine(strategy, model), Request("ann", "web", (placement,), {})
    known = Known(NOW_MS, strategy.levels[-1].id, (), {}, {})
    snapshot = engine.see(known, request)
    judged = engine.judge(snapshot, known, request)
    entry = engine.arbitrate("d" * 26, request, snapshot, judged, engine.score(snapshot, judged, request), (0.5,))
    plan = entry.placements[0]
    return plan, engine._texts.said(plan, 0, entry, ()).reasons[0].sentence if plan.candidates else ""


def test_a_strategy_says_by_what_it_ranks(strategy: Strategy, tmp_path: Path) -> None:
    """It ranks by the formula unless it says otherwise."""
    write_strategy(tmp_path / "said", model=FORMULA_ONLY)
    write_strategy(tmp_path / "unsaid")
    assert load_strategy(tmp_path / "said").ranks_by is RanksBy.FORMULA
    assert load_strategy(tmp_path / "unsaid").ranks_by is RanksBy.FORMULA
    assert strategy.ranks_by is RanksBy.UPLIFT


def test_what_was_learned_counts_times_the_lever_less_the_cost(strategy: Strategy) -> None:
    """The learned worth takes lever, context weight and contact cost as the formula does, and is held in its bounds."""
    fibre = strategy.actions[_index(strategy, "fibre-upgrade")]
    learned = model(strategy, fibre_upgrade=5.0)
    assert net(strategy, learned, "fibre-upgrade") == pytest.approx(fibre.lever * 5.0 - fibre.cost)
    weighted = net(strategy, learned, "fibre-upgrade", ((1 << fibre.index, 0.5),))
    assert weighted == pytest.approx(fibre.lever * 5.0 * 0.5 - fibre.cost)


def test_what_nobody_learned_of_keeps_the_formula(strategy: Strategy) -> None:
    """An action without a model of worth has the same net value as without any, and so have all under the formula."""
    plain, learned = model(strategy), model(strategy, fibre_upgrade=5.0)
    by_formula = replace(strategy, ranks_by=RanksBy.FORMULA)
    for action in strategy.actions:
        assert net(by_formula, learned, action.id) == net(by_formula, plain, action.id)
        if action.id != "fibre-upgrade":
            assert net(strategy, learned, action.id) == net(strategy, plain, action.id)


def test_the_answer_says_which_was_used(strategy: Strategy) -> None:
    """The sentence tells what was learned from what the formula gives, with and without a baseline."""
    plan, learned = planned(
        strategy, model(strategy, fibre_upgrade=500.0, new_phone=400.0, apology=-1.0, ticket_status=-1.0)
    )
    assert [(c.action, c.learned) for c in plan.candidates] == [("fibre-upgrade", True), ("new-phone", True)]
    assert "over saying nothing, as learned from what saying it earned" in learned
    plan, formula = planned(strategy, model(strategy, fibre_upgrade=-500.0, apology=-1.0, ticket_status=-1.0))
    assert [(c.action, c.learned) for c in plan.candidates] == [("new-phone", False)]
    assert "after its costs (what happens anyway is not known)" in formula


def test_sleeping_dogs_are_left_alone(strategy: Strategy) -> None:
    """Where saying anything was learned to lose, nothing is said, however likely it is to be taken."""
    losing = model(strategy, fibre_upgrade=-1.0, new_phone=-0.01, apology=-0.5, ticket_status=-0.1)
    assert not planned(strategy, losing)[0].candidates
    assert len(planned(replace(strategy, ranks_by=RanksBy.FORMULA), losing)[0].candidates) > 1


def test_worths_are_of_people(strategy: Strategy) -> None:
    """The worth follows the customer's features: the same offer is worth saying to one and not to another."""
    space = FeatureSpace.of(strategy.schema, strategy.features)
    column = space.columns.index("past.phones")
    weights = np.zeros((1, len(space.columns)))
    weights[0, column] = 1.0
    values = Values(("new-phone",), weights, np.array([-1.5]), np.array([-9.0]), np.array([9.0]))
    arbiter = Arbiter(strategy, replace(model(strategy), values=values))
    seen: list[object] = [None] * len(strategy.schema.fields)
    worth = []
    for phones in (0, 4):
        seen[strategy.schema.index["past.phones"]] = phones
        worth.append(arbiter.score(tuple(seen), NOW_MS, ()).worth >> _index(strategy, "new-phone") & 1)
    assert worth == [0, 1]
