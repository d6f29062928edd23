"""Single promises of the core, each small enough to be seen through."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from models.context import Scalar
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.arbitrate import Arbiter, Scores
from service.core.caps import CapTable
from service.core.check import Checker
from service.core.decision import Bound, Committed, Known, ReasonCode, Request
from service.core.engine import Engine
from service.core.rules import Cap, Condition, Kind, Selector, Weight
from service.core.snapshot import Snapshot
from service.core.strategy import Action, Strategy, Treatment
from service.decide import STORE_GONE
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.worlds import EMPTY, FEATURES, HELLO, LEVELS, TICKET

NOTHING_KNOWN: tuple[Scalar | None, ...] = (None,) * len(SCHEMA.fields)
HOUR_MS = 3_600_000


def action(index: int, name: str, *places: tuple[str, str], **changes: object) -> Action:
    """Return an action with treatments at these places."""
    treatments = tuple(Treatment(channel, placement, name) for channel, placement in places)
    return replace(HELLO, index=index, id=name, treatments=treatments, **changes)  # type: ignore[arg-type]  # its fields


def strategy(*actions: Action, **changes: object) -> Strategy:
    """Return a strategy of the safe greeting and these actions."""
    greeting = replace(
        HELLO, treatments=(*HELLO.treatments, Treatment("web", "hero", "Hi"), Treatment("email", "body", "Hi"))
    )
    return replace(EMPTY, actions=(greeting, *actions), **changes)  # type: ignore[arg-type]  # its fields


def values(**known: Scalar) -> dict[int, Scalar]:
    """Return a request's context by field, `_` standing for the dot."""
    return {SCHEMA.index[name.replace("_", ".", 1)]: value for name, value in known.items()}


def plan_of(engine: Engine, request: Request, known: Known, *draws: float) -> tuple[tuple[str, ...], ...]:
    """Return the names of the ranked candidates, a placement."""
    snapshot = engine.see(known, request)
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    entry = engine.arbitrate("d", request, snapshot, judged, scores, draws or (0.9,) * len(request.placements))
    return tuple(tuple(candidate.action for candidate in placed.candidates) for placed in entry.placements)


def known(level: str = "full", *channels: str, counters: dict[str, tuple[int, ...]] | None = None) -> Known:
    """Return what the store gives out about somebody."""
    return Known(NOW_MS, level, channels, {}, counters or {})


def test_the_check_knows_consent_and_permission_by_itself() -> None:
    """Without the compiled rules the second reading still forbids unasked contact, and offers without consent."""
    offer = action(1, "offer", ("web", "hero"), kind=Kind.OFFER)
    checker = Checker(strategy(offer))
    allowed = Snapshot(NOTHING_KNOWN, {}, NOW_MS, LEVELS[3], True)
    assert checker.objections(["hello", "offer"], allowed, "web") == {}
    unasked = structs.replace(allowed, permitted=False)
    assert checker.objections(["hello"], unasked, "email") == {"hello": "contact-permission"}
    assert checker.objections(["hello", "offer"], structs.replace(allowed, level=LEVELS[1]), "web") == {
        "offer": "consent"
    }


def test_nobody_is_greeted_unasked() -> None:
    """On a channel of unasked contact the safe greeting is not said for want of anything better, nor when degraded."""
    request = Request("x", "email", ("body",), {})
    plain = replace(strategy(), actions=(replace(strategy().actions[0], value=0.0),))
    assert plan_of(Engine(plain, None), request, known("full", "email")) == ((),)
    assert plan_of(Engine(plain, None), Request("x", "web", ("hero",), {}), known("full")) == (("hello",),)
    safe = Engine(strategy(), None).safe(request, STORE_GONE, NOW_MS)
    assert [answer.action for answer in safe.answers] == [""]


def test_the_safe_answer_greets_once_though_both_placements_fit() -> None:
    """Two placements that fit the greeting are greeted at the first."""
    safe = Engine(strategy(), None).safe(Request("x", "web", ("hero", "greeting"), {}), STORE_GONE, NOW_MS)
    assert [answer.action for answer in safe.answers] == ["hello", ""]


