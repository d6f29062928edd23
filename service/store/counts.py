"""What was counted of actions and their outcomes since the last training, over all buckets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from math import inf
from typing import TypeAlias

import msgspec

from service.core.adapting import Counted, Counts
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import StoreReplied

log = logging.getLogger(__name__)

AT_ONCE = 64
"""How many buckets are read at once: more would keep the decisions of this process waiting."""
_Row: TypeAlias = tuple[str, str, float, float, float]
_decode = msgspec.msgpack.Decoder(tuple[_Row, ...]).decode
_NONE = Counted()


class CountStore:
    """Reads what commits and outcomes count. Raises a `StoreError` when the store does not do what it is asked."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def counted(self, scope: str, now_ms: int, deadline_s: float | None = None) -> Counts:
        """Return the sums of a scope over all buckets, of decisions whose outcomes have had their time.

        `deadline_s` is the time for each call. What cannot be read in a bucket counts nothing; where no bucket can be
        read, this raises.
        """
        found: dict[tuple[str, str], Counted] = {}
        unread: list[StoreReplied | StoreUnreadable] = []
        for first in range(0, keys.BUCKETS, AT_ONCE):
            some = range(first, min(first + AT_ONCE, keys.BUCKETS))
            replies = await asyncio.gather(*(self._bucket(number, scope, now_ms, deadline_s) for number in some))
            for rows in replies:
                if isinstance(rows, StoreReplied | StoreUnreadable):
                    unread.append(rows)
                else:
                    _add(found, rows)
        if len(unread) == keys.BUCKETS:
            raise unread[-1]
        return found

    async def _bucket(
        self, number: int, scope: str, now_ms: int, deadline_s: float | None
    ) -> Sequence[_Row] | StoreReplied | StoreUnreadable:
        """Return the counts of a bucket, or why the store does not tell them."""
        place = keys.counts_key(f"{number:03x}")
        try:
            _, packed = await self._calls.function(
                "counted", (place,), (scope, now_ms), about=place, length=2, deadline_s=deadline_s
            )
            return _decode(packed)
        except (StoreReplied, StoreUnreadable) as error:
            log.warning("the counts of a bucket are not told: %03x (%s)", number, type(error).__name__)
            return error
        except (msgspec.DecodeError, UnicodeDecodeError):
            log.warning("the counts of a bucket cannot be read: %03x", number)
            return ()


def _add(found: dict[tuple[str, str], Counted], rows: Sequence[_Row]) -> None:
    for action, segment, *sums in rows:
        if all(0.0 <= one < inf for one in sums):
            place = action, segment
            found[place] = found.get(place, _NONE).plus(Counted(*sums))
