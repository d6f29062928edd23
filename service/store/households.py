"""What households were told: uses of their caps, granted before a decision is committed and settled after it.

All of one household stands in one slot of its own, apart from its customers: docs/decisions/0018 has the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from service.core.decision import Bound, Counter
from service.core.households import Granted, Use, Uses
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import Argument
from service.store.retention import Retention, milliseconds

GRANTED_MS = 60_000
"""How long nobody asks whether a granted use was said: no decision takes that long."""


_encode = msgspec.msgpack.Encoder().encode
_times = msgspec.msgpack.Decoder(tuple[tuple[str, tuple[int, ...]], ...]).decode
_open = msgspec.msgpack.Decoder(tuple[Use, ...]).decode
_ranks = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_bound = msgspec.msgpack.Decoder(tuple[Bound, ...]).decode


class HouseholdStore:
    """Keeps what households were told. Raises a `StoreError` when the store does not do what it is asked.

    A use is named by its decision and action, so that repeating a call uses nothing twice. `granted_ms` is for how long
    nobody asks what became of a granted use, `asked_ms` for how long its decision can be asked about.
    """

    def __init__(self, calls: Calls, retention: Retention, granted_ms: int = GRANTED_MS) -> None:
        self.asked_ms = milliseconds(retention.decision)
        self._calls = calls
        self._kept_ms = milliseconds(retention.context)
        self._granted_ms = granted_ms

    async def uses(self, household: str, deadline_s: float | None = None) -> Uses:
        """Return what a household was told, as far as a window may reach it."""
        _, times, still_open = await self._call("household_read", household, (self._granted_ms,), 3, deadline_s)
        try:
            return Uses(dict(_times(times)), _open(still_open))
        except msgspec.DecodeError:
            raise StoreUnreadable("The uses of a household cannot be read.") from None

    async def grant(
        self,
        household: str,
        decision_id: str,
        now_ms: int,
        placements: Sequence[Sequence[tuple[str, tuple[Counter, ...]]]],
        deadline_s: float | None = None,
    ) -> Granted:
        """Use the caps for the first candidate of each placement that fits, all at once; an action is used for once."""
        told: tuple[Argument, ...] = (self._kept_ms, decision_id, now_ms, *map(_encode, placements))
        _, ranks, bound = await self._call("household_grant", household, told, 3, deadline_s)
        return Granted(_ranks(ranks), _bound(bound))

    async def settle(
        self, household: str, said: Sequence[Use], unsaid: Sequence[str], deadline_s: float | None = None
    ) -> int:
        """Keep what was said, and give back what was not; return how much that was. What was said once stays so."""
        kept = _encode([(use.name, use.at_ms, use.ends_ms, use.counters) for use in said])
        reply = await self._call("household_settle", household, (self._kept_ms, kept, *unsaid), 2, deadline_s)
        return int(reply[1])

    async def _call(
        self, function: str, household: str, told: tuple[Argument, ...], length: int, deadline_s: float | None
    ) -> list[Any]:
        name = keys.household_name(household)
        return await self._calls.function(
            function, (keys.household_key(name),), (name, *told), about=name, length=length, deadline_s=deadline_s
        )
