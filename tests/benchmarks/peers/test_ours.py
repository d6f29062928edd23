"""What is measured of ours in process is a whole decision about customers as the real store knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.peers.ours import NOW_MS, WAITS_S, InMemory, NotDecided, Ours, answering
from benchmarks.peers.programs.asked import COLUMNS, Asked
from benchmarks.population import Population
from models.context import Scalar
from models.history import as_of
from service.core.decision import Decision
from tests.benchmarks.peers.conftest import ACTIONS, CUSTOMERS


@dataclass(frozen=True, slots=True)
class Past:
    """An event as the models' history reads it."""

    id: str
    customer: str
    type: str
    at_ms: int
    attributes: Mapping[str, Scalar]


async def test_customers_are_known_as_their_events_say(ours: Ours) -> None:
    """What is unpacked of a customer who agreed to everything is what their events come to, all sixty fields of it."""
    population, known = Population.of(CUSTOMERS, NOW_MS), await ours.known()
    everything = [one for one in ours.requests if population.level(one.customer) == "full"]
    moments = [(request.customer, NOW_MS) for request in everything]
    happened = [Past(e.event_id, e.customer, e.type, e.at_ms, e.attributes) for e in population.events()]
    given = [request.context for request in everything]
    wanted = as_of(ours.strategy.schema, ours.strategy.features, happened, moments, given)
    seen = [ours.engine.see(known[request.customer], request).values for request in everything]
    assert len(everything) > CUSTOMERS // 2
    assert seen == wanted
    assert min(sum(value is not None for value in values) for values in seen) > 40


async def test_only_what_was_agreed_to_is_known(ours: Ours) -> None:
    """Of a customer who never said anything, nothing is known, as nothing would leave the real store."""
    population, known = Population.of(CUSTOMERS, NOW_MS), await ours.known()
    letters = {population.level(customer): set(one.groups) for customer, one in known.items()}
    assert letters == {None: set(), "service": {"s"}, "personal": {"s", "p"}, "full": {"s", "p", "f"}}
    assert all(one.level == population.level(customer) for customer, one in known.items())


async def test_customers_were_told_something_before(ours: Ours) -> None:
    """Caps have uses to be counted, as those of customers who come again have."""
    known = await ours.known()
    uses = [times for request in ours.requests for times in known[request.customer].counters.values()]
    assert len(uses) > CUSTOMERS // 2
    assert set(uses) == {(NOW_MS - 1000,)}


@pytest.mark.parametrize("draw", [0.0, 0.25, 0.984375])
async def test_the_steps_decide_as_the_decider_does(ours: Ours, draw: float) -> None:
    """For the same dice, the bare steps say the same for the same reasons as what the service runs."""
    known = await ours.known()
    entropy = bytes(12) + int(draw * 2**32).to_bytes(4, "big")
    decider = ours.decider(InMemory(known), lambda number: entropy[:number])
    for request in ours.requests:
        whole = await decider.decide(request, WAITS_S)
        steps = ours.logic(known[request.customer], request, draw)
        assert replace(whole, decision_id="") == replace(steps, decision_id="")
        assert steps.answers[0].reasons


@pytest.mark.parametrize("how", ["logic", "decide"])
async def test_what_is_measured_answers_every_request(ours: Ours, how: str) -> None:
    """Offers, greetings and messages are among the answers, of several actions, and none is degraded."""
    answer = await answering(ours, how)
    seen = ours.seen(map(answer, range(CUSTOMERS)))
    assert seen["distinct"] in range(3, ACTIONS + 1)
    kinds = seen["kinds"]
    assert isinstance(kinds, dict)
    assert sum(kinds.values()) == CUSTOMERS
    assert {"offer", "message"} <= kinds.keys()


@pytest.mark.parametrize("lacking", ["a model", "reasons"])
async def test_what_is_no_full_decision_has_no_figure(ours: Ours, lacking: str) -> None:
    """An answer without a model or without a reason ends the measurement."""
    answer = await answering(ours, "logic")
    decision: Decision = answer(0)
    bare = tuple(replace(one, reasons=()) for one in decision.answers)
    broken = replace(decision, model="") if lacking == "a model" else replace(decision, answers=bare)
    with pytest.raises(NotDecided):
        ours.seen([decision, broken])


def test_peers_are_asked_about_the_same_customers(ours: Ours, tmp_path: Path) -> None:
    """Each row is what our models see of a request's customer, and survives being written."""
    asked = ours.asked()
    assert len(asked.rows) == CUSTOMERS
    assert {len(row) for row in asked.rows} == {len(asked.columns)}
    assert len(set(asked.rows)) == CUSTOMERS
    assert len(asked.actions) == ACTIONS
    asked.write(tmp_path)
    assert Asked.read(tmp_path) == asked
    assert {len(row) for row in asked.short} == {COLUMNS}
