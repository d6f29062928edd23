"""What the two calls of a decision cost the store: the functions `read` and `commit` alone, beside a plain read.

No service takes part: this process sends eight calls at once over the project's own connection to a store of its own,
as the service does. Beside each other are customers to whom little was said, and such with a few dozen cap uses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from secrets import token_bytes

import msgspec
from redis import Redis

from benchmarks.evidence import NotDecided
from benchmarks.processes import pin
from benchmarks.section import Bench, Figure, SectionResult, turned
from benchmarks.stage import CLIENT_CORE
from service.core.decision import Commit, Counter
from service.store import keys
from service.store.calls import Calls
from service.store.connection import Connections
from service.store.customers import CustomerStore
from service.store.embedded import EmbeddedStore
from service.store.retention import Retention
from service.store.suppression import Suppression

AT_ONCE = 8
LEVELS = {"none": "", "service": "s", "personal": "sp", "full": "spf"}
CAP, ACTIONS, MINUTE_MS, ENTRY_BYTES = "few-offers|c:web", 12, 60_000, 600
_pack = msgspec.msgpack.encode
Call = Callable[[str], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Size:
    """How many customers there are, and how many calls a round makes of each kind."""

    customers: int = 2_000
    calls: int = 2_000


def cpu_us(pid: int) -> float:
    """Return the processor time (µs) of a process's first thread, in which a store does all that it is asked."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1000


def uses(now_ms: int, *, many: bool) -> Mapping[str, Sequence[int]]:
    """Return the cap uses of a customer: one, or some seventy of thirteen counters."""
    if not many:
        return {CAP: [now_ms - 1_000]}
    seldom = {f"seldom-the-same|a:offer-{n:03d}": [now_ms - m * 900 for m in (3, 2, 1)] for n in range(ACTIONS)}
    return {CAP: [now_ms - n * 500 for n in range(30, 0, -1)], **seldom}


def fill(store: Redis, customers: Sequence[str], consent: bytes, now_ms: int, *, many: bool) -> None:
    """Write customers who agreed to everything, with context of three purposes."""
    writing, packed = store.pipeline(transaction=False), _pack(uses(now_ms, many=many))
    for customer in customers:
        known: list[str | bytes] = [
            "i",
            customer,
            "c",
            consent,
            "k",
            packed,
            "s",
            b"s" * 120,
            "p",
            b"p" * 250,
            "f",
            b"f" * 60,
        ]
        writing.hset(keys.context_key(customer), items=known)
        writing.pexpire(keys.context_key(customer), Retention().context)
    writing.execute()


class Script:
    """The two calls of a decision and a plain read, of customers in turn."""

    def __init__(self, connections: Connections, store: CustomerStore, consent: bytes, now_ms: int) -> None:
        self._connections, self._store = connections, store
        self._consent, self._now_ms = consent, now_ms
        self._actions: Iterator[int] = cycle(range(ACTIONS))

    def calls(self) -> dict[str, Call]:
        """Return what is measured, by name."""
        return {"plain read": self._plain, "read": self._read, "commit": self._commit}

    async def _plain(self, customer: str) -> object:
        return await self._connections.execute("HMGET", keys.context_key(customer), "i", "c", "s", "p", "f")

    async def _read(self, customer: str) -> object:
        known = await self._store.read(customer, None)
        if known.level != "full" or not known.counters:
            raise NotDecided(f"{customer} is not known with consent and cap uses: {known}")
        return known

    async def _commit(self, customer: str) -> object:
        decision, now_ms = keys.fresh_decision_id(customer, token_bytes(keys.ENTROPY_BYTES)), self._now_ms
        ranked = tuple(self._candidate(next(self._actions)) for _ in range(3))
        entry, never = token_bytes(ENTRY_BYTES), 2 * now_ms
        commit = Commit(customer, decision, b"", now_ms, entry, (ranked,), now_ms, consent=self._consent)
        committed = await self._store.commit(msgspec.structs.replace(commit, not_after_ms=never))
        if committed.chosen != (0,) or committed.repeated:
            raise NotDecided(f"a commit of three candidates that nothing forbids took {committed.chosen}")
        return committed

    def _candidate(self, number: int) -> tuple[str, tuple[Counter, ...]]:
        offer = f"offer-{number:03d}"
        seldom = Counter(f"seldom-the-same|a:{offer}", 1_000, MINUTE_MS)
        return offer, (Counter(CAP, 1_000, MINUTE_MS), seldom)


async def spent_us(pid: int, call: Call, customers: Sequence[str], calls: int) -> float:
    """Return the store's processor time (µs) a call, eight of them at once."""
    names = cycle(customers)
    began = cpu_us(pid)
    for _ in range(calls // AT_ONCE):
        await asyncio.gather(*(call(next(names)) for _ in range(AT_ONCE)))
    return (cpu_us(pid) - began) / (calls // AT_ONCE * AT_ONCE)


async def measured(url: str, pid: int, rounds: int, size: Size, *, many: bool) -> dict[str, tuple[float, ...]]:
    """Measure each call once a round, all of them in turn; return the values (µs) of the rounds by name."""
    now_ms = time.time_ns() // 1_000_000
    consent = _pack(["full", ["email"], now_ms, "benchmark", now_ms])
    customers = [f"customer-{number:06d}" for number in range(size.customers)]
    found: dict[str, list[float]] = {}
    with Redis.from_url(url) as raw:
        raw.flushdb()
        async with Connections(url, timeout_ms=20_000) as connections:
            calls = Calls(connections)
            await calls.load_functions()
            store = CustomerStore(calls, LEVELS, "none", Retention(), Suppression(token_bytes(32)))
            script = Script(connections, store, consent, now_ms).calls()
            for _, name in turned(tuple(script), rounds):
                fill(raw, customers, consent, now_ms, many=many)
                found.setdefault(name, []).append(await spent_us(pid, script[name], customers, size.calls))
    return {name: tuple(values) for name, values in found.items()}


class CommitScript:
    """The store's own part of a decision."""

    name = "script"
    says = "The store's processor time for the read and the commit of a decision"

    def run(self, bench: Bench) -> SectionResult:
        """Measure both for customers with few cap uses and with many, and how often a plain read would fit in there."""
        figures: list[Figure] = []
        size = Size(calls=800) if bench.quick else Size()
        embedded = EmbeddedStore(bench.folder / "script")
        with embedded as url:
            pid = embedded.processes[1]
            pin(pid, CLIENT_CORE)
            for many in (False, True):
                found = asyncio.run(measured(url, pid, bench.rounds, size, many=many))
                figures += figures_of(found, {"cap_uses": sum(map(len, uses(0, many=many).values()))})
        return SectionResult(tuple(figures), notes=(f"{AT_ONCE} calls at once over one connection, no service.",))


def figures_of(found: Mapping[str, tuple[float, ...]], case: Mapping[str, int]) -> list[Figure]:
    """Return the figures of each call, and how many plain reads both calls of a decision cost."""
    single = [Figure(name, case, "store CPU", "µs", values) for name, values in found.items()]
    both = tuple(map(sum, zip(found["read"], found["commit"], strict=True)))
    return [*single, Figure("read and commit", case, "store CPU", "µs", both).over(single[0])]


SECTION = CommitScript()
