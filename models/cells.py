"""How one field's state is kept: what follows its date, short, and free of absolute times.

A state is [t, ...]; t, the event time (ms) that ages the field, is kept once for all the states that share it
(models/states.py). What is kept beside it is the plain value of

    last, first, min, max, count, sum     v

or a list that begins with a tag and holds times as milliseconds before t:

    since                                 [0]
    window_count, window_sum, rate        [1, ago, millionths, ...]              oldest first
    recent                                [2, ago, text, ...]                    newest first
    distinct                              [3, text, ago, ...]
    open                                  [4, key, opened ago, closed ago, ...]  -1: never
    decay                                 [5, half-life, millionths, periods ago, ...]  newest first
    model                                 [6, v, version]

The tag makes it readable without the strategy that wrote it. service/store/lua/cells.lua does the same.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeAlias

State: TypeAlias = list[Any]
"""A field's state as models/folds.py describes it: the time that ages the field, then what is known."""

MALFORMED = (TypeError, ValueError, LookupError, AttributeError)
"""What Python raises over a state of another shape than expected."""

SINCE, WINDOW, RECENT, DISTINCT, OPEN, DECAY, MODEL = range(7)
NEVER = -1


def kept_of(state: State) -> Any:  # noqa: ANN401 - a value of any type, or a tagged list
    """Return what is kept of a state beside its date; raise what is in `MALFORMED` for no state of any fold."""
    t, rest = state[0], state[1:]
    if not rest:
        return [SINCE]
    value = rest[0]
    if len(rest) == 2:
        return [MODEL, value, rest[1]] if isinstance(rest[1], str) else _decay_kept(t, value, rest[1])
    if isinstance(value, dict):
        return _map_kept(t, value)
    return _list_kept(t, value) if isinstance(value, list) else value


def _map_kept(t: int, items: dict[str, Any]) -> list[Any]:
    if all(isinstance(item, int) for item in items.values()):
        return [DISTINCT, *chain.from_iterable((text, t - at) for text, at in items.items())]
    ends = ((key, _ago(t, opened), _ago(t, closed)) for key, (opened, closed) in items.items())
    return [OPEN, *chain.from_iterable(ends)]


def _list_kept(t: int, items: list[Any]) -> list[Any]:
    tag = RECENT if isinstance(items[0][1], str) else WINDOW
    return [tag, *chain.from_iterable((t - at, value) for at, value in items)]


def _decay_kept(t: int, periods: list[Any], half_life_ms: int) -> list[Any]:
    newest = t // half_life_ms
    return [DECAY, half_life_ms, *chain.from_iterable((amount, newest - period) for period, amount in periods)]


def _ago(t: int, at: int) -> int:
    return t - at if at else NEVER


def state_of(t: int, kept: Any) -> State:  # noqa: ANN401 - a value of any type, or a tagged list
    """Return the state of which this is kept; raise what is in `MALFORMED` for what nothing is kept as."""
    return _STATES[kept[0]](t, kept) if type(kept) is list else [t, kept]


def _since(t: int, kept: list[Any]) -> State:
    return [t]


def _items(t: int, kept: list[Any]) -> State:
    return [t, [[t - ago, value] for ago, value in zip(kept[1::2], kept[2::2], strict=True)]]


def _distinct(t: int, kept: list[Any]) -> State:
    return [t, {text: t - ago for text, ago in zip(kept[1::2], kept[2::2], strict=True)}]


def _open(t: int, kept: list[Any]) -> State:
    items = zip(kept[1::3], kept[2::3], kept[3::3], strict=True)
    return [t, {key: [_moment(t, opened), _moment(t, closed)] for key, opened, closed in items}]


def _moment(t: int, ago: int) -> int:
    return 0 if ago == NEVER else t - ago


def _decay(t: int, kept: list[Any]) -> State:
    half_life_ms: int = kept[1]
    newest = t // half_life_ms
    return [t, [[newest - ago, amount] for amount, ago in zip(kept[2::2], kept[3::2], strict=True)], half_life_ms]


def _model(t: int, kept: list[Any]) -> State:
    _, value, version = kept
    return [t, value, version]


def version_of(kept: Any) -> str:  # noqa: ANN401 - a value of any type, or a tagged list
    """Return the version of the model that wrote what is kept; empty for what no model wrote."""
    is_model = type(kept) is list and len(kept) == 3 and kept[0] == MODEL and isinstance(kept[2], str)
    return kept[2] if is_model else ""


_STATES: dict[int, Callable[[int, list[Any]], State]] = {
    SINCE: _since,
    WINDOW: _items,
    RECENT: _items,
    DISTINCT: _distinct,
    OPEN: _open,
    DECAY: _decay,
    MODEL: _model,
}
