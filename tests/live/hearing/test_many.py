"""Many who listen hear soon, and one who died hears the rest elsewhere."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.watching_people import Listening
from tests.profile import cases, full
from tests.store.hearing import hearing, somebody

LISTENERS = 200
MOST_MS = 10.0
AT_MOST_S = 20.0


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def test_what_is_written_is_heard_within_milliseconds(
    clean_store_url: str, record_property: Callable[[str, object], None]
) -> None:
    """From the reply to the write until it is heard, with 200 who listen, each for another customer."""
    events = cases(1_000, 10_000)
    async with hearing(clean_store_url) as one, hearing(clean_store_url) as writer:
        people = [somebody() for _ in range(LISTENERS)]
        heard_at: dict[str, float] = {}

        async def listen(listening: Listening) -> None:
            while heard := await listening.wait():
                heard_at.update({each.id: time.perf_counter() for each in heard})

        all_of_them = [await one.ears.listen(who) for who in people]
        tasks = [asyncio.create_task(listen(listening)) for listening in all_of_them]
        waited_ms, named = [], []
        for number in range(events):
            named.append(await writer.happen(people[number % LISTENERS]))
            told = time.perf_counter()
            async with asyncio.timeout(AT_MOST_S):
                while named[-1] not in heard_at:  # noqa: ASYNC110 - any wait longer than a turn would be measured
                    await asyncio.sleep(0)
            waited_ms.append(1000 * max(0.0, heard_at[named[-1]] - told))
        for listening in all_of_them:
            listening.close()
        await asyncio.gather(*tasks)
    p50, p99 = percentile(waited_ms, 0.5), percentile(waited_ms, 0.99)
    record_property(
        "printed",
        f"{events} events, {LISTENERS} listen: heard after {p50:.2f} ms (p50), {p99:.2f} (p99), {max(waited_ms):.1f}",
    )
    assert set(heard_at) == set(named)
    assert p50 <= MOST_MS
    assert p99 <= MOST_MS or not full()


class Process:
    """A process that listens, and what it printed."""

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running
        self.heard: dict[str, list[str]] = {}
        self.seen: dict[str, int] = {}
        self.ready: set[str] = set()

    async def read(self) -> None:
        """Read all that it prints, until it ends; half a line is none."""
        assert self._running.stdout is not None
        while (line := await self._running.stdout.readline()).endswith(b"\n"):
            customer, number, kind, named = line.decode().rstrip("\n").split(maxsplit=3)
            self.seen[customer] = int(number)
            if kind == "ready":
                self.ready.add(customer)
            else:
                self.heard.setdefault(customer, []).append(named)

    async def until(self, there: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(AT_MOST_S):
            while not there():  # noqa: ASYNC110 - what is waited for is in another process
                await asyncio.sleep(0.01)

    async def killed(self) -> None:
        """Wait for its end, which comes at once."""
        if self._running.returncode is None:
            self._running.send_signal(signal.SIGKILL)
        await self._running.wait()


@asynccontextmanager
async def process(url: str, *words: str) -> AsyncIterator[Process]:
    """Start a process that listens, and end it."""
    command = (sys.executable, "-m", "tests.live.hearing.listener", url, *words)
    one = Process(await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE))
    reading = asyncio.create_task(one.read())
    try:
        await one.until(lambda: len(one.ready) == len(words) or reading.done())
        yield one
    finally:
        await one.killed()
        await reading


async def test_who_died_hears_the_rest_elsewhere(clean_store_url: str) -> None:
    """A process is killed between events; another goes on from the last numbers that it told, and misses nothing."""
    people = [somebody() for _ in range(cases(10, 100))]
    named: dict[str, list[str]] = {who: [] for who in people}
    heard: dict[str, list[str]] = {who: [] for who in people}
    seen: dict[str, int] = {}
    async with hearing(clean_store_url) as writer:

        async def write(seconds: float) -> None:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                for who in people:
                    named[who].append(await writer.happen(who))
                await asyncio.sleep(0.01)

        for _ in range(cases(2, 10)):
            words = [f"{who}={seen.get(who, '')}" for who in people]
            async with process(clean_store_url, *words) as one:
                writing = asyncio.create_task(write(0.5))
                await asyncio.sleep(0.2)
                await one.killed()
                await writing
            for who in people:
                heard[who] += one.heard.get(who, [])
            seen |= one.seen
        words = [f"{who}={seen[who]}" for who in people]
        async with process(clean_store_url, *words) as last:
            for who in people:
                heard[who] += last.heard.get(who, [])
    for who in people:
        assert heard[who] == named[who]
