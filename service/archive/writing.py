"""Write the log as it stands into an archive, with what makes its decisions again."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from importlib import metadata

from msgspec.structs import replace

from service.archive.folder import Anew, ArchiveRefused, PartTold, State, Writable
from service.archive.parts import Parts
from service.archive.raw import MadeBy, RawEntry, Stream, versions_of
from service.archive.reading import Next, StoreLog, parts_of
from service.archive.shelf import Shelf
from service.core.archived import PartKind
from service.core.chained import BEGINNING, Link
from service.store import keys

_AT_ONCE = 16
_LOOKS = 5
"""How often a stream is looked at again whose head vouches for more than there is."""


@dataclass(slots=True)
class Archived:
    """What a run added: decisions, outcomes and parts that make them again; and what it forgot, and what is missing."""

    decisions: int = 0
    outcomes: int = 0
    strategies: int = 0
    models: int = 0
    forgotten: int = 0
    missing: list[str] = field(default_factory=list)


async def archive(log: StoreLog, folder: Writable, on: Callable[[int, int], None]) -> Archived:
    """Add what is new in the store to an archive: all of it, or nothing where this ends half way.

    `on(done, entries)` hears how many buckets are done with and how many entries came with them.
    """
    made, wanted, news = Archived(), set[MadeBy](), _News()
    store = await _same_store(log, folder)
    with Parts(folder) as parts:
        await _read_all(log, folder.state, parts, wanted, news, on)
    await _shelve(log, Shelf(folder.folder), wanted, folder.state.missing, made)
    made.decisions = sum(one.decisions for one in parts.told)
    made.outcomes = sum(one.outcomes for one in parts.told)
    folder.keep(replace(_after(folder.state, parts.told, news), store=store, missing=tuple(made.missing)))
    return made


async def _same_store(log: StoreLog, folder: Writable) -> str:
    """Return which store this is; raise `ArchiveRefused` where it is not the one that the archive is of."""
    bound = folder.state.store
    if bound and await log.identity() != bound:
        raise ArchiveRefused(f"{folder.folder} is the archive of another store, or this one was emptied; "
                             "name that store, or another folder for this one")  # fmt: skip
    return bound or await log.identified()


def _none_yet() -> dict[Stream, dict[int, str]]:
    return {stream: {} for stream in Stream}


@dataclass(slots=True)
class _News:
    """Where streams begin, how far they were read, their heads, and which began anew after they had gone."""

    begins: dict[Stream, dict[int, str]] = field(default_factory=_none_yet)
    positions: dict[Stream, dict[int, str]] = field(default_factory=_none_yet)
    heads: dict[Stream, dict[int, str]] = field(default_factory=_none_yet)
    anew: dict[Stream, dict[int, Anew]] = field(default_factory=lambda: {stream: {} for stream in Stream})


async def _read_all(
    log: StoreLog, state: State, parts: Parts, wanted: set[MadeBy], news: _News, on: Callable[[int, int], None]
) -> None:
    for begin in range(0, keys.BUCKETS, _AT_ONCE):
        some = range(begin, begin + _AT_ONCE)
        after = {(b, s): state.positions.get(s, {}).get(b, "") for b in some for s in Stream}
        firsts = await asyncio.gather(*(log.next_of(bucket, s, place) for (bucket, s), place in after.items()))
        for ((bucket, stream), place), found in zip(after.items(), firsts, strict=True):
            head = state.heads.get(stream, {}).get(bucket, "")
            if place and head and found.entries and _begins(found.entries[0]):
                news.anew[stream][bucket] = Anew(found.entries[0].place, head)
            async for entries in _rest(log, bucket, stream, place, found, news):
                parts.add(entries)
                wanted |= versions_of(entries) if stream is Stream.DECISIONS else set()
                on(bucket, len(entries))
        on(begin + _AT_ONCE, 0)


async def _rest(
    log: StoreLog, bucket: int, stream: Stream, after: str, found: Next, news: _News
) -> AsyncIterator[tuple[RawEntry, ...]]:
    """Yield what is new in a stream, as far as its head says that it goes: what is written meanwhile, too."""
    before, last, looks = after, after, 0
    while True:
        looks = 0 if found.entries else looks + 1
        if found.entries:
            yield found.entries
            if not before:
                news.begins[stream][bucket] = before = found.entries[0].place
            after = news.positions[stream][bucket] = found.entries[-1].place
        if found.ends and (not found.head or found.vouches(after) or looks == _LOOKS):
            break
        found = await log.next_of(bucket, stream, after)
    # Where nothing is new, what vouched for the last entry still does: the store drops a quiet stream with its head.
    if found.vouches(after) or after != last:
        news.heads[stream][bucket] = found.head if found.vouches(after) else ""


def _begins(entry: RawEntry) -> bool:
    """Tell whether the chain begins with an entry."""
    link = Link.parse(entry.fields.get(b"l", b"") if entry.gone is None else entry.gone)
    return link is not None and link.at == BEGINNING


async def _shelve(log: StoreLog, shelf: Shelf, wanted: Iterable[MadeBy], before: Iterable[str], made: Archived) -> None:
    """Put the parts of the decisions that came beside them, and those that an earlier run did not find."""
    told = ((PartKind(kind), version) for kind, _, version in (one.partition(" ") for one in before))
    missing = {part for part in (*parts_of(wanted), *told) if not shelf.has(*part)}
    await log.lay(missing, shelf)
    for kind, version in sorted(missing):
        if not shelf.has(kind, version):
            made.missing.append(f"{kind} {version}")
        elif kind == "strategy":
            made.strategies += 1
        else:
            made.models += 1


def _after(state: State, parts: Iterable[PartTold], news: _News) -> State:
    anew = {s: {b: (*state.anew.get(s, {}).get(b, ()), one) for b, one in news.anew[s].items()} for s in Stream}
    begins, positions, heads = (
        {s: {**before.get(s, {}), **new[s]} for s in Stream}
        for before, new in (
            (state.begins, news.begins), (state.positions, news.positions), (state.heads, news.heads),
        )
    )  # fmt: skip
    kept = {s: {**state.anew.get(s, {}), **anew[s]} for s in Stream}
    parts = (*state.parts, *parts)
    return replace(state, made_by=_made_by(), parts=parts, begins=begins, positions=positions, heads=heads, anew=kept)


def _made_by() -> dict[str, str]:
    """Return by what this was written: what decides is this program and what it computes with."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("tact", "numpy", "msgspec", "tzdata"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
