"""The decision core keeps its promises for any strategy, model and customer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.propensity import Folded
from service.core import plan
from service.core.decision import Committed, Decision, Known, ReasonCode, Request
from service.core.engine import Engine
from service.core.rules import Cap, Kind, Selector
from service.core.strategy import Action, Strategy
from service.decide import STORE_GONE
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.test_cel import oracle
from tests.core.worlds import EMPTY, HELLO, LEVELS, Case, cases, consented, models, shuffled, strategies

EXAMPLES = int(os.environ.get("TACT_DECISIONS", "120"))
World = tuple[Strategy, Folded | None, Case, tuple[float, ...]]
several = settings(max_examples=EXAMPLES, deadline=None)


@st.composite
def decided(draw: st.DrawFn) -> World:
    """Draw everything that one decision depends on."""
    strategy = draw(strategies())
    case = draw(cases())
    draws = tuple(draw(st.floats(0, 1, exclude_max=True)) for _ in case.request.placements)
    return strategy, draw(models(strategy)), case, draws


def decide(engine: Engine, case: Case, draws: Sequence[float], explain: bool = False) -> Decision:
    """Decide in memory: the commit takes the first candidate of each placement that is not taken yet."""
    snapshot = engine.see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    scores = engine.score(snapshot, judged, case.request)
    entry = engine.check(engine.arbitrate("d", case.request, snapshot, judged, scores, draws), snapshot)
    assert not entry.objections, "the independent check agrees with the compiled rules"
    commit = engine.commit(entry.entry, case.request)
    taken: set[str] = set()
    chosen = []
    for ranked in commit.candidates:
        rank = next((i for i, (action, _) in enumerate(ranked) if action not in taken), -1)
        chosen.append(rank)
        taken |= {ranked[rank][0]} if rank >= 0 else set()
    explained = engine.explain(snapshot, judged, scores, case.request) if explain else None
    return engine.answer(Committed(commit.entry, b"", tuple(chosen), (), False), entry.entry, explained)


def said(strategy: Strategy, decision: Decision) -> list[Action]:
    """Return the actions that a decision says."""
    names = [answer.action for answer in decision.answers if answer.action]
    return [action for action in strategy.actions if action.id in names]


def selected(selector: Selector, action: Action, channel: str) -> bool:
    """Say whether a selector means an action: a second reading for tests."""
    return (
        (not selector.kinds or action.kind in selector.kinds)
        and (not selector.intents or bool(set(selector.intents) & set(action.intents)))
        and (not selector.groups or action.group in selector.groups)
        and (not selector.channels or channel in selector.channels)
    )


@several
@given(decided())
def test_no_answer_sells_over_an_open_ticket(world: World) -> None:
    """With an open ticket, or one that cannot be known, no answer sells, whatever the model says."""
    strategy, model, case, draws = world
    tickets = consented(case)[SCHEMA.index["past.open_tickets"]]
    decision = decide(Engine(strategy, model), case, draws)
    if tickets is None or int(tickets) > 0:  # type: ignore[arg-type]  # an int field
        assert all(action.kind is not Kind.OFFER for action in said(strategy, decision))


@several
@given(decided())
def test_no_offer_without_consent_and_no_contact_without_permission(
    world: World,
) -> None:
    """Offers need consent to personalization; unasked channels need the customer's permission for anything."""
    strategy, model, case, draws = world
    actions = said(strategy, decide(Engine(strategy, model), case, draws))
    if case.known.level not in ("personal", "full"):
        assert all(action.kind is not Kind.OFFER for action in actions)
    if case.request.channel == "email" and not case.known.channels:
        assert not actions


@several
@given(decided(), cases())
def test_what_is_not_consented_never_changes_an_answer(world: World, other: Case) -> None:
    """Two customers who differ only in what they did not agree to get the same answer."""
    strategy, model, case, draws = world
    allowed = next((level for level in LEVELS if level.id == case.known.level), LEVELS[0]).purposes
    mixed = dict(case.request.context)
    for index, field in enumerate(SCHEMA.fields):
        if field.purpose not in allowed:
            mixed.pop(index, None)
            value = other.values[index]
            if value is not None:
                mixed[index] = value
    changed = replace(case, request=structs.replace(case.request, context=mixed))
    engine = Engine(strategy, model)
    assert decide(engine, case, draws) == decide(engine, changed, draws)


@several
@given(decided())
def test_every_veto_is_collected_and_nothing_else_forbids(
    world: World,
) -> None:
    """An action is forbidden by exactly the rules that a plain reading through the CEL engine finds."""
    strategy, model, case, draws = world
    explained = decide(Engine(strategy, model), case, draws, explain=True).explanation
    assert explained is not None
    values = consented(case)
    guards = {rule.id: oracle(rule.when.source, values) is not False for rule in strategy.guardrails}
    permits = {rule.id: oracle(rule.when.source, values) is True for rule in strategy.eligibility}
    for action, fate in zip(strategy.actions, explained.fates, strict=True):
        about = case.request.channel
        expected = {r.id for r in strategy.guardrails if guards[r.id] and selected(r.forbid, action, about)}
        expected |= {r.id for r in strategy.eligibility if not permits[r.id] and selected(r.permit, action, about)}
        assert {reason.rule for reason in fate.vetoes if reason.rule} == expected
        if fate.vetoes:
            assert action.id not in [answer.action for answer in decide(Engine(strategy, model), case, draws).answers]