@pytest.mark.parametrize(("tickets", "first"), [(2, "help"), (None, "hello"), (0, "hello")])
def test_something_else_is_asked_for_only_while_the_guardrail_is_known_to_hold(tickets: int | None, first: str) -> None:
    """`instead` needs knowledge: an unknown ticket forbids selling, and does not turn every greeting into help."""
    helps = action(1, "help", ("web", "greeting"), intents=("service",), value=0.1)
    engine = Engine(strategy(helps, guardrails=(TICKET,)), None)
    context = {} if tickets is None else values(past_open_tickets=tickets)
    assert plan_of(engine, Request("x", "web", ("greeting",), context), known())[0][0] == first


def test_weights_multiply_what_comes_in_and_not_what_it_costs() -> None:
    """net = weight * P * (value - reward) - cost: the cost of saying it stays what it is."""
    dear = action(1, "dear", ("web", "hero"), value=10.0, cost=4.0, propensity=0.5)
    twice = Weight("twice", "", Selector(ids=("dear",)), 2.0, Condition("", "", 1))
    engine = Engine(strategy(dear, weights=(twice,)), None)
    request = Request("x", "web", ("hero",), {})
    snapshot = engine.see(known(), request)
    scores = engine.score(snapshot, engine.judge(snapshot, known(), request), request)
    assert scores.net_value(1) == pytest.approx(2 * 0.5 * 10.0 - 4.0)


def test_ties_break_by_the_customer_and_not_by_the_order() -> None:
    """Of two actions of the same worth some customers get one and some the other, each always the same."""
    pair = (action(1, "a", ("web", "hero"), value=9.0), action(2, "b", ("web", "hero"), value=9.0))
    engine = Engine(strategy(*pair), None)
    winners = {
        customer: plan_of(engine, Request(customer, "web", ("hero",), {}), known())[0][0]
        for customer in map(str, range(40))
    }
    assert set(winners.values()) == {"a", "b"}
    assert winners["7"] == plan_of(engine, Request("7", "web", ("hero",), {}), known())[0][0]


def test_exploration_stays_among_what_a_guardrail_asks_for() -> None:
    """Actions outside the pool have probability 0 of standing first, and the pool's sum to 1."""
    actions = tuple(action(i, f"a{i}", ("web", "hero"), value=float(i)) for i in range(1, 6))
    arbiter = Arbiter(strategy(*actions, explore=0.4), None)
    scores: Scores = arbiter.score(NOTHING_KNOWN, NOW_MS, [])
    preferred = 0b001100
    ranking = arbiter.rank(0b111110, preferred, scores, "x", 0.9, 5)
    assert ranking.order[:2] == (3, 2)
    assert ranking.probabilities == pytest.approx((0.8, 0.2, 0.0, 0.0, 0.0))
    drawn = {arbiter.rank(0b111110, preferred, scores, "x", draw, 5).order[0] for draw in np.linspace(0, 0.999, 97)}
    assert drawn == {2, 3}


def test_a_cap_frees_when_enough_uses_have_left_its_window() -> None:
    """With more uses than fit (the cap was lowered), the moment is that at which one fewer than the cap is left."""
    cap = Cap("two", "Two an hour.", Selector(), 2, HOUR_MS)
    table = CapTable(strategy(caps=(cap,)))
    uses = tuple(NOW_MS - minutes * 60_000 for minutes in (50, 40, 30, 20))
    ((capped, frees_ms),) = table.used_up("web", "hero", {"two": uses}, NOW_MS)
    assert capped.counter.key == "two"
    assert frees_ms == uses[-2] + HOUR_MS
    assert table.used_up("web", "hero", {"two": uses[:1]}, NOW_MS) == []


