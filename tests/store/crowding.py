"""A process that decides for a few persons as fast as it can, reports what was shown, and links and unlinks meanwhile.

    python -m tests.store.crowding URL PREFIX SEED COMMITS exact|naive

Every person has two ids: decisions are asked for under both, and from some moment on both are linked. A third id of
each person is linked and unlinked again and again. Prints a line of JSON for each thing that a recount must know
besides the decision log and the outcomes: when an outcome counted at the latest, and between which moments two ids were
linked.

`naive` checks first and counts afterwards, in two steps: the mistake that the recount must be able to find.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from random import Random
from typing import cast

import msgspec
from redis.asyncio import Redis

from service.core.decision import Commit, Committed, Counter
from service.core.records import OutcomeRecord
from service.errors import CustomerLinked
from service.store import keys
from service.store.identities import Unsettled
from service.store.store import Store
from tests.store.patience import patient
from tests.store.plain_caps import Candidates, Room, Use, taken
from tests.store.running import LEVELS

IN_FLIGHT = 16
PERSONS = 3
PLANS = 512
SLOW = 10 if int(os.environ.get("TACT_COMMITS", "0")) > 50_000 else 1
"""How much longer all windows are in a long run: the store remembers each use for a minute beyond its window."""
DAY_MS = 400 * SLOW
JITTER_MS = 30
LONGEST_S = 60.0
LONGEST_PAUSE_S = 10.0
SHOWN, CLICKED = 1, 2
ACTIONS = {"fibre": "net", "dsl": "net", "phone": "mobile", "apology": "", "hello": ""}
CHANNELS = ("web", "mail")
ALL = Counter("all", 5, 300 * SLOW)
WEEKLY = Counter("weekly", 3, 7 * 86_400_000)
SEEN = Counter("seen", 4, 250 * SLOW, hold_ms=120 * SLOW, on=SHOWN)
CLICKS = Counter("clicks", 2, 500 * SLOW, hold_ms=200 * SLOW, on=CLICKED)

_pack = msgspec.msgpack.encode
_unpack_uses = msgspec.msgpack.Decoder(dict[str, list[tuple[int, int]]]).decode


def clock_ms() -> int:
    """Return the time that the processes and the store share."""
    return time.time_ns() // 1_000_000


def entry_of(decision: str, now_ms: int, number: int) -> bytes:
    """Return what is logged of a commit: enough to know its candidates."""
    return _pack((decision, now_ms, number))


@lru_cache(maxsize=PLANS)
def _plan(number: int) -> tuple[tuple[tuple[str, str], ...], ...]:
    dice = Random(number)
    return tuple(
        tuple((action, dice.choice(CHANNELS)) for action in dice.sample(sorted(ACTIONS), k=dice.randint(1, 4)))
        for _ in range(2)
    )


def candidates_of(now_ms: int, number: int) -> Candidates:
    """Return the candidates of a numbered plan at a moment, best first, for two placements."""
    since_ms = now_ms - now_ms % DAY_MS
    day = Counter("day", 4, DAY_MS + 100, since_ms, since_ms + DAY_MS)
    shown_today = Counter("shown-today", 2, DAY_MS + 100, since_ms, since_ms + DAY_MS, hold_ms=60 * SLOW, on=SHOWN)

    def used(action: str, channel: str) -> tuple[Counter, ...]:
        each = Counter(f"each|a:{action}", 2, 200 * SLOW)
        if action == "hello":
            return each, SEEN
        group = Counter(f"group|g:{ACTIONS[action]}|c:{channel}", 3, 350 * SLOW)
        return {
            "apology": (ALL, each, WEEKLY),
            "fibre": (ALL, each, group, SEEN, CLICKS),
            "dsl": (ALL, group, shown_today),
            "phone": (each, group, day, SEEN),
        }[action]

    return tuple(tuple((action, used(action, channel)) for action, channel in ranked) for ranked in _plan(number))


def ids_of(prefix: str, person: int) -> tuple[str, str, str]:
    """Return the ids of a person: their own, one that is linked for good, one that comes and goes."""
    return f"{prefix}{person}", f"{prefix}{person} at home", f"{prefix}{person} sometimes"


class Crowd:
    """One process's part of the work."""

    def __init__(self, store: Store, raw: Redis, prefix: str, seed: int, commits: int, naive: bool) -> None:
        self._store = store
        self._raw = raw
        self._prefix = prefix
        self._seed = seed
        self._naive = naive
        self._dice = Random(seed)
        self._left = iter(range(commits))
        self._done = False
        self._answers: list[asyncio.Task[None]] = []

    async def work(self) -> None:
        """Commit so many times with 16 at once."""
        linking = [asyncio.create_task(one) for one in (self._link_for_good(), self._come_and_go())]
        await asyncio.gather(*(self._one_after_another() for _ in range(IN_FLIGHT)))
        await asyncio.gather(*self._answers)
        self._done = True
        await asyncio.gather(*linking)

    async def _one_after_another(self) -> None:
        for n in self._left:
            person, own = self._dice.randrange(PERSONS), self._dice.random() < 0.5
            key = f"shared {n}" if n % 3 == 0 else f"{self._seed} {n}"
            who = ids_of(self._prefix, person)
            asked = who[0] if own or self._naive else who[1]
            if self._dice.random() < 0.05 and not self._naive:
                asked = who[2]
            await self._decide(asked, who, key)

    async def _decide(self, asked: str, who: tuple[str, str, str], key: str) -> None:
        """Decide for whoever stands behind an id; again when they were linked or unlinked meanwhile."""
        number = self._dice.randrange(PLANS)
        while True:
            now_ms = clock_ms() + self._dice.randint(-JITTER_MS, JITTER_MS)
            try:
                customer = await self._person(asked)
                if asked == who[2] and customer != who[0]:
                    return  # nothing is decided for an id while it stands alone that is not to count
                decision = keys.repeatable_decision_id(customer, key)
                candidates = candidates_of(now_ms, number)
                done = await self._commit(
                    Commit(
                        customer, decision, b"d", now_ms, entry_of(decision, now_ms, number), candidates, asked=asked
                    )
                )
            except (CustomerLinked, Unsettled):
                continue
            if not done.repeated and not self._naive:
                told = self._answer(customer, decision, tuple(taken(candidates, done.chosen)))
                self._answers.append(asyncio.create_task(told))
            return

    async def _person(self, asked: str) -> str:
        if self._naive or not asked.count(" "):
            return asked
        return (await self._store.customers.read(asked, None, LONGEST_S)).customer or asked

    async def _commit(self, commit: Commit) -> Committed:
        return await (self._commit_naively(commit) if self._naive else self._store.customers.commit(commit, LONGEST_S))

    async def _answer(self, customer: str, decision: str, said: Iterable[tuple[str, tuple[Counter, ...]]]) -> None:
        """Let half of what was said be seen, at once, late or too late; some of it is clicked."""
        for action, used in said:
            if not any(counter.hold_ms for counter in used) or self._dice.random() < 0.5:
                continue
            await asyncio.sleep(SLOW * self._dice.choice((0, 0, 0.03, 0.25)))
            for kind in (SHOWN, CLICKED)[: self._dice.randint(1, 2)]:
                await self._store.outcomes.record_outcome(OutcomeRecord(decision, action, kind, None, 0.0), LONGEST_S)
                await self._store.memory.remember(customer, decision, action, kind, None, "", (), LONGEST_S)
                _print("answered", decision, action, kind, clock_ms())

    async def _link_for_good(self) -> None:
        """Link the second id of each person once in the course of the work, the first of the processes alone."""
        if self._seed or self._naive:
            return
        for person in range(PERSONS):
            await asyncio.sleep(0.3)
            own, other, _ = ids_of(self._prefix, person)
            began_ms = clock_ms()
            await self._store.identities.link(other, own, LONGEST_S)
            _print("linked", other, own, began_ms, clock_ms())

    async def _come_and_go(self) -> None:
        """Link and unlink the third ids, ever more seldom: who leaves takes along all that was said meanwhile."""
        pause_s = 0.005
        while self._seed == 1 and not (self._naive or self._done):
            own, _, sometimes = ids_of(self._prefix, self._dice.randrange(PERSONS))
            await self._store.identities.link(sometimes, own, LONGEST_S)
            await asyncio.sleep(pause_s)
            pause_s = min(1.2 * pause_s, LONGEST_PAUSE_S)
            await self._store.identities.unlink(sometimes, "", LONGEST_S)

    async def _commit_naively(self, commit: Commit) -> Committed:
        context = keys.context_key(commit.customer)
        packed = cast("bytes | None", await self._raw.hget(context, "k"))
        before = _unpack_uses(packed) if packed else {}
        room = Room(defaultdict(list, {key: [Use(*use) for use in uses] for key, uses in before.items()}))
        chosen, bound = room.take(commit.now_ms, commit.candidates)
        after = {key: [(use.at_ms, use.ends_ms) for use in uses][-50:] for key, uses in room.uses.items()}
        await self._raw.hset(context, "k", _pack(after))
        told = [(one.placement, one.rank, one.counter, one.frees_ms) for one in bound]
        row = {"i": commit.customer, "e": commit.entry, "c": _pack(chosen), "b": _pack(told)}
        await self._raw.xadd(keys.log_key(keys.bucket(commit.customer)), row)  # type: ignore[arg-type]  # a wider dict
        return Committed(commit.entry, commit.digest, chosen, bound, False)


def _print(*what: object) -> None:
    print(json.dumps(what))


async def crowd(url: str, prefix: str, seed: int, commits: int, naive: bool) -> None:
    """Do this process's part."""
    async with patient(url) as connections, Redis.from_url(url) as raw:
        await Crowd(Store.over(connections, LEVELS, "none"), raw, prefix, seed, commits, naive).work()


if __name__ == "__main__":
    asyncio.run(crowd(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "naive"))
