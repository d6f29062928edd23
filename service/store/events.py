"""Events become what is known of a customer: one call folds up to a hundred of them, at once or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from service.core.records import EventToFold
from service.store import keys
from service.store.calls import Calls
from service.store.retention import Retention, milliseconds

FOLDED_AT_ONCE = 100

_encode = msgspec.msgpack.Encoder().encode


class EventStore:
    """Folds events. Raises a `StoreError` when the store does not do it; repeating the call is safe."""

    def __init__(self, calls: Calls, retention: Retention) -> None:
        self._calls = calls
        self._context_ms = milliseconds(retention.context)

    async def fold(
        self, customer: str, events: Sequence[EventToFold], deadline_s: float | None = None
    ) -> tuple[bool, ...]:
        """Fold events of one customer; an item is True for each that is new and False for each folded before.

        At most `FOLDED_AT_ONCE` go into one call, so that no batch holds the store up for long.
        """
        folded: list[bool] = []
        for start in range(0, len(events), FOLDED_AT_ONCE):
            folded += await self._fold(customer, events[start : start + FOLDED_AT_ONCE], deadline_s)
        return tuple(folded)

    async def _fold(self, customer: str, events: Sequence[EventToFold], deadline_s: float | None) -> list[bool]:
        place = (keys.context_key(customer), keys.events_key(customer))
        digests = b"".join([keys.event_digest(event.event_id) for event in events])
        operations = _encode([(event.occurred_ms, event.operations) for event in events])
        reply = await self._calls.function(
            "fold", place, (customer, self._context_ms, digests, operations), about=customer.encode(), length=2,
            deadline_s=deadline_s,
        )  # fmt: skip
        return [folded == 1 for folded in reply[1]]
