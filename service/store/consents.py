"""What customers agreed to."""

from __future__ import annotations

import msgspec

from service.core.records import ConsentRecord
from service.errors import ConsentOlder
from service.store import keys
from service.store.calls import Calls, StoreCrossed
from service.store.connection import pack
from service.store.retention import Retention, milliseconds

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, tuple[str, ...], int, str]).decode


class ConsentStore:
    """Keeps consents. Raises a `StoreError` when the store does not do what it is asked; repeating a call is safe."""

    def __init__(self, calls: Calls, retention: Retention) -> None:
        self._calls = calls
        self._context_ms = milliseconds(retention.context)

    async def set_consent(
        self, customer: str, consent: ConsentRecord, deadline_s: float | None = None
    ) -> ConsentRecord:
        """Replace the customer's consent and return it; raise `ConsentOlder` when the stored one was given later.

        Of two that were given in the same millisecond the one that is set last holds.
        """
        record = _encode((consent.level, consent.channels, consent.given_ms, consent.source))
        reply = await self._calls.function(
            "consent", (keys.context_key(customer),), (customer, self._context_ms, consent.given_ms, record),
            about=customer.encode(), length=3, deadline_s=deadline_s,
        )  # fmt: skip
        if reply[1] == 0:
            raise ConsentOlder("a consent that was given later is stored already; send a later `given_at`")
        return consent

    async def get_consent(self, customer: str, deadline_s: float | None = None) -> ConsentRecord | None:
        """Return the customer's consent as it was set; None when there is none that can be read."""
        packed = pack("HMGET", keys.context_key(customer), "i", "c")
        owner, record = await self._calls.call(packed, deadline_s)
        if owner is not None and owner != customer.encode():
            raise StoreCrossed("The stored consent belongs to another customer.")
        return consent_of(record)


def consent_of(packed: bytes | None) -> ConsentRecord | None:
    """Return a packed consent; None for none, and for one that cannot be read."""
    try:
        return ConsentRecord(*_decode(packed)) if packed is not None else None
    except msgspec.DecodeError:
        return None
