"""Contact policy and consistency keep what they say for any strategy, customer and memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from benchmarks.plainly import means
from service.core.decision import ReasonCode
from service.core.engine import Engine
from service.core.epochs import in_force
from service.core.memory import Memory, Refusal
from service.core.rules import Answered, Per
from service.core.strategy import Action, Strategy
from tests.core.expressions import NOW_MS
from tests.core.test_engine import EXAMPLES, World, decide, decided
from tests.core.test_validity import issued, revisited
from tests.core.worlds import NO_FACTS, Case, memories, shuffled

some = settings(max_examples=max(20, EXAMPLES // 4), deadline=None)
KINDS = {Answered.REFUSED: 4, Answered.NOT_NOW: 5, Answered.NEVER: 6}
POLICY = {ReasonCode.COOLING_OFF, ReasonCode.NEVER_AGAIN, ReasonCode.PROMISED_OTHERWISE}
Thing = TypeVar("Thing")
Veto = tuple[ReasonCode, str, int | None]


def remembering(case: Case, memory: Memory) -> Case:
    """Return a case of which more is remembered."""
    return replace(case, known=structs.replace(case.known, memory=memory))


def exempt(rules: Strategy, rule: str, action: Action, channel: str) -> bool:
    """Tell whether an action is let out of a rule."""
    return any(
        rule in one.exempt_from and in_force(one.valid, NOW_MS) and means(one.actions, action, channel)
        for one in rules.exemptions
    )


def ends(per: Iterable[Per], name: str, group: str, intents: tuple[str, ...]) -> set[str]:
    """Return what the keys of parts end with: a second reading."""
    if Per.ACTION in per:
        return {f"|a:{name}"}
    by_group = f"|g:{group}" if Per.GROUP in per else ""
    return {by_group + (f"|i:{one}" if Per.INTENT in per else "") for one in (intents or ("",))}


def resting(rules: Strategy, memory: Memory, action: Action, channel: str) -> set[Veto]:
    """Return the cool-offs over an action: a second reading, an action and a rule at a time.

    What is dated later than now was said by a clock that runs ahead, and counts as said now.
    """
    found: set[Veto] = set()
    for rule in rules.cool_offs:
        bound = in_force(rule.valid, NOW_MS) and means(rule.about, action, channel)
        if not bound or exempt(rules, rule.id, action, channel):
            continue
        for end in ends(rule.per, action.id, action.group, action.intents):
            answers = [one for one in memory.refusals if one.kind in {KINDS[a] for a in rule.after}]
            answers = [one for one in answers if end in _touched(rules, rule.per, one)]
            answers = [one for one in answers if _about(rules, rule.id, one, channel)]
            if not answers:
                continue
            latest = min(max(one.at_ms for one in answers), NOW_MS)
            number = len({(one.action, one.mark) for one in answers if one.at_ms > latest - rule.forget_ms})
            if rule.permanent:
                found.add((ReasonCode.NEVER_AGAIN, rule.id, None))
                continue
            until_ms = latest + [*rule.durations_ms, *[rule.durations_ms[-1]] * 9][number - 1]
            if until_ms > NOW_MS:
                found.add((ReasonCode.COOLING_OFF, rule.id, until_ms))
    return _latest(found)


def _touched(rules: Strategy, per: Iterable[Per], refusal: Refusal) -> set[str]:
    found = ends(per, refusal.action, refusal.group, refusal.intents)
    for action in rules.actions:
        if action.id == refusal.action:
            found |= ends(per, action.id, action.group, action.intents)
    return found


def _about(rules: Strategy, rule_id: str, refusal: Refusal, channel: str) -> bool:
    (rule,) = (one for one in rules.cool_offs if one.id == rule_id)
    anywhere = replace(rule.about, channels=())
    for action in rules.actions:
        if action.id == refusal.action:
            return means(anywhere, action, channel) and not exempt(rules, rule_id, action, channel)
    like = replace(rules.actions[0], id=refusal.action, group=refusal.group, intents=refusal.intents)
    return means(replace(anywhere, kinds=(), tags=()), like, channel)


def promised(rules: Strategy, memory: Memory, channel: str) -> dict[str, tuple[str, str, int]]:
    """Return what is promised by key, as the action, the rule and the end: a second reading."""
    found: dict[str, tuple[str, str, int]] = {}
    for one in sorted(memory.promised, key=lambda one: (one.given_ms, one.action), reverse=True):
        for rule in rules.promises:
            for action in rules.actions:
                keys = {rule.id + end for end in ends(rule.per, action.id, action.group, action.intents)}
                if (
                    one.action == action.id
                    and one.key in keys
                    and in_force(rule.valid, NOW_MS)
                    and means(rule.keep, action, channel)
                    and one.until_ms > NOW_MS
                    and not rule.material
                    and one.facts == NO_FACTS
                ):
                    found[one.key] = (action.id, rule.id, one.until_ms)
    return found


def otherwise(rules: Strategy, memory: Memory, action: Action, channel: str) -> set[Veto]:
    """Return what forbids an action because something else is promised: a second reading."""
    found: set[Veto] = set()
    for key, (name, rule_id, until_ms) in promised(rules, memory, channel).items():
        (rule,) = (one for one in rules.promises if one.id == rule_id)
        mine = {rule_id + end for end in ends(rule.per, action.id, action.group, action.intents)}
        if key in mine and name != action.id and means(rule.keep, action, channel):
            found.add((ReasonCode.PROMISED_OTHERWISE, rule_id, until_ms))
    return _latest(found)


def _latest(found: set[Veto]) -> set[Veto]:
    """Keep of each rule the veto that ends last: it is told once."""
    last: dict[tuple[ReasonCode, str], int | None] = {}
    for code, rule, until_ms in found:
        before = last.get((code, rule), 0)
        last[code, rule] = None if before is None or until_ms is None else max(before, until_ms)
    return {(code, rule, until_ms) for (code, rule), until_ms in last.items()}


@some
@given(decided(), memories())
def test_exactly_what_rests_or_is_promised_otherwise_is_held_back(world: World, memory: Memory) -> None:
    """For each action the vetoes of cool-offs and promises are those of a second, plain reading of the rules."""
    rules, model, case, draws = world
    told = decide(Engine(rules, model), remembering(case, memory), draws, explain=True).explanation
    assert told is not None
    channel = case.request.channel
    for action, fate in zip(rules.actions, told.fates, strict=True):
        vetoes = {(r.code, r.rule, r.until_ms) for r in fate.vetoes if r.code in POLICY}
        assert vetoes == resting(rules, memory, action, channel) | otherwise(rules, memory, action, channel)


@some
@given(decided(), memories())
def test_what_is_promised_stands_first_wherever_it_may_be_said(world: World, memory: Memory) -> None:
    """At each placement a promised action is said if any may be, and nothing that is promised otherwise ever is."""
    rules, model, case, draws = world
    decision = decide(Engine(rules, model), remembering(case, memory), draws, explain=True)
    assert decision.explanation is not None
    free = {fate.action for fate in decision.explanation.fates if not fate.vetoes}
    kept = {name for name, _, _ in promised(rules, memory, case.request.channel).values()}
    taken: set[str] = set()
    for answer in decision.answers:
        places = {(case.request.channel, answer.placement)}
        here = {a.id for a in rules.actions if {(t.channel, t.placement) for t in a.treatments} & places}
        open_here = (kept & free & here) - taken
        if open_here and not any(reason.code is ReasonCode.PROMISED_OTHERWISE for reason in answer.reasons):
            assert answer.action in open_here
            assert answer.reasons[0].code is ReasonCode.PROMISED
        elif answer.action:
            assert answer.action not in kept
        taken.add(answer.action)


@some
@given(decided(), memories(), st.randoms())
def test_no_order_of_anything_matters(world: World, memory: Memory, random: Random) -> None:
    """Actions, caps, cool-offs, promises and what is remembered may stand in any order: the answer is the same."""
    rules, model, case, draws = world

    def mixed(things: tuple[Thing, ...]) -> tuple[Thing, ...]:
        return tuple(random.sample(things, len(things)))

    order = list(range(len(rules.actions)))
    random.shuffle(order)
    moved = replace(
        shuffled(rules, order),
        caps=mixed(rules.caps),
        promises=mixed(rules.promises),
        exemptions=mixed(rules.exemptions),
    )
    other = structs.replace(memory, refusals=mixed(memory.refusals), promised=mixed(memory.promised))
    one = decide(Engine(rules, model), remembering(case, memory), draws)
    two = decide(Engine(moved, model), remembering(case, other), draws)
    assert [(a.action, a.held_back, a.until_ms) for a in one.answers] == [
        (a.action, a.held_back, a.until_ms) for a in two.answers
    ]
    assert [frozenset(a.reasons) for a in one.answers] == [frozenset(a.reasons) for a in two.answers]


@some
@given(decided(), memories())
def test_what_was_just_decided_may_be_said_whatever_is_remembered(world: World, memory: Memory) -> None:
    """Judged again with the same memory, nothing that was decided is forbidden."""
    rules, model, case, draws = world
    engine = Engine(rules, model)
    case = remembering(case, memory)
    found = revisited(engine, issued(engine, case, decide(engine, case, draws)), case)
    assert all(standing.reasons == () for standing in found)