@several
@given(decided(), st.randoms())
def test_the_order_of_actions_does_not_matter(world: World, random: Random) -> None:
    """Writing the actions in another order changes no answer."""
    strategy, model, case, draws = world
    order = list(range(len(strategy.actions)))
    random.shuffle(order)
    moved = shuffled(strategy, order)
    assert decide(Engine(strategy, model), case, draws) == decide(Engine(moved, model), case, draws)


@several
@given(decided())
def test_the_same_inputs_give_the_same_bytes(world: World) -> None:
    """Two engines of one version plan the same bytes, and the log entry reads back as it was written."""
    strategy, model, case, draws = world
    packed = []
    for engine in (Engine(strategy, model), Engine(strategy, model)):
        snapshot = engine.see(case.known, case.request)
        judged = engine.judge(snapshot, case.known, case.request)
        scores = engine.score(snapshot, judged, case.request)
        packed.append(plan.pack(engine.arbitrate("d", case.request, snapshot, judged, scores, draws)))
    assert packed[0] == packed[1]
    assert plan.pack(plan.unpack(packed[0])) == packed[0]


@several
@given(decided())
def test_every_placement_is_answered_with_reasons(world: World) -> None:
    """Each placement gets one answer in order, with at least one reason, and no action twice."""
    strategy, model, case, draws = world
    decision = decide(Engine(strategy, model), case, draws)
    assert tuple(answer.placement for answer in decision.answers) == case.request.placements
    assert all(answer.reasons for answer in decision.answers)
    names = [answer.action for answer in decision.answers if answer.action]
    assert len(names) == len(set(names))


@several
@given(decided(), st.integers(2, 40))
def test_logged_probabilities_are_exact(world: World, steps: int) -> None:
    """Over an even sweep of the dice every action comes first as often as its logged probability says."""
    strategy, model, case, _ = world
    engine = Engine(strategy, model)
    placement = case.request.placements[0]
    request = structs.replace(case.request, placements=(placement,))
    snapshot = engine.see(case.known, request)
    judged = engine.judge(snapshot, case.known, request)
    scores = engine.score(snapshot, judged, request)
    pool = max(1, engine.arbitrate("d", request, snapshot, judged, scores, [0.0]).placements[0].pool)
    sweep = pool * 2 * steps
    first: dict[str, int] = {}
    logged: dict[str, float] = {}
    for step in range(sweep):
        placed = engine.arbitrate("d", request, snapshot, judged, scores, [(step + 0.5) / sweep]).placements[0]
        if placed.candidates:
            winner = placed.candidates[0]
            first[winner.action] = first.get(winner.action, 0) + 1
            logged[winner.action] = winner.probability
    for action, probability in logged.items():
        assert first[action] / sweep == pytest.approx(probability, abs=1.01 / sweep * pool)
    if logged:
        assert sum(logged.values()) == pytest.approx(1.0, abs=1.0 / sweep + strategy.explore * (len(logged) < pool))


def test_an_engine_says_when_it_has_no_model() -> None:
    """Without a model the strategy's priors serve, and the answer says that it is degraded by that."""
    strategy = _plain()
    decision = decide(Engine(strategy, None), _known("full"), [0.9])
    assert [reason.code for reason in decision.degraded] == [ReasonCode.NO_MODEL]
    assert decision.answers[0].action


def test_a_used_up_cap_is_a_reason_with_an_end() -> None:
    """When only a cap holds the best action back, the suppression says until when."""
    strategy = _plain()
    known = structs.replace(_known("full").known, counters={"cap": (NOW_MS - 1000,)})
    decision = decide(Engine(strategy, None), replace(_known("full"), known=known), [0.9])
    answer = decision.answers[0]
    assert (answer.action, answer.held_back) == ("", "hello")
    assert [reason.code for reason in answer.reasons] == [ReasonCode.CAP_REACHED]
    assert answer.until_ms == NOW_MS - 1000 + 3_600_000


def test_the_safe_answer_greets_once_and_says_why() -> None:
    """When the store is gone the first fitting placement greets, the others stay silent, and all say why."""
    engine = Engine(_plain(), None)
    decision = engine.safe(Request("x", "web", ("hero", "greeting"), {}), STORE_GONE, NOW_MS)
    assert [answer.action for answer in decision.answers] == ["", "hello"]
    assert decision.decision_id == ""
    assert decision.degraded == (STORE_GONE,)


def _plain() -> Strategy:
    cap = Cap("cap", "One an hour.", Selector(kinds=(Kind.GREETING,)), 1, 3_600_000)
    return replace(EMPTY, actions=(HELLO,), caps=(cap,))


def _known(level: str) -> Case:
    return Case((), Known(NOW_MS, level, (), {}, {}), Request("x", "web", ("greeting",), {}))
