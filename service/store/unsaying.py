"""Take back what was decided and is not shown any more, where nothing came of it."""

from __future__ import annotations

import msgspec

from service.core.standing import Holds
from service.store import keys
from service.store.calls import Calls

_pack = msgspec.msgpack.Encoder().encode


class UnsayingStore:
    """Gives back what decisions used of caps, reserved and promised. Raises a `StoreError` when the store fails."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def unsay(self, holds: Holds, deadline_s: float | None = None) -> bool:
        """Make it as if this had not been said; False where an outcome says that it was, or there is no such decision.

        Once is enough: another use of the same moment would be taken for this one's.
        """
        decision, customer = holds.decision_id, holds.customer
        place = (
            keys.context_key(customer),
            keys.decision_key(decision),
            keys.outcomes_key(decision),
            keys.heard_key(customer),
        )
        told = _pack((holds.actions, [one.key for one in holds.counters]))
        _, taken_back = await self._calls.function(
            "unsay", place, (customer, decision, holds.at_ms, told),
            about=decision.encode(), length=2, deadline_s=deadline_s,
        )  # fmt: skip
        return bool(taken_back)
