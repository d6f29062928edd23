"""The words of the strategies that decided, kept as long as their decisions are."""

from __future__ import annotations

import msgspec

from service.core.strategy import Strategy
from service.core.words import Words
from service.store import keys
from service.store.calls import Calls
from service.store.connection import pack
from service.store.retention import Retention, milliseconds

_RENEWED_MS = 1_800_000  # not each time, for it is written to the disk
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Words).decode


class WordStore:
    """Keeps the words of strategies by version. Raises a `StoreError` when the store does not do what it is asked."""

    def __init__(self, calls: Calls, retention: Retention) -> None:
        self._calls = calls
        self._kept_ms = milliseconds(retention.log)

    async def keep(self, strategy: Strategy, deadline_s: float | None = None) -> None:
        """See that the words are kept for as long as a decision that is made now: call it again and again."""
        key = keys.words_key(strategy.version)
        if await self._calls.call(pack("PTTL", key), deadline_s) <= self._kept_ms - _RENEWED_MS:
            packed = _encode(Words.of(strategy))
            await self._calls.call(pack("SET", key, packed, "PX", self._kept_ms), deadline_s)

    async def of(self, version: str, deadline_s: float | None = None) -> Words | None:
        """Return the words of a version; None where they are not kept, or cannot be read."""
        packed = await self._calls.call(pack("GET", keys.words_key(version)), deadline_s)
        try:
            return None if packed is None else _decode(packed)
        except msgspec.MsgspecError:
            return None
