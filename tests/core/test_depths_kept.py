"""What is kept back stays back: rules that are named without fields, what made no rule hold, and what was lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from models.context import Purpose, Scalar, Told
from service.core.answers import withheld
from service.core.decision import Committed, Decision, Reason, ReasonCode
from service.core.depths import NOT_AGREED, UNTOLD, Depths
from service.core.engine import Engine
from service.core.explained import Depth, Explained, Story
from service.core.loader import load_strategy
from service.core.plan import Objection, pack
from service.core.rules import Exemption, Selector, Valid
from service.core.strategy import Strategy
from service.core.validity import reasons_against
from service.rpc.explanations import answer
from tests.core.test_seeking import CERTAIN, NOW_MS, about
from tests.strategies import write_strategy

EITHER = """\
eligibility:
  - {id: either, says: One., permit: {ids: [apology]}, when: past.tier == 'silver' || past.worst_score >= 9}
"""
CALM = {"past.open_tickets": 0}
TIER, SCORE = "The loyalty tier", "The lowest survey score"


def strategy_of(folder: Path, **sections: str | None) -> Strategy:
    """Return the small strategy, exploring nothing, with one message that a rule permits by either of two facts."""
    some = {"guardrails": None, "eligibility": EITHER, "strategy": CERTAIN, **sections}
    return load_strategy(write_strategy(folder, **some))


def sensitive(strategy: Strategy, name: str) -> Strategy:
    """Return a strategy that tells a field to auditors alone."""
    fields = (replace(one, told=Told.SENSITIVE) if one.id == name else one for one in strategy.schema.fields)
    return replace(strategy, schema=replace(strategy.schema, fields=tuple(fields)))


def explained(strategy: Strategy, values: Mapping[str, Scalar], *placements: str, agreed: str = "full") -> Decision:
    """Return an explained decision about somebody."""
    engine = Engine(strategy, None)
    again = about(engine, values, *placements, agreed=agreed)
    ranks = tuple(0 if placed.candidates else -1 for placed in again.entry.placements)
    done = Committed(pack(again.entry), b"", ranks, (), repeated=False)
    return engine.answer(done, again.entry, engine.explainer.explained(again, done))


def sentence(strategy: Strategy, values: Mapping[str, Scalar]) -> str:
    """Return what a customer without offers is told of why they see an apology."""
    decision = explained(strategy, values, agreed="service")
    assert decision.answers[0].action == "apology"
    told = Depths(strategy).decision(decision, Depth.CUSTOMER).explanation
    assert told is not None
    return told.placements[0].sentence


@pytest.mark.parametrize(
    ("values", "named", "kept"),
    [
        ({"past.worst_score": 9}, SCORE, TIER),
        ({"past.worst_score": 9, "past.tier": "gold"}, SCORE, TIER),
        ({"past.worst_score": 2, "past.tier": "silver"}, TIER, SCORE),
    ],
    ids=["unknown", "another value", "the other one"],
)
def test_only_what_made_a_rule_hold_is_said_to_fit(
    tmp_path: Path, values: dict[str, Scalar], named: str, kept: str
) -> None:
    """A customer is told of the facts by which a rule held, and of none that was unknown or had no part in it."""
    words = sentence(strategy_of(tmp_path), {**CALM, **values})
    assert named in words
    assert kept not in words


def test_a_rule_that_was_not_needed_fits_nothing(tmp_path: Path) -> None:
    """Neither a rule that is not in force, nor one from which the action is exempt, is what it was said by."""
    strategy, known = strategy_of(tmp_path), {**CALM, "past.worst_score": 9}
    (rule,) = strategy.eligibility
    over = replace(strategy, eligibility=(replace(rule, valid=Valid(None, NOW_MS)),))
    out = Exemption("out", "Always.", Selector(ids=("apology",)), (rule.id,))
    for changed in (over, replace(strategy, exemptions=(out,))):
        assert SCORE not in sentence(changed, known)
    late = replace(out, valid=Valid(None, NOW_MS))
    assert SCORE in sentence(replace(strategy, exemptions=(late,)), known)


@pytest.mark.parametrize("depth", Depth)
def test_what_was_told_once_and_is_sensitive_now_stands_in_no_sentence(tmp_path: Path, depth: Depth) -> None:
    """The customer's sentence of an old decision names only what the strategy in force still tells customers."""
    strategy = strategy_of(tmp_path)
    decision = explained(strategy, {**CALM, "past.worst_score": 9}, agreed="service")
    for now, named in ((strategy, True), (sensitive(strategy, "past.worst_score"), False)):
        told = Explained(decision, "web", strategy.schema, (Depths(strategy), Depths(now)), frozenset())
        said = answer(told, depth).explanation.placements[0].sentence
        assert (SCORE in said) is named, said
    lost = Explained(decision, "web", strategy.schema, (Depths(strategy),), frozenset({Purpose.SERVICE}))
    assert SCORE not in answer(lost, depth).explanation.placements[0].sentence


def test_what_is_agreed_to_no_more_stands_in_no_sentence(tmp_path: Path) -> None:
    """A field whose purpose was lost is named to nobody, nor are the odds and the dice that rest on it."""
    strategy = strategy_of(tmp_path)
    decision = explained(strategy, {**CALM, "past.worst_score": 9, "past.tier": "gold"}, agreed="service")
    depths = Depths(strategy)
    assert decision.explanation is not None
    for depth in Depth:
        (story,) = _stories(depths, decision, depth, frozenset({Purpose.SERVICE}))
        assert SCORE not in story.sentence
        assert (story.draw, story.odds, story.fits) == (None, (), ())
    (story,) = _stories(depths, decision, Depth.AUDITOR, frozenset())
    assert (story.draw, SCORE in story.sentence) == (0.5, True)
    assert story.odds


