"""Events become what is known of a customer: one call folds up to a hundred of them, at once or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from models import folds
from models.context import FoldKind
from service.core.journey import NOT_KEPT
from service.core.records import SAID_BYTES, EventFate, EventToFold
from service.core.triggers import Arm, Change
from service.store import keys
from service.store.calls import Calls
from service.store.connection import Argument
from service.store.retention import Retention, milliseconds
from service.store.suppression import Suppression

FOLDED_AT_ONCE = 100
NOT_TOLD = bytes(SAID_BYTES)
NO_TRIGGERS: Mapping[str, str] = {}

_encode = msgspec.msgpack.Encoder().encode
_NO_KEY = Suppression()
NOTHING_KEPT: Mapping[str, str] = {}


class EventStore:
    """Folds events. Raises a `StoreError` when the store does not do it; repeating the call is safe.

    Events of customers whom `suppression` keeps out are refused; with `mark_changes` the customers whose context
    changed are noted for the job that refreshes what models say of them. `channels` are those of the triggers, by id.
    `letters` say by type under which purpose an event is kept for the journey.
    """

    def __init__(
        self,
        calls: Calls,
        retention: Retention,
        suppression: Suppression = _NO_KEY,
        mark_changes: bool = False,
        channels: Mapping[str, str] = NO_TRIGGERS,
        letters: Mapping[str, str] = NOTHING_KEPT,
    ) -> None:
        self._calls = calls
        self._context_ms = milliseconds(retention.context)
        self._erased = suppression.digest
        self._mark = int(mark_changes)
        self._channels = channels
        self._letters = letters

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
        named = _encode([name for event in events for name in (event.type, event.event_id)])
        name, place = "fold", keys.fold_keys(customer)
        arguments: tuple[Argument, ...] = (
            customer, self._context_ms, digests, folding, self._erased(customer), self._mark, sayings, named,
            "".join([self._letters.get(event.type, NOT_KEPT) for event in events]),
        )  # fmt: skip
        if any(event.changes for event in events):
            name, before, armed = "fold_arming", *self._arming(customer, events)
            place, arguments = before + place, armed + arguments
        reply = await self._calls.function(
            name, place, arguments, about=customer.encode(), length=2, deadline_s=deadline_s
        )
        return tuple([_FATES[fate] for fate in reply[1]])

    def _arming(self, customer: str, events: Sequence[EventToFold]) -> tuple[tuple[bytes, ...], tuple[Argument, ...]]:
        """Return what the store needs besides to arm and cancel what triggers wait for, before what `fold` takes."""
        bucket, named = keys.bucket(customer), {change.trigger for event in events for change in event.changes}
        channels = dict.fromkeys(self._channels[one] for one in named)
        places = {channel: 2 * at for at, channel in enumerate(channels, 1)}
        place: tuple[bytes, ...] = (keys.moments_key(customer),)
        for channel in places:
            place += (keys.due_key(bucket, channel), keys.dead_key(bucket, channel))

        def flat(change: Change) -> list[object]:
            channel = self._channels[change.trigger]
            kind = 1 if isinstance(change, Arm) else 2
            head: list[object] = [kind, change.trigger, change.key, places[channel], channel, change.at_ms]
            if isinstance(change, Arm):
                head += (change.base_ms, change.earliest_ms, change.times, change.within_ms, change.good_for_ms)
            return head

        told = _encode([[flat(change) for change in event.changes] for event in events])
        return place, (told, len(place), self._context_ms)


_FATES = {fate.value: fate for fate in EventFate}


def _flat(event: EventToFold) -> list[object]:
    """Return an event as `fold` of service/store/lua/fold.lua takes it: its time, then each operation and its value."""
    flat: list[object] = [event.occurred_ms]
    for operation in event.operations:
        if operation.kind is FoldKind.DECAY:
            operation = folds.dated(operation, event.occurred_ms)
        flat += (operation.code or folds.code(operation), operation.value)
    return flat
