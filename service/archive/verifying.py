"""Whether the chain over an archive is whole: the walk that goes over the store, with what the archive notes itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.archive.folder import FolderLog
from service.archive.raw import RawEntry, Stream
from service.archive.reading import stream_key
from service.core import chained
from service.core.chain_walk import Found, Limits, Walk
from service.core.chained import Gone, Item, Link, Place, Raw
from service.store.keys import BUCKETS

Anchors = Mapping[tuple[int, chained.Stream], Link]


def chains(log: FolderLog, anchors: Anchors, unlinked_ms: int = 0) -> Iterator[tuple[int, dict[chained.Stream, Found]]]:
    """Yield of each bucket what is found of its two chains."""
    for bucket in range(BUCKETS):
        yield bucket, {one: _found(log, bucket, one, anchors.get((bucket, one)), unlinked_ms) for one in chained.Stream}


def _found(log: FolderLog, bucket: int, stream: chained.Stream, anchor: Link | None, unlinked_ms: int) -> Found:
    own, state = Stream(stream.value), log.state
    begins = state.begins.get(own, {}).get(bucket)
    begins_ms = Place.parse(begins).ms if begins else 0  # what was older was gone when the archive began
    head = state.heads.get(own, {}).get(bucket, "").encode()
    walk = Walk(stream_key(bucket, own), head, Limits(begins_ms, unlinked_ms, anchor))
    for entry in reversed(list(log.stream(bucket, own))):
        walk.take(_item(entry))
    return walk.end()


def _item(entry: RawEntry) -> Item:
    at = Place.parse(entry.place)
    if entry.gone is not None:
        return Gone(at, entry.gone)
    return Raw(at, tuple(zip(entry.flat[::2], entry.flat[1::2], strict=True)))
