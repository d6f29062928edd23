"""What is counted of decisions is what explanations tell of them one by one, and sums are sums."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.context import ValueType
from service.core.again import again
from service.core.caps import CapTable
from service.core.decision import Committed, Known, Request
from service.core.engine import Engine
from service.core.explained import Explanation, Fate, Stage
from service.core.insight import BUCKETS, Insight, Tally, rule_named
from service.core.loader import load_strategy
from service.core.plan import Entry, pack
from service.core.rights import KeptDecision, KeptOutcome
from service.core.sums import Sums
from service.rpc.convert_insight import Answer, wilson
from tact.v1 import insight_pb2 as pb
from tests.cli.commands import DEMO
from tests.core.test_again import EXAMPLES, World, logged
from tests.core.test_metamorphic import worlds
from tests.core.worlds import models

HOUR_MS = 3_600_000
NOW_MS = 1_770_000_000_000
STAGES = {"eligible": Stage.JUDGED, "scored": Stage.CAPPED, "ranked": Stage.RANKED}


def committed_of(entry: Entry) -> Committed:
    """Return a commit that says the first choice everywhere."""
    chosen = tuple(0 if one.candidates and one.suppression is None else -1 for one in entry.placements)
    return Committed(pack(entry), b"", chosen, (), False)


def told_of(engine: Engine, entry: Entry, committed: Committed) -> Explanation:
    """Explain a decision, as its customer's agent may ask for it."""
    return engine.explainer.explained(again(engine, entry), committed, later=True)


def came_to(fate: Fate) -> Stage | None:
    """Return how far an action came at the best of its placements; None where it has no words."""
    return max((Stage.TREATED if one.stage is None else one.stage for one in fate.placements), default=None)


@settings(max_examples=EXAMPLES, deadline=None)
@given(world=worlds())
def test_the_funnel_is_what_explanations_tell(world: World) -> None:
    """Of each action: whether it had words, how far it came, and by which rules it was held back."""
    strategy, model, case, draws = world
    engine = Engine(strategy, model)
    entry = logged(engine, case, draws)
    committed, tally = committed_of(entry), Tally(HOUR_MS, tuple(action.id for action in strategy.actions))
    tally.decided(KeptDecision(entry.at_ms, entry, committed), engine)
    step = tally.told(entry.at_ms, entry.at_ms + 1).total
    assert (step.of("decisions"), step.of("judged")) == (1, 1)
    wanted: Counter[tuple[str, ...]] = Counter()
    for fate in told_of(engine, entry, committed).fates:
        if (best := came_to(fate)) is None:
            continue
        wanted["action", fate.action, "considered"] += 1
        wanted.update(("action", fate.action, name) for name, stage in STAGES.items() if best >= stage)
        if best < Stage.CAPPED:
            wanted.update(("back", fate.action, name) for name in {rule_named(one) for one in fate.vetoes})
    found = {name: times for name, times in step.counts.items() if name[0] in ("action", "back") and name[-1] != "won"}
    assert found == dict(wanted)
    held = Counter(name[2] for name in wanted if name[0] == "back")
    assert {name[0]: times for name, times in step.about("rule held")} == dict(held)
    assert {name[0]: times for name, times in step.about("rule")} == dict.fromkeys(held, 1)


@settings(max_examples=EXAMPLES, deadline=None)
@given(world=worlds(), data=st.data())
def test_what_was_said_is_counted_of_every_version(world: World, data: st.DataObject) -> None:
    """Another version's decision is not judged again, but what it said, why not, and its challenger are counted."""
    strategy, model, case, draws = world
    engine = Engine(strategy, model, data.draw(models(strategy)))
    entry = logged(engine, case, draws)
    committed, tally = committed_of(entry), Tally(HOUR_MS)
    other = structs.replace(entry, strategy="other@1")
    tally.decided(KeptDecision(entry.at_ms, other, committed), engine)
    (step,) = tally.steps.values()
    said = [one.candidates[0].action for one, rank in zip(entry.placements, committed.chosen, strict=True) if rank == 0]
    assert step.of("judged") == 0
    assert step.of("said") + step.of("greetings") == len(said)
    assert step.of("suppressed") == len(entry.placements) - len(said)
    assert {name[0]: times for name, times in step.about("action") if name[1] == "won"} == dict(Counter(said))
    assert step.counts["version", "other@1", entry.model] == 1
    if entry.shadow is None:
        return
    same = sum(
        (own.candidates[0].action if own.candidates else "") == first
        for own, first in zip(entry.placements, entry.shadow.first, strict=True)
    )
    assert (step.of("shadow", entry.shadow.model), step.of("shadow same", entry.shadow.model)) == (
        len(entry.placements),
        same,
    )


