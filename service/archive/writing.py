"""Write the log as it stands into an archive, with what makes its decisions again; forget who was erased."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from msgspec.structs import replace

from service.archive.blocks import Block, PartWriter
from service.archive.folder import PartTold, State, Writable, part_in
from service.archive.raw import MadeBy, RawEntry, Stream, versions_of
from service.archive.reading import Next, StoreLog, parts_of
from service.archive.shelf import Shelf
from service.store import keys
from service.store.log_reading import LogStore

_AT_ONCE = 16
_LOOKS = 5
"""How often a stream is looked at again whose head vouches for more than there is."""
_ASKED_AT_ONCE = 1_000


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
    with folder.part() as (name, writer):
        await _read_all(log, folder.state, writer, wanted, news, on)
    await _shelve(log, Shelf(folder.folder), wanted, made)
    counted = _counted(name, writer.blocks)
    made.decisions, made.outcomes = counted.decisions, counted.outcomes
    folder.keep(_after(folder.state, counted, news))
    return made


def _none_yet() -> dict[Stream, dict[int, str]]:
    return {stream: {} for stream in Stream}


@dataclass(slots=True)
class _News:
    """Where streams begin, how far they were read, and their heads."""

    begins: dict[Stream, dict[int, str]] = field(default_factory=_none_yet)
    positions: dict[Stream, dict[int, str]] = field(default_factory=_none_yet)
    heads: dict[Stream, dict[int, str]] = field(default_factory=_none_yet)


async def _read_all(
    log: StoreLog, state: State, writer: PartWriter, wanted: set[MadeBy], news: _News, on: Callable[[int, int], None]
) -> None:
    for begin in range(0, keys.BUCKETS, _AT_ONCE):
        some = range(begin, begin + _AT_ONCE)
        after = {(b, s): state.positions.get(s, {}).get(b, "") for b in some for s in Stream}
        firsts = await asyncio.gather(*(log.next_of(bucket, s, place) for (bucket, s), place in after.items()))
        for ((bucket, stream), place), found in zip(after.items(), firsts, strict=True):
            async for entries in _rest(log, bucket, stream, place, found, news):
                writer.add(entries)
                wanted |= versions_of(entries) if stream is Stream.DECISIONS else set()
                on(bucket, len(entries))
        on(begin + _AT_ONCE, 0)


async def _rest(
    log: StoreLog, bucket: int, stream: Stream, after: str, found: Next, news: _News
) -> AsyncIterator[tuple[RawEntry, ...]]:
    """Yield what is new in a stream, as far as its head says that it goes: what is written meanwhile, too."""
    before, looks = after, 0
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
    if after:
        news.heads[stream][bucket] = found.head if found.vouches(after) else ""


async def _shelve(log: StoreLog, shelf: Shelf, wanted: Iterable[MadeBy], made: Archived) -> None:
    """Put the parts of the decisions that came beside them."""
    missing = {part for part in parts_of(wanted) if not shelf.has(*part)}
    await log.provide(wanted, shelf)
    for kind, version in sorted(missing):
        if not shelf.has(kind, version):
            made.missing.append(f"{kind} {version}")
        elif kind == "strategy":
            made.strategies += 1
        else:
            made.models += 1


def _counted(name: str, blocks: Sequence[Block]) -> PartTold:
    by = {stream: sum(block.entries for block in blocks if block.stream is stream) for stream in Stream}
    return PartTold(name, by[Stream.DECISIONS], by[Stream.OUTCOMES])


def _after(state: State, part: PartTold, news: _News) -> State:
    parts = (*state.parts, part) if part.decisions or part.outcomes else state.parts
    begins, positions, heads = (
        {s: {**before.get(s, {}), **new[s]} for s in Stream}
        for before, new in (
            (state.begins, news.begins), (state.positions, news.positions), (state.heads, news.heads),
        )
    )  # fmt: skip
    return replace(state, made_by=_made_by(), parts=parts, begins=begins, positions=positions, heads=heads)


def _made_by() -> dict[str, str]:
    """Return by what this was written: what decides is this program and what it computes with."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("tact", "numpy", "msgspec", "tzdata"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


# ------------------------------------------------------------------------------------------------------- forgetting


async def forget(log: LogStore, folder: Writable) -> int:
    """Leave of entries about erased customers, from before their erasure, nothing but their links; return how many."""
    gone, parts, forgotten = await _erased(log, folder), list[PartTold](), 0
    for told in folder.state.parts:
        part = part_in(folder.folder, told.name)
        rows = [entries for _, entries in part.all()]
        count = sum(_is_gone(entry, gone) for entries in rows for entry in entries)
        if not count:
            parts.append(told)
            continue
        forgotten += count
        with folder.part() as (name, writer):
            for entries in rows:
                writer.add([_left(entry) if _is_gone(entry, gone) else entry for entry in entries])
        parts.append(replace(told, name=name))
    if forgotten:
        folder.keep(replace(folder.state, parts=tuple(parts)))
    return forgotten


async def _erased(log: LogStore, folder: Writable) -> dict[str, int]:
    """Return when (ms) customers of an archive were erased, of those who were."""
    found: dict[str, int] = {}
    for told in folder.state.parts:
        customers = sorted({c for _, entries in part_in(folder.folder, told.name).all() for c in _customers(entries)})
        for place in range(0, len(customers), _ASKED_AT_ONCE):
            found |= await log.erased(customers[place : place + _ASKED_AT_ONCE])
    return found


def _customers(entries: Iterable[RawEntry]) -> Iterator[str]:
    return (entry.fields[b"i"].decode(errors="replace") for entry in entries if b"i" in entry.fields)


def _is_gone(entry: RawEntry, gone: dict[str, int]) -> bool:
    customer = entry.fields.get(b"i", b"").decode(errors="replace")
    return entry.gone is None and customer in gone and entry.logged_ms <= gone[customer]


def _left(entry: RawEntry) -> RawEntry:
    """Return what is left of an erased entry: its place and its link."""
    return RawEntry(entry.bucket, entry.stream, entry.place, (), entry.fields.get(b"l", b""))
