"""A process that links, unlinks and decides for a few ids as fast as it can.

    python -m tests.store.linking URL PREFIX SEED STEPS

Prints one line of JSON: how many commits were taken, how many events stored, and how often it linked and unlinked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter as Tally
from random import Random

from models import folds
from models.context import Attribute, ContextSchema, Field, Fold, FoldKind, Purpose, ValueType
from service.core.decision import Commit, Counter
from service.core.records import EventToFold
from service.errors import CustomerLinked, LinkRefused
from service.store import keys
from service.store.connection import Connections
from service.store.identities import Unsettled
from service.store.store import Store
from tests.store.patience import patient
from tests.store.running import LEVELS

IN_FLIGHT = 4
FREE, TWICE = Counter("all", 1_000_000, 86_400_000), Counter("twice", 2, 86_400_000)
HEARD = Field(
    "past.heard", ValueType.INT, Purpose.SERVICE, "", Fold(FoldKind.COUNT, "e"), None, Attribute("x", ValueType.INT), 1
)
SCHEMA = ContextSchema.of((), (HEARD,))
COUNT = folds.Operation(1, "s", FoldKind.COUNT, 1)


def store_over(connections: Connections) -> Store:
    """Return a store that knows one field."""
    return Store.over(connections, LEVELS, "service", schema=SCHEMA)


async def say(store: Store, who: str, key: str, now_ms: int) -> str:
    """Decide for whoever stands behind an id and commit, again when they changed meanwhile; return what was taken."""
    while True:
        try:
            known = await store.customers.read(who, None, 10.0)
            customer = known.customer or who
            decision = keys.repeatable_decision_id(customer, key)
            candidates = ((("capped", (FREE, TWICE)), ("free", (FREE,))),)
            done = await store.customers.commit(
                Commit(customer, decision, b"digest", now_ms, b"entry", candidates, asked=who), 10.0
            )
        except (CustomerLinked, Unsettled):
            continue
        return ("capped", "free")[done.chosen[0]]


async def link(store: Store, alias: str, person: str) -> bool:
    """Link two ids, again as long as others change them all the time."""
    while True:
        try:
            return await store.identities.link(alias, person, 10.0)
        except Unsettled:
            continue


async def work(url: str, prefix: str, seed: int, steps: int) -> dict[str, int]:
    """Take random steps, a few at once, and count them."""
    dice, left, done = Random(seed), iter(range(steps)), Tally[str]()
    ids = [f"{prefix}{name}" for name in "pab"]
    async with patient(url) as connections:
        store = store_over(connections)

        async def one_after_another() -> None:
            for n in left:
                who, whom = dice.sample(ids, 2)
                what = dice.choice(("say", "say", "hear", "link", "link", "unlink"))
                try:
                    if what == "say":
                        what = await say(store, who, f"{seed} {n}", time.time_ns() // 1_000_000)
                    elif what == "hear":
                        await store.events.fold(
                            who, [EventToFold(f"{seed}-{n}", time.time_ns() // 1_000_000, (COUNT,))]
                        )
                    elif what == "link":
                        what = "linked" if await link(store, who, whom) else what
                    else:
                        what = "unlinked" if await store.identities.unlink(who, "", 10.0) else what
                except LinkRefused:
                    what = "refused"
                done[what] += 1

        await asyncio.gather(*(one_after_another() for _ in range(IN_FLIGHT)))
    return dict(done)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))))
