"""What the tests of identities say to a store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from models.context import ContextSchema
from service.core.decision import Commit, Committed, Counter, Known
from service.core.records import ConsentRecord, EventToFold
from service.store import keys
from service.store.retention import Retention
from service.store.store import Store
from service.store.suppression import Suppression
from tests.folding import START_MS, TEXTS, Happening
from tests.models.test_fold_merge import fields
from tests.store.linking import FREE
from tests.store.running import LEVELS, Running, running

KEEP = 2
SCHEMA = ContextSchema.of((), tuple(fields(KEEP).values()))
SOON_MS = time.time_ns() // 1_000_000 + 3_600_000
SUPPRESSION = Suppression(b"k" * 32)
_numbers = count()


@contextmanager
def merging(url: str, schema: ContextSchema = SCHEMA) -> Iterator[Running]:
    """Run a customer store that can merge the fields of the made-up events, or those of another schema."""
    with running(url) as one:
        one.store = Store.over(one.connections, LEVELS, "none", Retention(), SUPPRESSION, schema=schema)
        yield one


def unused() -> str:
    """Return a name that was not given before."""
    return f"{next(_numbers)}"


def new_ids(n: int) -> tuple[str, ...]:
    """Return ids that nobody has heard of."""
    return tuple(f"linked-{unused()}" for _ in range(n))


def link(store: Running, alias: str, person: str) -> bool:
    """Link an alias."""
    return store.wait(store.store.identities.link(alias, person))


def unlink(store: Running, alias: str) -> bool:
    """Undo the link of an alias."""
    return store.wait(store.store.identities.unlink(alias))


def known(store: Running, customer: str) -> Known:
    """Return what is known."""
    return store.wait(store.store.customers.context(customer))


def hear(store: Running, customer: str, events: Sequence[Happening]) -> None:
    """Fold events."""
    to_fold = [EventToFold(event.event_id, event.t_ms, event.operations(KEEP, len(TEXTS))) for event in events]
    store.wait(store.store.events.fold(customer, to_fold))


def agree(store: Running, customer: str, level: str, *channels: str, given_ms: int = START_MS) -> None:
    """Set a consent."""
    store.wait(store.store.consents.set_consent(customer, ConsentRecord(level, channels, given_ms, "test")))


def say(store: Running, who: str, now_ms: int, counter: Counter = FREE) -> Committed:
    """Commit one use for whoever stands behind an id."""
    customer = store.wait(store.store.identities.person(who)).id
    decision = keys.repeatable_decision_id(customer, unused())
    commit = Commit(customer, decision, b"", now_ms, b"entry", ((("a", (counter,)),),), asked=who)
    return store.wait(store.store.customers.commit(commit))


def step(store: Running, name: str, customer: str, *arguments: str | int | bytes) -> list[bytes]:
    """Take one step in one bucket."""
    bucket = keys.bucket(customer)
    place = (
        keys.context_key(customer), keys.suppression_key(bucket), keys.history_key(customer), keys.changed_key(bucket),
        keys.heard_key(customer),
    )  # fmt: skip
    told = (customer, SUPPRESSION.digest(customer), 86_400_000, 86_400_000, 0, *arguments)
    called = store.store.calls.function(
        f"identity_{name}", place, told, about=customer.encode(), length=2, deadline_s=5.0
    )
    words: list[bytes] = store.wait(called)[1]
    return words
