"""What does not matter changes no answer: order, names, irrelevant facts, and processes.

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
from models.features import FeatureSpace
from service.core.engine import Engine
from service.core.parts import parts
from service.core.selection import mask
from service.core.strategy import Strategy
from tests.core.expressions import NOW_MS, field
from tests.core.policies import write_policy
from tests.core.renaming import Renaming
from tests.core.test_engine import decide
from tests.core.worlds import CHANNELS, GROUPS, HOUR_MS, INTENTS, PLACES, Case, cases, memories, models, strategies

EXAMPLES = int(os.environ.get("TACT_DECISIONS", "24"))
several = settings(max_examples=EXAMPLES // 2, deadline=None)
PROCESSES = 3
RULES = ("guardrails", "eligibility", "caps", "weights", "cool_offs", "promises", "exemptions")
Said = tuple[str, str, str, str, int | None, float, float, tuple[int, ...]]
Veto = tuple[str, int, int]
Planned = tuple[str, int, bool, list[tuple[str, float, bool]]]
Told = tuple[list[Said], dict[str, list[Veto]], list[Planned]]


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
    """Draw all that one decision depends on; in every other world much may be said and pays, and a lot is explored."""
    strategy = draw(strategies())
    case, draws = draw(remembered(strategy))
    if draw(st.booleans()):
        actions = tuple(
            replace(a, value=a.value + 1, propensity=max(a.propensity, 0.1), cost=0.0) for a in strategy.actions
        )
        strategy = replace(strategy, actions=actions, guardrails=(), eligibility=(), cool_offs=(), explore=0.5)
        case = replace(case, known=structs.replace(case.known, level="full", channels=("email",)))
        draws = tuple(draw(st.sampled_from((0.02, 0.23, 0.48, 0.51, 0.77, 0.98))) for _ in draws)
    return strategy, draw(models(strategy)), case, draws


def told(engine: Engine, case: Case, draws: Sequence[float]) -> Told:
    """Decide, and return what the customer is told; by action, what holds it back; and what was planned, with how
    likely it was to stand first. Reasons are in no order, for that is the documents'.
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
    return said, fates, planned(engine, case, draws)


def planned(engine: Engine, case: Case, draws: Sequence[float]) -> list[Planned]:
    """Return for each placement how many could be explored, whether one was, and the candidates, best first."""
    snapshot = engine.see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    scores = engine.score(snapshot, judged, case.request)
    entry = engine.arbitrate("d", case.request, snapshot, judged, scores, draws)
    return [
        (
            place.placement,
            place.pool,
            place.explored,
            [(one.action, round(one.probability, 9), one.preferred) for one in place.candidates],
        )
        for place in entry.placements
    ]


# -------------------------------------------------------------------------------------------------------------- order


@several
@given(worlds(), st.randoms())
def test_the_order_in_which_anything_is_written_does_not_matter(world: Any, random: Random) -> None:  # noqa: ANN401  drawn
    """Actions, their treatments, intents and attributes, rules of every kind, levels but the lowest, what is known of
    a customer and what the request tells: in any order the answer is the same.
    """
    strategy, model, case, draws = world
    strategy = without(strategy, "action.intents", "action.tags")  # lists that are compared, and mixed here

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
        said, fates, plans = told(engine, one, draws)
        del fates["only-on-tv"]
        assert (said, fates, plans) == expected


# -------------------------------------------------------------------------------------------------------------- names


@several
@given(worlds(), st.randoms())
def test_what_things_are_called_does_not_matter(world: Any, random: Random) -> None:  # noqa: ANN401  drawn
    """With other ids, of other lengths, for actions, rules, fields, groups, intents, levels, channels and placements
    everywhere, the same is said, under its new name, with a model and without.
    """
    strategy, model, case, draws = world
    kept = without(strategy, "action.id", "action.group", "action.intents", "action.tags", "action.kind")
    strategy = replace(
        kept,
        actions=tuple(replace(a, cost=a.cost + 0.0137 * a.index, propensity=a.propensity / 2) for a in kept.actions),
    )
    snapshot = (engine := Engine(strategy, model)).see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    net = engine.score(snapshot, judged, case.request).net.tolist()
    assume(len(set(net)) == len(net))
    gone = [f"action-{number}" for number in range(1, 14)]
    renamed = Renaming.of(strategy, random, "story-0", "story-1", *GROUPS, *INTENTS, *gone)
    other = replace(renamed(strategy), attributes=strategy.attributes)
    moved = replace(case, known=renamed(case.known), request=renamed(case.request))
    said, fates, plans = told(engine, case, draws)
    assert told(Engine(other, _renamed_model(model, renamed, other)), moved, draws) == (
        [
            (*(renamed.name(one) for one in answer[:2]), answer[2], renamed.name(answer[3]), *answer[4:])
            for answer in said
        ],
        {
            renamed.name(action): sorted((renamed.name(rule), code, until) for rule, code, until in vetoes)
            for action, vetoes in fates.items()
        },
        [
            (renamed.name(place), pool, explored, [(renamed.name(one[0]), *one[1:]) for one in candidates])
            for place, pool, explored, candidates in plans
        ],
    )


def _renamed_model(model: Any, renamed: Renaming, strategy: Strategy) -> Any:  # noqa: ANN401  a model or none
    """Return the same model for a strategy in which everything is called otherwise."""
    if model is None:
        return None
    space = FeatureSpace.of(strategy.schema, strategy.features)
    return replace(model, actions=tuple(renamed.name(one) for one in model.actions), feature_hash=space.hash)


def without(strategy: Strategy, *words: str) -> Strategy:
    """Return the strategy without the rules whose conditions hold one of these words."""

    def kept(rules: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(rule for rule in rules if not any(word in rule.when.source for word in words))

    return replace(
        strategy,
        guardrails=kept(strategy.guardrails),
        eligibility=kept(strategy.eligibility),
        weights=kept(strategy.weights),
    )


# --------------------------------------------------------------------------------------------------- process

DECIDES = """
import sys
from pathlib import Path
from dataclasses import replace
from hashlib import blake2b
from service.core.loader import load_strategy
from tests.core.deciding import decisions
strategy = load_strategy(Path(sys.argv[1]))
same = {"value": 9.0, "reward": 0.0, "cost": 0.0, "lever": 1.0, "propensity": 0.5}
tied = replace(strategy, weights=(), actions=tuple(replace(action, **same) for action in strategy.actions))
for one in (strategy, tied):
    print(blake2b(b"".join(decisions(one))).hexdigest())
"""


def test_another_process_decides_the_same_bytes(tmp_path_factory: Any) -> None:  # noqa: ANN401  pytest's
    """Processes that order their sets and dicts otherwise plan, for many customers, the same bytes, also where all
    actions are worth exactly the same.
    """
    folder = write_policy(tmp_path_factory.mktemp("policy"))
    found = set()
    for seed in range(PROCESSES):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed + 1)}
        run = subprocess.run(
            [sys.executable, "-c", DECIDES, str(folder)], env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stderr
        found.add(run.stdout)
    assert len(found) == 1
    assert [len(line) for line in found.pop().split()] == [128, 128]
