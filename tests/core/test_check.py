"""The independent check reads the plain rules by itself, and objects to exactly what they forbid."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.context import Scalar
from service.core import check, plan
from service.core.cel.attributes import row, variables
from service.core.check import Checker, reading
from service.core.decision import Known, ReasonCode, Request
from service.core.engine import Engine
from service.core.judge import Judge
from service.core.plan import Candidate, Entry, Objection
from service.core.rules import CONTACT_PERMISSION, Condition, Exemption, Guardrail, Kind, Selector, Valid
from service.core.snapshot import Snapshot
from service.core.strategy import Action, Strategy, Treatment
from tests.core import test_conditions as conditions
from tests.core.expressions import ATTRIBUTES, NOW_MS, SCHEMA, activation, native
from tests.core.grammar import Grammar, Values
from tests.core.policed import asked, policed
from tests.core.test_cel import compiled, oracle
from tests.core.worlds import CHANNELS, EMPTY, HELLO, LEVELS, TICKET, Case

EXAMPLES = int(os.environ.get("TACT_DECISIONS", "24"))
READINGS = int(os.environ.get("TACT_CHECK_READINGS", "1200"))
CALENDAR_ENDS_MS = 253_402_000_000_000
several = settings(max_examples=EXAMPLES, deadline=None)
half_as_many = settings(max_examples=EXAMPLES // 2, deadline=None)

HARD = {
    ReasonCode.GUARDRAIL,
    ReasonCode.GUARDRAIL_UNKNOWN,
    ReasonCode.NO_CONSENT,
    ReasonCode.NO_CONTACT_PERMISSION,
    ReasonCode.SWITCHED_OFF,
}


# ----------------------------------------------------------------------------------------------------------- the file


def test_it_is_small() -> None:
    """The check has at most 150 lines, comments and docstrings included, so that a reader can hold all of it."""
    assert len(Path(check.__file__).read_text().splitlines()) <= 150


def test_it_shares_nothing_with_what_it_checks() -> None:
    """The check imports plain values only: nothing that compiles, selects or judges."""
    tree = ast.parse(Path(check.__file__).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name and name.startswith(("service", "models"))} == {
        "models.context",
        "service.core.rules",
        "service.core.snapshot",
        "service.core.strategy",
    }
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert plain <= {"ast", "math", "re"}


# --------------------------------------------------------------------------------------------------------- conditions


def test_it_reads_conditions_over_customers_and_actions_as_the_cel_engine_does() -> None:
    """Every condition of the whole grammar has the truth that Google's engine gives it, for customers and actions."""
    random, compared = Random(4), 0
    while compared < READINGS:
        for condition, engine in conditions.drawn(random):
            holds, values = reading(condition.source, SCHEMA.index), Values.near(random, [condition.node])
            for action in values.actions(3):
                context, said = _in_the_calendar(values.context()), _in_the_calendar_of(action)
                natives = _natives(row(said))
                expected = conditions.asked(engine, condition, activation(context), natives)
                assert holds(context, NOW_MS, said) is expected, (condition.source, context, said)
                compared += 1


