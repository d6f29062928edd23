"""What does not matter changes no answer: order, names, irrelevant facts, processes, time that ends nothing, and the
channel while a promise holds.

Exact ties break by a hash of the customer and the action's id, so where ids change, the worlds have no ties.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.context import ContextSchema, Purpose, ValueType
from service.core.caps import CapTable
from service.core.decision import Known
from service.core.engine import Engine
from service.core.parts import parts
from service.core.rules import ALWAYS, Condition, Promise, Selector, Weight
from service.core.selection import mask
from service.core.strategy import Strategy
from tests.core.expressions import NOW_MS, field
from tests.core.policies import write_policy
from tests.core.remembering import Person, said
from tests.core.renaming import Renaming
from tests.core.test_engine import decide
from tests.core.worlds import CHANNELS, GROUPS, HOUR_MS, INTENTS, PLACES, Case, cases, memories, models, strategies

EXAMPLES = int(os.environ.get("TACT_DECISIONS", "120"))
several = settings(max_examples=EXAMPLES // 2, deadline=None)
PROCESSES = 3
RULES = ("guardrails", "eligibility", "caps", "weights", "cool_offs", "promises", "exemptions")
Said = tuple[str, str, str, str, int | None, float, float, tuple[int, ...]]
Veto = tuple[str, int, int]


@st.composite
def remembered(draw: st.DrawFn, strategy: Strategy) -> tuple[Case, tuple[float, ...]]:
    """Draw a customer with cap uses, answers and promises, and the dice."""
    case = draw(cases())
    keys = sorted(
        key
        for cap in strategy.caps
        for channel, placement in PLACES
        for key in parts(
            cap.id, cap.per, mask(cap.count, strategy.actions, channel), strategy.actions, channel, placement
        )
    )
    moments = st.lists(st.integers(NOW_MS - 2 * HOUR_MS, NOW_MS), min_size=1, max_size=4).map(sorted).map(tuple)
    used = draw(st.dictionaries(st.sampled_from(keys), moments, max_size=4)) if keys else {}
    draws = tuple(draw(st.floats(0, 1, exclude_max=True)) for _ in case.request.placements)
    return replace(case, known=structs.replace(case.known, counters=used, memory=draw(memories()))), draws


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Strategy, Any, Case, tuple[float, ...]]:
    """Draw everything that one decision depends on; in every other world much may be said, and a lot is explored."""
    strategy = draw(strategies())
    case, draws = draw(remembered(strategy))
    if draw(st.booleans()):
        strategy = replace(strategy, guardrails=(), eligibility=(), cool_offs=(), explore=0.5)
        case = replace(case, known=structs.replace(case.known, level="full", channels=("email",)))
        draws = tuple(draw(st.integers(0, 999)) / 1000 for _ in draws)
    return strategy, draw(models(strategy)), case, draws


def told(engine: Engine, case: Case, draws: Sequence[float]) -> tuple[list[Said], dict[str, list[Veto]]]:
    """Decide, and return what the customer is told and, by action, what holds it back; reasons in no order, for that is
    the documents'.
    """
    decision = decide(engine, case, draws, explain=True)
    assert decision.explanation is not None
    said = [
        (
            answer.placement,
            answer.action,
            answer.text,
            answer.held_back,
            answer.until_ms,
            round(answer.propensity, 9),
            round(answer.net_value, 6),
            tuple(sorted({int(reason.code) for reason in answer.reasons})),
        )
        for answer in decision.answers
    ]
    fates = {
        fate.action: sorted((reason.rule, int(reason.code), reason.until_ms or 0) for reason in fate.vetoes)
        for fate in decision.explanation.fates
    }
    return said, fates


# -------------------------------------------------------------------------------------------------------------- order


@several
@given(worlds(), st.randoms())
def test_the_order_in_which_anything_is_written_does_not_matter(world: Any, random: Random) -> None:  # noqa: ANN401  drawn
    """Actions, their treatments, intents and attributes, rules of every kind, levels but the lowest, what is known of
    a customer and what the request tells: in any order the answer is the same.
    """
    strategy, model, case, draws = world
    strategy = _without(strategy, "action.intents", "action.tags")  # lists that are compared, and mixed here

    def mixed(items: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(random.sample(list(items), len(items)))

    def turned(items: Mapping[Any, Any]) -> dict[Any, Any]:
        return dict(mixed(tuple(items.items())))

    actions = tuple(
        replace(
            action,
            index=index,
            treatments=mixed(action.treatments),
            intents=mixed(action.intents),
            attributes=mixed(action.attributes),
        )
        for index, action in enumerate(mixed(strategy.actions))
    )
    others: dict[str, Any] = {kind: mixed(getattr(strategy, kind)) for kind in (*RULES, "attributes")}
    other = replace(
        strategy,
        actions=actions,
        channels=mixed(strategy.channels),
        levels=(strategy.levels[0], *mixed(strategy.levels[1:])),
        **others,
    )
    known, request = case.known, case.request
    moved = replace(
        case,
        known=structs.replace(
            known,
            counters=turned(known.counters),
            memory=structs.replace(known.memory, refusals=mixed(known.memory.refusals)),
        ),
        request=structs.replace(request, context=turned(request.context)),
    )
    assert told(Engine(strategy, model), case, draws) == told(Engine(other, model), moved, draws)


# ------------------------------------------------------------------------------------------------- what is irrelevant


@several
@given(worlds(), st.integers(0, 12), st.sampled_from(ValueType))
def test_what_nothing_asks_about_does_not_matter(world: Any, place: int, kind: ValueType) -> None:  # noqa: ANN401  drawn
    """Another field among the others, known of the customer or not, another channel, and an action that is said only
    there change no answer.
    """
    strategy, model, case, draws = world
    idle = {
        ValueType.BOOL: True, ValueType.INT: 7, ValueType.DOUBLE: 0.5, ValueType.STRING: "gold",
        ValueType.TIMESTAMP: NOW_MS, ValueType.STRINGS: ("gold",),
    }  # fmt: skip
    extra = field("past.shoe_size", kind, Purpose.SERVICE)
    declared = strategy.schema.fields
    schema = ContextSchema.of((), (*declared[:place], extra, *declared[place:]))
    tv = replace(CHANNELS[0], id="tv", placements=("screen",))
    last = replace(
        strategy.actions[-1],
        index=len(strategy.actions),
        id="only-on-tv",
        treatments=(replace(strategy.actions[0].treatments[0], channel="tv", placement="screen"),),
    )
    more = replace(strategy, schema=schema, channels=(*strategy.channels, tv), actions=(*strategy.actions, last))
    shifted = {index + (index >= place): value for index, value in case.request.context.items()}
    known = replace(case, request=structs.replace(case.request, context={**shifted, place: idle[kind]}))
    unknown = replace(case, request=structs.replace(case.request, context=shifted))
    expected, engine = told(Engine(strategy, model), case, draws), Engine(more, model)
    for one in (known, unknown):
        said, fates = told(engine, one, draws)
        del fates["only-on-tv"]
        assert (said, fates) == expected


# -------------------------------------------------------------------------------------------------------------- names


@several
@given(strategies().flatmap(lambda strategy: st.tuples(st.just(strategy), remembered(strategy))))
def test_what_things_are_called_does_not_matter(world: tuple[Strategy, tuple[Case, tuple[float, ...]]]) -> None:
    """With other ids for actions, rules, fields, groups, intents, levels, channels and placements everywhere, the same
    is said, under its new name.
    """
    strategy, (case, draws) = world
    named = ("action.id", "action.group", "action.intents", "action.tags", "action.kind")
    kept = _without(strategy, *named)
    strategy = replace(
        kept,
        actions=tuple(replace(a, cost=a.cost + 0.0137 * a.index, propensity=a.propensity / 2) for a in kept.actions),
    )
    snapshot = (engine := Engine(strategy, None)).see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    net = engine.score(snapshot, judged, case.request).net.tolist()
    assume(len(set(net)) == len(net))
    gone = [f"action-{number}" for number in range(1, 14)]
    renamed = Renaming.of(strategy, "story-0", "story-1", *GROUPS, *INTENTS, *gone)
    other = replace(renamed(strategy), attributes=strategy.attributes)
    moved = replace(case, known=renamed(case.known), request=renamed(case.request))
    before, held = told(engine, case, draws)
    after, held_now = told(Engine(other, None), moved, draws)
    assert after == [
        (*(renamed.name(one) for one in answer[:2]), answer[2], renamed.name(answer[3]), *answer[4:])
        for answer in before
    ]
    assert held_now == {
        renamed.name(action): sorted((renamed.name(rule), code, until) for rule, code, until in vetoes)
        for action, vetoes in held.items()
    }


def _without(strategy: Strategy, *words: str) -> Strategy:
    """Return the strategy without the rules whose conditions hold one of these words."""

    def kept(rules: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(rule for rule in rules if not any(word in rule.when.source for word in words))

    return replace(
        strategy,
        guardrails=kept(strategy.guardrails),
        eligibility=kept(strategy.eligibility),
        weights=kept(strategy.weights),
    )


# --------------------------------------------------------------------------------------------------- process and time

DECIDES = """
import sys
from pathlib import Path
from hashlib import blake2b
from service.core.loader import load_strategy
from tests.core.deciding import decisions
print(blake2b(b"".join(decisions(load_strategy(Path(sys.argv[1]))))).hexdigest())
"""


def test_another_process_decides_the_same_bytes(tmp_path_factory: Any) -> None:  # noqa: ANN401  pytest's
    """Processes that order their sets and dicts otherwise plan, for many customers, the same bytes."""
    folder = write_policy(tmp_path_factory.mktemp("policy"))
    found = set()
    for seed in range(PROCESSES):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed + 1)}
        run = subprocess.run(
            [sys.executable, "-c", DECIDES, str(folder)], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        found.add(run.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == 128


@several
@given(worlds(), st.floats(0, 1))
def test_time_that_ends_nothing_changes_nothing(world: Any, share: float) -> None:  # noqa: ANN401  drawn
    """Until a promise, a cap's use, a cool-off or a rule's validity begins or ends, the answer is that of before; no
    condition here asks for the time, and without a model nothing is learned from it.
    """
    strategy, _, case, draws = world
    strategy, case = _settled(_without(strategy, "now"), case)
    ends = [end for end in _ends(strategy, case.known) if end > NOW_MS]
    last = min(ends, default=NOW_MS + HOUR_MS) - 1
    later_ms = NOW_MS + int(share * (last - NOW_MS))
    later = replace(case, known=structs.replace(case.known, now_ms=later_ms))
    engine = Engine(strategy, None)
    assert told(engine, case, draws) == told(engine, later, draws)


def _settled(strategy: Strategy, case: Case) -> tuple[Strategy, Case]:
    """Return a world in which nothing begins or ends within the next moments, so that there is time to look at."""
    always: dict[str, Any] = {kind: tuple(replace(r, valid=ALWAYS) for r in getattr(strategy, kind)) for kind in RULES}
    memory = case.known.memory
    until = NOW_MS + HOUR_MS // 2
    settled = structs.replace(
        memory,
        promised=tuple(structs.replace(one, until_ms=max(one.until_ms, until)) for one in memory.promised),
        refusals=tuple(structs.replace(one, at_ms=min(one.at_ms, NOW_MS)) for one in memory.refusals),
    )
    return replace(strategy, **always), replace(case, known=structs.replace(case.known, memory=settled))


def _ends(strategy: Strategy, known: Known) -> list[int]:
    """Return all moments at which something that is remembered begins or ends."""
    ends: list[int] = []
    day = CapTable(strategy).day((None,) * len(strategy.schema.fields), NOW_MS)
    day_ms = 25 * HOUR_MS if day is None else 0
    assert day_ms, "no time zone is known here, so a day is 25 hours"
    for times in known.counters.values():
        ends += [at + span for at in times for span in (day_ms, *(cap.within_ms for cap in strategy.caps))]
    ends += [promise.until_ms for promise in known.memory.promised]
    for refusal in known.memory.refusals:
        ends += [
            refusal.at_ms + span for rest in strategy.cool_offs for span in (0, rest.forget_ms, *rest.durations_ms)
        ]
    return ends


# ------------------------------------------------------------------------------------------------------------ channel


@several
@given(strategies(), cases(), st.floats(0, 1, exclude_max=True), st.sampled_from(PLACES), st.integers(0, HOUR_MS - 1))
def test_another_channel_tells_the_same_story(
    strategy: Strategy, case: Case, draw: float, place: tuple[str, str], later_ms: int
) -> None:
    """What was said on one channel is said on any other, or nothing, as long as the promise holds; whatever the rules
    permit, and though another action is worth a hundred times as much by then.
    """
    story = Promise("story", "One story.", Selector(), HOUR_MS, (), ())
    strategy = replace(strategy, promises=(story,), caps=(), cool_offs=())
    if later_ms % 2:
        strategy = replace(strategy, guardrails=(), eligibility=())  # then nothing but the promise has a say
    person, facts = Person(), {strategy.schema.fields[i].id: v for i, v in case.request.context.items()}
    first = said(person.ask(Engine(strategy, None), "web", "hero", draw=draw, facts=facts))
    others = tuple(action.id for action in strategy.actions if action.id not in first)
    by_then = Weight("by-then", "", Selector(ids=others), 100.0, Condition("", "rules.yaml", 1))
    engine = Engine(replace(strategy, weights=(by_then,)), None)
    answer = said(person.ask(engine, *place, at_ms=NOW_MS + later_ms, draw=draw / 2, facts=facts))
    assert first == [""] or answer in (first, [""])
    again = said(person.ask(engine, "web", "hero", at_ms=NOW_MS + later_ms, draw=draw, facts=facts))
    assert first == [""] or again in (first, [""])
    assert again == first or strategy.guardrails
