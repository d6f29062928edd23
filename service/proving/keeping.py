"""What a store would keep of a customer of whom these values are known, so that the real engine can see them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from models import states
from models.contact import LAST_CHANNEL, MINUTES_SINCE_LAST
from models.context import Field, Fold, FoldKind, Purpose, Scalar, Source
from models.folds import State
from service.core.decision import Known, Request
from service.core.memory import NOTHING_REMEMBERED, Contact, Memory
from service.core.stock import NOTHING_KNOWN, Stock, Stocks, counts
from service.core.strategy import Strategy
from service.proving.questions import Customer

NAME = "somebody"
"""The id of the customer whom the solver found."""
_MOST_ITEMS = 1_000
_MILLION = 1_000_000
_LARGEST = 2.0**62
"""What a sum is kept as is a whole number of 64 bits."""
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000


class Keeping:
    """Makes what a store would give out about customers of one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        self._schema = strategy.schema
        self._counts = counts(strategy.schema)
        self._levels = {level.id: level for level in strategy.levels}

    def kept(self, customer: Customer, placements: tuple[str, ...]) -> tuple[Known, Request, Stocks]:
        """Return what would be kept of a customer, what would be asked, and the supply; what no event can have said is
        left out.
        """
        known = Known(
            customer.now_ms,
            customer.level,
            (customer.channel,) if customer.permitted else (),
            self._groups(customer),
            {},
            memory=self._memory(customer),
        )
        context = {
            index: value
            for index, (field, value) in enumerate(zip(self._schema.fields, customer.values, strict=True))
            if field.source is Source.REQUEST and value is not None
        }
        return known, Request(NAME, customer.channel, placements, context), self._stocks(customer)

    def _groups(self, customer: Customer) -> dict[str, bytes]:
        kept: dict[Purpose, dict[int, State]] = {}
        for field, value in zip(self._schema.fields, customer.values, strict=True):
            state = None if value is None or field.fold is None else _state(field, field.fold, value, customer.now_ms)
            if state is not None:
                kept.setdefault(field.purpose, {})[field.key] = state
        purposes = self._levels[customer.level].purposes
        return {purpose.group: states.packed(own) for purpose, own in kept.items() if purpose in purposes}

    def _memory(self, customer: Customer) -> Memory:
        if LAST_CHANNEL not in self._schema.index:
            return NOTHING_REMEMBERED
        channel, minutes = (customer.values[self._schema.index[name]] for name in (LAST_CHANNEL, MINUTES_SINCE_LAST))
        if not isinstance(channel, str) or not isinstance(minutes, float):
            return NOTHING_REMEMBERED
        return Memory(last=Contact(channel, customer.now_ms - round(minutes * _MINUTE_MS), ()))

    def _stocks(self, customer: Customer) -> Stocks:
        if not self._counts:
            return NOTHING_KNOWN
        found: dict[tuple[str, str], Stock | None] = {}
        for count in self._counts:
            shelf, free = count.shelf(customer.values), customer.values[count.index]
            if shelf is not None and isinstance(free, int):
                found[shelf] = Stock(free, customer.now_ms, customer.now_ms + _DAY_MS)
        return found


def _state(field: Field, fold: Fold, value: Scalar, now_ms: int) -> State | None:
    """Return the state of a fold that says a value now; None for what no events can have said."""
    return _STATES[fold.kind](fold, value, now_ms) if fold.kind in _STATES else [now_ms, value]


def _sum(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    return [now_ms, _millionths(value)]


def _open(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    open_, closed = (now_ms, 0), {"closed": [now_ms - 1, now_ms]}
    items = {str(number): [*open_] for number in range(_whole(value))}
    return [now_ms, items or closed]


def _distinct(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    return [now_ms, {str(number): now_ms for number in range(_whole(value))}]


def _recent(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    items = [[now_ms, text] for text in value] if isinstance(value, tuple) else []
    return [now_ms, items] if items else None


def _window_count(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    number = min(_whole(value), fold.keep)
    return _window([_MILLION] * number, fold, now_ms)


def _window_sum(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    return _window([_millionths(value)], fold, now_ms)


def _rate(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    number = round(float(value) * fold.window_ms / fold.per_ms) if isinstance(value, float) else 0
    return _window_count(fold, max(0, min(number, fold.keep)), now_ms)


def _window(amounts: list[int], fold: Fold, now_ms: int) -> State:
    """Return a window with these amounts in it, or with one before it where it is empty."""
    at = now_ms - 1
    gone = [[at - fold.window_ms - 1, 0]]
    return [at, [[at, amount] for amount in amounts] or gone]


def _decay(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    since = (now_ms % fold.half_life_ms) / fold.half_life_ms
    amount = float(value) * 2.0**since if isinstance(value, float) else 0.0
    return [now_ms, [[now_ms // fold.half_life_ms, _millionths(amount)]], fold.half_life_ms]


def _since(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    if not isinstance(value, float) or not abs(value) * _DAY_MS < _LARGEST:
        return None
    return [now_ms - round(value * _DAY_MS)]


def _model(fold: Fold, value: Scalar, now_ms: int) -> State | None:
    return [now_ms, list(value) if isinstance(value, tuple) else value, "given"]


def _whole(value: Scalar) -> int:
    return min(value, _MOST_ITEMS) if isinstance(value, int) else 0


def _millionths(value: Scalar) -> int:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return 0
    return round(max(-_LARGEST, min(float(value) * _MILLION, _LARGEST)))


_STATES: Mapping[FoldKind, Callable[[Fold, Scalar, int], State | None]] = {
    FoldKind.SUM: _sum,
    FoldKind.OPEN: _open,
    FoldKind.DISTINCT: _distinct,
    FoldKind.RECENT: _recent,
    FoldKind.WINDOW_COUNT: _window_count,
    FoldKind.WINDOW_SUM: _window_sum,
    FoldKind.RATE: _rate,
    FoldKind.DECAY: _decay,
    FoldKind.SINCE: _since,
    FoldKind.MODEL: _model,
}
