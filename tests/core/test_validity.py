"""What was decided may be said later exactly as long as it would not be forbidden now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from models.context import Scalar
from service.core.check import Checker
from service.core.decision import Decision, Known, ReasonCode
from service.core.engine import Engine
from service.core.judge import Judge, Verdicts
from service.core.rules import Kind
from service.core.stock import NOTHING_KNOWN
from service.core.strategy import Channel, ConsentLevel, Strategy
from service.core.validity import GONE, Issued, Standing, standings
from tests.core.expressions import NOW_MS
from tests.core.test_engine import World, decide, decided, several
from tests.core.test_promises import action, known, strategy
from tests.core.worlds import EMPTY, LEVELS, Case, cases

NOTHING_GIVEN: Mapping[int, Scalar] = {}


def issued(engine: Engine, case: Case, decision: Decision) -> Issued:
    """Return a decision as the store remembers it."""
    said = tuple((answer.placement, answer.action) for answer in decision.answers)
    level, where = level_of(case).id, (case.request.customer, case.request.channel, NOW_MS)
    return Issued("d", *where, engine.strategy.version, said, (), level)


def level_of(case: Case) -> ConsentLevel:
    """Return the consent level of a case."""
    return next((level for level in LEVELS if level.id == case.known.level), LEVELS[0])


def withdrawn(engine: Engine, then: Case, now: Case, placement: str, action: str) -> tuple[str, ...]:
    """Return the fields that the words of an action may name, and that may no longer be used."""
    lost = set(level_of(then).purposes) - set(level_of(now).purposes)
    named = engine._texts.personal(then.request.channel, placement, action)
    return tuple(sorted(name for name, purpose in named.items() if purpose in lost))


def revisited(engine: Engine, decision: Issued, case: Case) -> tuple[Standing, ...]:
    """Judge a decision again, with what is known and given in a case as far as the consent allows it."""
    fields = engine.given_then(decision, case.known)
    given_then = {index: value for index, value in case.request.context.items() if index in fields}
    return placements(engine, decision, case.known, given_then)


def placements(
    engine: Engine, decision: Issued, now_known: Known, given_then: Mapping[int, Scalar] = NOTHING_GIVEN
) -> tuple[Standing, ...]:
    """Return what is left of a decision under what is known now; the customer is there, and so is the channel."""
    snapshot = engine.see_again(decision, now_known, given_then, None, NOTHING_KNOWN)
    assert snapshot is not None
    return engine.revisit(decision, snapshot)[0]


@several
@given(decided())
def test_what_was_just_decided_may_be_said(world: World) -> None:
    """As long as nothing changes everything stays valid, for any strategy, model and customer."""
    rules, model, case, draws = world
    engine = Engine(rules, model)
    decision = decide(engine, case, draws)
    found = revisited(engine, issued(engine, case, decision), case)
    assert [(standing.placement, standing.action) for standing in found] == [
        (answer.placement, answer.action) for answer in decision.answers
    ]
    assert all(standing.reasons == () for standing in found)


@several
@given(decided(), cases(), st.data())
def test_what_would_be_forbidden_now_may_not_be_said(world: World, later: Case, data: st.DataObject) -> None:
    """After anything changed, the reasons are those that would forbid the action in a decision of now, caps apart."""
    rules, model, case, draws = world
    engine = Engine(replace(rules, caps=()), model)
    actions = [""] + [one.id for one in rules.actions]
    said = tuple((place, data.draw(st.sampled_from(actions))) for place in case.request.placements)
    decision = structs.replace(issued(engine, case, decide(engine, case, draws)), said=said)
    now = replace(later, request=structs.replace(case.request, context=later.request.context))
    told = decide(engine, now, draws, explain=True).explanation
    assert told is not None
    vetoes = {fate.action: fate.vetoes for fate in told.fates}
    for standing in revisited(engine, decision, now):
        if not standing.action:
            assert standing.reasons == ()
        elif engine._texts.says(case.request.channel, standing.placement, standing.action):
            gone = withdrawn(engine, case, now, standing.placement, standing.action)
            worded = standing.reasons[:1] if gone else ()
            assert [(reason.code, reason.fields) for reason in worded] == [(ReasonCode.NO_CONSENT, gone)] * bool(gone)
            assert standing.reasons[len(worded) :] == vetoes[standing.action]
        else:
            assert [reason.code for reason in standing.reasons] == [ReasonCode.NO_LONGER_OFFERED]


OFFER = action(1, "offer", ("web", "hero"), ("email", "body"), kind=Kind.OFFER)
ENGINE = Engine(strategy(OFFER), None)
MAIL = Issued("d", "x", "email", NOW_MS - 5, ENGINE.strategy.version, (("body", "offer"),))
NEVER = ReasonCode.NO_LONGER_OFFERED


def codes(found: Iterable[Standing]) -> list[list[ReasonCode]]:
    """Return the codes of the reasons, a placement."""
    return [[reason.code for reason in standing.reasons] for standing in found]


@pytest.mark.parametrize(
    ("now_known", "wanted"),
    [
        pytest.param(known("full", "email"), [], id="all is as it was"),
        pytest.param(known("personal", "email"), [], id="less consent, but enough"),
        pytest.param(known("service", "email"), [ReasonCode.NO_CONSENT], id="no consent to offers any more"),
        pytest.param(known("full"), [ReasonCode.NO_CONTACT_PERMISSION], id="the channel was withdrawn"),
        pytest.param(known("full", "web"), [ReasonCode.NO_CONTACT_PERMISSION], id="another channel is permitted"),
        pytest.param(
            Known(NOW_MS, None, (), {}, {}),
            [ReasonCode.NO_CONSENT, ReasonCode.NO_CONTACT_PERMISSION],
            id="nothing is known any more",
        ),
        pytest.param(known("full", "email", counters={"c": (NOW_MS,) * 9}), [], id="caps are not counted again"),
    ],
)
def test_consent_and_permission_of_now_count(now_known: Known, wanted: list[ReasonCode]) -> None:
    """A queued e-mail goes out only with the consent and the contact permission of the moment at which it goes out."""
    assert codes(placements(ENGINE, MAIL, now_known)) == [wanted]


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        pytest.param(replace(strategy(), version="later@1"), ("body", "offer"), id="the action is gone"),
        pytest.param(strategy(action(1, "offer", ("web", "hero"))), ("body", "offer"), id="not on this channel"),
        pytest.param(strategy(OFFER), ("footer", "offer"), id="the placement is gone"),
    ],
)
def test_what_the_strategy_no_longer_says_is_not_said(changed: Strategy, place: tuple[str, str]) -> None:
    """A strategy that has been changed since takes back what it no longer offers, and says so."""
    engine = Engine(changed, None)
    decision = structs.replace(MAIL, said=(place,))
    assert codes(placements(engine, decision, known("full", "email"))) == [[NEVER]]


def test_where_there_is_nobody_or_nowhere_to_look_nothing_is_seen() -> None:
    """An erased customer is not looked at, and neither is a channel that the strategy no longer has."""
    assert ENGINE.see_again(MAIL, Known(NOW_MS, None, (), {}, {}, erased=True), {}, None, NOTHING_KNOWN) is None
    closed = Engine(replace(EMPTY, channels=(Channel("web", ("greeting", "hero"), False),)), None)
    assert closed.see_again(MAIL, known("full", "email"), {}, None, NOTHING_KNOWN) is None
    assert codes(standings(MAIL, lambda placement, action: (GONE, GONE))) == [[NEVER]]


def test_what_came_with_the_request_counts_only_under_the_same_strategy_and_with_consent() -> None:
    """Fields of another version are not asked for, nor those that the consent of now hides, nor of the erased."""
    everything = ENGINE.given_then(MAIL, known("full"))
    assert everything == set(range(len(ENGINE.strategy.schema.fields)))
    service = ENGINE.given_then(MAIL, known("service"))
    assert service < everything
    fields = ENGINE.strategy.schema.fields
    assert {fields[index].purpose for index in service} == set(LEVELS[1].purposes)
    assert ENGINE.given_then(structs.replace(MAIL, strategy="other@1"), known("full")) == frozenset()
    assert ENGINE.given_then(MAIL, Known(NOW_MS, "full", (), {}, {}, erased=True)) == frozenset()


def test_the_independent_check_has_a_word_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the compiled rules let pass what the second reading forbids, it is not said, and told for an alarm."""
    monkeypatch.setattr(Judge, "judge", lambda self, snapshot, channel: Verdicts((), 0, 0, None, ()))
    snapshot = ENGINE.see_again(MAIL, known("service"), {}, None, NOTHING_KNOWN)
    assert snapshot is not None
    found, objections = ENGINE.revisit(MAIL, snapshot)
    assert codes(found) == [[ReasonCode.CHECK_FAILED]]
    assert objections == ("contact-permission",)
    monkeypatch.setattr(Checker, "objections", lambda self, actions, snapshot, channel: {})
    assert codes(placements(ENGINE, MAIL, known("service"))) == [[]]


def test_silence_stays_valid() -> None:
    """A placement at which nothing was said needs no permission."""
    silent = structs.replace(MAIL, said=(("body", ""),))
    assert codes(placements(ENGINE, silent, known("none"))) == [[]]
