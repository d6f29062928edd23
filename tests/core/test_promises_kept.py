"""What was said to a person is kept to, on every channel, until it ends: one story at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contact import contact_fields
from models.context import ContextSchema, Scalar
from service.core import plan
from service.core.decision import Decision, ReasonCode, Request
from service.core.engine import Engine
from service.core.memory import Memory, Promised
from service.core.promises import Promises
from service.core.rules import Condition, Exemption, Guardrail, Kind, Per, Promise, Selector, Valid, Weight
from service.core.strategy import Action, Strategy
from service.core.validity import Issued
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.remembering import NEVER, NOT_NOW, REFUSED, Person, said
from tests.core.test_engine import several
from tests.core.test_promises import action, known, plan_of, strategy
from tests.core.worlds import CHANNELS

DAY_MS = 86_400_000
ACCEPTED = 3
EVERYWHERE = (("web", "hero"), ("web", "greeting"), ("email", "body"))
OFFERS = Selector(kinds=(Kind.OFFER,))
WEEK = Promise("one-story", "What was offered is kept to.", OFFERS, 7 * DAY_MS, (Per.GROUP,), ("past.tier",))
ALWAYS = Condition("", "", 1)
FIRST_DAY = Valid(NOW_MS, NOW_MS + DAY_MS)
UNKNOWN: tuple[Scalar | None, ...] = (None,) * len(SCHEMA.fields)


def _offer(index: int, name: str, group: str, value: float, *intents: str) -> Action:
    return action(index, name, *EVERYWHERE, kind=Kind.OFFER, group=group, value=value, intents=intents or ("upsell",))


BIG, SMALL = _offer(1, "big", "internet", 30.0), _offer(2, "small", "internet", 20.0)
PHONE, CASE = _offer(3, "phone", "phones", 10.0, "cross_sell"), _offer(4, "case", "phones", 5.0, "upsell", "cross_sell")


def shop(*rules: Promise, **changes: object) -> Strategy:
    """Return a strategy of two offers for the internet and two of phones, the dearest first."""
    return strategy(BIG, SMALL, PHONE, CASE, promises=rules or (WEEK,), **changes)


def turned(factor: float = 100.0, name: str = "small", **changes: object) -> Strategy:
    """Return the shop in which another offer is worth the most by now."""
    return shop(weights=(Weight("now", "", Selector(ids=(name,)), factor, ALWAYS),), **changes)


def promised(person: Person) -> dict[str, str]:
    """Return what is promised by key."""
    return {one.key: one.action for one in person.memory.promised}


def reasons(decision: Decision) -> list[ReasonCode]:
    """Return the codes of the reasons of the first answer."""
    return [reason.code for reason in decision.answers[0].reasons]


def test_what_was_offered_is_kept_to_on_every_channel() -> None:
    """Though another offer brings more by now, the mail says what the page said, and says first that it is promised."""
    person = Person()
    assert said(person.ask(Engine(shop(), None))) == ["big"]
    decision = person.ask(Engine(turned(), None), "email", "body", at_ms=NOW_MS + DAY_MS)
    assert said(decision) == ["big"]
    (reason,) = decision.answers[0].reasons
    assert (reason.code, reason.rule, reason.until_ms) == (ReasonCode.PROMISED, "one-story", NOW_MS + 7 * DAY_MS)
    assert decision.explanation is not None
    other = next(fate for fate in decision.explanation.fates if fate.action == "small")
    assert [(r.code, r.rule, r.until_ms) for r in other.vetoes] == [
        (ReasonCode.PROMISED_OTHERWISE, "one-story", NOW_MS + 7 * DAY_MS)
    ]


def test_a_promise_runs_from_when_it_was_first_given() -> None:
    """Saying it again does not prolong it; when it runs out, what is best by then is said and promised."""
    engine, person = Engine(shop(), None), Person()
    person.ask(engine)
    person.ask(engine, at_ms=NOW_MS + 6 * DAY_MS)
    later = Engine(turned(), None)
    assert said(person.ask(later, at_ms=NOW_MS + 7 * DAY_MS - 1)) == ["big"]
    assert said(person.ask(later, at_ms=NOW_MS + 7 * DAY_MS)) == ["small"]
    assert said(person.ask(engine, at_ms=NOW_MS + 14 * DAY_MS - 1)) == ["small"]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ("gold", "gold", True),
        ("gold", "silver", False),
        ("gold", None, False),
        (None, "gold", False),
        (None, None, True),
    ],
    ids=["same", "other", "forgotten", "learned", "never-known"],
)
def test_a_material_fact_that_changes_ends_it(before: str | None, after: str | None, kept: bool) -> None:
    """Also when it becomes unknown, as by a consent that is taken back; any other fact may change as it likes."""
    person = Person()
    person.ask(Engine(shop(), None), facts={"past.tier": before} if before else {})
    facts: dict[str, Scalar] = {"past.tier": after, "past.spend": 5.0} if after else {"past.spend": 5.0}
    assert said(person.ask(Engine(turned(), None), facts=facts)) == (["big"] if kept else ["small"])


def test_a_consent_that_hides_a_material_fact_ends_the_promise_made_of_it() -> None:
    """Nothing goes on that was promised because of what may no longer be known."""
    person = Person(level="full")
    person.ask(Engine(shop(), None), facts={"past.tier": "gold"})
    person.level = "personal"
    assert said(person.ask(Engine(turned(), None), facts={"past.tier": "gold"})) == ["big"]
    hidden = replace(WEEK, material=("past.joined",))
    person = Person(level="full")
    person.ask(Engine(shop(hidden), None), facts={"past.joined": 5})
    person.level = "personal"
    assert said(person.ask(Engine(replace(turned(), promises=(hidden,)), None), facts={"past.joined": 5})) == ["small"]


@pytest.mark.parametrize("kind", [ACCEPTED, REFUSED, NOT_NOW, NEVER])
def test_an_answer_ends_it(kind: int) -> None:
    """Whether it is taken or refused, and on whichever channel, nothing else is held back for it any more."""
    person = Person()
    person.ask(Engine(shop(), None), "email", "body")
    person.say("big", kind=kind)
    assert said(person.ask(Engine(turned(), None))) == ["small"]


@pytest.mark.parametrize("end", ["rule", "validity", "action", "selector", "group"])
def test_what_the_strategy_no_longer_promises_does_not_bind(end: str) -> None:
    """A promise without its rule, its action or its part of the rule holds nothing back."""
    person = Person()
    person.ask(Engine(shop(), None))
    now = turned()
    moved = {
        "rule": replace(now, promises=(replace(WEEK, id="another"),)),
        "validity": replace(now, promises=(replace(WEEK, valid=Valid(None, NOW_MS + 1)),)),
        "action": replace(now, actions=tuple(replace(a, id="huge") if a.id == "big" else a for a in now.actions)),
        "selector": replace(now, promises=(replace(WEEK, keep=Selector(ids=("small", "phone"))),)),
        "group": replace(now, actions=tuple(replace(a, group="x") if a.id == "big" else a for a in now.actions)),
    }
    assert said(person.ask(Engine(now, None), at_ms=NOW_MS + 1)) == ["big"]
    assert said(person.ask(Engine(moved[end], None), at_ms=NOW_MS + 1)) == ["small"]


def test_the_same_story_or_none() -> None:
    """While what is promised may not be said, nothing else of its kind is said; what is of another kind is."""
    ticket = Guardrail("no-big", "", Selector(ids=("big",)), Condition("past.open_tickets > 0", "", 1))
    person = Person()
    person.ask(Engine(shop(), None), facts={"past.open_tickets": 0})
    assert said(person.ask(Engine(turned(guardrails=(ticket,)), None), facts={"past.open_tickets": 1})) == ["phone"]
    assert promised(person) == {"one-story|g:internet": "big", "one-story|g:phones": "phone"}
    assert said(person.ask(Engine(turned(guardrails=(ticket,)), None), facts={"past.open_tickets": 0})) == ["big"]


def test_it_is_kept_to_though_it_is_worth_nothing_by_now() -> None:
    """A promise is not about what it brings; silence does not come before it."""
    person = Person()
    person.ask(Engine(shop(), None))
    assert said(person.ask(Engine(turned(0.0, "big"), None))) == ["big"]


def test_what_is_promised_comes_before_what_a_guardrail_asks_for() -> None:
    """Nothing that is only preferred stands before a promise."""
    asks = Guardrail(
        "asks", "", Selector(ids=("case",)), Condition("past.open_tickets > 0", "", 1), Selector(ids=("phone",))
    )
    person = Person()
    engine = Engine(shop(guardrails=(asks,)), None)
    person.ask(engine, facts={"past.open_tickets": 0})
    decision = person.ask(engine, facts={"past.open_tickets": 1})
    assert said(decision) == ["big"]
    assert reasons(decision) == [ReasonCode.PROMISED]
    assert said(Person().ask(engine, facts={"past.open_tickets": 1})) == ["phone"]


# ------------------------------------------------------------------------------------------------- several at a time


def test_one_answer_tells_one_story() -> None:
    """Two placements never promise different things under one key, not even as their second choices."""
    engine = Engine(shop(), None)
    both = Request("x", "web", ("greeting", "hero"), {})
    first, second = plan_of(engine, both, known())
    assert (first[0], second[0]) == ("big", "phone")
    keys = {"big": "internet", "small": "internet", "phone": "phones", "case": "phones", "hello": "none"}
    assert {keys[name] for name in first}.isdisjoint(keys[name] for name in second)
    one = Engine(strategy(BIG, SMALL, promises=(WEEK,)), None)
    decision = Person().ask(one, "web", "greeting", "hero", draw=0.9)
    assert said(decision) == ["big", "hello"]


def test_what_is_held_back_for_the_other_placement_says_so() -> None:
    """Where only another story would be left, nothing is said, and the reason is what the answer says elsewhere."""
    rules = strategy(BIG, SMALL, promises=(WEEK,))
    silent = replace(
        rules, actions=(replace(rules.actions[0], treatments=rules.actions[0].treatments[-1:]), *rules.actions[1:])
    )
    decision = Person().ask(Engine(silent, None), "web", "greeting", "hero")
    assert said(decision) == ["big", ""]
    codes = [reason.code for reason in decision.answers[1].reasons]
    assert codes[:2] == [ReasonCode.ALREADY_SHOWN, ReasonCode.PROMISED_OTHERWISE]


@pytest.mark.parametrize(
    ("per", "keys"),
    [
        ((), ["one-story"]),
        ((Per.GROUP,), ["one-story|g:phones"]),
        ((Per.INTENT,), ["one-story|i:cross_sell", "one-story|i:upsell"]),
        ((Per.GROUP, Per.INTENT), ["one-story|g:phones|i:cross_sell", "one-story|g:phones|i:upsell"]),
    ],
    ids=["all", "group", "intent", "both"],
)
def test_what_is_kept_to_is_what_the_rule_says(per: tuple[Per, ...], keys: list[str]) -> None:
    """One offer of all, of each group, or of each of its intents is promised."""
    promises = Promises(shop(replace(WEEK, per=per)))
    gives = promises.gives(["case", "hello"], "web", (None,) * len(SCHEMA.fields), NOW_MS)
    assert sorted(give.key for give in gives) == keys
    assert {(give.action, give.until_ms) for give in gives} == {("case", NOW_MS + 7 * DAY_MS)}


def test_of_two_lives_that_became_one_the_first_promise_holds() -> None:
    """Whatever the order in which they are kept."""
    promises = Promises(shop())
    values = (None,) * len(SCHEMA.fields)
    facts = promises.facts(WEEK, values)
    two = [
        Promised("one-story|g:internet", "big", NOW_MS - 1, NOW_MS + DAY_MS, "a", facts),
        Promised("one-story|g:internet", "small", NOW_MS - 2, NOW_MS + DAY_MS, "b", facts),
    ]
    for order in (two, two[::-1]):
        kept = promises.kept(order, "web", values, NOW_MS)
        assert kept.keys == (("one-story|g:internet", "small"),)


def test_the_digest_of_facts_does_not_know_the_order_of_fields() -> None:
    """It is over the values in the order of the fields' ids: fields may be declared in any order, and others added."""
    two = replace(WEEK, material=("past.tier", "past.purchases"))
    moved = replace(SCHEMA, fields=SCHEMA.fields[::-1], index={f.id: i for i, f in enumerate(SCHEMA.fields[::-1])})
    values: list[Scalar | None] = [None] * len(SCHEMA.fields)
    values[SCHEMA.index["past.tier"]], values[SCHEMA.index["past.purchases"]] = "gold", 3
    one, other = Promises(shop(two)), Promises(replace(shop(replace(two, material=two.material[::-1])), schema=moved))
    assert one.facts(two, values) == other.facts(two, values[::-1])
    assert len(one.facts(two, values)) == 8


