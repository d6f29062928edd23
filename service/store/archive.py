"""The strategies and models that decide, kept by version for as long as the decisions that they made."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from service.core.archived import VERSION, Part, PartKind
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import pack
from service.store.retention import Retention, milliseconds

_RENEWED_MS = 60_000  # not each time, for it is written to the disk

PATIENCE_S = 10.0
"""How long one part may take to be written or read: it can be many megabytes."""


class ArchiveStore:
    """Keeps parts. Raises a `StoreError` when the store does not do what it is asked."""

    def __init__(self, calls: Calls, retention: Retention, parts: Sequence[Part] = ()) -> None:
        self._calls = calls
        self._kept_ms = milliseconds(retention.log)
        self._parts = tuple(parts)

    async def keep(self, deadline_s: float | None = None) -> None:
        """See that the parts of the version in force are kept for as long as a decision that is made now, but for a
        minute: call it again and again.
        """
        await asyncio.gather(*(self._keep(part, deadline_s) for part in self._parts))

    async def _keep(self, part: Part, deadline_s: float | None) -> None:
        key = keys.part_key(part.kind, part.version)
        lives_ms = await self._calls.call(pack("PTTL", key), deadline_s)
        if 0 < lives_ms <= self._kept_ms - _RENEWED_MS:
            lives_ms = self._kept_ms * await self._calls.call(pack("PEXPIRE", key, self._kept_ms), deadline_s)
        if lives_ms <= 0:  # it never was there, or is not any more
            await self._calls.call(pack("SET", key, part.packed, "PX", self._kept_ms), deadline_s)

    async def identity(self, deadline_s: float | None = None) -> str:
        """Return which store this is, as it was noted for its first archive; empty where none was made of it."""
        found = await self._calls.call(pack("GET", keys.store_key()), deadline_s)
        return (found or b"").decode(errors="replace")

    async def identified(self, deadline_s: float | None = None) -> str:
        """Return the same, noted now where it was not."""
        await self._calls.call(pack("SET", keys.store_key(), secrets.token_hex(16), "NX"), deadline_s)
        return await self.identity(deadline_s)

    async def of(self, kind: PartKind, version: str, deadline_s: float | None = None) -> Part | None:
        """Return a part; None where it is not kept, or what is asked for is no version."""
        if not VERSION.fullmatch(version):
            return None
        packed = await self._calls.call(pack("GET", keys.part_key(kind, version)), deadline_s)
        if packed is not None and type(packed) is not bytes:
            raise StoreUnreadable("A part of the archive cannot be read.")
        return None if packed is None else Part(kind, version, packed)
