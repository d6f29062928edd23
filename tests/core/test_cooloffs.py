"""After a no things rest: for as long as the rule says, on all channels, and longer after each further no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.cooloffs import CoolOffs
from service.core.decision import ReasonCode
from service.core.engine import Engine
from service.core.memory import Refusal
from service.core.rules import Answered, CoolOff, Exemption, Kind, Per, Selector, Valid
from service.core.strategy import Action, Strategy
from service.core.validity import Issued
from tests.core.expressions import NOW_MS
from tests.core.remembering import NEVER, NOT_NOW, REFUSED, Person, refusal, said
from tests.core.test_engine import several
from tests.core.test_promises import action, strategy

DAY_MS = 86_400_000
HERO, BODY = ("web", "hero"), ("email", "body")
MONTH = CoolOff(
    "month", "A no is respected.", Selector(kinds=(Kind.OFFER,)), (Answered.REFUSED,), (30 * DAY_MS,), 730 * DAY_MS
)


def shop(*rules: CoolOff, **changes: object) -> Strategy:
    """Return a strategy that sells two phones and the internet, the dearest first."""
    offers = (
        _offer(1, "phone-x", "phones", ("upsell",), 30.0),
        _offer(2, "phone-y", "phones", ("cross_sell",), 20.0),
        _offer(3, "fibre", "internet", ("upsell", "cross_sell"), 10.0),
    )
    return strategy(*offers, cool_offs=rules, **changes)


def _offer(index: int, name: str, group: str, intents: tuple[str, ...], value: float) -> Action:
    return action(index, name, HERO, BODY, kind=Kind.OFFER, group=group, intents=intents, value=value)


def resting(rules: Strategy, refusals: Sequence[Refusal], now_ms: int = NOW_MS, channel: str = "web") -> dict[str, int]:
    """Return what rests and until when in days from now; 0 for good."""
    found: dict[str, int] = {}
    for veto in CoolOffs(rules).vetoes(refusals, channel, now_ms):
        for one in rules.actions:
            if veto.mask >> one.index & 1:
                days = 0 if veto.until_ms is None else -(-(veto.until_ms - now_ms) // DAY_MS)
                found[one.id] = max(days, found.get(one.id, 0))
    return found


def no(name: str, days_ago: float = 0, kind: int = REFUSED, of: str = "d") -> Refusal:
    """Return that one of the shop's actions was refused so many days ago."""
    one = next(one for one in shop().actions if one.id == name)
    at_ms = NOW_MS - int(days_ago * DAY_MS)
    return refusal(name, group=one.group, intents=one.intents, kind=kind, at_ms=at_ms, of=of)


RESTS = {
    (Per.ACTION,): {"phone-x": 30},
    (Per.GROUP,): {"phone-x": 30, "phone-y": 30},
    (Per.INTENT,): {"phone-x": 30, "fibre": 30},
    (): {"phone-x": 30, "phone-y": 30, "fibre": 30},
}


@pytest.mark.parametrize("per", RESTS, ids=lambda per: "+".join(per) or "everything")
def test_what_rests_is_what_the_rule_says(per: tuple[Per, ...]) -> None:
    """A refused phone rests alone, with its group, with its intent, or with everything that the rule is about."""
    rules = shop(CoolOff("rest", "", MONTH.about, MONTH.after, MONTH.durations_ms, MONTH.forget_ms, per))
    assert resting(rules, [no("phone-x")]) == RESTS[per]


@pytest.mark.parametrize(
    ("days_ago", "rests"),
    [
        ([0], 30),
        ([10, 0], 90),
        ([20, 10, 0], 365),
        ([30, 20, 10, 0], 365),
        ([200, 0], 30),
        ([100, 0], 30),
        ([99, 0], 90),
        ([99], 0),
        ([29], 1),
        ([30], 0),
    ],
    ids=[
        "first",
        "second",
        "third",
        "fourth",
        "long-ago",
        "just-forgotten",
        "not-yet-forgotten",
        "over",
        "last-day",
        "end",
    ],
)
def test_each_further_no_rests_longer(days_ago: list[int], rests: int) -> None:
    """The latest answer begins the rest; answers that were forgotten by then do not lengthen it."""
    rule = CoolOff("rest", "", MONTH.about, MONTH.after, (30 * DAY_MS, 90 * DAY_MS, 365 * DAY_MS), 100 * DAY_MS)
    refusals = [no("phone-x", days, of=f"d{days}") for days in days_ago]
    assert resting(shop(rule), refusals).get("phone-x", 0) == rests