def test_beyond_the_calendar_it_never_forbids_what_the_cel_engine_does_not() -> None:
    """A moment that arithmetic carries beyond the year 9999 is unknown to the engine, which forbids; only there may the
    check say otherwise, so that it never disagrees with an answer.
    """
    random, others = Random(9), 0
    for _ in range(READINGS // 100):
        for condition, engine in conditions.drawn(random):
            values = Values.near(random, [condition.node])
            context, (action,) = values.context(), values.actions(1)
            natives = _natives(row(action))
            expected = conditions.asked(engine, condition, activation(context), natives)
            found = reading(condition.source, SCHEMA.index)(context, NOW_MS, action)
            others += found is not expected
            assert found is expected or expected is None
    assert others, "such moments were among them"


def _natives(said: Mapping[str, Scalar]) -> dict[str, object]:
    types = variables(ATTRIBUTES)
    return {name: native(types[name], value) for name, value in said.items()}


def _in_the_calendar(context: tuple[Scalar | None, ...]) -> tuple[Scalar | None, ...]:
    return tuple(
        None if field.type == "timestamp" and isinstance(value, int) and value > CALENDAR_ENDS_MS else value
        for field, value in zip(SCHEMA.fields, context, strict=True)
    )


def _in_the_calendar_of(action: Action) -> Action:
    kept = (
        (name, value)
        for name, value in action.attributes
        if name != "until" or (isinstance(value, int) and value <= CALENDAR_ENDS_MS)
    )
    return replace(action, attributes=tuple(kept))


TRICKY = [
    "past.tier == 'a && b || !c ? d : e'",
    "past.tier == \"in 'true' now\" || past.tier == 'gold'",
    r"past.tier == 'a\'b' || past.tier == '\\'",
    'past.tier == "a\'b"',
    "past.tier == '' || past.tier != 'silver'",
    "!past.vulnerable == present.logged_in",
    "!(past.vulnerable) && !present.logged_in",
    "-past.open_tickets - -past.purchases < - -2",
    "past.open_tickets - 1 - 2 == past.open_tickets - (1 + 2)",
    "past.purchases - past.open_tickets * 2 % 3 >= 0",
    "past.open_tickets > 0 && past.vulnerable || present.logged_in",
    "past.open_tickets > 0 || past.vulnerable && present.logged_in",
    "past.vulnerable ? present.logged_in : past.open_tickets > 0 ? true : past.purchases > 0",
    "(past.vulnerable ? past.open_tickets : past.purchases) > 1",
    "'gold'in past.topics",
    "past.tier in ['gold', 'silver']\n  && past.open_tickets\n > 0",
    "past.tier.size() + size(past.topics) > 4",
    "past.spend > .5 && past.spend < 1e3",
    "[] == past.topics || past.topics == ['gold']",
    "now - past.last_seen > duration('-1h30m5s250ms')",
    "past.last_seen < timestamp('2026-02-02T02:40:00.125+01:00')",
    "past.open_tickets / 0 > 1 || past.purchases > 0",
    "true",
    "false || past.vulnerable",
    "",
]


@pytest.mark.parametrize("source", TRICKY, ids=range(len(TRICKY)))
def test_a_text_that_looks_like_something_else_is_read_as_the_cel_engine_reads_it(source: str) -> None:
    """Signs and words inside texts mean nothing, and operators bind as in CEL, though Python's parser reads them."""
    holds, values = reading(source, SCHEMA.index), Values.near(Random(3), ())
    seen = set()
    for _ in range(60):
        context = _in_the_calendar(values.context())
        expected = oracle(source or "true", context)
        assert holds(context, NOW_MS) is expected, context
        seen.add(expected)
    assert len(seen) > 1 or source in ("true", "", "'gold'in past.topics")


@pytest.mark.parametrize(
    "source",
    [
        "past.open_tickets > 0 // tickets",
        "past.open_tickets > 0x10",
        "past.tier == r'gold'",
        "past.tier == b'gold'",
        "past.tier == '''gold'''",
        'past.tier == """gold"""',
        "past.tier == '\\x41 && b'",
        "past.tier == '\\u00fc'",
        "past.tier == '\\101'",
        "past.tier == 'a",
        ".past.vulnerable",
        "past.open_tickets < past.purchases == true",
        "past.open_tickets is past.purchases",
        "past.vulnerable and present.logged_in",
        "not past.vulnerable",
        "past.open_tickets ** 2 > 1",
        "past.topics[0] == 'gold'",
        "past.spent > 1.0",
        "tier == 'gold'",
        "past.tier.upper() == 'GOLD'",
        "past.topics.exists(t, t == 'x')",
        "(past.vulnerable, present.logged_in)",
        "lambda: true",
        "__import__('os').system('true')",
        "(past.vulnerable := true)",
        "past.tier == 'a' 'b'",
        "{'a': 1} == {'a': 1}",
        "past.open_tickets > 1j",
        "past.tier == 'a\0b'",
        "(" * 300 + "true" + ")" * 300,
        "!" * 1_900 + "past.vulnerable",
        "now > timestamp('yesterday')",
    ],
    ids=lambda source: source[:40],
)
def test_what_it_cannot_read_is_refused_and_never_guessed(source: str) -> None:
    """A text outside of what the check knows raises an error that names it, when the strategy is loaded."""
    with pytest.raises(ValueError, match="the independent check cannot read"):
        reading(source, SCHEMA.index)


NO_NUMBERS = [
    "[past.spend] == [past.spend]",
    "[past.spend] != [past.spend]",
    "[past.spend] in [[past.spend], [0.0]]",
    "past.spend in [past.spend]",
    "[0.0 / 0.0] == [0.0 / 0.0]",
    "[0.0 / past.spend, 1.0] == [0.0 / past.spend, 1.0]",
    "[[past.spend]] == [[past.spend]]",
    "[[past.spend]] in [[[past.spend]], [[1.0]]]",
    "[past.spend, past.spend * 0.0] != [past.spend, 0.0]",
]


@pytest.mark.parametrize("source", NO_NUMBERS)
@pytest.mark.parametrize("spend", [math.nan, math.inf, -0.0, 5.0, None], ids=str)
def test_what_is_no_number_equals_nothing_in_a_list_either(source: str, spend: float | None) -> None:
    """Both programs compare lists as the CEL engine does, item by item: what is no number is not even itself."""
    context = tuple(spend if field.id == "past.spend" else None for field in SCHEMA.fields)
    expected = oracle(source, context)
    assert reading(source, SCHEMA.index)(context, NOW_MS) is expected
    assert compiled(source, context) is expected


# ---------------------------------------------------------------------------------------------------------- agreement


@several
@given(policed(), asked())
def test_it_objects_to_exactly_what_the_judgement_forbids(strategy: Strategy, case: Case) -> None:
    """For any strategy and customer both forbid the same actions by the same rules: neither is stricter or laxer."""
    engine, checker = Engine(strategy, None), Checker(strategy)
    snapshot = engine.see(case.known, case.request)
    vetoes = engine.judge(snapshot, case.known, case.request).verdicts.vetoes
    hard = [veto for veto in vetoes if veto.reason.code in HARD]
    found = checker.objections([action.id for action in strategy.actions], snapshot, case.request.channel)
    for action in strategy.actions:
        over = {veto.reason.rule or veto.reason.code for veto in hard if veto.mask >> action.index & 1}
        assert (action.id in found) == bool(over), (action.id, over)
        if found.get(action.id) in {rule.id for rule in strategy.guardrails}:
            assert found[action.id] in over


@half_as_many
@given(policed(), asked(), st.randoms())
def test_what_is_put_into_a_plan_against_the_rules_is_taken_out(strategy: Strategy, case: Case, random: Random) -> None:
    """Whatever actions come to stand in a plan, what is forbidden is not said, and both verdicts are told."""
    engine = Engine(strategy, None)
    snapshot = engine.see(case.known, case.request)
    vetoes = engine.judge(snapshot, case.known, case.request).verdicts.vetoes
    corrupted = _anything(engine, case, snapshot, random)
    checked = engine.check(corrupted, snapshot, vetoes)
    hard = [veto for veto in vetoes if veto.reason.code in HARD]
    for before, after in zip(corrupted.placements, checked.entry.placements, strict=True):
        indexes = [strategy.actions.index(_named(strategy, c.action)) for c in before.candidates]
        forbidden = [any(veto.mask >> index & 1 for veto in hard) for index in indexes]
        if any(forbidden):
            assert after.suppression is not None
            assert [reason.code for reason in after.suppression.reasons] == [ReasonCode.CHECK_FAILED]
            assert after.candidates == ()
        else:
            assert after == before
        told = [one for one in checked.entry.objections if one.placement == before.placement]
        assert [one.action for one in told] == [
            c.action for c, wrong in zip(before.candidates, forbidden, strict=True) if wrong
        ]
        assert all(not one.allowed and one.truth is not False for one in told)
    assert set(checked.objections) == {one.rule for one in checked.entry.objections}
    packed = plan.pack(checked.entry)
    assert plan.pack(plan.unpack(packed)) == packed


def _anything(engine: Engine, case: Case, snapshot: Snapshot, random: Random) -> Entry:
    judged = engine.judge(snapshot, case.known, case.request)
    scores = engine.score(snapshot, judged, case.request)
    entry = engine.arbitrate("d", case.request, snapshot, judged, scores, [0.5] * len(case.request.placements))
    actions = [action.id for action in engine.strategy.actions]
    return structs.replace(
        entry,
        placements=tuple(
            structs.replace(
                placed,
                suppression=None,
                candidates=tuple(Candidate(name, 0.5, None, 1.0, 1.0, False) for name in random.sample(actions, 2)),
            )
            for placed in entry.placements
        ),
    )


def _named(strategy: Strategy, action: str) -> Action:
    return next(one for one in strategy.actions if one.id == action)


@half_as_many
@given(policed(), asked(), st.integers(0, 5))
def test_a_rule_that_the_compiler_lost_is_noticed(strategy: Strategy, case: Case, place: int) -> None:
    """Where the judgement does not know a guardrail, what it plans against that is withheld, and the rule is named."""
    lost = strategy.guardrails[place % len(strategy.guardrails)]
    engine = Engine(strategy, None)
    less = replace(strategy, guardrails=tuple(rule for rule in strategy.guardrails if rule is not lost), exemptions=())
    engine._judge = Judge(less)
    snapshot = engine.see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    scores = engine.score(snapshot, judged, case.request)
    entry = engine.arbitrate("d", case.request, snapshot, judged, scores, [0.5] * len(case.request.placements))
    planned = {(placed.placement, c.action) for placed in entry.placements for c in placed.candidates}
    against = Checker(replace(strategy, guardrails=(lost,)))
    forbidden = against.objections([action for _, action in planned], snapshot, case.request.channel)
    checked = engine.check(entry, snapshot, judged.verdicts.vetoes)
    assert checked.entry.objections == tuple(
        Objection(placed.placement, c.action, lost.id, allowed=True, truth=False)
        for placed in entry.placements
        for c in placed.candidates
        if c.action in forbidden
    )
    said = {c.action for placed in checked.entry.placements for c in placed.candidates}
    assert not said & set(forbidden)


# -------------------------------------------------------------------------------------------------------------- edges

SELLS = replace(HELLO, index=1, id="sells", kind=Kind.OFFER)
NEVER = Guardrail("never", "", Selector(ids=("hello",)), Condition("", "rules.yaml", 1))


def _at(now_ms: int = NOW_MS, permitted: bool = True, level: int = 3) -> Snapshot:
    return Snapshot((None,) * len(SCHEMA.fields), {}, now_ms, LEVELS[level], permitted)


@pytest.mark.parametrize(
    ("valid", "before", "at"),
    [
        (Valid(), True, True),
        (Valid(NOW_MS, None), False, True),
        (Valid(None, NOW_MS), True, False),
        (Valid(NOW_MS - 1, NOW_MS), True, False),
        (Valid(NOW_MS, NOW_MS + 1), False, True),
    ],
    ids=["always", "from", "until", "a millisecond before", "a millisecond from then"],
)
def test_a_rule_is_in_force_from_its_first_moment_on_and_before_its_last(valid: Valid, before: bool, at: bool) -> None:
    """`from` belongs to the time in which a guardrail forbids and an exemption lets through, and `until` does not."""
    rule = Checker(replace(EMPTY, guardrails=(replace(NEVER, valid=valid),)))
    free = Exemption("free", "", Selector(), ("never", CONTACT_PERMISSION), valid=valid)
    exempt = Checker(replace(EMPTY, guardrails=(NEVER,), exemptions=(free,)))
    for now_ms, holds in ((NOW_MS - 1, before), (NOW_MS, at)):
        assert rule.objections(["hello"], _at(now_ms), "web") == ({"hello": "never"} if holds else {})
        assert exempt.objections(["hello"], _at(now_ms), "web") == ({} if holds else {"hello": "never"})
        unasked = exempt.objections(["hello"], _at(now_ms, permitted=False), "email")
        assert unasked == ({} if holds else {"hello": CONTACT_PERMISSION})


def _forbidden(strategy: Strategy, known: Known, channel: str, placement: str) -> dict[str, set[str]]:
    """Return what the judgement forbids by guardrails and for want of permission, by the ids of rules or the code."""
    engine, request = Engine(strategy, None), Request("someone", channel, (placement,), {})
    vetoes = engine.judge(engine.see(known, request), known, request).verdicts.vetoes
    return {
        action.id: {veto.reason.rule or veto.reason.code.name for veto in vetoes if veto.mask >> action.index & 1}
        for action in strategy.actions
    }


@pytest.mark.parametrize(("tickets", "forbids"), [(None, True), (0, False), (1, True)])
def test_judge_and_check_take_what_is_not_known_to_bind(tickets: int | None, forbids: bool) -> None:
    """A guardrail over a fact that nobody knows forbids, by either reading."""
    strategy = replace(EMPTY, actions=(HELLO, SELLS), guardrails=(TICKET,))
    engine, known = Engine(strategy, None), Known(NOW_MS, "full", (), {}, {})
    told = {} if tickets is None else {SCHEMA.index["past.open_tickets"]: tickets}
    request = Request("someone", "web", ("hero",), told)
    snapshot = engine.see(known, request)
    vetoes = engine.judge(snapshot, known, request).verdicts.vetoes
    assert [veto.reason.rule for veto in vetoes] == [TICKET.id] * forbids
    expected = {"sells": TICKET.id} if forbids else {}
    assert Checker(strategy).objections(["hello", "sells"], snapshot, "web") == expected


def test_judge_and_check_agree_when_rules_begin_and_end() -> None:
    """The judgement, asked at one moment after the other, knows the same first and last moments as the check."""
    strategy = replace(EMPTY, guardrails=(replace(NEVER, valid=Valid(NOW_MS, NOW_MS + 10)),))
    engine, checker = Engine(strategy, None), Checker(strategy)
    for now_ms in (NOW_MS - 1, NOW_MS, NOW_MS + 9, NOW_MS + 10, NOW_MS - 1, NOW_MS):
        known = Known(now_ms, "full", (), {}, {})
        request = Request("someone", "web", ("hero",), {})
        snapshot = engine.see(known, request)
        vetoes = engine.judge(snapshot, known, request).verdicts.vetoes
        found = checker.objections(["hello"], snapshot, "web")
        assert ["never"] * bool(found) == [veto.reason.rule for veto in vetoes]
        assert bool(found) is (NOW_MS <= now_ms < NOW_MS + 10)


def test_judge_and_check_agree_on_what_an_exemption_lets_through() -> None:
    """Exactly the exempted action may break exactly the named rule, and be sent without permission."""
    mail = (Treatment("email", "body", "Hello"),)
    hello, other = replace(HELLO, treatments=mail), replace(HELLO, index=1, id="other", treatments=mail)
    rules = (replace(NEVER, forbid=Selector()), replace(NEVER, id="everyone", forbid=Selector()))
    free = Exemption("free", "", Selector(ids=("hello",)), ("never", CONTACT_PERMISSION))
    strategy = replace(EMPTY, actions=(hello, other), guardrails=rules, exemptions=(free,))
    expected = {"hello": {"everyone"}, "other": {"never", "everyone", "NO_CONTACT_PERMISSION"}}
    assert _forbidden(strategy, Known(NOW_MS, "full", (), {}, {}), "email", "body") == expected
    checker = Checker(strategy)
    unasked = checker.objections(["hello", "other"], _at(permitted=False), "email")
    assert unasked == {"hello": "everyone", "other": CONTACT_PERMISSION}


def test_an_exemption_lets_through_its_actions_from_its_rules_and_nothing_else() -> None:
    """Another action, another rule, and consent to offers hold as before, whatever an exemption lists."""
    everyone = replace(NEVER, id="everyone", forbid=Selector())
    free = Exemption("free", "", Selector(ids=("hello", "sells")), ("never", "consent", "stock", "switch"))
    other = replace(HELLO, index=2, id="other")
    strategy = replace(EMPTY, actions=(HELLO, SELLS, other), guardrails=(NEVER,), exemptions=(free,))
    assert Checker(strategy).objections(["hello", "sells", "other"], _at(), "web") == {}
    assert Checker(strategy).objections(["hello", "sells"], _at(level=1), "web") == {"sells": "consent"}
    stricter = replace(strategy, guardrails=(NEVER, everyone))
    assert Checker(stricter).objections(["hello", "other"], _at(), "web") == {"hello": "everyone", "other": "everyone"}


def test_an_action_that_the_strategy_does_not_know_is_never_let_through() -> None:
    """What no rule could be about is forbidden, wherever it came from."""
    assert Checker(EMPTY).objections(["hello", "stranger"], _at(), "web") == {"stranger": "switch"}


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.id)
def test_a_rule_for_a_channel_holds_there_alone(channel: object) -> None:
    """A selector over channels means the channel that the answer goes to."""
    strategy = replace(EMPTY, guardrails=(replace(NEVER, forbid=Selector(channels=("email",))),))
    name = getattr(channel, "id", "")
    assert bool(Checker(strategy).objections(["hello"], _at(), name)) == (name == "email")


def test_grammars_reach_conditions_about_actions() -> None:
    """The random strategies of these tests do ask about actions, so that they test what they say."""
    random = Random(1)
    assert sum("action." in Grammar(random, True).condition() for _ in range(50)) > 20