# ------------------------------------------------------------------------------------------------------- properties

ASKED = st.lists(
    st.tuples(
        st.sampled_from([("web", "hero"), ("web", "greeting"), ("email", "body")]),
        st.integers(0, 7 * DAY_MS - 1),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["big", "small", "phone", "case"]),
        st.floats(0, 50),
    ),
    min_size=1,
    max_size=6,
)


@several
@given(ASKED, st.floats(0.0, 1.0))
def test_within_a_promise_every_channel_says_the_same(
    asked: Sequence[tuple[tuple[str, str], int, float, str, float]], explore: float
) -> None:
    """Whoever asks first, in whatever order, whatever is worth most by then, and however much is explored."""
    person, first = Person(), None
    for place, at_ms, draw, favoured, factor in sorted(asked, key=lambda one: one[1]):
        weights = (Weight("now", "", Selector(ids=(favoured,)), factor, ALWAYS),)
        engine = Engine(shop(replace(WEEK, per=()), weights=weights, explore=explore), None)
        answer = said(person.ask(engine, *place, at_ms=NOW_MS + at_ms - asked_first(asked), draw=draw))
        if first is None and answer != ["hello"]:
            first = answer
        assert answer == first or (first is None and answer == ["hello"])


def asked_first(asked: Sequence[tuple[tuple[str, str], int, float, str, float]]) -> int:
    """Return the moment of the first request."""
    return min(one[1] for one in asked)


