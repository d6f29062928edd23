"""A chained log: as the store holds it, as a copy that can be spoilt, and put back into the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from redis import Redis

from service.core.chain_walk import NO_LIMITS, Found, Limits, Walk, Wrong
from service.core.chained import Gone, Item, Place, Raw, beginning, link_of
from service.store import keys
from service.store.chain import ChainStore

STREAM = b"tact:{0a3}:log"


@dataclass(frozen=True, slots=True)
class Copy:
    """One chain: its stream, its head, and its items, the oldest first."""

    stream: bytes
    head: bytes
    items: tuple[Item, ...]

    def found(self, limits: Limits = NO_LIMITS) -> Found:
        """Return what a walk over it finds."""
        walk = Walk(self.stream, self.head, limits)
        for item in reversed(self.items):
            walk.take(item)
        return walk.end()

    def wrong(self, limits: Limits = NO_LIMITS) -> list[tuple[Place, Wrong]]:
        """Return what a walk over it finds wrong, the oldest first."""
        return [(one.at, one.wrong) for one in reversed(self.found(limits).faults)]

    def having(self, at: int, *items: Item) -> Copy:
        """Return it with other items in the place of one."""
        return replace(self, items=(*self.items[:at], *items, *self.items[at + 1 :]))


def made(values: Sequence[bytes], stream: bytes = STREAM) -> Copy:
    """Return the chain of entries with these values, made as the store makes them."""
    link, items = beginning(stream), list[Item]()
    for number, value in enumerate(values, 1):
        fields = ((b"l", str(link).encode()), (b"i", b"anna"), (b"e", value), (b"c", b"\x91\x00"))
        items.append(Raw(Place(1_000 + number // 3, number % 3), fields))
        link = link_of(stream, Raw(items[-1].at, fields))
    return Copy(stream, str(link).encode(), tuple(items))


async def copied(chain: ChainStore, stream: bytes) -> Copy:
    """Return a chain as the store holds it."""
    page = await chain.page_of(stream)
    items, head = list(page.items), page.head
    while page.before:
        page = await chain.page_of(stream, page.before)
        items += page.items
    return Copy(stream, head, tuple(reversed(items)))


def put_back(raw: Redis, copy: Copy) -> None:
    """Write a chain into the store, whatever it says, in the place of the one that is there."""
    gone = keys.gone_key(copy.stream)
    raw.delete(copy.stream, keys.head_key(copy.stream), gone)
    if copy.head:
        raw.set(keys.head_key(copy.stream), copy.head)
    for item in copy.items:
        if isinstance(item, Gone):
            raw.zadd(gone, {b"%b %b" % (str(item.at).encode(), item.link or b""): item.at.ms})
        else:
            flat = [part for field in item.fields for part in field]
            raw.execute_command("XADD", copy.stream, str(item.at), *flat)  # type: ignore[no-untyped-call]  # in their order


def flipped(raw: Raw) -> Iterator[tuple[str, Raw]]:
    """Yield an entry with each of its bits flipped in turn, each byte of each name and value, and say which."""
    for number, (name, value) in enumerate(raw.fields):
        for place, part in enumerate((name, value)):
            for bit in range(8 * len(part)):
                spoilt = (flip(name, bit), value) if place == 0 else (name, flip(value, bit))
                yield f"{name!r} {bit}", replace(raw, fields=_with(raw.fields, number, spoilt))


def flip(part: bytes, bit: int) -> bytes:
    """Return bytes of which one bit is flipped."""
    spoilt = bytearray(part)
    spoilt[bit // 8] ^= 1 << bit % 8
    return bytes(spoilt)


def _with(
    fields: tuple[tuple[bytes, bytes], ...], number: int, field: tuple[bytes, bytes]
) -> tuple[tuple[bytes, bytes], ...]:
    return (*fields[:number], field, *fields[number + 1 :])


def places(items: Iterable[Item]) -> list[Place]:
    """Return where items stand."""
    return [item.at for item in items]


def namesakes(most: int) -> list[str]:
    """Return customers of Anna's bucket, her first."""
    found = ["anna"]
    number = 0
    while len(found) < most:
        number += 1
        if keys.bucket(f"c{number}") == keys.bucket("anna"):
            found.append(f"c{number}")
    return found


def raw_of(item: Item) -> Raw:
    """Return an item that is an entry and was not erased."""
    assert isinstance(item, Raw)
    return item


def whole(found: Found, entries: int, erased: int = 0, unchained: int = 0) -> bool:
    """See that a chain is whole and has so many entries."""
    assert not found.faults, found.faults
    return (found.entries, found.erased, found.unchained) == (entries, erased, unchained)
