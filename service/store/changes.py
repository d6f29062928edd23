"""Customers of whom something changed since models last spoke of them, lent to the jobs that ask the models."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from itertools import chain

from service.core.predictions import Change
from service.store import keys
from service.store.calls import Calls
from service.store.connection import pack

LOOKED_AT_ONCE = 64
"""How many buckets are looked at in one go, so that decisions in between do not wait long."""


class ChangeStore:
    """Lends and takes back. Raises a `StoreError` when the store does not do it; repeating a call is safe."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def lend(
        self, most: int, lease_s: float, deadline_s: float | None = None
    ) -> AsyncIterator[tuple[Change, ...]]:
        """Yield up to `most` changes at a time, until every bucket was looked at once.

        Each customer is lent for `lease_s` seconds. Jobs that look at the same time begin at different buckets.
        """
        first = random.randrange(keys.BUCKETS)  # noqa: S311 - spreads the jobs; nobody gains by guessing it
        buckets = [f"{(first + step) % keys.BUCKETS:03x}" for step in range(keys.BUCKETS)]
        lent: list[Change] = []
        for start in range(0, keys.BUCKETS, LOOKED_AT_ONCE):
            for bucket in await self._with_changes(buckets[start : start + LOOKED_AT_ONCE], deadline_s):
                maybe_more = True
                while maybe_more:
                    lent += await self._lend(bucket, most - len(lent), lease_s, deadline_s)
                    maybe_more = len(lent) == most
                    if maybe_more:
                        yield tuple(lent)
                        lent = []
        if lent:
            yield tuple(lent)

    async def finish(self, changes: Sequence[Change], deadline_s: float | None = None) -> int:
        """Take back what has been worked on and return how many of these loans still held."""
        return sum([await self._finish(bucket, told, deadline_s) for bucket, told in _by_bucket(changes).items()])

    async def held(self, changes: Sequence[Change], deadline_s: float | None = None) -> tuple[Change, ...]:
        """Return those that are still lent as they say, in time or not: not finished, changed or lent again since."""
        by_bucket = _by_bucket(changes)
        asked = (
            pack("ZMSCORE", keys.changed_key(bucket), *(change.customer for change in told))
            for bucket, told in by_bucket.items()
        )
        found = await asyncio.gather(*(self._calls.call(command, deadline_s) for command in asked))
        scored = zip(chain.from_iterable(by_bucket.values()), chain.from_iterable(found), strict=True)
        return tuple(change for change, score in scored if score is not None and float(score) == float(change.loan))

    async def _with_changes(self, buckets: Sequence[str], deadline_s: float | None) -> list[str]:
        """Return those buckets that have changes, lent or not."""
        asked = (self._calls.call(pack("ZCARD", keys.changed_key(bucket)), deadline_s) for bucket in buckets)
        counts = await asyncio.gather(*asked)
        return [bucket for bucket, count in zip(buckets, counts, strict=True) if count]

    async def _lend(self, bucket: str, most: int, lease_s: float, deadline_s: float | None) -> list[Change]:
        key = keys.changed_key(bucket)
        _, loan, customers = await self._calls.function(
            "lend", (key,), (most, round(lease_s * 1000)), about=key, length=3, deadline_s=deadline_s
        )
        return [Change(customer.decode(), loan.decode()) for customer in customers]

    async def _finish(self, bucket: str, changes: Sequence[Change], deadline_s: float | None) -> int:
        key = keys.changed_key(bucket)
        told = [part for change in changes for part in (change.customer, change.loan)]
        reply = await self._calls.function("finish", (key,), told, about=key, length=2, deadline_s=deadline_s)
        finished: int = reply[1]
        return finished


def _by_bucket(changes: Sequence[Change]) -> dict[str, list[Change]]:
    by_bucket: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        by_bucket[keys.bucket(change.customer)].append(change)
    return by_bucket