@several
@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1), st.booleans())
def test_probabilities_stay_exact(draw: float, explore: float, has_promise: bool) -> None:
    """What is promised stands first with probability 1, whatever is drawn, and all others with 0."""
    engine = Engine(shop(explore=explore), None)
    person = Person()
    if has_promise:
        person.ask(Engine(turned(), None))
    request = Request("someone", "web", ("hero",), {})
    snapshot = engine.see(person.known(), request)
    judged = engine.judge(snapshot, person.known(), request)
    entry = engine.arbitrate("d", request, snapshot, judged, engine.score(snapshot, judged, request), (draw,))
    (placed,) = plan.unpack(plan.pack(entry)).placements
    first, *others = placed.candidates
    if has_promise:
        assert (first.action, first.probability, placed.pool, placed.explored) == ("small", 1.0, 1, False)
        assert all(other.probability == 0.0 for other in others)
        assert entry.kept == (("one-story|g:internet", "small"),)
    else:
        assert placed.pool == 5
        assert entry.kept == ()


@several
@given(st.randoms(), st.sampled_from(CHANNELS))
def test_the_order_of_actions_rules_and_promises_does_not_matter(random: Random, channel: object) -> None:
    """Two engines that read the same strategy in another order keep to the same."""
    intents = replace(WEEK, id="by-intent", per=(Per.INTENT,))
    rules = shop(WEEK, intents)
    order = list(rules.actions)
    random.shuffle(order)
    moved = replace(
        rules, actions=tuple(replace(one, index=i) for i, one in enumerate(order)), promises=rules.promises[::-1]
    )
    person = Person()
    person.ask(Engine(rules, None), "web", "greeting", "hero")
    memory = list(person.memory.promised)
    random.shuffle(memory)
    answers = []
    for which, kept in ((rules, person.memory.promised), (moved, tuple(memory))):
        person.memory = Memory(promised=kept)
        answers.append(said(person.ask(Engine(which, None), "email", "body", at_ms=NOW_MS + 5)))
    assert answers[0] == answers[1]


