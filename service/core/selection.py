"""Which actions a selector means, as a bit mask: bit i stands for action i."""

from __future__ import annotations

from collections.abc import Iterator

from service.core.rules import Selector
from service.core.strategy import Action


def mask(selector: Selector, actions: tuple[Action, ...], channel: str) -> int:
    """Return the actions that a selector means on one channel."""
    if selector.channels and channel not in selector.channels:
        return 0
    return sum(1 << action.index for action in actions if _selects(selector, action))


def bits(mask: int) -> Iterator[int]:
    """Yield the indexes of the actions in a mask, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _selects(selector: Selector, action: Action) -> bool:
    return (
        (not selector.ids or action.id in selector.ids)
        and (not selector.kinds or action.kind in selector.kinds)
        and (not selector.intents or not set(selector.intents).isdisjoint(action.intents))
        and (not selector.groups or action.group in selector.groups)
        and (not selector.tags or not set(selector.tags).isdisjoint(action.tags))
    )
