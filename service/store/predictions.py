"""What models say of customers becomes a part of what is known of them, as far as they agreed to that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from service.core.predictions import PredictionFate, PredictionToStore
from service.core.records import Person
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.retention import Retention, milliseconds
from service.store.suppression import Suppression

_ALIAS = 2
_MOST_HOPS = 3
_encode = msgspec.msgpack.Encoder().encode


class People(Protocol):
    """Knows which ids are one person's."""

    async def person(self, customer: str, deadline_s: float | None = None) -> Person:
        """Return who a customer is, with all aliases."""
        ...


class PredictionStore:
    """Stores predictions. Raises a `StoreError` when the store does not do it; repeating the call is safe.

    `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the level of
    customers without a consent. An id that is an alias stands for its person.
    """

    def __init__(
        self,
        calls: Calls,
        groups_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention,
        suppression: Suppression,
        people: People,
    ) -> None:
        self._calls = calls
        self._people = people
        levels = (groups_by_level[lowest], *(part for level in groups_by_level.items() for part in level))
        self._levels = _encode(levels)
        self._context_ms = milliseconds(retention.context)
        self._erased = suppression.digest

    async def record(self, prediction: PredictionToStore, deadline_s: float | None = None) -> PredictionFate:
        """Store one prediction with all of its fields or with none, and return what became of it."""
        customer, operations = prediction.customer, _encode(prediction.operations)
        for _ in range(_MOST_HOPS):
            reply = await self._calls.function(
                "predict",
                (keys.context_key(customer), keys.suppression_key(keys.bucket(customer)), keys.heard_key(customer)),
                (
                    customer, self._erased(customer), self._context_ms, prediction.computed_ms, operations,
                    self._levels, prediction.name,
                ),
                about=customer.encode(), length=3, deadline_s=deadline_s,
            )  # fmt: skip
            if reply[1] != _ALIAS:
                return PredictionFate(reply[1])
            customer = (await self._people.person(prediction.customer, deadline_s)).id
        raise StoreUnreadable("The identities of a customer lead in a circle.")