# --------------------------------------------------------------------------------------------------------- validate


@pytest.mark.parametrize(("now", "codes"), [("big", []), ("small", [ReasonCode.PROMISED_OTHERWISE])])
def test_a_queued_mail_stands_by_its_own_promise_and_not_against_another(now: str, codes: list[ReasonCode]) -> None:
    """What this decision promised does not forbid it; what was promised otherwise since does."""
    engine, person = Engine(turned(0.0, "big") if now == "small" else shop(), None), Person()
    person.ask(engine)
    mail = Issued("d", "someone", "email", NOW_MS - 5, engine.strategy.version, (("body", "big"),), level="full")
    snapshot = engine.see_again(mail, person.known(), {}, None, {})
    assert snapshot is not None
    ((standing,), _) = engine.revisit(mail, snapshot)
    assert [reason.code for reason in standing.reasons] == codes


def test_who_promises_nothing_compares_nothing() -> None:
    """A strategy without promises and cool-offs leaves the memory's version alone, so that nobody waits for it.

    Nor does it note on which channel it said something, unless its documents ask for the contact before.
    """
    greeting = ContextSchema.of((), (*SCHEMA.fields, *contact_fields()))
    plain, keeping = Engine(strategy(BIG), None), Engine(shop(schema=greeting), None)
    remembered = Memory(version=7)
    for engine, version, channel in ((plain, None, ""), (keeping, 7, "web")):
        request = Request("someone", "web", ("hero",), {})
        snapshot = engine.see(known(), request)
        judged = engine.judge(snapshot, known(), request)
        entry = engine.arbitrate("d", request, snapshot, judged, engine.score(snapshot, judged, request), (0.9,))
        commit = engine.commit(entry, request, memory=remembered)
        assert (commit.memory, commit.channel, bool(commit.gives)) == (version, channel, version is not None)


