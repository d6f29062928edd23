"""The chain over the streams of a bucket, decisions (`log`) and outcomes (`out`): links, how they are stored and read.

Each entry has, beside its other fields, a field `l`: the **link** of the entry before it, `<digest><id>`, where

    digest   40 hexadecimal digits: SHA-1 over the name of the stream, the entry's id and all its fields, its own `l`
             too; a decision's field `e` stands there as its SHA-256 (`service.core.chained.digest_of`)
    id       the id of that entry in the stream

and the first entry of a stream has `<SHA-1 of its name>0-0`. Where entries that are too old were dropped as it was
written, ` <moment>` (ms) follows: what is older may be gone from then on. The link of the newest entry is the **head**,
which stands in a key of its own (`keys.head_key`). So each link vouches for all entries before it, and whoever notes a
head elsewhere (an **anchor**) has noted all of them.

- An **erased** entry leaves its id and the link in its `l` (`keys.gone_key`, a `Gone`): the chain goes on over it.
- **Trimmed** entries leave nothing: the `l` of the oldest that is left says where the chain goes on, and a moment in
  some later `l` that what it names might be dropped.
- Entries of **before** there was a chain have no `l`. They come before the first that has one, whose `l` names `0-0`.

`ChainStore.page` reads entries as they are stored, the newest first, with the head and what erasures left;
`service.core.chain_walk.Walk` takes these, in that order, and says whether the chain is whole. To check it elsewhere
takes the fields of each entry in their order (`Raw`), each `Gone`, and the head, and nothing else.
docs/decisions/0037-a-chained-log.md says against whom that helps.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from service.core.chain_walk import NO_LIMITS, Found, Limits, Walk
from service.core.chained import Gone, Item, Link, Place, Raw, Stream
from service.store import keys
from service.store.calls import Calls
from service.store.retention import Retention, milliseconds

NEWEST = "+"
"""The place behind the last entry of a stream."""
PAGE = 250
OTHERS_EVERY = 16
"""After how many entries those that wait for an answer get their turn."""


_DEFAULT = Retention()


class ChainPage(NamedTuple):
    """Some of a chain, the newest first, read at one moment, with the head as stored, empty where there is none.

    `before` is where the next page begins, empty where these were all.
    """

    head: bytes
    items: tuple[Item, ...]
    before: str


def key_of(bucket: int, stream: Stream) -> bytes:
    """Return the key of a stream of a bucket, 0 to 1,023."""
    return (keys.log_key if stream is Stream.DECISIONS else keys.out_key)(f"{bucket:03x}")


class ChainStore:
    """Reads chained streams. Raises a `StoreError` when the store does not do what it is asked; nothing is written."""

    def __init__(self, calls: Calls, retention: Retention = _DEFAULT) -> None:
        self._calls = calls
        log, outcomes = milliseconds(retention.log), milliseconds(retention.outcomes)
        self._kept_ms = {Stream.DECISIONS: log, Stream.OUTCOMES: outcomes}

    async def page(
        self, bucket: int, stream: Stream, before: str = NEWEST, deadline_s: float | None = None
    ) -> ChainPage:
        """Return the next older entries of a bucket's stream before a place, with what erased ones among them left."""
        return await self.page_of(key_of(bucket, stream), before, deadline_s)

    async def page_of(self, key: bytes, before: str = NEWEST, deadline_s: float | None = None) -> ChainPage:
        """Return the same of any chained stream, by its key."""
        _, head, entries, left = await self._calls.function(
            "chain_page", (key, keys.head_key(key), keys.gone_key(key)), (before, PAGE),
            about=key, length=4, deadline_s=deadline_s,
        )  # fmt: skip
        items: list[Item] = [_raw(at, flat) for at, flat in entries]
        ends = len(entries) < PAGE
        above = Place.parse(before) if before != NEWEST else None
        for gone in map(_gone, left):
            if gone and (above is None or gone.at < above) and (ends or gone.at > items[len(entries) - 1].at):
                items.append(gone)
        items.sort(key=lambda item: item.at, reverse=True)
        return ChainPage(head, tuple(items), "" if ends else entries[-1][0].decode())

    async def verify(
        self,
        bucket: int,
        stream: Stream,
        now_ms: int,
        anchor: Link | None = None,
        unlinked_ms: int = 0,
        deadline_s: float | None = None,
    ) -> Found:
        """Return whether the chain of a bucket's stream is whole, of which older entries go by their age."""
        limits = Limits(now_ms - self._kept_ms[stream], unlinked_ms, anchor)
        return await self.check(key_of(bucket, stream), limits, deadline_s)

    async def check(self, key: bytes, limits: Limits = NO_LIMITS, deadline_s: float | None = None) -> Found:
        """Return whether the chain of a stream, by its key, is whole. What is written meanwhile is not looked at."""
        found = await self._walked(key, limits, deadline_s)
        # What goes by its age between two pages looks like a fault, but not twice.
        return found if found.whole else await self._walked(key, limits, deadline_s)

    async def _walked(self, key: bytes, limits: Limits, deadline_s: float | None) -> Found:
        page = await self.page_of(key, deadline_s=deadline_s)
        walk = Walk(key, page.head, limits)
        while True:
            for place, item in enumerate(page.items):
                walk.take(item)
                if place % OTHERS_EVERY == OTHERS_EVERY - 1:
                    await asyncio.sleep(0)
            if not page.before:
                return walk.end()
            page = await self.page_of(key, page.before, deadline_s)


def _raw(at: bytes, flat: list[bytes]) -> Raw:
    return Raw(Place.parse(at.decode()), tuple(zip(flat[::2], flat[1::2], strict=True)))


def _gone(member: bytes) -> Gone | None:
    at, _, link = member.partition(b" ")
    try:
        return Gone(Place.parse(at.decode()), link)
    except ValueError:
        return None
