"""The streams of decisions and outcomes, read bucket by bucket by those who learn from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from service.core.logged import NO_PLACE, DecisionPage, OutcomePage
from service.core.rights import KeptOutcome
from service.store import keys
from service.store.calls import Calls
from service.store.connection import pack
from service.store.kept import decision_of, outcome_of, pairs
from service.store.suppression import Suppression

READ_AT_ONCE = 100


class LogStore:
    """Reads what was logged. Raises a `StoreError` when the store does not do what it is asked; nothing is written."""

    def __init__(self, calls: Calls, suppression: Suppression) -> None:
        self._calls = calls
        self._suppression = suppression

    async def decisions(self, bucket: int, after: str, deadline_s: float | None = None) -> DecisionPage:
        """Return the next decisions of a bucket after a place; an empty place is the beginning."""
        entries = await self._page(keys.log_key(f"{bucket:03x}"), after, deadline_s)
        found = tuple(decision_of(at, fields) for at, fields in entries)
        return DecisionPage(found, entries[-1][0] if entries else after, len(entries) < READ_AT_ONCE)

    async def outcomes(self, bucket: int, after: str, deadline_s: float | None = None) -> OutcomePage:
        """Return the next outcomes of a bucket after a place, each with its customer."""
        entries = await self._page(keys.out_key(f"{bucket:03x}"), after, deadline_s)
        found = tuple(filter(None, (_outcome(at, fields) for at, fields in entries)))
        last = entries[-1][0] if entries else after
        return OutcomePage(found, last, len(entries) < READ_AT_ONCE, len(entries) - len(found))

    async def removed(self, bucket: int, deadline_s: float | None = None) -> int:
        """Return a number that changes when an erasure removes decisions of a bucket."""
        return int(await self._calls.call(pack("ZCARD", keys.gone_key(keys.log_key(f"{bucket:03x}"))), deadline_s))

    async def erased(self, customers: Iterable[str], deadline_s: float | None = None) -> Mapping[str, int]:
        """Return when (ms) customers were erased, of those who were."""
        found: dict[str, int] = {}
        buckets: dict[str, list[str]] = {}
        if not self._suppression.has_key:
            return found
        for customer in customers:
            buckets.setdefault(keys.bucket(customer), []).append(customer)
        for bucket, members in buckets.items():
            key = keys.suppression_key(bucket)
            reply = await self._calls.function(
                "erased_among", (key,), tuple(map(self._suppression.digest, members)),
                about=key, length=2, deadline_s=deadline_s,
            )  # fmt: skip
            found.update((member, at_ms) for member, at_ms in zip(members, reply[1], strict=True) if at_ms)
        return found

    async def _page(self, stream: bytes, after: str, deadline_s: float | None) -> list[tuple[str, dict[bytes, bytes]]]:
        reply = await self._calls.function(
            "log_page", (stream,), (after or NO_PLACE, READ_AT_ONCE), about=stream, length=2, deadline_s=deadline_s
        )
        return [(at.decode(), pairs(flat)) for at, flat in reply[1]]


def _outcome(at: str, fields: Mapping[bytes, Any]) -> tuple[str, KeptOutcome] | None:
    try:
        return fields[b"i"].decode(), outcome_of(at, fields)
    except (KeyError, ValueError):
        return None
