"""Events become what is known of a customer: one call folds up to a hundred of them, at once or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from models import folds
from models.context import FoldKind
from service.core.records import SAID_BYTES, EventFate, EventToFold
from service.store import keys
from service.store.calls import Calls
from service.store.retention import Retention, milliseconds
from service.store.suppression import Suppression

FOLDED_AT_ONCE = 100
NOT_TOLD = bytes(SAID_BYTES)

_encode = msgspec.msgpack.Encoder().encode
_NO_KEY = Suppression()


class EventStore:
    """Folds events. Raises a `StoreError` when the store does not do it; repeating the call is safe.

    Events of customers whom `suppression` keeps out are refused; with `mark_changes` the customers whose context
    changed are noted for the job that refreshes what models say of them.
    """

    def __init__(
        self, calls: Calls, retention: Retention, suppression: Suppression = _NO_KEY, mark_changes: bool = False
    ) -> None:
        self._calls = calls
        self._context_ms = milliseconds(retention.context)
        self._erased = suppression.digest
        self._mark = int(mark_changes)

    async def fold(
        self, customer: str, events: Sequence[EventToFold], deadline_s: float | None = None
    ) -> tuple[EventFate, ...]:
        """Fold events of one customer and return the fate of each.

        At most `FOLDED_AT_ONCE` go into one call, so that no batch holds the store up for long.
        """
        if 1 <= len(events) <= FOLDED_AT_ONCE:
            return await self._fold(customer, events, deadline_s)
        fates: tuple[EventFate, ...] = ()
        for start in range(0, len(events), FOLDED_AT_ONCE):
            fates += await self._fold(customer, events[start : start + FOLDED_AT_ONCE], deadline_s)
        return fates

    async def _fold(
        self, customer: str, events: Sequence[EventToFold], deadline_s: float | None
    ) -> tuple[EventFate, ...]:
        digests = b"".join([keys.event_digest(event.event_id) for event in events])
        sayings = b"".join([event.said or NOT_TOLD for event in events])
        folding = _encode([_flat(event) for event in events])
        reply = await self._calls.function(
            "fold", keys.fold_keys(customer),
            (customer, self._context_ms, digests, folding, self._erased(customer), self._mark, sayings),
            about=customer.encode(), length=2, deadline_s=deadline_s,
        )  # fmt: skip
        return tuple([_FATES[fate] for fate in reply[1]])


_FATES = {fate.value: fate for fate in EventFate}


def _flat(event: EventToFold) -> list[object]:
    """Return an event as `fold` of service/store/lua/fold.lua takes it: its time, then each operation and its value."""
    flat: list[object] = [event.occurred_ms]
    for operation in event.operations:
        if operation.kind is FoldKind.DECAY:
            operation = folds.dated(operation, event.occurred_ms)
        flat += (operation.code or folds.code(operation), operation.value)
    return flat
