"""A process that commits for one customer as fast as it can, and what to hold its work against.

    python -m tests.store.hammer URL CUSTOMER SEED COMMITS exact|naive

A third of the decision ids are the same in every process. Prints one line of JSON a commit: decision id, what was
taken, the log entry, whether it was answered from the store. `naive` checks first and counts afterwards, in two steps:
the mistake that the check must be able to find.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from random import Random
from typing import cast

import msgspec
from redis.asyncio import Redis

from service.core.decision import Bound, Commit, Committed, Counter
from service.store import keys
from service.store.store import Store
from tests.store.patience import patient
from tests.store.plain_caps import Candidates, Room, Use
from tests.store.running import LEVELS

IN_FLIGHT = 16
ACTIONS = ("fibre", "phone", "apology", "hello")
ALL = Counter("all", 5, 300)
APOLOGIES = Counter("apologies", 2, 7 * 86_400_000)
"""Two are taken as soon as they are wanted, so that it binds however few of the short windows the machine leaves."""
LINES = Counter("lines", 3, 7 * 86_400_000)
EACH = {action: Counter(f"each|{action}", 2, 200) for action in ACTIONS}

Logged = tuple[int, Candidates]  # the moment and the candidates of a commit, as its log entry

_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.Decoder(Logged).decode
_unpack_uses = msgspec.msgpack.Decoder(dict[str, list[int]]).decode


def plan(dice: Random) -> Candidates:
    """Return candidates for two placements, best first."""
    return tuple(
        tuple((action, _counters(action)) for action in dice.sample(ACTIONS, k=dice.randint(0, len(ACTIONS))))
        for _ in range(2)
    )


def _counters(action: str) -> tuple[Counter, ...]:
    if action == "hello":
        return (EACH[action],)
    if action == "apology":
        return (EACH[action], APOLOGIES)
    return (ALL, EACH[action], LINES) if action == "fibre" else (ALL, EACH[action])


def differences(entries: Iterable[bytes], results: Iterable[tuple[tuple[int, ...], tuple[Bound, ...]]]) -> list[int]:
    """Return the places of the log whose result is not that of the plain rule, applied in the order of the log."""
    room = Room()
    pairs = enumerate(zip(entries, results, strict=True))
    return [place for place, (entry, result) in pairs if room.take(*_unpack(entry)) != result]


def overruns(entries: Iterable[bytes], results: Iterable[Sequence[int]]) -> list[str]:
    """Return every counter that was used more often than allowed within some window."""
    uses: dict[Counter, list[int]] = defaultdict(list)
    for entry, chosen in zip(entries, results, strict=True):
        now_ms, candidates = _unpack(entry)
        for ranked, rank in zip(candidates, chosen, strict=True):
            for counter in ranked[rank][1] if rank >= 0 else ():
                uses[counter].append(now_ms)
    return [counter.key for counter, times in uses.items() if _overrun(sorted(times), counter)]


def _overrun(times: list[int], counter: Counter) -> bool:
    beyond = islice(times, counter.at_most, None)
    return any(late - early < counter.within_ms for early, late in zip(times, beyond, strict=False))


async def commit_exactly(store: Store, commit: Commit) -> Committed:
    """Commit as the service does."""
    return await store.customers.commit(commit)


async def commit_naively(raw: Redis, commit: Commit) -> Committed:
    """Check, then count: right for one process, wrong for two."""
    bucket = keys.bucket(commit.customer)
    packed = cast("bytes | None", await raw.hget(keys.context_key(commit.customer), "k"))
    before = _unpack_uses(packed) if packed else {}
    room = Room(defaultdict(list, {key: [Use(at_ms) for at_ms in times] for key, times in before.items()}))
    chosen, bound = room.take(commit.now_ms, commit.candidates)
    after = {key: [use.at_ms for use in uses] for key, uses in room.uses.items()}
    await raw.hset(keys.context_key(commit.customer), "k", _pack(after))
    fields = {
        "e": commit.entry,
        "c": _pack(chosen),
        "b": _pack([(b.placement, b.rank, b.counter, b.frees_ms) for b in bound]),
    }
    await raw.xadd(keys.log_key(bucket), fields)  # type: ignore[arg-type]  # its dict wants wider types
    return Committed(commit.entry, commit.digest, chosen, bound, False)


async def hammer(url: str, customer: str, seed: int, commits: int, naive: bool) -> None:
    """Commit `commits` times with 16 at once and print what came back."""
    dice, ids = Random(seed), iter(range(commits))
    async with patient(url) as connections, Redis.from_url(url) as raw:
        store = Store.over(connections, LEVELS, "none")

        async def worker() -> None:
            for n in ids:
                key = f"shared {n}" if n % 3 == 0 else f"{seed} {n}"
                now_ms = time.time_ns() // 1_000_000 + dice.randint(-40, 40)
                candidates = plan(dice)
                decision = keys.repeatable_decision_id(customer, key)
                commit = Commit(customer, decision, b"digest", now_ms, _pack((now_ms, candidates)), candidates)
                done = await (commit_naively(raw, commit) if naive else commit_exactly(store, commit))
                print(json.dumps([decision, done.chosen, done.entry.hex(), done.repeated]))

        await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    asyncio.run(hammer(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "naive"))
