"""Replay many decisions, on several cores where there are many."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from service.archive.engines import Engines
from service.archive.raw import RawEntry, versions_of
from service.archive.reading import Source, Window
from service.archive.replaying import Fate, Replayed, replayed
from service.archive.shelf import Shelf

BATCH = 500
AHEAD = 3
"""How many batches a process are read ahead of it."""

Told = Callable[[int, Sequence[Replayed]], None]
"""Hears how many buckets are done with and what came of some decisions, in the order of the log."""

_engines: Engines | None = None


class ReplayFailed(Exception):
    """The replay could not go on; says why."""


@dataclass(slots=True)
class Tally:
    """What came of all decisions: how many of each fate, by version where they could not be made again, and bytes."""

    fates: Counter[Fate] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    bytes: int = 0

    @property
    def decisions(self) -> int:
        """How many there were."""
        return self.fates.total()

    def count(self, one: Replayed) -> None:
        """Count one more."""
        self.fates[one.fate] += 1
        self.bytes += one.bytes
        if one.fate in (Fate.NOT_ARCHIVED, Fate.NOT_REPEATABLE):
            self.why[one.why] += 1


async def replay(
    source: Source,
    window: Window,
    folder: Path,
    on: Told,
    *,
    jobs: int,
    show: bool,
) -> None:
    """Make the decisions of a window again, by the parts in `folder`, on `jobs` cores.

    Raises `ReplayFailed` where a process dies, and a `StoreError` where the store does not answer.
    """
    batches = _batches(source, window, Shelf(folder))
    if jobs == 1:
        engines = Engines(folder)
        async for done, entries in batches:
            on(done, [replayed(entry, engines.of, show=show) for entry in entries])
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin, initargs=(str(folder),)) as pool:
        try:
            await _shared_out(pool, batches, on, AHEAD * jobs, show=show)
        except BrokenProcessPool:
            raise ReplayFailed("a process of the replay has died; try it with --jobs 1") from None


async def _shared_out(
    pool: ProcessPoolExecutor,
    batches: AsyncIterator[tuple[int, Sequence[RawEntry]]],
    on: Told,
    ahead: int,
    *,
    show: bool,
) -> None:
    """Let processes work on batches side by side, and tell what came of them in their order."""
    loop, under_way = asyncio.get_running_loop(), deque[tuple[int, asyncio.Future[list[Replayed]]]]()

    async def oldest() -> None:
        done, future = under_way.popleft()
        on(done, await future)

    try:
        async for done, entries in batches:
            under_way.append((done, loop.run_in_executor(pool, _work, list(entries), show)))
            if len(under_way) >= ahead:
                await oldest()
        while under_way:
            await oldest()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


async def _batches(source: Source, window: Window, shelf: Shelf) -> AsyncIterator[tuple[int, Sequence[RawEntry]]]:
    """Yield decisions in batches, the parts that make them again on the shelf."""
    waiting: list[RawEntry] = []
    done = 0
    async for page in source.pages(window):
        await source.provide(versions_of(page.entries), shelf)
        waiting += page.entries
        done = page.done
        while len(waiting) >= BATCH:
            yield done, waiting[:BATCH]
            waiting = waiting[BATCH:]
    yield done, waiting


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(folder: str) -> None:
    global _engines
    _engines = Engines(Path(folder))


def _work(entries: list[RawEntry], show: bool) -> list[Replayed]:
    if _engines is None:
        raise ReplayFailed("a process of the replay was not begun")
    return [replayed(entry, _engines.of, show=show) for entry in entries]
