"""Each rule forbids with its own reason, for exactly its actions, while it is in force, and says when that ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from models.clock import Clock, clock_fields
from models.context import ContextSchema, Scalar, TimeZone
from service.core.arbitrate import Arbiter
from service.core.decision import Reason, ReasonCode
from service.core.explain import explanation
from service.core.judge import Judge, Verdicts
from service.core.rules import (
    CONTACT_PERMISSION,
    Condition,
    Eligibility,
    Exemption,
    Guardrail,
    Kind,
    Layer,
    Selector,
    Valid,
)
from service.core.snapshot import Snapshot
from service.core.strategy import Action, Strategy
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.worlds import EMPTY, HELLO, LEVELS

GREETINGS = Selector(kinds=(Kind.GREETING,))
PRICED = Selector(ids=("cheap", "dear", "unpriced"))
CHEAP, DEAR, UNPRICED = 1 << 1, 1 << 2, 1 << 3
SPENT = 50.0


def action(index: int, name: str, **attributes: Scalar) -> Action:
    """Return an action that says this of itself."""
    return replace(HELLO, index=index, id=name, attributes=tuple(attributes.items()))


ACTIONS = (HELLO, action(1, "cheap", price=10.0), action(2, "dear", price=90.0), action(3, "unpriced"))
STRATEGY = replace(EMPTY, actions=ACTIONS)


def when(source: str) -> Condition:
    """Return a condition."""
    return Condition(source, "rules.yaml", 1)


def known(strategy: Strategy = STRATEGY, now_ms: int = NOW_MS, permitted: bool = True, **values: Scalar) -> Snapshot:
    """Return a snapshot in which only these fields of the past are known."""
    told = {f"past.{name}": value for name, value in values.items()} | {"past.spend": SPENT}
    return Snapshot(tuple(told.get(f.id) for f in strategy.schema.fields), {}, now_ms, LEVELS[3], permitted)


def judged(strategy: Strategy, snapshot: Snapshot | None = None, channel: str = "web") -> Verdicts:
    """Return what judging finds."""
    return Judge(strategy).judge(snapshot or known(strategy), channel)


def found(verdicts: Verdicts) -> list[tuple[ReasonCode, int]]:
    """Return the code and the actions of each veto."""
    return [(veto.reason.code, veto.mask) for veto in verdicts.vetoes]


@pytest.mark.parametrize(
    ("layer", "held", "unknown"),
    [
        (Layer.ELIGIBILITY, ReasonCode.NOT_ELIGIBLE, ReasonCode.ELIGIBILITY_UNKNOWN),
        (Layer.APPLICABILITY, ReasonCode.NOT_APPLICABLE, ReasonCode.APPLICABILITY_UNKNOWN),
        (Layer.SUITABILITY, ReasonCode.NOT_SUITABLE, ReasonCode.SUITABILITY_UNKNOWN),
    ],
)
def test_each_layer_forbids_with_its_own_reasons(layer: Layer, held: ReasonCode, unknown: ReasonCode) -> None:
    """An offer that is too dear is held back, one of an unknown price in doubt, and one that fits is permitted."""
    rule = Eligibility("affordable", "They can pay it.", PRICED, when("action.price <= past.spend"), layer)
    verdicts = judged(replace(STRATEGY, eligibility=(rule,)))
    assert found(verdicts) == [(held, DEAR), (unknown, UNPRICED)]
    assert verdicts.vetoed == DEAR | UNPRICED
    first, second = (veto.reason for veto in verdicts.vetoes)
    assert (first.rule, first.sentence, first.fields) == ("affordable", "They can pay it.", ("past.spend",))
    assert second.sentence.endswith("so it does not permit.)")


def test_a_guardrail_over_actions_forbids_those_of_which_it_is_not_known_to_be_false() -> None:
    """What costs more than was spent is forbidden, what has no price is in doubt and forbidden, the rest is not."""
    rule = Guardrail("not-dearer", "Not dearer than they spend.", PRICED, when("action.price > past.spend"))
    verdicts = judged(replace(STRATEGY, guardrails=(rule,)))
    assert found(verdicts) == [(ReasonCode.GUARDRAIL, DEAR), (ReasonCode.GUARDRAIL_UNKNOWN, UNPRICED)]


@pytest.mark.parametrize(
    ("source", "asks"),
    [
        ("past.open_tickets > 0", True),
        ("past.open_tickets > 5", False),
        ("past.purchases > 0", False),
        ("action.price > past.spend", True),
        ("action.price > past.spend + 100.0", False),
        ("action.price > present.sentiment", False),
    ],
)
@pytest.mark.parametrize("permits", [False, True], ids=["guardrail", "permission"])
def test_instead_is_asked_for_only_while_something_is_known_to_be_held_back(
    source: str, asks: bool, permits: bool
) -> None:
    """A rule of either sort prefers its `instead` while it is known to hold back; not in doubt, not without effect."""
    guardrail = Guardrail("rule", "A rule.", PRICED, when(source), GREETINGS)
    permission = Eligibility("rule", "A rule.", PRICED, when(f"!({source})"), Layer.SUITABILITY, GREETINGS)
    one = replace(STRATEGY, eligibility=(permission,)) if permits else replace(STRATEGY, guardrails=(guardrail,))
    verdicts = judged(one, known(open_tickets=2))
    assert verdicts.preferred == (0b1111 if asks else 0)
    assert (verdicts.asks is not None) == asks


@pytest.mark.parametrize(
    ("valid", "in_force"),
    [
        (Valid(None, None), True),
        (Valid(NOW_MS, None), True),
        (Valid(NOW_MS + 1, None), False),
        (Valid(None, NOW_MS), False),
        (Valid(None, NOW_MS + 1), True),
        (Valid(NOW_MS - 5, NOW_MS - 1), False),
    ],
)
def test_a_rule_out_of_its_dates_does_not_exist(valid: Valid, in_force: bool) -> None:
    """From its first moment on and before its last a rule forbids and permits; at other times it does neither."""
    guardrail = Guardrail("g", "", PRICED, when("true"), GREETINGS, valid=valid)
    permission = Eligibility("e", "", PRICED, when("false"), valid=valid)
    verdicts = judged(replace(STRATEGY, guardrails=(guardrail,), eligibility=(permission,)))
    assert len(verdicts.vetoes) == (2 if in_force else 0)
    assert bool(verdicts.preferred) == in_force


def test_one_judge_sees_rules_come_and_go() -> None:
    """The same judge forbids before, during and after a campaign as each moment asks, also back in time."""
    rule = Guardrail("campaign", "", PRICED, when("true"), valid=Valid(NOW_MS, NOW_MS + 10))
    judge = Judge(replace(STRATEGY, guardrails=(rule,)))
    moments = (NOW_MS - 1, NOW_MS, NOW_MS + 9, NOW_MS + 10, NOW_MS, NOW_MS - 1)
    told = [judge.judge(known(now_ms=now_ms), "web").vetoed != 0 for now_ms in moments]
    assert told == [False, True, True, False, True, False]


def test_exactly_the_exempt_actions_are_exempt_from_exactly_the_named_rules() -> None:
    """The cheap offer is exempt from one guardrail, on one channel, while the exemption is in force."""
    rules = tuple(Guardrail(name, "", PRICED, when("true")) for name in ("named", "other"))
    exempt = Exemption("e", "", Selector(ids=("cheap",), channels=("web",)), ("named",), valid=Valid(None, NOW_MS + 1))
    judge = Judge(replace(STRATEGY, guardrails=rules, exemptions=(exempt,)))
    assert [veto.mask for veto in judge.judge(known(), "web").vetoes] == [DEAR | UNPRICED, CHEAP | DEAR | UNPRICED]
    assert [veto.mask for veto in judge.judge(known(), "email").vetoes] == [CHEAP | DEAR | UNPRICED] * 2
    assert [v.mask for v in judge.judge(known(now_ms=NOW_MS + 1), "web").vetoes] == [CHEAP | DEAR | UNPRICED] * 2


def test_a_rule_that_holds_back_only_what_is_exempt_asks_for_nothing_instead() -> None:
    """A rule over actions prefers its `instead` for what it holds back; what is exempt is not held back."""
    rule = Guardrail("not-dearer", "", PRICED, when("action.price > past.spend"), GREETINGS)
    exempt = Exemption("e", "", Selector(ids=("dear",)), ("not-dearer",))
    verdicts = judged(replace(STRATEGY, guardrails=(rule,), exemptions=(exempt,)))
    assert (verdicts.vetoed, verdicts.preferred) == (UNPRICED, 0)


def test_an_exemption_from_permission_lets_a_notice_out_and_nothing_else() -> None:
    """Without permission to contact, only the exempt action may be said."""
    exempt = Exemption("law", "", Selector(ids=("dear",)), (CONTACT_PERMISSION,))
    strategy = replace(STRATEGY, exemptions=(exempt,))
    verdicts = judged(strategy, known(permitted=False), "email")
    assert found(verdicts) == [(ReasonCode.NO_CONTACT_PERMISSION, 0b1011)]
    assert judged(STRATEGY, known(permitted=False), "email").vetoed == 0b1111


def test_an_explanation_tells_each_action_its_own_vetoes() -> None:
    """A rule over actions is a reason for those that it forbids, with its own code, and for no other."""
    rule = Guardrail("not-dearer", "", PRICED, when("action.price > past.spend"))
    strategy = replace(STRATEGY, guardrails=(rule,))
    scores = Arbiter(strategy, None).score(known().values, NOW_MS, [])
    told = explanation(strategy, judged(strategy).vetoes, 0b1111, scores, (), "full")
    codes = {fate.action: [reason.code for reason in fate.vetoes] for fate in told.fates}
    assert codes == {
        "hello": [],
        "cheap": [],
        "dear": [ReasonCode.GUARDRAIL],
        "unpriced": [ReasonCode.GUARDRAIL_UNKNOWN],
    }


# -------------------------------------------------------------------------------------------------------- quiet hours


def quiet(zone: TimeZone, hours: tuple[int, int] = (21, 8)) -> Strategy:
    """Return a strategy that is quiet at night where the customer is."""
    fields = (*SCHEMA.fields, *clock_fields())
    source = f"present.hour >= {hours[0]} || present.hour < {hours[1]}"
    rule = Guardrail("nights", "Quiet at night.", Selector(), when(source), quiet=hours)
    return replace(STRATEGY, schema=ContextSchema.of((), fields, zone), guardrails=(rule,))


def at(text: str) -> int:
    """Return a moment in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def judged_at(strategy: Strategy, now_ms: int, zone: str | None = None) -> Reason | None:
    """Return the reason of the first veto at a moment, for a customer of a zone."""
    values: list[Scalar | None] = [zone if field.id == "past.tier" else None for field in strategy.schema.fields]
    clock = Clock.of(strategy.schema)
    assert clock is not None
    clock.fill(values, now_ms)
    verdicts = Judge(strategy).judge(Snapshot(tuple(values), {}, now_ms, LEVELS[3], True), "web")
    if not verdicts.vetoes:
        return None
    assert verdicts.vetoes[0].until_ms == verdicts.vetoes[0].reason.until_ms
    return verdicts.vetoes[0].reason


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-22T22:30", "2026-11-23T07:00"),  # Berlin is an hour ahead
        ("2026-11-23T05:00", "2026-11-23T07:00"),
        ("2026-11-23T07:00", None),
        ("2026-03-28T22:30", "2026-03-29T06:00"),  # the night that is an hour short
        ("2026-10-24T22:30", "2026-10-25T07:00"),  # the night that is an hour longer
    ],
)
def test_quiet_hours_say_when_they_end_where_the_customer_is(now: str, until: str | None) -> None:
    """The reason ends at eight in the morning of the customer's clock, also in the nights that clocks are moved."""
    reason = judged_at(quiet(TimeZone("", "Europe/Berlin")), at(now))
    assert (reason.until_ms if reason else None) == (at(until) if until else None)


