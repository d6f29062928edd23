"""Random customers of real strategies whose fields are told to random audiences, and what is told of decisions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from models.context import Audience, Field, Purpose, Scalar, Source, Told, ValueType
from service.core.again import Again
from service.core.decision import Bound, Committed, Decision, Known, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.memory import Memory, Refusal
from service.core.plan import Entry, pack
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.core.templates import slots_of, told_by
from tests.project.tree import ROOT

DAY_MS = 86_400_000
MOMENT_MS = 1_796_083_200_000
STRATEGIES = ("demo", "bank", "starbucks", "trucks")
DRAWN = (Audience.CUSTOMER, Audience.AGENT, Audience.AUDITOR, None)


@cache
def real(name: str) -> Strategy:
    """Return one of the strategies that the project comes with."""
    return load_strategy(ROOT / "strategies" / name)


def retold(strategy: Strategy, dice: Random) -> Strategy:
    """Return a strategy whose fields are told, and told to, whom the dice say, as far as a loader lets that through."""
    fields = [_retold(field, dice) for field in strategy.schema.fields]
    schema = replace(strategy.schema, fields=tuple(fields))
    for name in _spoken(strategy):  # words name only what is expected, also by way of other fields
        while behind := told_by(schema.fields[schema.index[name]], schema):
            at = schema.index[behind[0]]
            fields[at] = replace(fields[at], told=Told.EXPECTED)
            schema = replace(schema, fields=tuple(fields))
    return replace(strategy, schema=schema)


def _spoken(strategy: Strategy) -> set[str]:
    """Return the fields that stand in words."""
    treatments = [treatment for action in strategy.actions for treatment in action.treatments]
    texts = [text for one in treatments for text in (one.text, *(worded.text for worded in one.languages))]
    return {slot.field for text in texts for slot in slots_of(text)}


def _retold(field: Field, dice: Random) -> Field:
    told = Told.INFERRED if field.source is Source.MODEL else dice.choice((Told.EXPECTED, *Told))
    told_to = dice.choice(DRAWN)
    return replace(field, told=told, told_to=None if told is not Told.EXPECTED and told_to is DRAWN[0] else told_to)


def marked(field: Field, dice: Random) -> Scalar:
    """Return a value of a field that no sentence holds by accident, as far as its type allows that."""
    words = field.bounds.values or (f"zq{dice.randrange(10**9)}qz",)
    made: dict[ValueType, Scalar] = {
        ValueType.BOOL: dice.random() < 0.5,
        ValueType.INT: dice.choice((0, 1, 2, 731_000 + dice.randrange(999))),
        ValueType.DOUBLE: dice.choice((0.0, -0.6, 0.5, 20.0, 731.0625 + dice.randrange(999))),
        ValueType.STRING: dice.choice(words),
        ValueType.TIMESTAMP: MOMENT_MS + dice.randrange(-40 * DAY_MS, 40 * DAY_MS),
        ValueType.STRINGS: (dice.choice(words),),
    }
    return made[field.type]


def made_by(engine: Engine, dice: Random) -> tuple[Again, Committed]:
    """Return a decision about a random customer, and what a random commit took of it."""
    strategy = engine.strategy
    channel, level = dice.choice(strategy.channels), dice.choice(strategy.levels)
    known_share = dice.random()
    values = tuple(
        marked(field, dice) if field.purpose in level.purposes and dice.random() < known_share else None
        for field in strategy.schema.fields
    )
    now_ms = MOMENT_MS + dice.randrange(30 * DAY_MS)
    refused = tuple(
        Refusal(action.id, action.group, action.intents, 4, now_ms - dice.randrange(60 * DAY_MS), b"refused")
        for action in dice.sample(strategy.actions, min(2, len(strategy.actions)))
    )
    memory = Memory(refused if dice.random() < 0.3 else ())
    placements = tuple(dice.sample(channel.placements, dice.randint(1, len(channel.placements))))
    counters = {
        key: (now_ms - 2, now_ms - 1)
        for placement in placements
        for key in engine._policy.caps.counted(channel.id, placement, now_ms)
        if dice.random() < 0.1
    }
    known = Known(now_ms, level.id, (), {}, counters, memory=memory)
    request = Request(f"customer-{dice.randrange(10**6)}", channel.id, placements, {}, explain=True)
    snapshot = Snapshot(values, {}, now_ms, level, dice.random() < 0.7, memory=memory)
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    draws = tuple(dice.random() for _ in placements)
    planned = engine.arbitrate("d" * 26, request, snapshot, judged, scores, draws)
    entry = engine.check(planned, snapshot, judged.verdicts.vetoes).entry
    return Again(request, known, snapshot, judged, scores, entry), taken(entry, engine, dice)


def taken(entry: Entry, engine: Engine, dice: Random) -> Committed:
    """Return what a commit took: mostly the first of each placement, sometimes the next one, for a cap bound it."""
    chosen, bound, said = [], [], set()
    for place, placed in enumerate(entry.placements):
        rank = -1
        for at, candidate in enumerate(placed.candidates if placed.suppression is None else ()):
            if dice.random() < 0.1 and (caps := engine.strategy.caps):
                bound.append(Bound(place, at, dice.choice(caps).id, entry.at_ms + DAY_MS))
            elif candidate.action not in said and rank < 0:
                rank = at
                said.add(candidate.action)
        chosen.append(rank)
    return Committed(pack(entry), b"", tuple(chosen), tuple(bound), repeated=False)


def decisions(strategy: Strategy, dice: Random) -> Iterator[tuple[Engine, Again, Decision]]:
    """Yield explained decisions of one strategy, whose fields are told to others every twenty."""
    while True:
        engine = Engine(retold(strategy, dice), None)
        for _ in range(20):
            made, committed = made_by(engine, dice)
            told = engine.explainer.explained(made, committed)
            yield engine, made, engine.answer(committed, made.entry, told)


def texts_in(message: Any) -> Iterator[str]:  # noqa: ANN401 - plain values of any depth
    """Yield every text in a plain answer, the names of its entries left out."""
    if isinstance(message, str):
        yield message
    elif isinstance(message, dict):
        for inside in message.values():
            yield from texts_in(inside)
    elif isinstance(message, list | tuple):
        for inside in message:
            yield from texts_in(inside)


def lost_by(dice: Random) -> frozenset[Purpose]:
    """Draw what a customer agrees to no more: mostly everything still holds."""
    return frozenset(purpose for purpose in Purpose if dice.random() < 0.2)