def test_what_is_exempt_neither_gives_a_promise_nor_is_held_back_by_one() -> None:
    """An action that must be said stands beside the story, and after it the story is another one's; all else is bound,
    and so is the action once it is not exempt any more.
    """
    rules = shop(exemptions=(Exemption("law", "", Selector(ids=("small",)), ("one-story",), valid=FIRST_DAY),))
    promises, person = Promises(rules), Person()
    assert [give.action for give in promises.gives(["small", "phone"], "web", UNKNOWN, NOW_MS)] == ["phone"]
    assert said(person.ask(Engine(rules, None))) == ["big"]
    held = [promises.kept(person.memory.promised, "email", UNKNOWN, at) for at in (NOW_MS, NOW_MS + DAY_MS)]
    assert [[veto.mask for veto in kept.vetoes] for kept in held] == [[0], [1 << SMALL.index]]
    assert promises.others("web", BIG.index, NOW_MS) == 0
    assert promises.others("web", BIG.index, NOW_MS + DAY_MS) == 1 << SMALL.index
    assert promises.others("web", PHONE.index, NOW_MS) == 1 << CASE.index


def test_a_promise_ends_with_its_rule() -> None:
    """Where the rule is over before what it promised, the reason says so."""
    rules, person = shop(replace(WEEK, valid=FIRST_DAY)), Person()
    person.ask(Engine(rules, None))
    kept = Promises(rules).kept(person.memory.promised, "web", UNKNOWN, NOW_MS)
    assert [reason.until_ms for reason in kept.reasons.values()] == [NOW_MS + DAY_MS]
    assert [(veto.until_ms, veto.reason.until_ms) for veto in kept.vetoes] == [(NOW_MS + DAY_MS, NOW_MS + DAY_MS)]