def test_outcomes_fall_into_the_step_in_which_they_happened() -> None:
    """Each kind is counted for its action; what was accepted has a worth, and steps of long ago are dropped."""
    tally = Tally(HOUR_MS)
    for at_ms, kind in ((0, 1), (1, 3), (HOUR_MS, 3), (HOUR_MS, 4), (HOUR_MS, 6), (HOUR_MS, 5)):
        tally.came(KeptOutcome("d", "fibre", kind, at_ms, at_ms, 9.5))
    told = tally.told(0, 2 * HOUR_MS)
    assert [step.of("outcomes") for step in told.steps] == [2, 4]
    assert [step.of("action", "fibre", "accepted") for step in told.steps] == [1, 1]
    assert (told.total.of("action", "fibre", "refused"), told.total.of("refused")) == (3, 3)
    assert told.total.sum("amount", "fibre") == 19.0
    tally.forget_before(HOUR_MS)
    assert list(tally.steps) == [HOUR_MS]


def test_an_entry_that_cannot_be_read_is_counted_as_that() -> None:
    """It is no decision, and nothing else is known of it."""
    tally, unread = Tally(HOUR_MS), KeptDecision(5, None, None, b"?")
    engine: Any = None
    tally.decided(unread, engine)
    assert dict(tally.steps[0].counts) == {("unreadable",): 1}


NAMES = st.sampled_from([("a",), ("b", "c")])


@given(parts=st.lists(st.lists(st.tuples(NAMES, st.integers(1, 9))), max_size=5))
def test_a_total_is_the_sum_of_its_parts(parts: list[list[tuple[tuple[str, ...], int]]]) -> None:
    """Counts and sums add up, and spans reach from the first to the last; the parts stay as they are."""
    steps, every = [], Counter[tuple[str, ...]]()
    for part in parts:
        step = Sums()
        for name, times in part:
            step.count(*name, times=times)
            step.add(*name, amount=float(times))
            step.span(*name, at_ms=times)
            every[name] += times
        steps.append(step)
    before = [dict(step.counts) for step in steps]
    total = Sums.total(steps)
    assert dict(total.counts) == dict(every)
    assert total.sums == {name: float(times) for name, times in every.items()}
    moments = {name: [times for part in parts for one, times in part if one == name] for name in every}
    assert total.spans == {name: (min(all_), max(all_)) for name, all_ in moments.items()}
    assert [dict(step.counts) for step in steps] == before


@pytest.mark.parametrize(
    ("came", "said", "low", "high"), [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (50, 100, 0.4038, 0.5962)]
)
def test_an_interval_is_wilsons(came: int, said: int, low: float, high: float) -> None:
    """The published examples of Newcombe (1998), to four digits, and the ends stay within 0 and 1."""
    assert wilson(came, said) == pytest.approx((low, high), abs=2e-4)


def test_what_is_capped_is_eligible_and_not_scored() -> None:
    """With every cap of a placement used up, what they count falls there, and the caps are named as what held it."""
    engine = Engine(replace(load_strategy(DEMO), guardrails=(), eligibility=()), None)
    caps = CapTable(engine.strategy).counted("desk", "offer", NOW_MS)
    used = {key: (NOW_MS - 1,) * one.counter.at_most for key, one in caps.items()}
    request = Request("anna", "desk", ("offer",), {})
    snapshot = engine.see(known := Known(NOW_MS, "full", ("email",), {}, used), request)
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    entry = engine.arbitrate("0" * 26, request, snapshot, judged, scores, (0.5,))
    tally = Tally(HOUR_MS, tuple(action.id for action in engine.strategy.actions))
    tally.decided(KeptDecision(NOW_MS, entry, committed_of(entry)), engine)
    total = tally.told(NOW_MS, NOW_MS + 1).total
    capped = judged.capped[0]
    fell = [
        action.id
        for action in engine.strategy.actions
        if any(veto.mask >> action.index & 1 for veto in capped) and total.of("action", action.id, "eligible")
    ]
    assert fell
    assert [total.of("action", name, "scored") for name in fell] == [0] * len(fell)
    rules = {veto.reason.rule for veto in capped}
    held = {(name, rule) for (name, rule), _ in total.about("back") if name in fell}
    assert {name for name, _ in held} == set(fell)
    assert {rule for _, rule in held} <= rules