def test_a_rest_never_gets_shorter_while_it_lasts() -> None:
    """That an earlier answer is forgotten meanwhile takes nothing from the end that was told."""
    rule = CoolOff("rest", "", MONTH.about, MONTH.after, (10 * DAY_MS, 60 * DAY_MS), 60 * DAY_MS)
    refusals = [no("phone-x", 50, of="a"), no("phone-x", 0, of="b")]
    assert [resting(shop(rule), refusals, NOW_MS + days * DAY_MS)["phone-x"] for days in (0, 11, 59)] == [60, 49, 1]


def test_one_answer_counts_once() -> None:
    """First `not now` and then `never` of one decision is one answer to it, so the rest is the first one."""
    both = (Answered.NOT_NOW, Answered.NEVER)
    rule = CoolOff("rest", "", MONTH.about, both, (30 * DAY_MS, 90 * DAY_MS), 730 * DAY_MS)
    assert resting(shop(rule), [no("fibre", 1, NOT_NOW), no("fibre", 0, NEVER)]) == {"fibre": 30}


@pytest.mark.parametrize("kind", [REFUSED, NOT_NOW, NEVER])
@pytest.mark.parametrize("answered", list(Answered))
def test_only_the_answers_that_are_named_count(kind: int, answered: Answered) -> None:
    """A rule about `not now` minds no `never`, and the other way round."""
    same = {Answered.REFUSED: REFUSED, Answered.NOT_NOW: NOT_NOW, Answered.NEVER: NEVER}[answered] == kind
    rule = CoolOff("rest", "", Selector(), (answered,), (DAY_MS,), DAY_MS)
    assert bool(resting(shop(rule), [no("fibre", 0, kind)])) is same


def test_never_is_for_good() -> None:
    """A permanent rule rests without an end, however long ago, and says so by its code."""
    rule = CoolOff("never", "", Selector(), (Answered.NEVER,), (), 0, permanent=True)
    (veto,) = CoolOffs(shop(rule)).vetoes([no("fibre", 10_000, NEVER)], "email", NOW_MS)
    assert (veto.reason.code, veto.until_ms, veto.reason.until_ms) == (ReasonCode.NEVER_AGAIN, None, None)


@pytest.mark.parametrize("days_ahead", [2 / DAY_MS, 1, 40])
def test_a_no_that_is_dated_ahead_is_said_just_now(days_ahead: float) -> None:
    """A clock that is behind, or a simulation of a moment ago, forgets no answer; it rests from that moment on."""
    rests = shop(MONTH), [no("fibre", -days_ahead)]
    assert resting(*rests) == {"fibre": 30}
    assert resting(*rests, NOW_MS + int(days_ahead * DAY_MS) + 29 * DAY_MS) == {"fibre": 1}


def test_never_holds_also_before_it_was_said() -> None:
    """A permanent rest has no beginning: also a moment before the answer nothing of it is said."""
    rule = CoolOff("never", "", Selector(), (Answered.NEVER,), (), 0, permanent=True)
    assert resting(shop(rule), [no("fibre", -1, NEVER)]) == {"fibre": 0}


def test_an_edit_of_the_strategy_frees_nothing() -> None:
    """What was refused counts for its group of then and of now, also when it is offered no more."""
    rule = CoolOff(
        "rest", "", Selector(kinds=(Kind.OFFER,)), MONTH.after, MONTH.durations_ms, MONTH.forget_ms, (Per.GROUP,)
    )
    gone = refusal("phone-z", group="phones", intents=("upsell",))
    assert resting(shop(rule), [gone]) == {"phone-x": 30, "phone-y": 30}
    moved = refusal("fibre", group="phones", intents=("upsell",))
    assert resting(shop(rule), [moved]) == {"phone-x": 30, "phone-y": 30, "fibre": 30}
    assert resting(shop(MONTH), [gone]) == {}