def test_what_has_no_words_here_says_so() -> None:
    """The fate of an action without a treatment for the placements asked for is NO_TREATMENT."""
    engine = Engine(strategy(action(1, "mail-only", ("email", "body"))), None)
    request = Request("x", "web", ("hero",), {}, explain=True)
    snapshot = engine.see(known(), request)
    judged = engine.judge(snapshot, known(), request)
    told = engine.explain(snapshot, judged, engine.score(snapshot, judged, request), request)
    fates = {fate.action: [reason.code for reason in fate.vetoes] for fate in told.fates}
    assert fates == {"hello": [], "mail-only": [ReasonCode.NO_TREATMENT]}


def test_what_stands_first_at_one_placement_is_no_candidate_at_the_next() -> None:
    """So the probability that is logged at the next is the one with which it is really shown there."""
    pair = (
        action(1, "a", ("web", "hero"), ("web", "greeting"), value=9.0),
        action(2, "b", ("web", "greeting"), value=5.0),
    )
    engine = Engine(strategy(*pair), None)
    first, second = plan_of(engine, Request("x", "web", ("hero", "greeting"), {}), known())
    assert first[0] == "a"
    assert second[0] == "b"
    assert "a" not in second


def test_the_same_request_is_the_same_under_a_strategy_that_knows_more_fields() -> None:
    """What a key was used for does not change when a field is declared before the others."""
    request = Request("x", "web", ("hero",), values(past_spend=1.0), idempotency_key="k")
    one = Engine(strategy(), None)
    more = replace(SCHEMA, fields=(SCHEMA.fields[-1], *SCHEMA.fields[:-1]))
    more = replace(more, index={field.id: place for place, field in enumerate(more.fields)})
    other = Engine(replace(strategy(), schema=more), None)
    moved = structs.replace(request, context={more.index["past.spend"]: 1.0})
    assert one.digest(request) == other.digest(moved)
    assert one.digest(request) != one.digest(structs.replace(request, context=values(past_spend=2.0)))
    assert one.digest(structs.replace(request, idempotency_key="")) == b""


def test_what_a_race_took_is_held_back_until_its_own_caps_free() -> None:
    """Of several candidates that a race took, the answer names the first and the moment at which that one frees."""
    pair = (action(1, "a", ("web", "hero"), value=9.0), action(2, "b", ("web", "hero"), value=5.0))
    cap = Cap("c", "Once.", Selector(), 1, HOUR_MS)
    engine = Engine(strategy(*pair, caps=(cap,)), None)
    request = Request("x", "web", ("hero",), {})
    snapshot = engine.see(known(), request)
    judged = engine.judge(snapshot, known(), request)
    scores = engine.score(snapshot, judged, request)
    entry = engine.arbitrate("d", request, snapshot, judged, scores, (0.9,))
    bound = (Bound(0, 0, "c", NOW_MS + 10 * HOUR_MS), Bound(0, 1, "c", NOW_MS + HOUR_MS))
    (answer,) = engine.answer(Committed(b"", b"", (-1,), bound, False), entry).answers
    assert (answer.held_back, answer.until_ms) == ("a", NOW_MS + 10 * HOUR_MS)
    assert [reason.rule for reason in answer.reasons] == ["c"]


@pytest.mark.parametrize(("level", "named"), [("none", ()), ("full", ("past.spend",))])
def test_reasons_name_only_the_features_that_were_known(level: str, named: tuple[str, ...]) -> None:
    """What was not read is not named: a compliance officer takes the reasons at their word."""
    space = FeatureSpace.of(SCHEMA, FEATURES)
    none, rows = np.zeros(1), np.zeros((1, len(space.columns)))
    model = Folded("m@1", space.hash, ("hello",), rows, none, rows, none, np.zeros(1, dtype=bool))
    engine = Engine(strategy(), model)
    request = Request("x", "web", ("hero",), values(past_spend=1.0))
    snapshot = engine.see(known(level), request)
    judged = engine.judge(snapshot, known(level), request)
    entry = engine.arbitrate("d", request, snapshot, judged, engine.score(snapshot, judged, request), (0.9,))
    (answer,) = engine.answer(Committed(b"", b"", (0,), (), False), entry).answers
    assert answer.action == "hello"
    assert answer.reasons[0].fields == named
