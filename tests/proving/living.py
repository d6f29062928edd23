"""Let a customer of whom something is known live what makes it so: events, consent and predictions, through gRPC."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from models.context import Attribute, EventType, Field, Fold, FoldKind, Scalar, Source, ValueType
from service.core.strategy import Strategy
from service.proving.proofs import Example
from service.rpc.client import Event, Prediction, TactClient

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
_OF_ONE = (FoldKind.LAST, FoldKind.FIRST, FoldKind.SUM, FoldKind.MIN, FoldKind.MAX, FoldKind.WINDOW_SUM, FoldKind.DECAY)
_ADDED = (FoldKind.SUM, FoldKind.WINDOW_SUM, FoldKind.DECAY)
_COUNTS = (FoldKind.COUNT, FoldKind.WINDOW_COUNT)


async def lives(client: TactClient, strategy: Strategy, example: Example, customer: str) -> None:
    """Give a customer the consent of an example, and the past that its facts come from."""
    asked = [channel.id for channel in strategy.channels if channel.permission]
    permits = [*(one for one in asked if one != example.channel), *([example.channel] if example.permitted else [])]
    await client.set_consent(customer, example.level, [one for one in permits if one in asked])
    events = [
        Event(f"{customer}-{number}", customer, kind, at_ms, attributes)
        for number, (kind, at_ms, attributes) in enumerate(history(strategy, example))
    ]
    if events:
        fates = await client.record_events(events)
        assert [fate for fate in fates["results"] if fate["status"] != "stored"] == []
    values = {one.id: example.facts[one.id] for one in _known(strategy, example) if one.source is Source.MODEL}
    if values:
        at_ms = min(example.now_ms, time.time_ns() // 1_000_000)  # nothing comes ahead
        fates = await client.predictions.record([Prediction(customer, "given@1", at_ms, dict(values))])
        assert "rejected" not in str(fates).lower(), fates


def context(strategy: Strategy, example: Example) -> dict[str, Scalar]:
    """Return the facts of an example that come with the request."""
    return {one.id: example.facts[one.id] for one in _known(strategy, example) if one.source is Source.REQUEST}


def history(strategy: Strategy, example: Example) -> Iterator[tuple[str, int, dict[str, Scalar]]]:
    """Yield events, as kind, moment (ms) and attributes, that fold into the facts of an example."""
    wanted: dict[str, list[tuple[Field, Fold, Scalar]]] = {}
    for field in _known(strategy, example):
        if field.fold is not None and field.source is Source.EVENTS:
            wanted.setdefault(field.fold.event, []).append((field, field.fold, example.facts[field.id]))
    for name, facts in wanted.items():
        yield from _of_one_kind(strategy.schema.events[name], strategy, facts, example.now_ms)


def _of_one_kind(
    kind: EventType, strategy: Strategy, facts: list[tuple[Field, Fold, Scalar]], now_ms: int
) -> Iterator[tuple[str, int, dict[str, Scalar]]]:
    """Yield as many events of a kind as the facts ask for: what is counted or open, and else one."""
    told = {fold.attribute: value for _, fold, value in facts if fold.attribute and fold.kind in _OF_ONE}
    times = [int(value) for _, fold, value in facts if fold.kind in (*_COUNTS, FoldKind.OPEN) if isinstance(value, int)]
    ages = [float(value) for _, fold, value in facts if fold.kind is FoldKind.SINCE if isinstance(value, float)]
    at_ms = min(now_ms - (round(ages[0] * DAY_MS) if ages else 0), time.time_ns() // 1_000_000)  # nothing comes ahead
    open_ = [fold for _, fold, value in facts if fold.kind is FoldKind.OPEN]
    counted = any(fold.kind in _COUNTS for _, fold, _ in facts)
    if counted and times == [0]:
        at_ms = min(at_ms, now_ms - 400 * DAY_MS)  # a contact that no window counts any more
    closes = bool(open_) and not any(times)
    several = {fold.attribute: float(value) for _, fold, value in facts if fold.kind in _ADDED}  # type: ignore[arg-type]
    parts = {a.name: _in_parts(several[a.name], a.high) for a in kind.attributes if a.name in several}
    for number in range(max([1, *times, *map(len, parts.values())])):
        told |= {name: part[number] if number < len(part) else 0.0 for name, part in parts.items()}
        attributes = {a.name: _typed(a, told, _any(a, number, now_ms)) for a in kind.attributes if _needed(a, told)}
        yield kind.id, at_ms - 2 * HOUR_MS * closes, attributes
        for fold in open_ if closes else ():
            yield from _closed(strategy, fold, attributes, at_ms - HOUR_MS)


def _in_parts(amount: float, most: float | None) -> list[float]:
    """Return what adds up to an amount, each as much as one event can say."""
    if most is None or not 0.0 < most < amount:
        return [amount]
    whole = int(amount // most)
    return [most] * whole + ([amount - whole * most] if amount > whole * most else [])


def _closed(
    strategy: Strategy, fold: Fold, attributes: Mapping[str, Scalar], now_ms: int
) -> Iterator[tuple[str, int, dict[str, Scalar]]]:
    """Yield what closes what was opened."""
    closing = strategy.schema.events[str(fold.closed_by)]
    told = {str(fold.closed_key): attributes[str(fold.attribute)]}
    yield closing.id, now_ms, {a.name: told.get(a.name, _any(a, 0, now_ms)) for a in closing.attributes}


def _typed(attribute: Attribute, told: Mapping[str, Scalar], otherwise: Scalar) -> Scalar:
    """Return what is told of an attribute, which a field may count as another type of number."""
    value = told.get(attribute.name, otherwise)
    return int(value) if attribute.type is ValueType.INT and isinstance(value, float) else value


def _needed(attribute: Attribute, told: Mapping[str, Scalar]) -> bool:
    return not attribute.optional or attribute.name in told


def _any(attribute: Attribute, number: int, now_ms: int) -> Scalar:
    """Return some value of an attribute that nobody asked for."""
    if attribute.values:
        return attribute.values[0]
    some: dict[ValueType, Scalar] = {
        ValueType.BOOL: False,
        ValueType.INT: round(attribute.low or 0),
        ValueType.DOUBLE: max(0.0, attribute.low or 0.0),
        ValueType.STRING: f"some-{number}",
        ValueType.STRINGS: ("some",),
        ValueType.TIMESTAMP: now_ms + 3_000 * DAY_MS,
    }
    return some[attribute.type]


def _known(strategy: Strategy, example: Example) -> Iterator[Field]:
    return (field for field in strategy.schema.fields if field.id in example.facts)