def test_validity_and_exemption_count() -> None:
    """A rule that is over rests nothing; what is exempt neither rests nor lets others rest by its answers."""
    over = CoolOff(
        "rest", "", Selector(), MONTH.after, MONTH.durations_ms, MONTH.forget_ms, (), valid=Valid(None, NOW_MS)
    )
    assert resting(shop(over), [no("fibre")]) == {}
    always = CoolOff("rest", "", Selector(kinds=(Kind.OFFER,)), MONTH.after, MONTH.durations_ms, MONTH.forget_ms, ())
    exempt = Exemption("legal", "", Selector(ids=("fibre",)), ("rest",))
    assert resting(shop(always, exemptions=(exempt,)), [no("phone-x")]) == {"phone-x": 30, "phone-y": 30}
    assert resting(shop(always, exemptions=(exempt,)), [no("fibre")]) == {}


@several
@given(
    st.lists(st.tuples(st.sampled_from(["phone-x", "phone-y", "fibre"]), st.integers(0, 99), st.integers(4, 6))),
    st.sampled_from([(), (Per.ACTION,), (Per.GROUP,), (Per.INTENT,)]),
    st.randoms(),
)
def test_the_order_of_answers_does_not_matter(
    answers: list[tuple[str, int, int]], per: tuple[Per, ...], random: Random
) -> None:
    """However the answers are kept, the same rests, on each channel, and no answer frees what rested before it."""
    rule = CoolOff(
        "rest", "", Selector(), (Answered.REFUSED, Answered.NEVER), (DAY_MS * 9, DAY_MS * 99), DAY_MS * 99, per
    )
    refusals = [no(name, days, kind, of=str(i)) for i, (name, days, kind) in enumerate(answers)]
    mixed = refusals.copy()
    random.shuffle(mixed)
    before = resting(shop(rule), refusals)
    assert resting(shop(rule), mixed) == before == resting(shop(rule), mixed, channel="email")
    after = resting(shop(rule), [*mixed, no("fibre", 0, of="now")])
    assert all(after.get(name, 0) >= days for name, days in before.items())


def test_a_refusal_on_the_web_holds_on_the_phone_and_in_the_mail() -> None:
    """The answer says what it is held back by and until when, and comes again when that is over."""
    engine, person = Engine(shop(MONTH), None), Person()
    assert said(person.ask(engine)) == ["phone-x"]
    person.say("phone-x")
    assert said(person.ask(engine)) == said(person.ask(engine, "email", "body")) == ["phone-y"]
    told = person.ask(engine, "email", "body").explanation
    assert told is not None
    (reason,) = next(fate.vetoes for fate in told.fates if fate.action == "phone-x")
    assert (reason.code, reason.rule, reason.until_ms) == (ReasonCode.COOLING_OFF, "month", NOW_MS + 30 * DAY_MS)
    assert said(person.ask(engine, at_ms=NOW_MS + 30 * DAY_MS)) == ["phone-x"]


def test_what_was_refused_since_may_not_be_said_from_a_queue() -> None:
    """A mail that was decided before the customer refused it elsewhere is no longer valid, and says until when."""
    engine, person = Engine(shop(MONTH), None), Person()
    person.say("phone-x")
    mail = Issued(
        "other", "someone", "email", NOW_MS - 5, engine.strategy.version, (("body", "phone-x"),), level="full"
    )
    snapshot = engine.see_again(mail, person.known(), {}, None, {})
    assert snapshot is not None
    ((standing,), objections) = engine.revisit(mail, snapshot)
    assert [(r.code, r.until_ms) for r in standing.reasons] == [(ReasonCode.COOLING_OFF, NOW_MS + 30 * DAY_MS)]
    assert objections == ()


def test_a_rest_ends_with_its_rule() -> None:
    """Where the rule is over before the rest, the reason and the veto say when."""
    until_ms = NOW_MS + DAY_MS
    rules = shop(replace(MONTH, valid=Valid(None, until_ms)))
    (veto,) = CoolOffs(rules).vetoes([no("phone-x")], "web", NOW_MS)
    assert (veto.until_ms, veto.reason.until_ms) == (until_ms, until_ms)
