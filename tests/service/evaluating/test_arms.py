"""The arms keep the guardrails, are what they say they are, and the strategy's arm is what the strategy decides."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.evaluating.arms import NO_LEVERS, PROPENSITY_ONLY, STRATEGY, Arms, Situation
from service.evaluating.rows import Reader, Row, TableLog, files_of
from tests.service.evaluating.world import Pilot

MOST = 150


@pytest.fixture(scope="module")
def rows(pilot: Pilot, demo: Strategy) -> list[Row]:
    """Read some rows of the pilot."""
    return [row for batch in Reader(demo).rows(TableLog(files_of(pilot.table))) for row in batch][:MOST]


@pytest.fixture(scope="module")
def situations(rows: list[Row], demo: Strategy) -> list[Situation]:
    """Ask the arms about them."""
    arms = Arms(demo, None)
    return [arms.at(row) for row in rows]


def test_every_arm_says_only_what_is_permitted(situations: list[Situation]) -> None:
    """Whatever an arm says may be said, and the probabilities of an arm add up to 1 with that of nothing."""
    for found in situations:
        for chances in found.chances.values():
            assert set(chances) <= set(found.permitted)
            assert all(chance > 0.0 for chance in chances.values())
            assert sum(chances.values()) <= 1.0 + 1e-12


def test_no_arm_sells_over_an_open_ticket(rows: list[Row], situations: list[Situation], demo: Strategy) -> None:
    """A guardrail of the strategy binds propensity only as it binds the strategy."""
    tickets = demo.schema.index["past.open_tickets"]
    sold = [
        action.id
        for row, found in zip(rows, situations, strict=True)
        if row.values.get(tickets)
        for chances in found.chances.values()
        for action in (demo.actions[index] for index in chances)
        if {"upsell", "cross_sell"} & set(action.intents)
    ]
    helped = sum(bool(row.values.get(tickets)) for row in rows)
    assert (sold, helped > 0) == ([], True)


def test_the_strategy_is_what_deciding_draws_from(rows: list[Row], demo: Strategy) -> None:
    """At one placement, the most probable action of the strategy's arm is the one that deciding says unexplored."""
    places = {channel.id: channel.placements for channel in demo.channels}
    arms, engine = Arms(demo, None), Engine(demo, None)
    for row in rows:
        one = msgspec.structs.replace(row, asked=places[row.channel][0])
        chances = arms.at(one).chances[STRATEGY]
        expected = max(chances, key=lambda index: chances[index], default=None)
        assert _decided(engine, demo, one) == ("" if expected is None else demo.actions[expected].id)


def _decided(engine: Engine, strategy: Strategy, row: Row) -> str:
    """Return what the engine plans to say first when nothing is explored."""
    request = Request(row.customer, row.channel, (row.asked,), {})
    known = Known(row.at_ms, row.level, (row.channel,), {}, {})
    seen = engine.see(known, request)
    values = tuple(row.values.get(index, value) for index, value in enumerate(seen.values))
    snapshot = Snapshot(values, seen.groups, seen.now_ms, seen.level, seen.permitted, seen.observed)
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    planned = engine.arbitrate("d", request, snapshot, judged, scores, (1.0 - 2.0**-32,))
    (placed,) = engine.check(planned, snapshot).entry.placements
    return placed.candidates[0].action if placed.candidates else ""


def test_propensity_only_takes_the_likeliest(situations: list[Situation], demo: Strategy) -> None:
    """Propensity only says one of the highest prior of those permitted, and nothing where none is."""
    for found in situations:
        said = [demo.actions[index].propensity for index in found.chances[PROPENSITY_ONLY]]
        highest = max((demo.actions[index].propensity for index in found.permitted), default=0.0)
        assert said == [highest] * bool(found.permitted)
        assert set(found.chances[PROPENSITY_ONLY].values()) <= {1.0}


def test_levers_move_the_strategy_and_not_the_arm_without(rows: list[Row], demo: Strategy) -> None:
    """When one action's lever is raised, the strategy says it more often, and the arm without levers just as before."""
    index = max(demo.actions, key=lambda action: action.value).index
    pulled = replace(
        demo, actions=tuple(replace(a, lever=100.0 if a.index == index else a.lever) for a in demo.actions)
    )
    before, after = Arms(demo, None), Arms(pulled, None)
    told = [(before.at(row).chances, after.at(row).chances) for row in rows]
    assert sum(b[STRATEGY].get(index, 0.0) - a[STRATEGY].get(index, 0.0) for b, a in told) < -1.0
    assert all(b[NO_LEVERS] == a[NO_LEVERS] for b, a in told)


def test_what_the_log_could_not_say_the_arms_do_not_say(rows: list[Row], demo: Strategy) -> None:
    """Kept within what the log might have said, arms choose the best of that; a row that does not tell binds nobody."""
    free, kept = Arms(demo, None), Arms(demo, None, within=True)
    bound = 0
    for row in rows:
        found = free.at(row)
        assert kept.at(row) == found
        some = [demo.actions[index].id for index in found.permitted if index != found.top]
        told = kept.at(msgspec.structs.replace(row, allowed=(*some, "gone")))
        assert {demo.actions[index].id for index in told.permitted} <= set(some)
        assert found.top is None or found.top not in told.chances[STRATEGY]
        bound += bool(told.chances[STRATEGY])
    assert bound > len(rows) / 2


def test_what_a_consent_does_not_cover_is_not_looked_at(rows: list[Row], demo: Strategy) -> None:
    """At a level that allows fewer purposes, a row says just what it says without the fields of the others."""
    fields, arms = demo.schema.fields, Arms(demo, None)
    for level in demo.levels[:-1]:
        covered = [field.purpose in level.purposes for field in fields]
        for row in rows:
            bare = msgspec.structs.replace(row, level=level.id)
            less = {index: value for index, value in row.values.items() if covered[index]}
            assert arms.at(bare) == arms.at(msgspec.structs.replace(bare, values=less))


def test_without_consent_there_is_no_offer(rows: list[Row], demo: Strategy) -> None:
    """At the lowest consent level no arm says an offer, whatever the log tells of the person."""
    lowest, arms = demo.levels[0].id, Arms(demo, None)
    offers = {action.index for action in demo.actions if action.kind == "offer"}
    for row in rows:
        bare = msgspec.structs.replace(row, level=lowest)
        assert not offers & set(arms.at(bare).permitted)
