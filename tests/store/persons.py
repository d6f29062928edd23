"""A store in which somebody has something of every kind, and how it can die in the middle of its work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from redis import Redis

from models import folds
from models.context import FoldKind
from service.core import plan
from service.core.decision import Commit, Counter, Take
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.records import ConsentRecord, EventToFold, OutcomeRecord
from service.store import keys
from service.store.calls import Calls
from service.store.store import Store
from service.store.suppression import Suppression
from tests.store.everything import values_of
from tests.store.patience import patient
from tests.store.running import LEVELS

KEY = b"a key of the tests, long enough, " * 2
NOW_MS = 1_600_000_000_000
TWICE = Counter("twice", 2, 1_000)
_numbers = count()


@asynccontextmanager
async def opened(url: str, key: bytes | None = KEY) -> AsyncIterator[Store]:
    """Open a store that can erase."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none", suppression=Suppression(key), mark_changes=True)
        await store.calls.load_functions()
        yield store


def noted(text: str, group: str = "s", at_ms: int = NOW_MS, key: int = 1) -> EventToFold:
    """Return an event that sets a field of a group to a text."""
    operation = folds.Operation(key, group, FoldKind.LAST, text, 0, 0, 64, False)
    return EventToFold(f"event {next(_numbers)}", at_ms, (operation,))


def a_commit(customer: str, key: str = "k", value: str = "seen", read_ms: int = 2 * NOW_MS, *takes: Take) -> Commit:
    """Return the commit of a decision that saw a value, and takes what it takes of the supply."""
    decision = keys.repeatable_decision_id(customer, key)
    candidate = Candidate("a", 0.5, None, 1.0, 1.0, False)
    placed = PlacementPlan("hero", (candidate,), 1, False, None)
    seen, drawn, places = (value,), (0.5,), (placed,)
    entry = Entry(decision, customer, "web", NOW_MS, "small@1", "", "full", (), None, seen, drawn, places, takes)
    return Commit(customer, decision, b"digest", NOW_MS, plan.pack(entry), ((("a", (TWICE,)),),), read_ms)


async def fill(store: Store, customer: str, text: str) -> str:
    """Give a customer something of each kind that the store keeps, with a text in it; return the decision."""
    for source in (f"form {text}", f"phone {text}"):
        agreed = ConsentRecord("full", ("email",), NOW_MS + next(_numbers), source)
        await store.consents.set_consent(customer, agreed)
    await store.events.fold(customer, [noted(text, group, key=n) for n, group in enumerate("spf")])
    commit = a_commit(customer, f"key {text}", f"seen {text}")
    await store.customers.commit(commit)
    await store.outcomes.record_outcome(OutcomeRecord(commit.decision_id, "a", 3, NOW_MS, 9.5), 5.0)
    return commit.decision_id


def mentions(url: str, *needles: str) -> list[bytes]:
    """Return the keys that hold one of the texts in their name or their value."""
    wanted = [needle.encode() for needle in needles]
    with Redis.from_url(url) as raw:
        return [
            key
            for key in raw.scan_iter()
            if any(needle in part for needle in wanted for part in (key, *values_of(raw, key)))
        ]


class Died(Exception):
    """The process is gone."""


class Dying:
    """Calls to the store, of which only the first few are made."""

    def __init__(self, calls: Calls, left: int) -> None:
        self._calls = calls
        self._left = left

    async def function(self, name: str, *given: Any, **named: Any) -> object:  # noqa: ANN401 - as it comes
        """Call a function, or die."""
        self._step()
        return await self._calls.function(name, *given, **named)

    async def call(self, packed: bytes, deadline_s: float | None) -> object:
        """Send a command, or die."""
        self._step()
        return await self._calls.call(packed, deadline_s)

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Died


class Meanwhile:
    """Calls to the store, of which the first of one name waits until something else has happened."""

    def __init__(self, calls: Calls, name: str, something: Callable[[], Awaitable[object]]) -> None:
        self._calls = calls
        self._name = name
        self._something = something

    async def function(self, name: str, *given: Any, **named: Any) -> object:  # noqa: ANN401 - as it comes
        """Call a function."""
        if name == self._name:
            self._name = ""
            await self._something()
        return await self._calls.function(name, *given, **named)

    async def call(self, packed: bytes, deadline_s: float | None) -> object:
        """Send a command."""
        return await self._calls.call(packed, deadline_s)
