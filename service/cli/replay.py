"""`tact replay`: make logged decisions again, in this process, and compare them byte for byte."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import Json, as_of_moment, example
from service.cli.output import Bar, Failed, note, progress, say, say_json
from service.cli.stores import Store, opened, place_of

if TYPE_CHECKING:
    from service.archive.reading import Source, Window
    from service.archive.replaying import Replayed
    from service.archive.work import Tally

EXAMPLE = example("tact replay --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --archive data/archive")
SOME_DIFFER, SOME_MISSING = 1, 3
"""How the command ends where a decision is another one now, and where none is but some cannot be made again."""

_DECISION = re.compile("[0-3][0-9a-f]{25}")
_BUCKETS = 1024
_MOST_TOLD = 20
_FEW = 5_000  # what one process does in about a second, in which others are begun


def replay(
    decision: Annotated[str, typer.Option("--id", metavar="DECISION", help="Only this decision.")] = "",
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Decisions that were logged from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Decisions that were logged before.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="DIR", help="A folder of `tact log archive`, without any store.")
    ] = None,
    store: Store = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=0, max=256, help="On how many cores; 0: all.")] = 0,
    show: Annotated[bool, typer.Option("--show", help="Show values and answers: they are about people.")] = False,
    json: Json = False,
) -> int:
    """Make logged decisions again from what the log says, and compare them with it, byte for byte.

    Ends with 0 where all are identical, with 1 where one differs, and with 3 where none does but some cannot be made
    again: their strategy or model is not archived, or they were logged before what they were made from was.
    """
    window = _window(decision, since, until)
    if archive is not None and store is not None:
        raise Failed("--archive and --store are both given; name one of them", 2)
    heard = _Heard(decision, json=json, show=show)
    started = time.monotonic()
    asyncio.run(_replayed(archive, store, window, jobs, heard))
    return heard.ends(time.monotonic() - started)


def _window(decision: str, since: str | None, until: str | None) -> Window:
    from service.archive.reading import Window

    if not decision and since is None and until is None:
        raise Failed("say which decisions: --id DECISION, or --from TIME --to TIME", 2)
    if decision and not _DECISION.fullmatch(decision):
        raise Failed(f"--id {decision[:40]!r} is no decision id; write the 26 digits that an answer has", 2)
    first, last = _ms(since), _ms(until)
    if first is not None and last is not None and first >= last:
        raise Failed("--from is not before --to", 2)
    return Window(max(first or 0, 0), last, decision)


def _ms(text: str | None) -> int | None:
    at = as_of_moment(text)
    return None if at is None else int(at.timestamp() * 1000)


async def _replayed(archive: Path | None, store: str | None, window: Window, jobs: int, heard: _Heard) -> None:
    from service.archive.work import ReplayFailed, cores, replay

    used = 1 if window.decision_id else jobs or cores()
    try:
        async with _source(archive, store) as (source, parts):
            with progress("buckets", _BUCKETS, "decisions") as bar:
                heard.bar = bar
                await replay(source, window, parts, heard.on, jobs=used, show=heard.show)
            heard.lost = [one.says for one in source.lost]
    except ReplayFailed as failed:
        raise Failed(str(failed)) from None


@asynccontextmanager
async def _source(archive: Path | None, store: str | None) -> AsyncIterator[tuple[Source, Path]]:
    """Open what decisions are read from, and name the folder that their strategies and models stand in."""
    from service.archive.folder import ArchiveRefused, FolderLog
    from service.archive.reading import StoreLog

    if archive is not None:
        try:
            yield FolderLog(archive), archive
        except ArchiveRefused as refused:
            raise Failed(str(refused)) from None
        return
    with TemporaryDirectory(prefix="tact-replay-") as parts:
        async with opened(place_of(store, os.environ)) as connections:
            yield StoreLog(connections), Path(parts)


class _Heard:
    """What came of the decisions, told as it comes: differences at once, the rest in the end."""

    def __init__(self, decision: str, *, json: bool, show: bool) -> None:
        from service.archive.work import Tally

        self.show = show
        self.bar: Bar | None = None
        self.lost: list[str] = []
        self._decision, self._json = decision, json
        self._tally: Tally = Tally()
        self._told: list[dict[str, Any]] = []
        self._differ = 0

    def on(self, done: int, some: Sequence[Replayed]) -> None:
        """Take in some more."""
        for one in some:
            self._tally.count(one)
            self._tell(one)
        if self.bar is not None:
            self.bar.on(done, len(some))

    def _tell(self, one: Replayed) -> None:
        bad = one.fate in ("different", "unreadable")
        self._differ += bad
        if self._json:
            if bad or self._decision or self.show:
                self._told.append(_plain(one))
        elif self._decision:
            _say_one(one)
        elif bad and self._differ <= _MOST_TOLD:
            note(f"{_name(one)}: {one.why}")

    def ends(self, seconds: float) -> int:
        """Tell what came of all, and return how the command ends."""
        from service.archive.replaying import Fate

        tally, fates = self._tally, self._tally.fates
        for says in self.lost:
            note(says)
        if self._decision and not tally.decisions:
            raise Failed(f"decision {self._decision} is not in the log that was read")
        bad = self._differ > 0 or bool(self.lost)
        ends = SOME_DIFFER if bad else SOME_MISSING if fates[Fate.NOT_ARCHIVED] + fates[Fate.NOT_REPEATABLE] else 0
        if self._json:
            counts = {str(fate): count for fate, count in sorted(fates.items())}
            size = round(tally.bytes / tally.decisions, 1) if tally.decisions else 0
            told = {"decisions": tally.decisions, "fates": counts, "why": dict(tally.why), "bytes_an_entry": size}
            told |= {"damaged": self.lost} if self.lost else {}
            say_json({**told, "seconds": round(seconds, 3), "told": self._told})
        elif not self._decision:
            self._say_all(seconds)
        return ends

    def _say_all(self, seconds: float) -> None:
        from service.archive.replaying import Fate

        tally, fates = self._tally, self._tally.fates
        if self._differ > _MOST_TOLD:
            note(f"and {self._differ - _MOST_TOLD:,} more that differ; --json tells all of them")
        for why, count in tally.why.most_common(_MOST_TOLD):
            note(f"{count:,} cannot be made again: {why}")
        if fates[Fate.ERASED]:
            note(f"{fates[Fate.ERASED]:,} were of customers who were erased")
        mean = f", {tally.bytes / tally.decisions:,.0f} bytes an entry" if tally.decisions else ""
        identical, rate = f"{fates[Fate.IDENTICAL]:,} of {tally.decisions:,}", tally.decisions / max(seconds, 1e-9)
        say(f"{identical} decisions are identical{mean}; {seconds:.1f} s, {rate:,.0f}/s")


def _name(one: Replayed) -> str:
    return f"decision {one.decision_id or '(unreadable)'}, bucket {one.bucket:03x}, entry {one.place}"


def _say_one(one: Replayed) -> None:
    say(f"{_name(one)}: {one.fate}{': ' if one.why else ''}{one.why}")
    for field, value in one.logged.items():
        say(f"  {field} = {value}")
    if one.decision is not None:
        from service.cli.decisions import show_answer

        sys.stdout.flush()
        show_answer(_answer(one))


def _plain(one: Replayed) -> dict[str, Any]:
    told: dict[str, Any] = {"decision_id": one.decision_id, "bucket": one.bucket, "entry": one.place, "fate": one.fate}
    told |= {"why": one.why} if one.why else {}
    told |= {"values": one.logged} if one.logged else {}
    return told | ({"answer": _answer(one)} if one.decision is not None else {})


def _answer(one: Replayed) -> dict[str, Any]:
    """Return what was answered as `tact decide` tells it."""
    from service.rpc.answered import answered

    return answered(one.decision) if one.decision is not None else {}
