"""What the store knows of a customer, read for a decision, and the commit that ends one.

Every reply begins with what was asked about, a read's with the id inside the stored value, and is compared. A consent
that cannot be read counts as none; field states that cannot be read are handed out and seen as unknown; cap counters
that cannot be read are an error, for then no cap is known to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from service.core.decision import Bound, Commit, Committed, Known, Linked
from service.core.memory import NOTHING_OFF, NOTHING_REMEMBERED, Switched
from service.errors import CommitTooLate, ConsentChanged, CustomerErased, CustomerLinked, MemoryChanged, TactError
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import StoreReplied
from service.store.consents import consent_of
from service.store.reading import Committing, Reading
from service.store.remembered import memory_of, with_reserved
from service.store.retention import Retention, milliseconds
from service.store.suppression import Suppression
from service.store.switches import switched_of, version_of

_decode_counters = msgspec.msgpack.Decoder(dict[str, tuple[int, ...]]).decode
_Elsewhere = dict[str, dict[str, tuple[int, ...]]]
_decode_elsewhere = msgspec.msgpack.Decoder(_Elsewhere).decode
_decode_aliases = msgspec.msgpack.Decoder(tuple[tuple[str, int], ...]).decode
_decode_chosen = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_NONE = msgspec.msgpack.encode(())
_decode_bound = msgspec.msgpack.Decoder(tuple[Bound, ...]).decode

_REFUSALS: Mapping[str, Callable[[], TactError]] = {
    "ERASED": partial(CustomerErased, "the customer was erased"),
    "LINKED": partial(CustomerLinked, "the customer was linked or unlinked"),
    "CONSENT": partial(ConsentChanged, "the consent was replaced"),
    "LATE": partial(CommitTooLate, "nobody waits for the commit any more"),
    "MEMORY": partial(MemoryChanged, "more is remembered of the customer"),
}
"""What it means when the store refuses a commit. A table: every commit passes here."""
_MOST_GROUPS = 26
"""How many purposes there may be, a letter each: what is known of them ends the reply to a read."""


class CustomerStore:
    """Read customers and commit decisions.

    `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the level of
    customers without a consent. Every method raises a `StoreError` when the store does not do what it is asked;
    whatever then was written or not, repeating the call is safe. `deadline_s` is the time that is left.
    """

    def __init__(
        self,
        calls: Calls,
        groups_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention,
        suppression: Suppression,
    ) -> None:
        self._calls = calls
        self._erased = suppression.digest
        self._groups = dict(groups_by_level)
        self._lowest = groups_by_level[lowest]
        self._reading = Reading.of(calls.functions.name("read"), self._groups, lowest)
        kept_ms = milliseconds(retention.context), milliseconds(retention.decision), milliseconds(retention.log)
        self._committing = Committing.of(calls.functions.name("commit"), kept_ms)

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision: always the same for a customer and a key, at random (12 bytes) where the key is empty."""
        if idempotency_key:
            return keys.repeatable_decision_id(customer, idempotency_key)
        return keys.fresh_decision_id(customer, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float | None = None) -> Known:
        """Return what the customer's consent allows to be known, and the decision if it was made before."""
        named = customer.encode()
        packed = self._reading.packed(named, self._erased(customer), decision_id)
        return self._known(await self._calls.reply(named, packed, deadline_s, 6, more=_MOST_GROUPS))

    async def context(self, customer: str, deadline_s: float | None = None) -> Known:
        """Return what the customer's consent allows to be known."""
        return await self.read(customer, None, deadline_s)

    async def commit(self, commit: Commit, deadline_s: float | None = None) -> Committed:
        """Take, count and log at once; under a decision id that was used before, return what was stored then.

        Raises `CustomerErased` or `CustomerLinked`, with nothing written, when the customer was erased since they were
        read, or is an alias now, or no longer the one behind the identity that was asked about. `CommitTooLate`, with
        nothing written either, after the moment until which somebody waits for it.
        """
        decision, packed = self._committing.packed(commit, self._erased(commit.customer))
        try:
            reply = await self._calls.reply(decision, packed, deadline_s, 5, more=2)
        except StoreReplied as error:
            if error.prefix not in _REFUSALS:
                raise
            raise _REFUSALS[error.prefix]() from None
        _, repeated, chosen, bound, packed_off, *stored = reply
        entry, digest = stored if repeated else (commit.entry, commit.digest)
        return committed_of(entry, digest, chosen, bound, repeated=repeated == 1, off=switched_of(packed_off))

    def _known(self, reply: list[Any]) -> Known:
        _, now_ms, packed, letters, uses, rare, *values = reply
        consent = consent_of(packed)
        level = consent.level if consent else None
        channels = consent.channels if consent and level in self._groups else ()
        allowed = self._lowest if level is None else self._groups.get(level, self._lowest)
        groups = {
            letter: known
            for letter, known in zip(letters.decode(), values, strict=True)
            if known is not None and letter in allowed
        }
        if rare is None:
            return Known(now_ms, level, channels, groups, _counters(uses, None), consent=packed or b"")
        decided, erased, linked, memory = rare
        counters, off = _counters(uses, linked), switched_of(memory[5]) if memory else NOTHING_OFF
        return Known(
            now_ms=now_ms,
            level=level,
            channels=channels,
            groups=groups,
            counters=with_reserved(counters, memory[3], now_ms) if memory else counters,
            decided=committed_of(*decided[:4], repeated=True, off=off) if decided else None,
            erased=erased == 1,
            consent=packed or b"",
            linked=_linked(linked, allowed) if linked else None,
            memory=memory_of(memory) if memory else NOTHING_REMEMBERED,
            off=off,
            off_version=version_of(memory[5]) if memory else 0,
        )


def _counters(packed: bytes | None, linked: list[bytes | None] | None) -> Mapping[str, tuple[int, ...]]:
    try:
        own = _decode_counters(packed) if packed is not None else {}
        if linked is None or linked[0] != b"p" or linked[2] is None:
            return own
        return _all_uses(own, _decode_elsewhere(linked[2]))
    except msgspec.DecodeError:
        raise StoreUnreadable("The cap counters of a customer cannot be read.") from None


def _all_uses(own: Mapping[str, tuple[int, ...]], elsewhere: _Elsewhere) -> Mapping[str, tuple[int, ...]]:
    """Return the uses of a person: their own and those that were made under other identities, in order."""
    uses = dict(own)
    for counters in elsewhere.values():
        for key, times in counters.items():
            uses[key] = tuple(sorted((*uses.get(key, ()), *times)))
    return uses


def _linked(told: list[bytes | None], allowed: str) -> Linked:
    try:
        if told[0] == b"p":
            return Linked(aliases=_decode_aliases(told[1]) if told[1] else (), letters=allowed)
        whose = (told[1] or b"").decode()
        return Linked(leaving=whose) if told[0] == b"u" else Linked(person=whose)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StoreUnreadable("The identities of a customer cannot be read.") from None


def committed_of(
    entry: bytes, digest: bytes, chosen: bytes, bound: bytes, *, repeated: bool, off: Switched = NOTHING_OFF
) -> Committed:
    """Return what a commit did, from what is stored of it; raise `StoreUnreadable`."""
    try:
        not_fitting = () if bound == _NONE else _decode_bound(bound)
        return Committed(entry, digest, _decode_chosen(chosen), not_fitting, repeated, off)
    except msgspec.DecodeError:
        raise StoreUnreadable("A stored decision cannot be read.") from None
