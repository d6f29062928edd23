"""What one customer would hear, one contact after the other, by the real engine and with what was counted before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from service.core.caps import CapTable
from service.core.engine import Engine
from service.core.memory import Memory
from service.core.strategy import Strategy
from service.proving.keeping import Keeping
from service.proving.proofs import Before
from service.proving.questions import Customer

HOUR_MS = 3_600_000
_ONE_AFTER_THE_OTHER_MS = 60_000
_HOURS_TRIED = 48
Uses = Mapping[str, tuple[int, ...]]
"""When (ms) each counter was used."""
Place = tuple[str, str, str]
"""A channel, a placement and an action."""


class Hearing:
    """Asks the engine of one strategy what it would say to somebody who was contacted or answered before."""

    def __init__(self, strategy: Strategy) -> None:
        self._engine = Engine(strategy, None)
        self._keeping = Keeping(strategy)
        self._table = CapTable(strategy)
        self._index = {action.id: action.index for action in strategy.actions}
        self._needs_permission = {channel.id: channel.permission for channel in strategy.channels}

    def says(self, customer: Customer, place: Place, uses: Uses, memory: Memory | None = None) -> bool:
        """Tell whether an action may be said at a placement after these uses of caps, and what is remembered."""
        channel, placement, action = place
        permitted = customer.permitted or not self._needs_permission[channel]
        asked = replace(customer, channel=channel, permitted=permitted)
        known, request, stocks = self._keeping.kept(asked, (placement,))
        known = msgspec.structs.replace(known, counters=uses, memory=memory or known.memory)
        snapshot = self._engine.see(known, request, stocks)
        judged = self._engine.judge(snapshot, known, request)
        return bool(judged.survivors[0] >> self._index[action] & 1)

    def one_after_the_other(
        self, customer: Customer, places: Sequence[Place], within_ms: int, *, daily: bool
    ) -> tuple[tuple[Before, ...], int] | None:
        """Return when each of these would be said, as soon as caps let it, all within a window; None where not all are.

        The second value is the moment (ms) of the last one. With `daily` the window is the customer's calendar day.
        """
        at_ms = self._begins(customer, daily=daily)
        began, uses, said = at_ms, dict[str, tuple[int, ...]](), []
        for place in places:
            found = self._soonest(customer, place, uses, at_ms, began + within_ms)
            if found is None:
                return None
            at_ms = found
            uses = self._used(place, uses, at_ms)
            said.append((place, at_ms))
            at_ms += _ONE_AFTER_THE_OTHER_MS
        ends = said[-1][1]
        return tuple(Before(*place, ago_ms=ends - at) for place, at in said[:-1]), ends

    def _soonest(self, customer: Customer, place: Place, uses: Uses, at_ms: int, ends_ms: int) -> int | None:
        """Return when something is said, hour by hour for two days, for nights and Sundays may be quiet."""
        at_ms = self._free(customer, place, uses, at_ms)
        hours = (at_ms + hour * HOUR_MS for hour in range(_HOURS_TRIED))
        asked = (at for at in hours if at < ends_ms and self._free(customer, place, uses, at) == at)
        return next((at for at in asked if self.says(replace(customer, now_ms=at), place, uses)), None)

    def _begins(self, customer: Customer, *, daily: bool) -> int:
        day = self._table.day(customer.values, customer.now_ms) if daily else None
        return day[0] if day else customer.now_ms

    def _free(self, customer: Customer, place: Place, uses: Uses, at_ms: int) -> int:
        """Return when no cap holds back any more what is said there."""
        channel, placement, action = place
        bit = 1 << self._index[action]
        for _ in range(len(uses) + 1):
            day = self._table.day(customer.values, at_ms)
            used = self._table.used_up(channel, placement, uses, at_ms, day)
            frees = [until_ms for one, until_ms in used if one.mask & bit]
            if not frees:
                return at_ms
            at_ms = max(frees)
        return at_ms

    def _used(self, place: Place, uses: Uses, at_ms: int) -> dict[str, tuple[int, ...]]:
        """Return the uses with those of something said; what counts only once it was shown is not counted."""
        channel, placement, action = place
        counters = self._table.all_counters(channel, placement, self._index[action], at_ms)
        after = dict(uses)
        for counter in counters:
            if not counter.on:  # what was decided counts at once
                after[counter.key] = (*after.get(counter.key, ()), at_ms)
        return after
