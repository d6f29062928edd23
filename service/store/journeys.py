"""What a journey is told from, and customers found by their ids. Nothing is written but that an id is off the list."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from service.core.records import Happened
from service.core.rights import KeptDecision, KeptOutcome
from service.store import keys
from service.store.calls import Calls
from service.store.connection import pack
from service.store.kept import decision_of, happened_of, outcome_of, pairs

LOOKED_AT = 100
"""How many entries of a stream one call of the store looks at, so that nobody else waits long."""
MOST_CALLS = 20
"""How many calls one page of a journey makes for one stream of one id at most."""
FROM_THE_END = "+"
ASKED_AT_ONCE = 64
"""Of how many buckets ids are asked at once: what comes between waits for no more than these short calls."""

_encode = msgspec.msgpack.Encoder().encode


class Back(Struct, frozen=True):
    """Entries of a stream, and since which arrival (ms) these are all; 0 when there are no older ones."""

    found: tuple[KeptDecision | KeptOutcome, ...]
    whole_from_ms: int


class JourneyStore:
    """Reads journeys, and finds ids. Raises a `StoreError` when the store does not do what it is asked.

    `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the level of
    customers without a consent.
    """

    def __init__(self, calls: Calls, groups_by_level: Mapping[str, str], lowest: str) -> None:
        self._calls = calls
        self._levels = _encode([groups_by_level.get(lowest, ""), dict(groups_by_level)])

    async def happened(
        self, customer: str, person: str, letters: str, deadline_s: float | None = None
    ) -> tuple[Happened, ...]:
        """Return the events of one id that the consent of now allows to be told, in the order of their arrival.

        `letters` are what the consent of the person allows, whose alias the id is; for the person itself the store
        looks at the consent that it holds.
        """
        place = keys.context_key(customer), keys.journey_key(customer)
        reply = await self._calls.function(
            "journey", place, (customer, person, letters, self._levels),
            about=customer.encode(), length=2, deadline_s=deadline_s,
        )  # fmt: skip
        return happened_of(reply[1])

    async def decisions(self, customer: str, before_ms: int, most: int, deadline_s: float | None = None) -> Back:
        """Return the decisions about one id that were logged before a moment (0: up to now), the newest first.

        They are `most` or some more; without what was known of the customer then.
        """
        return await self._back(keys.log_key(keys.bucket(customer)), customer, before_ms, most, deadline_s)

    async def outcomes(self, customer: str, before_ms: int, most: int, deadline_s: float | None = None) -> Back:
        """Return what came of the decisions about one id and arrived before a moment (0: up to now)."""
        return await self._back(keys.out_key(keys.bucket(customer)), customer, before_ms, most, deadline_s)

    async def ids_like(self, beginning: str, most: int, deadline_s: float | None = None) -> tuple[str, ...]:
        """Return the first ids, in their order, that begin so; it asks every bucket's list, and looks through none."""
        found: list[bytes] = []
        for first in range(0, keys.BUCKETS, ASKED_AT_ONCE):
            numbers = range(first, first + ASKED_AT_ONCE)
            pages = await asyncio.gather(*(self._ids_in(number, beginning, most, deadline_s) for number in numbers))
            found = sorted([*found, *(one for page in pages for one in page)])[:most]
        return tuple(one.decode() for one in found)

    async def is_kept(self, customer: str, deadline_s: float | None = None) -> bool:
        """Tell whether anything is kept under an id."""
        return bool(await self._calls.call(pack("EXISTS", keys.context_key(customer)), deadline_s))

    async def unlist(self, customer: str, deadline_s: float | None = None) -> None:
        """Take an id off the list of which nothing is kept any more."""
        place = keys.ids_key(keys.bucket(customer)), keys.context_key(customer)
        await self._calls.function(
            "unlist_id", place, (customer,), about=customer.encode(), length=2, deadline_s=deadline_s
        )

    async def _ids_in(self, number: int, beginning: str, most: int, deadline_s: float | None) -> list[bytes]:
        key = keys.ids_key(f"{number:03x}")
        reply = await self._calls.function(
            "ids_like", (key,), (beginning, most), about=key, length=2, deadline_s=deadline_s
        )
        found: list[bytes] = reply[1]
        return found

    async def _back(self, stream: bytes, customer: str, before_ms: int, most: int, deadline_s: float | None) -> Back:
        found: list[KeptDecision | KeptOutcome] = []
        at = f"{before_ms}-0" if before_ms else FROM_THE_END
        is_log = stream.endswith(b":log")
        for _ in range(MOST_CALLS):
            reply: list[Any] = await self._calls.function(
                "entries_before", (stream,), (customer, at, LOOKED_AT),
                about=customer.encode(), length=3, deadline_s=deadline_s,
            )  # fmt: skip
            for place, flat in reply[2]:
                fields = pairs(flat)
                found.append(decision_of(place.decode(), fields) if is_log else outcome_of(place.decode(), fields))
            at = reply[1].decode()
            if not at:
                return Back(tuple(found), 0)
            if len(found) > most:
                break
        # What came in the very millisecond of the last entry may stand before it, too: it is for the next page, unless
        # there is a whole page of such.
        whole_ms = int(at.partition("-")[0]) + 1
        return Back(tuple(found), min(whole_ms, before_ms - 1) if before_ms else whole_ms)
