"""`tact log verify`: whether the log is as it was written."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, as_of_moment, example
from service.cli.output import Failed, progress, say, say_json
from service.core.chain_walk import Found
from service.core.chained import BEGINNING, Link, Place, Stream

if TYPE_CHECKING:
    from service.cli.anchors import Noted
    from service.rpc.client import TactClient
    from service.rpc.convert_chain import Anchors
    from service.store.chain import ChainStore
    from service.store.retention import Retention

EXAMPLE = example("tact log verify --anchors /mnt/elsewhere/anchors.json")
_BUCKETS = 1024
_AT_ONCE = 16
_SHOWN = 50
_CALLED = {Stream.DECISIONS: "decisions", Stream.OUTCOMES: "outcomes"}
_Chains: TypeAlias = AsyncIterator[tuple[int, dict[Stream, Found]]]


@dataclass(slots=True)
class _Told:
    """What was found of all chains."""

    vouched: dict[str, int] = field(default_factory=lambda: {"decisions": 0, "outcomes": 0})
    erased: int = 0
    unchained: int = 0
    unlinked: dict[tuple[int, Stream], int] = field(default_factory=dict)
    begins: dict[tuple[int, Stream], Place] = field(default_factory=dict)
    compared: int = 0
    heads: dict[tuple[int, Stream], Link] = field(default_factory=dict)
    faults: list[dict[str, str]] = field(default_factory=list)
    untold: int = 0

    def add(self, bucket: int, stream: Stream, found: Found) -> None:
        """Add what was found of a chain."""
        self.vouched[_CALLED[stream]] += found.entries
        self.erased += found.erased
        self.unchained += found.unchained
        if found.unchained:
            self.unlinked[bucket, stream] = found.unchained
        self.compared += found.compared
        self.untold += found.untold
        if found.head is not None:
            self.heads[bucket, stream] = Link(found.head.digest, found.head.at)
        for one in found.faults:
            self.tell(bucket, stream, str(one.at), one.wrong.value, one.wrong.says)

    def tell(self, bucket: int, stream: Stream, entry: str, wrong: str, says: str) -> None:
        """Add something that is wrong."""
        place = {"bucket": f"{bucket:03x}", "chain": _CALLED[stream], "entry": entry}
        self.faults.append({**place, "wrong": wrong, "says": says})

    def compare(self, unchained: Mapping[tuple[int, Stream], int]) -> None:
        """Tell where more entries are passed off as older than the chain than there were."""
        for (bucket, stream), count in self.unlinked.items():
            noted = unchained.get((bucket, stream), 0)
            if count > noted:
                says = f"{count:,} entries without a link come before the chain, and {noted:,} were noted"
                self.tell(bucket, stream, str(BEGINNING), "unlinked", says)


def verify_log(
    anchors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Hold the log against what this file notes, then note there how far it goes now. Keep it where nobody "
            "can write who can write the store.",
            show_default=False,
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Read the store itself instead of asking a service: embedded:FOLDER or redis://…",
            show_default=False,
        ),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Read a folder of `tact log archive` instead.", show_default=False),
    ] = None,
    keep: Annotated[
        str, typer.Option(metavar="KIND=TIME,…", help="With --store or --archive: what --keep says, as log=30d.")
    ] = "",
    unlinked_until: Annotated[
        str | None,
        typer.Option(
            "--unlinked-until", metavar="TIME", show_default=False,
            help="Entries without a link up to then are no fault: written by an earlier version during an update.",
        ),
    ] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> int:  # fmt: skip
    """Tell whether every decision and outcome of the log is as it was written: none changed, removed, inserted, moved.

    What erasures and age took is no fault. Ends with 1 where something is wrong, and says what, in which bucket and
    with which entry; then the file of anchors stays as it is.
    """
    from service.cli.anchors import Noted, read_anchors, write_anchors

    started = time.monotonic()
    if archive is not None and store is not None:
        raise Failed("--archive and --store are both given; name one of them", 2)
    noted = read_anchors(anchors) if anchors else Noted()
    until = as_of_moment(unlinked_until)
    unlinked_ms = int(until.timestamp() * 1000) if until else 0
    if archive is not None:
        told = _of_archive(archive, keep, noted, unlinked_ms)
    else:
        of_store = asyncio.run(_of_store(store, keep, noted.heads, unlinked_ms)) if store else None
        told = of_store or _of_service(target, noted.heads, unlinked_ms)
    if noted.unchained is not None and not unlinked_ms:
        told.compare(noted.unchained)
    if anchors and not told.faults:
        heads, begins = {**noted.heads, **told.heads}, {**noted.begins, **told.begins}
        write_anchors(anchors, Noted(heads, unchained=told.unlinked, begins=begins))
    _tell(told, len(noted.heads), noted.at, anchors, time.monotonic() - started, json)
    return 1 if told.faults else 0


def _of_service(target: str, anchors: Anchors, unlinked_ms: int) -> _Told:
    from service.cli.calls import call

    async def asked(client: TactClient) -> _Told:
        return await _all(client.log.verify(anchors, unlinked_ms))

    return call(target, asked)


async def _of_store(store: str, keep: str, anchors: Anchors, unlinked_ms: int) -> _Told:
    from service.cli.stores import opened, place_of
    from service.store.calls import Calls
    from service.store.chain import ChainStore

    retention = _retention(keep)
    async with opened(place_of(store, os.environ)) as connections:
        return await _all(_chains(ChainStore(Calls(connections), retention), anchors, unlinked_ms))


def _retention(keep: str) -> Retention:
    from service.store.retention import Retention

    try:
        return Retention.parse(keep)
    except ValueError as error:
        raise Failed(f"--keep {keep!r}: {error}", 2) from None


def _of_archive(folder: Path, keep: str, noted: Noted, unlinked_ms: int) -> _Told:
    from service.archive.folder import ArchiveRefused, FolderLog
    from service.archive.verifying import Held, begins_of, chains
    from service.store.retention import milliseconds

    held = Held(noted.heads, noted.begins, unlinked_ms, milliseconds(_retention(keep).log))

    async def read(log: FolderLog) -> _Chains:
        for found in chains(log, held):
            yield found

    try:
        log = FolderLog(folder)
        told = asyncio.run(_all(read(log)))
        told.begins = begins_of(log)
        for lost in log.lost:
            block = lost.block
            told.tell(block.bucket, Stream(block.stream.value), block.last, "damaged", lost.says)
        return told
    except ArchiveRefused as refused:
        raise Failed(str(refused)) from None


async def _chains(chain: ChainStore, anchors: Anchors, unlinked_ms: int) -> _Chains:
    now_ms = time.time_ns() // 1_000_000
    for first in range(0, _BUCKETS, _AT_ONCE):
        places = [(bucket, stream) for bucket in range(first, first + _AT_ONCE) for stream in Stream]
        each = (chain.verify(*place, now_ms, anchors.get(place), unlinked_ms) for place in places)
        found = dict(zip(places, await asyncio.gather(*each), strict=True))
        for bucket in range(first, first + _AT_ONCE):
            yield bucket, {stream: found[bucket, stream] for stream in Stream}


async def _all(chains: _Chains) -> _Told:
    told = _Told()
    with progress("buckets", _BUCKETS, "entries") as bar:
        async for bucket, found in chains:
            for stream, one in found.items():
                told.add(bucket, stream, one)
            bar.on(bucket + 1, sum(one.entries for one in found.values()))
    return told


def _tell(told: _Told, noted: int, noted_at: datetime | None, anchors: Path | None, seconds: float, json: bool) -> None:
    if json:
        counts = {**told.vouched, "erased": told.erased, "unchained": told.unchained, "heads": len(told.heads)}
        compared = {"anchors": noted, "anchors_compared": told.compared}
        more = {"faults": told.faults, "more_faults": told.untold, "seconds": round(seconds, 3)}
        say_json({"whole": not told.faults, **counts, **compared, **more})
        return
    for one in told.faults[:_SHOWN]:
        say(f"bucket {one['bucket']}, {one['chain']}, entry {one['entry']}: {one['says']}")
    more_faults = len(told.faults[_SHOWN:]) + told.untold
    if more_faults:
        say(f"and {more_faults:,} more faults")
    vouched = " and ".join(f"{count:,} {name}" for name, count in told.vouched.items())
    erased = f"; {told.erased:,} were erased" if told.erased else ""
    before = (
        f"; {told.unchained:,} are from before the log was chained, of which nobody can tell" if told.unchained else ""
    )
    say(f"{vouched} are as they were written{erased}{before}; {seconds:.1f} s")
    if noted_at is not None:
        say(f"{told.compared:,} of {noted:,} anchors of {noted_at:%Y-%m-%d %H:%M} UTC are in the log")
    if anchors is not None and not told.faults:
        say(f"{len(told.heads):,} heads are noted in {anchors}")
