"""Read the log as it stands in a store: no byte of an entry is changed, and only which store it is is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from msgspec import Struct

from service.archive.blocks import Block
from service.archive.raw import MadeBy, RawEntry, Stream
from service.archive.shelf import Shelf
from service.core.archived import PartDamaged, PartKind
from service.store import keys
from service.store.archive import PATIENCE_S, ArchiveStore
from service.store.calls import Calls
from service.store.connection import pack
from service.store.retention import Retention
from service.store.way import Way

PAGE = 500
"""How many entries are read at once."""

AT_ONCE = 16
"""Of how many buckets the first pages are read side by side: most have no more than that."""

WAIT_S = 10.0
LINK_DIGITS = 40
"""How many digits of a link are the digest; the place of the entry follows."""


class Window(Struct, frozen=True):
    """The decisions that are meant: those that were logged from a moment on and before another (ms; 0 and None: all).

    With `decision_id` only that one, which names its bucket.
    """

    from_ms: int = 0
    to_ms: int | None = None
    decision_id: str = ""

    @property
    def buckets(self) -> Iterable[int]:
        """Return the buckets in which they stand."""
        return (int(self.decision_id[:3], 16),) if self.decision_id else range(keys.BUCKETS)

    def holds(self, entry: RawEntry) -> bool:
        """Tell whether an entry is meant."""
        if self.decision_id and self.decision_id.encode() not in entry.fields.get(b"e", b""):
            return False
        return self.from_ms <= entry.logged_ms and (self.to_ms is None or entry.logged_ms < self.to_ms)


class Page(Struct, frozen=True):
    """Some decisions that are meant, and how many buckets are done with when they are."""

    entries: tuple[RawEntry, ...]
    done: int


class Next(Struct, frozen=True):
    """The next entries of a stream, the oldest first; the stream's head as it was read after them, which may vouch for
    later ones by then, empty where there is none; and whether these were all.
    """

    entries: tuple[RawEntry, ...]
    head: str
    ends: bool

    def vouches(self, place: str) -> bool:
        """Tell whether the head is the link of the entry at a place."""
        return self.head[LINK_DIGITS:] == place


class Lost(Struct, frozen=True):
    """A block of an archive that cannot be read: so many entries, from the first to the last; says why."""

    block: Block
    says: str


class Source(Protocol):
    """Where decisions are read from, with the parts that make them again; `lost` is what could not be read."""

    @property
    def lost(self) -> Sequence[Lost]:
        """Return what could not be read so far."""
        ...

    def pages(self, window: Window) -> AsyncIterator[Page]:
        """Yield the decisions that are meant, the oldest of each bucket first."""
        ...

    async def provide(self, wanted: Iterable[MadeBy], shelf: Shelf) -> None:
        """See that the parts of some versions are on a shelf, as far as they can be had."""
        ...


class StoreLog:
    """The log in a store. Raises a `StoreError` when the store does not do what it is asked."""

    def __init__(self, connections: Way) -> None:
        self.lost: list[Lost] = []
        self._connections = connections
        self._parts = ArchiveStore(Calls(connections), Retention())

    async def pages(self, window: Window) -> AsyncIterator[Page]:
        """Yield the decisions that are meant, the oldest of each bucket first."""
        buckets = list(window.buckets)
        first, last = f"{window.from_ms}-0", "+" if window.to_ms is None else f"({window.to_ms}-0"
        for begin in range(0, len(buckets), AT_ONCE):
            some = buckets[begin : begin + AT_ONCE]
            begun = await asyncio.gather(*(self.read(b, Stream.DECISIONS, first, last) for b in some))
            for place, (bucket, found) in enumerate(zip(some, begun, strict=True)):
                while found:
                    yield Page(tuple(filter(window.holds, found)), begin + place + (len(found) < PAGE))
                    if len(found) < PAGE:
                        break
                    found = await self.read(bucket, Stream.DECISIONS, f"({found[-1].place}", last)

    async def identity(self) -> str:
        """Return which store this is, as its first archive noted in it; empty where none was made of it."""
        return await self._parts.identity(PATIENCE_S)

    async def identified(self) -> str:
        """Return the same, noted now where none was."""
        return await self._parts.identified(PATIENCE_S)

    async def read(self, bucket: int, stream: Stream, first: str, last: str = "+") -> list[RawEntry]:
        """Return the next entries of a bucket's stream from `first` on, in the store's way to write a range."""
        packed = pack("XRANGE", stream_key(bucket, stream), first, last, "COUNT", PAGE)
        reply = await self._connections.call(packed, WAIT_S)
        return [_entry(bucket, stream, item) for item in reply]

    async def next_of(self, bucket: int, stream: Stream, after: str) -> Next:
        """Return the next entries of a bucket's stream after a place, with what erased ones among them left."""
        found = await self.read(bucket, stream, f"({after}" if after else "-")
        key, since = stream_key(bucket, stream), after.partition("-")[0] or "-inf"
        head = await self._connections.call(pack("GET", keys.head_key(key)), WAIT_S)
        left = await self._connections.call(pack("ZRANGEBYSCORE", keys.gone_key(key), since, "+inf"), WAIT_S)
        erased = {one.place: one for one in (_left(bucket, stream, member) for member in left)}
        begin, end = _place(after or "0-0"), None if len(found) < PAGE else _place(found[-1].place)
        meant = {at: one for at, one in erased.items() if _place(at) > begin and (end is None or _place(at) < end)}
        entries = sorted((meant | {one.place: one for one in found}).values(), key=lambda one: _place(one.place))
        return Next(tuple(entries), (head or b"").decode(errors="replace"), end is None)

    async def provide(self, wanted: Iterable[MadeBy], shelf: Shelf) -> None:
        """Put on a shelf what the store has of the parts of some versions; what is damaged it does not have."""
        await self.lay(parts_of(wanted), shelf)

    async def lay(self, parts: Iterable[tuple[PartKind, str]], shelf: Shelf) -> None:
        """Put on a shelf what the store has of some parts."""
        for kind, version in sorted(parts):
            if not shelf.has(kind, version):
                part = await self._parts.of(kind, version, PATIENCE_S)
                if part is not None:
                    with suppress(PartDamaged):
                        await asyncio.to_thread(shelf.lay, part)


def _left(bucket: int, stream: Stream, member: bytes) -> RawEntry:
    at, _, link = member.partition(b" ")
    return RawEntry(bucket, stream, at.decode(), (), link)


def _place(text: str) -> tuple[int, int]:
    moment, _, number = text.partition("-")
    return int(moment), int(number)


def parts_of(wanted: Iterable[MadeBy]) -> set[tuple[PartKind, str]]:
    """Return the parts that some versions are made of."""
    found = set[tuple[PartKind, str]]()
    for one in wanted:
        found |= {(PartKind.STRATEGY, one.strategy), (PartKind.MODEL, one.model), (PartKind.MODEL, one.challenger)}
    return {(kind, version) for kind, version in found if version}


def stream_key(bucket: int, stream: Stream) -> bytes:
    """Return the key of a stream of a bucket."""
    return (keys.log_key if stream is Stream.DECISIONS else keys.out_key)(f"{bucket:03x}")


def _entry(bucket: int, stream: Stream, item: Sequence[Any]) -> RawEntry:
    """Return an entry as it stands there: what is wrong with it is for the replay and the chain to find."""
    at, flat = item
    return RawEntry(bucket, stream, at.decode(), tuple(flat))
