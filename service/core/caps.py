"""Contact caps: which counters an action would use, and which are used up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.core.decision import Counter, Reason, ReasonCode
from service.core.rules import Cap, Per
from service.core.selection import bits, mask
from service.core.stockroom import OUT, UNGRANTED
from service.core.strategy import Action, Strategy


@dataclass(frozen=True, slots=True)
class Capped:
    """One counter at one placement: its bounds, the actions that use it and the reason to give when it binds."""

    counter: Counter
    mask: int
    reason: Reason


class CapTable:
    """All counters of a strategy, by channel and placement."""

    def __init__(self, strategy: Strategy) -> None:
        places = [(channel.id, placement) for channel in strategy.channels for placement in channel.placements]
        self._tables = {place: _table(strategy, *place) for place in places}
        self._counters = {place: _by_action(table, len(strategy.actions)) for place, table in self._tables.items()}

    def used_up(
        self, channel: str, placement: str, counters: Mapping[str, tuple[int, ...]], now_ms: int
    ) -> list[tuple[Capped, int]]:
        """Return each counter that allows no further use now, with the moment (ms) at which it frees; uses ascend."""
        table = self._tables[channel, placement]
        found = []
        for key, uses in counters.items():
            capped = table.get(key)
            if capped is None:
                continue
            at_most, within_ms = capped.counter.at_most, capped.counter.within_ms
            if len(uses) >= at_most and uses[-at_most] > now_ms - within_ms:  # they ascend
                found.append((capped, uses[-at_most] + within_ms))
        return found

    def counters(self, channel: str, placement: str, action: int) -> tuple[Counter, ...]:
        """Return the counters that saying an action there uses."""
        return self._counters[channel, placement][action]

    def reason(self, channel: str, placement: str, key: str) -> Reason:
        """Return the reason to give when a counter binds, also for a cap that only an earlier strategy had."""
        if key == UNGRANTED:
            return OUT
        capped = self._tables.get((channel, placement), {}).get(key)
        return capped.reason if capped else Reason(ReasonCode.CAP_REACHED, "A contact cap was used up.", key)


def _table(strategy: Strategy, channel: str, placement: str) -> dict[str, Capped]:
    table: dict[str, Capped] = {}
    for cap in strategy.caps:
        reason = Reason(ReasonCode.CAP_REACHED, cap.says, cap.id)
        selected = mask(cap.count, strategy.actions, channel)
        for part, key in _parts(cap, selected, strategy.actions, channel, placement):
            table[key] = Capped(Counter(key, cap.at_most, cap.within_ms), part, reason)
    return table


def _parts(cap: Cap, selected: int, actions: tuple[Action, ...], channel: str, placement: str) -> list[tuple[int, str]]:
    """Split a cap's actions into one part a counter. Rule ids hold no `|`, so no two counters share a key."""
    key = cap.id
    if Per.CHANNEL in cap.per:
        key += f"|c:{channel}"
    if Per.PLACEMENT in cap.per:
        key += f"|p:{placement}"
    if Per.ACTION not in cap.per:
        return [(selected, key)] if selected else []
    return [(1 << index, f"{key}|a:{actions[index].id}") for index in bits(selected)]


def _by_action(table: Mapping[str, Capped], size: int) -> tuple[tuple[Counter, ...], ...]:
    return tuple(
        tuple(capped.counter for capped in table.values() if capped.mask >> index & 1) for index in range(size)
    )
