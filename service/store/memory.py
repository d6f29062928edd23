"""What came of decisions, remembered with the person: refusals, promises that end, reservations that become uses."""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from typing import Protocol

import msgspec

from service.core.records import Person
from service.errors import CustomerErased
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.remembered import Reserved, mark_of
from service.store.retention import Retention, milliseconds
from service.store.suppression import Suppression

ANSWERED = 3
"""From this kind of outcome on (ACCEPTED) the customer has answered; those before it only say what they saw."""
_MOST_HOPS = 8

_encode = msgspec.msgpack.Encoder().encode
_reserved = msgspec.msgpack.Decoder(dict[str, Reserved]).decode


class _Fate(IntEnum):
    """What the store did with an answer."""

    REMEMBERED = 1
    ALIAS = 2
    ERASED = 3


class People(Protocol):
    """Knows which ids are one person's."""

    async def person(self, customer: str, deadline_s: float | None = None) -> Person:
        """Return who a customer is, with all aliases."""
        ...


class MemoryStore:
    """Lets outcomes count for the person. Raises a `StoreError` when the store does not do what it is asked.

    Repeating a call is safe: what is told again under the same decision, action and kind changes nothing.
    """

    def __init__(self, calls: Calls, retention: Retention, suppression: Suppression, people: People) -> None:
        self._calls = calls
        self._kept_ms = milliseconds(retention.context)
        self._erased = suppression.digest
        self._people = people

    async def remember(
        self,
        customer: str,
        decision_id: str,
        action: str,
        kind: int,
        at_ms: int | None,
        group: str,
        intents: tuple[str, ...],
        deadline_s: float | None,
    ) -> None:
        """Let a recorded outcome of a customer's decision count, for the person that they are now.

        What was reserved for the action becomes a use at the time of the outcome. A refusal is kept, and ends the
        promises of its action; so does an acceptance. `at_ms` is when the caller says that it was, unset for when it
        was first recorded; it is never before the decision nor after the record. Raises `CustomerErased` when the
        customer was erased since, with nothing written. Where an alias was asked about that is another person by now,
        it counts for that one too.
        """
        found = await self._answered(customer, decision_id, action, kind, deadline_s)
        if found is None:
            return
        decided_ms, came_ms, packed, alias = found
        reserved = _named(packed)
        if kind < ANSWERED and not reserved:
            return
        latest_ms = max(came_ms, decided_ms)
        at = min(max(came_ms if at_ms is None else at_ms, decided_ms), latest_ms)
        told = (action, group, intents, kind, at, mark_of(decision_id, action), latest_ms, reserved)
        await self._remember(customer, _encode(told), deadline_s, decision_id)
        if alias:
            with suppress(CustomerErased):
                await self._remember(alias, _encode(told), deadline_s, decision_id)

    async def _answered(
        self, customer: str, decision_id: str, action: str, kind: int, deadline_s: float | None
    ) -> tuple[int, int, bytes, str] | None:
        """Return when it was decided, when such an outcome came first, what was reserved, and the alias that was asked
        about, empty for none; None for an unknown decision.
        """
        place = keys.decision_key(decision_id), keys.log_key(decision_id[:3]), keys.outcomes_key(decision_id)
        reply = await self._calls.function(
            "answered", place, (decision_id, customer, action, kind),
            about=decision_id.encode(), length=5, deadline_s=deadline_s,
        )  # fmt: skip
        return None if reply[1] is None else (reply[1], reply[2], reply[3], reply[4].decode())

    async def _remember(self, asked: str, told: bytes, deadline_s: float | None, decision_id: str = "") -> None:
        customer = asked
        for _ in range(_MOST_HOPS):
            bucket = keys.bucket(customer)
            place = keys.context_key(customer), keys.suppression_key(bucket), keys.heard_key(customer)
            reply = await self._calls.function(
                "remember", place, (customer, self._erased(customer), self._kept_ms, asked, told, decision_id),
                about=customer.encode(), length=2, deadline_s=deadline_s,
            )  # fmt: skip
            if reply[1] == _Fate.ERASED:
                raise CustomerErased("the customer was erased after this decision")
            if reply[1] == _Fate.REMEMBERED:
                return
            customer = (await self._people.person(asked, deadline_s)).id
        raise StoreUnreadable("The identities of a customer lead in a circle.")


def _named(packed: bytes) -> dict[str, Reserved]:
    try:
        return _reserved(packed) if packed else {}
    except msgspec.DecodeError:
        raise StoreUnreadable("What a decision reserved cannot be read.") from None