def _stories(depths: Depths, decision: Decision, depth: Depth, lost: frozenset[Purpose]) -> tuple[Story, ...]:
    assert decision.explanation is not None
    return depths.explanation(decision.explanation, decision.answers, depths.at(depth, lost)).placements


GUARD = """\
guardrails:
  - {id: left-in-peace, says: In peace., forbid: {ids: [apology]}, when: past.worst_score < 2}
"""


def test_what_the_second_check_objected_to_is_told_to_whom_its_rule_is(tmp_path: Path) -> None:
    """The id of a rule over a field that agents are not told reaches them in no objection, wherever it is made."""
    strategy = strategy_of(tmp_path, guardrails=GUARD)
    engine = Engine(strategy, None)
    again = about(engine, {**CALM, "past.worst_score": 9})
    placed = again.entry.placements[0]
    suppressed = withheld(placed, "left-in-peace").suppression
    objection = Objection("hero", "apology", "left-in-peace", allowed=True, truth=None)
    done = Committed(pack(again.entry), b"", (-1,), (), repeated=False)
    told = engine.explainer.explained(
        structs.replace(again, entry=structs.replace(again.entry, objections=(objection,))), done
    )
    fates = [reason for fate in told.fates for reason in fate.vetoes if reason.code is ReasonCode.CHECK_FAILED]
    assert suppressed is not None
    against = reasons_against(1, (), "left-in-peace")
    reasons = (*suppressed.reasons, *fates, *against)
    assert [reason.rule for reason in reasons] == ["left-in-peace"] * 3
    kept = Depths(sensitive(strategy, "past.worst_score"))
    for reason in reasons:
        assert Depths(strategy).at(Depth.AGENT).reason(reason) == reason
        assert kept.at(Depth.AUDITOR).reason(reason) == reason
        assert kept.at(Depth.AGENT).reason(reason) == Reason(ReasonCode.CHECK_FAILED, UNTOLD)
        lost = Depths(strategy).at(Depth.AUDITOR, frozenset({Purpose.SERVICE}))
        assert lost.reason(reason) == Reason(ReasonCode.CHECK_FAILED, NOT_AGREED)
    unknown, consent = Reason(ReasonCode.CHECK_FAILED, "", "of-before"), Reason(ReasonCode.CHECK_FAILED, "", "consent")
    assert kept.at(Depth.AGENT).reason(unknown).rule == ""
    assert kept.at(Depth.AGENT).reason(consent) == consent


def test_until_when_something_holds_back_is_told_though_not_by_what(tmp_path: Path) -> None:
    """A reason that is kept back keeps the moment at which it ends by itself."""
    kept = Depths(sensitive(strategy_of(tmp_path), "past.worst_score")).at(Depth.AGENT)
    reason = Reason(ReasonCode.GUARDRAIL, "In peace.", "left-in-peace", ("past.worst_score",), NOW_MS)
    assert kept.reason(reason) == Reason(ReasonCode.GUARDRAIL, UNTOLD, "", (), NOW_MS)


def test_a_weight_over_what_is_not_told_has_no_name(tmp_path: Path) -> None:
    """Agents are told that a weight counted, and by how much, and not which, where its field is kept from them."""
    strategy = strategy_of(tmp_path)
    values = {**CALM, "past.worst_score": 9, "present.cart_value": 70.0}
    for now, named in ((strategy, "hot-cart"), (sensitive(strategy, "present.cart_value"), "")):
        told = Depths(now).decision(explained(strategy, values), Depth.AGENT).explanation
        assert told is not None
        weights = [weight for fate in told.fates if fate.score for weight in fate.score.weights]
        assert [(weight.rule, weight.factor) for weight in weights] == [(named, 1.5)]


def test_used_is_what_counts_on_this_channel_for_what_was_asked_for(tmp_path: Path) -> None:
    """A field that only a rule of another channel or of other actions looks at had no part in a decision."""
    weights = "weights:\n  - {{id: w, says: W., boost: {about}, factor: 1.5, when: past.spend > 50.0}}\n"
    for about_, used in (("{groups: [phones], channels: [email]}", False), ("{groups: [phones]}", True)):
        strategy = strategy_of(tmp_path / str(used), weights=weights.format(about=about_), model=None)
        for placement, part in (("hero", used), ("greeting", False)):
            told = explained(strategy, {**CALM, "past.spend": 70.0, "past.worst_score": 9}, placement).explanation
            assert told is not None
            assert {seen.field: seen.used for seen in told.fields}["past.spend"] is part


def test_what_stands_elsewhere_was_not_beaten(tmp_path: Path) -> None:
    """Of an action that a placement before says already, no other is told to have beaten it; it is told where it is."""
    told = explained(strategy_of(tmp_path), CALM, "greeting", "hero").explanation
    assert told is not None
    first, second = (story.action for story in told.placements)
    fate = next(fate for fate in told.fates if fate.action == first)
    assert first != second
    assert [passed.beaten_by for passed in fate.placements] == ["", ""]
    assert ReasonCode.ALREADY_SHOWN in {reason.code for reason in fate.vetoes}
