"""The strategy and the customers to measure with are what they claim to be, and the service accepts them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import world
from benchmarks.population import HISTORY_DAYS, Population, seen_now
from models.context import FoldKind
from service.core.loader import load_strategy
from service.core.rules import Kind

NOW_MS = 1_793_491_200_000


@pytest.mark.parametrize("actions", [8, 10, 100, 1000])
def test_the_strategy_has_the_size_that_is_measured(tmp_path: Path, actions: int) -> None:
    """Any number of actions loads without a problem, always under 60 fields, 8 rules and 3 caps."""
    strategy = load_strategy(world.write_strategy(tmp_path, actions))
    assert len(strategy.actions) == actions
    assert {action.kind for action in strategy.actions} == set(Kind)
    assert len(strategy.schema.fields) == len(strategy.features) == 60
    assert len(strategy.guardrails) + len(strategy.eligibility) == 8
    assert len(strategy.caps) == 3
    assert strategy.explore > 0


def test_too_few_actions_for_the_rules_are_refused() -> None:
    """With seven actions the rules would speak of groups that no action has."""
    with pytest.raises(ValueError, match="at least 8"):
        world.strategy(7)


def test_most_actions_compete_for_one_placement(tmp_path: Path) -> None:
    """At 100 actions, the hero of the web page is sought by 90: what is measured is not a choice among a few."""
    strategy = load_strategy(world.write_strategy(tmp_path, 100))
    places = Counter((t.channel, t.placement) for action in strategy.actions for t in action.treatments)
    assert places["web", "hero"] == places["desk", "offer"] == 90


def test_the_fields_are_folded_in_many_ways(tmp_path: Path) -> None:
    """The fields use at least ten of the kinds of folds, so that reading them costs what it does in life."""
    strategy = load_strategy(world.write_strategy(tmp_path, 8))
    kinds = {field.fold.kind for field in strategy.schema.fields if field.fold}
    assert kinds >= set(FoldKind) - {FoldKind.DISTINCT, FoldKind.RECENT, FoldKind.RATE, FoldKind.MODEL}


def test_every_customer_has_every_kind_of_event() -> None:
    """No field is unknown for want of an event, or half of the rules would hold for want of knowledge."""
    population = Population.of(30, NOW_MS)
    kinds: dict[str, set[str]] = {}
    for event in population.events():
        kinds.setdefault(event.customer, set()).add(event.type)
        assert NOW_MS - HISTORY_DAYS * 86_400_000 <= event.at_ms < NOW_MS
        assert set(event.attributes) == set(world.EVENTS[event.type])
    assert len(kinds) == 30
    assert all(seen | {"ticket.closed"} == set(world.EVENTS) for seen in kinds.values())


def test_tickets_close_after_they_were_opened() -> None:
    """A ticket that is closed was opened before, so only the few that are never closed are open."""
    opened: dict[tuple[str, str], int] = {}
    closed: dict[tuple[str, str], int] = {}
    for event in Population.of(300, NOW_MS).events():
        if event.type.startswith("ticket"):
            side = opened if event.type == "ticket.opened" else closed
            side[event.customer, event.attributes["ticket"]] = event.at_ms
    assert all(opened[ticket] < at for ticket, at in closed.items())
    assert 0.05 < len({customer for customer, _ in opened.keys() - closed.keys()}) / 300 < 0.25


def test_the_same_seed_gives_the_same_population() -> None:
    """Two runs measure the same customers, asked about in the same order."""
    one, two = Population.of(20, NOW_MS), Population.of(20, NOW_MS)
    assert list(one.events()) == list(two.events())
    assert one.requests(50) == two.requests(50)
    assert list(one.decisions(3, ["a", "b"])) == list(two.decisions(3, ["a", "b"]))


def test_requests_begin_with_the_customer() -> None:
    """The floor cuts the customer out of the first bytes of a request, so the customer must stand there."""
    from benchmarks.floor import customer_in

    for request in Population.of(20, NOW_MS).requests(50):
        assert customer_in(request.SerializeToString()).decode() == request.customer_id


def test_training_rows_are_enough_for_each_action() -> None:
    """Every action gets its rows, and the silent rows say the outcome of every action."""
    rows = list(Population.of(20, NOW_MS).decisions(5, ["a", "b", "c"]))
    assert Counter(row["action"] for row in rows) == {"a": 5, "b": 5, "c": 5, "nothing": 5}
    assert all(set(row["outcomes"]) == {"a", "b", "c"} for row in rows if row["action"] == "nothing")
    assert sum(row["probability"] for row in rows) == pytest.approx(5)


def test_what_is_seen_now_is_within_bounds() -> None:
    """Request fields stay within the bounds that the strategy declares, or the service would refuse them."""
    dice = random.Random(1)
    bounds = {field.id: field.bounds for field in world.fields() if field.fold is None}
    for _ in range(500):
        for field, value in seen_now(dice).items():
            if "values" in bounds[field]:
                assert value in bounds[field]["values"]
            else:
                assert bounds[field]["low"] <= value <= bounds[field]["high"]
