"""What there is of items at places: reports, units that are granted, and what came of them.

All of one item at one place stands in one slot of its own, apart from customers: docs/decisions/0011 has the reasons.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from service.core.decision import Take
from service.core.stock import Stock
from service.core.supplies import SupplyFate, SupplyReport, SupplyStatus, Taken
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import Argument
from service.store.retention import Retention, milliseconds

_SPARE = timedelta(days=1)
LONGEST_HOLD = timedelta(days=7)
_take = msgspec.msgpack.Decoder(Take).decode


class SupplyStore:
    """Keeps the supply. Raises a `StoreError` when the store does not do what it is asked; repeating a call is safe.

    A lease is named by its decision and action, so that no repeated call takes units twice. `deadline_s` is the time
    that is left.
    """

    def __init__(self, calls: Calls, retention: Retention) -> None:
        self._calls = calls
        self._kept_ms = milliseconds(max(retention.supply, retention.decision + _SPARE, LONGEST_HOLD + _SPARE))

    async def report(self, report: SupplyReport, deadline_s: float | None = None) -> SupplyFate:
        """Put a report in force unless one that was counted later, or at the same moment, is."""
        told = (report.available, report.observed_ms, report.expires_ms, self._kept_ms)
        reply = await self._call("supply_report", report.item, report.place, told, 5, deadline_s)
        return SupplyFate(SupplyStatus(reply[1]), *reply[2:])

    async def stock(self, item: str, place: str, deadline_s: float | None = None) -> Stock | None:
        """Return what is free; None when it was never reported."""
        _, free, observed_ms, expires_ms = await self._call("supply_stock", item, place, (), 4, deadline_s)
        return Stock(free, observed_ms, expires_ms) if observed_ms else None

    async def grant(self, take: Take, decision_id: str, deadline_s: float | None = None) -> tuple[bool, int]:
        """Hold units for a decision's action from now on; return whether they are held, and what is free then.

        What it holds already is not taken again: its hold begins anew.
        """
        told = (keys.lease(decision_id, take.action), take.units, take.hold_ms, self._kept_ms)
        reply = await self._call("supply_grant", take.item, take.place, told, 3, deadline_s)
        return reply[1] != 0, reply[2]

    async def look(self, take: Take, decision_id: str, deadline_s: float | None = None) -> bool:
        """Tell whether a decision's action holds its units, or would be granted them; holds nothing."""
        told = (keys.lease(decision_id, take.action), take.units)
        reply = await self._call("supply_look", take.item, take.place, told, 2, deadline_s)
        return bool(reply[1])

    async def stands(self, take: Take, decision_id: str, deadline_s: float | None = None) -> bool:
        """Tell whether a decision's action holds its units still, and no more are held than were reported."""
        told = (keys.lease(decision_id, take.action),)
        reply = await self._call("supply_stands", take.item, take.place, told, 2, deadline_s)
        return bool(reply[1])

    async def accept(
        self, take: Take, decision_id: str, accepted_ms: int | None, deadline_s: float | None = None
    ) -> bool:
        """Keep what a decision's action holds, for it was accepted (unset: now); False when that was known.

        It counts also when the hold has ended: the customer has it.
        """
        told = (keys.lease(decision_id, take.action), take.units, "" if accepted_ms is None else accepted_ms)
        reply = await self._call("supply_accept", take.item, take.place, (*told, self._kept_ms), 3, deadline_s)
        return bool(reply[1] == 1)

    async def give_back(self, take: Take, decision_id: str, deadline_s: float | None = None) -> bool:
        """Free what a decision's action holds; False when it holds nothing. What was accepted stays so."""
        told = (keys.lease(decision_id, take.action), self._kept_ms)
        reply = await self._call("supply_give_back", take.item, take.place, told, 3, deadline_s)
        return bool(reply[1])

    async def taken(self, decision_id: str, action: str, deadline_s: float | None = None) -> Taken | None:
        """Return what an action of a decision takes; None when it takes nothing, or there is no such decision."""
        place = keys.decision_key(decision_id), keys.log_key(decision_id[:3])
        about = decision_id.encode()
        _, packed, made_ms = await self._calls.function(
            "taken", place, (decision_id, action), about=about, length=3, deadline_s=deadline_s
        )
        try:
            return Taken(_take(packed), int(made_ms)) if packed is not None else None
        except msgspec.DecodeError:
            raise StoreUnreadable("A stored decision cannot be read.") from None

    async def _call(
        self, function: str, item: str, place: str, told: tuple[Argument, ...], length: int, deadline_s: float | None
    ) -> list[Any]:
        name, places = keys.shelf_name(item, place), keys.shelf_keys(item, place)
        return await self._calls.function(
            function, places, (name, *told), about=name, length=length, deadline_s=deadline_s
        )
