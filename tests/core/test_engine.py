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

from benchmarks.plainly import forbidding, means
from models.context import Scalar
from models.propensity import Folded
from service.core import plan
from service.core.decision import Committed, Decision, Known, ReasonCode, Request
from service.core.engine import Engine
from service.core.epochs import in_force
from service.core.judge import Judge
from service.core.rules import CONTACT_PERMISSION, Cap, Eligibility, Guardrail, Kind, Layer, Selector
from service.core.snapshot import Snapshot
from service.core.strategy import Action, Strategy
from service.decide import STORE_GONE
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.test_cel import oracle
from tests.core.worlds import EMPTY, HELLO, LEVELS, Case, cases, consented, models, shuffled, strategies

EXAMPLES = int(os.environ.get("TACT_DECISIONS", "24"))
LAYER_CODES = {
    Layer.ELIGIBILITY: (ReasonCode.NOT_ELIGIBLE, ReasonCode.ELIGIBILITY_UNKNOWN),
    Layer.APPLICABILITY: (ReasonCode.NOT_APPLICABLE, ReasonCode.APPLICABILITY_UNKNOWN),
    Layer.SUITABILITY: (ReasonCode.NOT_SUITABLE, ReasonCode.SUITABILITY_UNKNOWN),
}
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
    """Offers need consent to personalization; unasked channels the customer's permission, but for what is exempt."""
    strategy, model, case, draws = world
    actions = said(strategy, decide(Engine(strategy, model), case, draws))
    if case.known.level not in ("personal", "full"):
        assert all(action.kind is not Kind.OFFER for action in actions)
    if case.request.channel == "email" and not case.known.channels:
        assert all(_may_be_sent_unasked(strategy, action, "email") for action in actions)


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
    """An action is forbidden by exactly the rules that a plain reading through the CEL engine finds, and each says
    whether it is known to forbid: rules about customers and about actions, in force or not, exemptions included.
    """
    strategy, model, case, draws = world
    decision = decide(Engine(strategy, model), case, draws, explain=True)
    assert decision.explanation is not None
    plainly = forbidding(strategy, _plain_snapshot(case), case.request.channel)
    codes = {rule.id: (ReasonCode.GUARDRAIL, ReasonCode.GUARDRAIL_UNKNOWN) for rule in strategy.guardrails}
    codes |= {rule.id: LAYER_CODES[rule.layer] for rule in strategy.eligibility}
    for action, fate, expected in zip(strategy.actions, decision.explanation.fates, plainly, strict=True):
        told = {reason.rule: reason.code for reason in fate.vetoes if reason.rule}
        assert told == {rule: codes[rule][not known] for rule, known in expected.items()}
        if fate.vetoes:
            assert action.id not in [answer.action for answer in decision.answers]


@several
@given(decided())
def test_what_a_rule_asks_for_instead_counts_only_while_it_is_known_to_hold_back(world: World) -> None:
    """What is preferred is what those rules ask for that are in force and known to hold something back."""
    strategy, _, case, _ = world
    channel, snapshot = case.request.channel, _plain_snapshot(case)
    plainly = forbidding(strategy, snapshot, channel)
    rules: list[Guardrail | Eligibility] = [*strategy.guardrails, *strategy.eligibility]
    preferred = 0
    for rule in (rule for rule in rules if rule.instead and in_force(rule.valid, NOW_MS)):
        about_actions = "action." in rule.when.source
        holds = any(found.get(rule.id) for found in plainly) if about_actions else _holds_back(rule, snapshot.values)
        if holds:
            preferred |= sum(1 << a.index for a in strategy.actions if rule.instead and means(rule.instead, a, channel))
    assert Judge(strategy).judge(snapshot, channel).preferred == preferred


def _holds_back(rule: Guardrail | Eligibility, values: tuple[Scalar | None, ...]) -> bool:
    return oracle(rule.when.source, values) is isinstance(rule, Guardrail)


def _plain_snapshot(case: Case) -> Snapshot:
    level = next((level for level in LEVELS if level.id == case.known.level), LEVELS[0])
    return Snapshot(consented(case), {}, NOW_MS, level, True)


def _may_be_sent_unasked(strategy: Strategy, action: Action, channel: str) -> bool:
    return any(
        CONTACT_PERMISSION in one.exempt_from and in_force(one.valid, NOW_MS) and means(one.actions, action, channel)
        for one in strategy.exemptions
    )


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
