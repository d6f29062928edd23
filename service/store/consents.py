"""What customers agreed to, and how that changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Protocol

import msgspec

from service.core.records import Agreed, ConsentRecord, Person
from service.errors import ConsentOlder, CustomerErased, StoreError
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import StoreReplied
from service.store.retention import Retention, milliseconds
from service.store.stricter import packed_levels
from service.store.suppression import Suppression

CHANGES_KEPT = 100
_MOST_HOPS = 3
_MOST_OVERTAKEN = 8

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ConsentRecord).decode


class _Fate(IntEnum):
    """What the store did with a consent."""

    OLDER = 0
    STORED = 1
    ALIAS = 2
    ERASED = 3


class Overtaken(StoreError):
    """Others changed the consent of a customer each time before it could be set."""


class People(Protocol):
    """Knows which ids are one person's."""

    async def person(self, customer: str, deadline_s: float | None = None) -> Person:
        """Return who a customer is, with all aliases."""
        ...


class ConsentStore:
    """Keeps consents. Raises a `StoreError` when the store does not do what it is asked; repeating a call is safe.

    An id that is an alias stands for its person. `purposes_by_level` and `lowest` say which of two consents is the
    stricter: one that comes late allows no more than what was said later under an id that is linked. With
    `mark_changes` a changed consent is a reason to ask models again.
    """

    def __init__(
        self,
        calls: Calls,
        purposes_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention,
        suppression: Suppression,
        people: People,
        mark_changes: bool = False,
    ) -> None:
        self._calls = calls
        self._marks = mark_changes
        self._people = people
        self._levels = packed_levels(purposes_by_level, lowest)
        self._kept_ms = milliseconds(retention.context), milliseconds(retention.consent_history)
        self._erased = suppression.digest

    async def set_consent(
        self, customer: str, consent: ConsentRecord, deadline_s: float | None = None
    ) -> ConsentRecord:
        """Replace the customer's consent and return the one that holds, with the moment of its arrival.

        One without a moment (0) was given now. Now is the store's, whatever the clocks of its callers say, and never
        before what is stored; a moment after it counts as now.

        Raises `ConsentOlder` when the stored one was given later, and `CustomerErased` when this one was given before
        the customer was erased. Of two that were given in the same millisecond the one that is set last holds. A change
        of level, channels or source is kept in the history; the very same consent again changes nothing.
        """
        told = _encode((consent.level, consent.channels, consent.given_ms, consent.source, 0, consent.origin))
        arguments = (*self._kept_ms, told, CHANGES_KEPT, self._levels)
        if consent.given_ms:
            fate, stored = await self._of_the_person("consent", customer, arguments, 3, deadline_s)
        else:
            fate, stored = await self._given_now(customer, arguments, deadline_s)
        if fate == _Fate.OLDER:
            raise ConsentOlder("a consent that was given later is stored already; send a later `given_at`")
        if fate == _Fate.ERASED:
            raise CustomerErased("the customer was erased after this consent was given")
        return _decode(stored)

    async def _given_now(self, customer: str, arguments: Sequence[Any], deadline_s: float | None) -> list[Any]:
        """Set a consent without a moment, in the place of the one that is read before and of no other.

        On its way it may be overtaken: by the caller who repeats it elsewhere, and withdraws. A moment would tell which
        is the later one; without it, what arrives when another consent holds is refused, and here it is set again.
        """
        loop = asyncio.get_running_loop()
        ends_s = None if deadline_s is None else loop.time() + deadline_s
        for _ in range(_MOST_OVERTAKEN):
            left_s = None if ends_s is None else ends_s - loop.time()
            before = (await self._of_the_person("agreed", customer, (0,), 4, left_s))[1]
            left_s = None if ends_s is None else ends_s - loop.time()
            try:
                return await self._of_the_person("consent", customer, arguments, 3, left_s, (before or b"",))
            except StoreReplied as error:
                if error.prefix != "CONSENT":
                    raise
        raise Overtaken("The consent of a customer was changed again and again while it was set.")

    async def get_consent(self, customer: str, deadline_s: float | None = None) -> ConsentRecord | None:
        """Return the customer's consent as it was set; None when there is none that can be read."""
        return (await self.agreed(customer, history=False, deadline_s=deadline_s)).consent

    async def agreed(self, customer: str, *, history: bool, deadline_s: float | None = None) -> Agreed:
        """Return the customer's consent, with the last 100 changes that led to it where the history is asked for."""
        _, stored, changes = await self._of_the_person("agreed", customer, (int(history),), 4, deadline_s)
        return Agreed(consent_of(stored), tuple(filter(None, map(consent_of, changes))))

    async def _of_the_person(
        self,
        function: str,
        customer: str,
        arguments: Sequence[Any],
        length: int,
        deadline_s: float | None,
        more: Sequence[Any] = (),
    ) -> list[Any]:
        """Call a function about a customer; where that is an alias, about the person that it stands for."""
        asked = customer
        for _ in range(_MOST_HOPS):
            bucket = keys.bucket(customer)
            place = [keys.context_key(customer), keys.history_key(customer), keys.suppression_key(bucket)]
            place += (keys.heard_key(customer), keys.ids_key(bucket))
            if self._marks and function == "consent":
                place.append(keys.changed_key(bucket))
            reply = await self._calls.function(
                function, place, (customer, self._erased(customer), *arguments, asked, *more),
                about=customer.encode(), length=length, deadline_s=deadline_s,
            )  # fmt: skip
            if reply[1] != _Fate.ALIAS:
                return reply[1:]
            customer = (await self._people.person(asked, deadline_s)).id
        raise StoreUnreadable("The identities of a customer lead in a circle.")


def consent_of(packed: bytes | None) -> ConsentRecord | None:
    """Return a packed consent; None for none, and for one that cannot be read."""
    try:
        return _decode(packed) if packed is not None else None
    except msgspec.DecodeError:
        return None