def test_each_customer_has_a_clock_of_their_own() -> None:
    """At the same moment it is night in Auckland and day in London."""
    strategy = quiet(TimeZone("past.tier", "Europe/London"))
    reason = judged_at(strategy, at("2026-06-10T12:00"), "Pacific/Auckland")
    assert reason is not None
    assert reason.until_ms == at("2026-06-10T20:00")
    assert judged_at(strategy, at("2026-06-10T12:00")) is None


def test_where_no_hour_is_known_it_is_quiet_without_an_end() -> None:
    """A customer whose zone is no zone is left in peace, and nobody can tell until when."""
    reason = judged_at(quiet(TimeZone("past.tier", "Europe/London")), at("2026-06-10T12:00"), "Mars/Olympus")
    assert reason is not None
    assert (reason.code, reason.until_ms) == (ReasonCode.GUARDRAIL_UNKNOWN, None)


def test_quiet_until_midnight_ends_at_midnight() -> None:
    """Hours that end at 24:00 end when the day does."""
    strategy = quiet(TimeZone("", "Europe/Berlin"), (20, 24))
    rule = replace(strategy.guardrails[0], when=when("present.hour >= 20"))
    reason = judged_at(replace(strategy, guardrails=(rule,)), at("2026-11-22T20:30"))
    assert reason is not None
    assert reason.until_ms == at("2026-11-22T23:00")


def test_quiet_hours_that_are_over_in_the_night_end_then() -> None:
    """Where the rule ends before the hour does, the reason says when; one that ends later changes nothing."""
    strategy = quiet(TimeZone("", "Europe/Berlin"))
    for until, ends in (("2026-11-23T01:00", "2026-11-23T01:00"), ("2026-11-23T09:00", "2026-11-23T07:00")):
        rule = replace(strategy.guardrails[0], valid=Valid(None, at(until)))
        reason = judged_at(replace(strategy, guardrails=(rule,)), at("2026-11-22T22:30"))
        assert reason is not None
        assert reason.until_ms == at(ends)
