"""Decide about many customers in memory, by a strategy alone: the same strategy gives the same bytes."""

from __future__ import annotations

from random import Random

import msgspec

from models.context import Field, Scalar, ValueType
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.memory import Memory, Refusal
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy

MOMENT_MS = 1_796_083_200_000
CUSTOMERS = 120


def decisions(strategy: Strategy) -> list[bytes]:
    """Return the plans of decisions about the same customers on every channel, with everything that forbids."""
    engine, dice = Engine(strategy, None), Random(7)
    return [_decision(engine, dice, place) for place in range(CUSTOMERS)]


def _decision(engine: Engine, dice: Random, place: int) -> bytes:
    strategy = engine.strategy
    channel = strategy.channels[place % len(strategy.channels)]
    now_ms = MOMENT_MS + dice.randrange(30 * 86_400_000)
    level = dice.choice(strategy.levels)
    values = tuple(_value(field, dice, now_ms) for field in strategy.schema.fields)
    snapshot = Snapshot(values, {}, now_ms, level, dice.random() < 0.7)
    refused = tuple(
        Refusal(action.id, action.group, action.intents, 4, now_ms - dice.randrange(60 * 86_400_000), b"refused")
        for action in strategy.actions
        if dice.random() < 0.1
    )
    known = Known(now_ms, level.id, (), {}, {}, memory=Memory(refused))
    request = Request(f"customer-{place}", channel.id, channel.placements, {})
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    draws = tuple(dice.random() for _ in channel.placements)
    entry = engine.arbitrate("d" * 26, request, snapshot, judged, scores, draws)
    checked = engine.check(entry, snapshot)
    explained = engine.explain(snapshot, judged, scores, request)
    return msgspec.msgpack.encode((checked.entry, checked.objections, repr(explained)))


def _value(field: Field, dice: Random, now_ms: int) -> Scalar | None:
    """Return a value of a field, or that it is unknown."""
    words = field.bounds.values or ("one", "two")
    drawn: dict[ValueType, Scalar] = {
        ValueType.BOOL: dice.random() < 0.5,
        ValueType.INT: dice.randrange(8),
        ValueType.DOUBLE: round(dice.uniform(0.0, 100.0), 2),
        ValueType.STRING: dice.choice(words),
        ValueType.TIMESTAMP: now_ms - dice.randrange(86_400_000),
        ValueType.STRINGS: (dice.choice(words),),
    }
    return drawn[field.type] if dice.random() < 0.7 else None
