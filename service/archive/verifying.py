"""Whether the chain over an archive is whole: the walk that goes over the store, with what the archive notes itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from service.archive.blocks import Block
from service.archive.folder import ArchiveRefused, FolderLog
from service.archive.raw import RawEntry, Stream
from service.archive.reading import stream_key
from service.core import chained
from service.core.chain_walk import Fault, Found, Limits, Walk, Wrong
from service.core.chained import Gone, Item, Link, Place, Raw
from service.store.keys import BUCKETS
from service.store.retention import Retention, milliseconds

_Key = tuple[int, chained.Stream]


class Held(NamedTuple):
    """What an archive is held against: links and beginnings that were noted elsewhere, by bucket and stream.

    Up to `unlinked_ms` entries without a link are no fault. A chain that begins anew is one, unless it was quiet for
    `kept_ms` before: then its stream was gone by its age.
    """

    anchors: Mapping[_Key, Link] = {}
    begins: Mapping[_Key, Place] = {}
    unlinked_ms: int = 0
    kept_ms: int = milliseconds(Retention().log)


NOTHING = Held()


def chains(log: FolderLog, held: Held = NOTHING) -> Iterator[tuple[int, dict[chained.Stream, Found]]]:
    """Yield of each bucket what is found of its two chains; what cannot be read is passed over, and noted in `log`.

    Raises `ArchiveRefused` where what the archive says of itself cannot be true.
    """
    for bucket in range(BUCKETS):
        try:
            yield bucket, {one: _found(log, bucket, one, held) for one in chained.Stream}
        except ValueError:
            why = f"what the archive says of bucket {bucket:03x} cannot be true; take the folder from a copy"
            raise ArchiveRefused(why) from None


def begins_of(log: FolderLog) -> dict[_Key, Place]:
    """Return where each stream of an archive begins."""
    by = log.state.begins.items()
    return {(b, chained.Stream(s.value)): Place.parse(place) for s, places in by for b, place in places.items()}


def _found(log: FolderLog, bucket: int, stream: chained.Stream, held: Held) -> Found:
    own, known = Stream(stream.value), len(log.lost)
    entries = list(log.stream(bucket, own, readable=True))
    text, noted = log.state.begins.get(own, {}).get(bucket), held.begins.get((bucket, stream))
    begins = Place.parse(text) if text else None
    raised = noted is not None and (begins is None or begins > noted)
    # What was older was gone when the archive began.
    first = noted if raised else begins
    found = _walked(log, bucket, own, entries, first.ms if first else 0, held)
    if raised and noted is not None:
        found.faults = [one for one in found.faults if one.wrong is not Wrong.MISSING or one.at != noted]
        found.add(noted, Wrong.MISSING)
    found.faults = [one for one in found.faults if not any(_explains(lost.block, one) for lost in log.lost[known:])]
    return found


def _walked(log: FolderLog, bucket: int, stream: Stream, entries: list[RawEntry], begins_ms: int, held: Held) -> Found:
    """Walk over the chains of a stream, the newest first: after it was gone by its age it began anew."""
    key, of = stream_key(bucket, stream), chained.Stream(stream.value)
    head, anchor = log.state.heads.get(stream, {}).get(bucket, ""), held.anchors.get((bucket, of))
    all_found = list[Found]()
    for one in reversed(log.state.anew.get(stream, {}).get(bucket, ())):
        at, before = Place.parse(one.at), Link.parse(one.head.encode())
        newer = [entry for entry in entries if Place.parse(entry.place) >= at]
        entries = entries[: len(entries) - len(newer)]
        about = anchor if anchor is not None and anchor.at >= at else None
        anchor = anchor if about is None else None
        found = _walk(newer, Walk(key, head.encode(), Limits(begins_ms, held.unlinked_ms, about)))
        if before is None or at.ms - before.at.ms < held.kept_ms:
            found.add(at, Wrong.ANEW)
        all_found.append(found)
        head = one.head
    all_found.append(_walk(entries, Walk(key, head.encode(), Limits(begins_ms, held.unlinked_ms, anchor))))
    return _joined(all_found)


def _walk(entries: Sequence[RawEntry], walk: Walk) -> Found:
    for entry in reversed(entries):
        walk.take(_item(entry))
    return walk.end()


def _joined(all_found: Sequence[Found]) -> Found:
    joined, *others = all_found
    for one in others:
        joined.entries += one.entries
        joined.erased += one.erased
        joined.unchained += one.unchained
        joined.untold += one.untold
        joined.compared |= one.compared
        joined.faults += one.faults
    return joined


def _explains(block: Block, fault: Fault) -> bool:
    """Tell whether an entry is missing because it stands in a block that cannot be read."""
    return fault.wrong is Wrong.MISSING and Place.parse(block.first) <= fault.at <= Place.parse(block.last)


def _item(entry: RawEntry) -> Item:
    at = Place.parse(entry.place)
    if entry.gone is not None:
        return Gone(at, entry.gone)
    return Raw(at, tuple(zip(entry.flat[::2], entry.flat[1::2], strict=True)))
