"""What the store knows of a customer, read for a decision, and the commit that ends one.

Every reply begins with what was asked about, a read's with the id inside the stored value, and is compared. A consent
that cannot be read counts as none; field states that cannot be read are handed out and seen as unknown; cap counters
that cannot be read are an error, for then no cap is known to hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from service.core.decision import Bound, Commit, Committed, Known
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import Argument, pack
from service.store.consents import consent_of
from service.store.reading import Reading
from service.store.retention import Retention, milliseconds

_encode = msgspec.msgpack.Encoder().encode
_decode_counters = msgspec.msgpack.Decoder(dict[str, tuple[int, ...]]).decode
_decode_chosen = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_decode_bound = msgspec.msgpack.Decoder(tuple[tuple[int, int, str, int], ...]).decode


class CustomerStore:
    """Read customers and commit decisions.

    `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the level of
    customers without a consent. Every method raises a `StoreError` when the store does not do what it is asked;
    whatever then was written or not, repeating the call is safe. `deadline_s` is the time that is left.
    """

    def __init__(self, calls: Calls, groups_by_level: Mapping[str, str], lowest: str, retention: Retention) -> None:
        self._calls = calls
        self._groups = dict(groups_by_level)
        self._lowest = groups_by_level[lowest]
        allowed = (self._lowest, *(part for level in groups_by_level.items() for part in level))
        self._reading = Reading.of(calls.functions.name("read"), allowed)
        self._commit = calls.functions.name("commit")
        self._kept_ms = tuple(map(milliseconds, (retention.context, retention.decision, retention.log)))

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision: always the same for a customer and a key, at random (12 bytes) where the key is empty."""
        if idempotency_key:
            return keys.repeatable_decision_id(customer, idempotency_key)
        return keys.fresh_decision_id(customer, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float | None = None) -> Known:
        """Return what the customer's consent allows to be known, and the decision if it was made before."""
        place = (keys.context_key(customer),) if decision_id is None else self._places(customer, decision_id)
        packed = self._reading.packed(place, customer.encode())
        reply = await self._calls.reply(customer.encode(), packed, deadline_s, 6)
        return self._known(*reply[1:])

    async def context(self, customer: str, deadline_s: float | None = None) -> Known:
        """Return what the customer's consent allows to be known."""
        return await self.read(customer, None, deadline_s)

    async def commit(self, commit: Commit, deadline_s: float | None = None) -> Committed:
        """Take, count and log at once; under a decision id that was used before, return what was stored then."""
        context, decision, log = self._places(commit.customer, commit.decision_id)
        packed = pack(
            "FCALL", self._commit, 3, context, log, decision, commit.customer, commit.now_ms, commit.digest,
            commit.entry, *self._kept_ms, *map(_in_a_row, commit.candidates),
        )  # fmt: skip
        reply = await self._calls.reply(decision, packed, deadline_s, 6)
        repeated = reply[1] == 1
        return _committed(reply[2] if repeated else commit.entry, *reply[3:], repeated=repeated)

    def _places(self, customer: str, decision_id: str) -> tuple[bytes, bytes, bytes]:
        """Return the context, decision and log keys, which stand in one bucket."""
        bucket = keys.bucket(customer)
        if decision_id[:3] != bucket:
            raise ValueError("the decision id belongs to another bucket than the customer")
        return keys.context_key(customer), keys.decision_key(decision_id), keys.log_key(bucket)

    def _known(
        self,
        now_ms: int,
        packed_consent: bytes | None,
        letters: bytes,
        values: list[bytes | None],
        decided: list[bytes] | None,
    ) -> Known:
        consent = consent_of(packed_consent)
        allowed = self._lowest if consent is None else self._groups.get(consent.level, self._lowest)
        groups = {
            letter: packed
            for letter, packed in zip(letters.decode(), values[2:], strict=True)
            if packed is not None and letter in allowed
        }
        return Known(
            now_ms=now_ms,
            level=consent.level if consent else None,
            channels=consent.channels if consent and consent.level in self._groups else (),
            groups=groups,
            counters=_counters(values[1]),
            decided=_committed(*decided[:4], repeated=True) if decided else None,
        )


def _in_a_row(candidates: Sequence[object]) -> Argument:
    """Pack candidates one after another, so that the store unpacks no more of them than it looks at."""
    return b"".join([_encode(candidate) for candidate in candidates])


def _counters(packed: bytes | None) -> Mapping[str, tuple[int, ...]]:
    try:
        return _decode_counters(packed) if packed is not None else {}
    except msgspec.DecodeError:
        raise StoreUnreadable("The cap counters of a customer cannot be read.") from None


def _committed(entry: bytes, digest: bytes, chosen: bytes, bound: bytes, *, repeated: bool) -> Committed:
    try:
        return Committed(
            entry, digest, _decode_chosen(chosen), tuple(Bound(*one) for one in _decode_bound(bound)), repeated
        )
    except msgspec.DecodeError:
        raise StoreUnreadable("A stored decision cannot be read.") from None