def an_entry(engine: Engine, customer: str = "anna", number: int = 0) -> Entry:
    """Return the entry of a decision about a customer of whom everything numeric is known."""
    request = Request(customer, "desk", ("greeting",), {})
    known = Known(NOW_MS, "full", ("email",), {}, {})
    snapshot = engine.see(known, request)
    scores = engine.score(snapshot, judged := engine.judge(snapshot, known, request), request)
    made = engine.arbitrate(f"{number:026d}", request, snapshot, judged, scores, (0.5,))
    values = tuple(1.0 if field.type is ValueType.DOUBLE else None for field in engine.strategy.schema.fields)
    return structs.replace(made, values=values)


def means_of(engine: Engine, people: list[tuple[str, int]]) -> list[pb.DataInsight]:
    """Return what is told of fields once these customers were decided about, each in an hour of theirs."""
    tally = Tally(HOUR_MS, tuple(action.id for action in engine.strategy.actions))
    for number, (customer, hour) in enumerate(people):
        entry = structs.replace(an_entry(engine, customer, number), at_ms=NOW_MS + hour * HOUR_MS)
        tally.decided(KeptDecision(NOW_MS, entry, committed_of(entry)), engine)
    insight = Insight(tally.told(NOW_MS, NOW_MS + 3 * HOUR_MS), BUCKETS, True, {})
    found = Answer(engine.strategy, ("", "", ""), insight).message().data
    return [one for one in found if one.known == len(people)]


def test_a_mean_is_of_five_customers_and_not_of_five_decisions() -> None:
    """However often one is decided about; and no difference of means tells what few have."""
    engine = Engine(load_strategy(DEMO), None)
    assert means_of(engine, [("anna", 0)] * 9)
    assert not any(one.HasField("mean") for one in means_of(engine, [("anna", 0)] * 9))
    assert not any(one.HasField("mean") for one in means_of(engine, [(str(n % 4), 0) for n in range(12)]))
    enough = means_of(engine, [(str(n), 0) for n in range(5)] + [("anna", 1)] * 7)
    assert enough
    for one in enough:
        assert (one.mean, list(one.known_by_step)) == (1.0, [5, 0, 0, 0]), "the second hour is one customer's"
    assert all(one.HasField("mean") for one in means_of(engine, [(str(n), n % 3) for n in range(5)]))


@pytest.mark.parametrize("early", [True, False])
def test_drift_compares_the_same_decisions(early: bool) -> None:
    """What came of others, or came twice, is no part of the share; in whatever order log and outcomes are read."""
    engine = Engine(load_strategy(DEMO), None)
    tally = Tally(HOUR_MS, tuple(action.id for action in engine.strategy.actions))
    entries = [structs.replace(an_entry(engine, "anna", n), model="m@1" if n < 4 else "") for n in range(9)]
    action = entries[0].placements[0].candidates[0].action
    came = [KeptOutcome(f"{n:026d}", action, 3, NOW_MS, NOW_MS, 1.0) for n in (0, 0, 4, 5, 6, 7, 8)]
    for one in came if early else ():
        tally.came(one)
    for entry in entries:
        tally.decided(KeptDecision(NOW_MS, entry, committed_of(entry)), engine)
    for one in () if early else came:
        tally.came(one)
    insight = Insight(tally.told(NOW_MS, NOW_MS + 1), BUCKETS, True, {})
    (drift,) = Answer(engine.strategy, ("", "", ""), insight).message().drift
    assert (drift.action_id, drift.said, drift.came) == (action, 4, 0.25)
