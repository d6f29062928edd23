# ruff: noqa: ANN401 - what is wrong passes on whatever it is given
"""Seeded bugs, each of which some seed must turn red: what is commonly done wrong, put into the code that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from service.core.decision import Commit, Known, Request
from service.core.records import Came, OutcomeStatus
from service.decide import Decider, Patience
from service.errors import StoreError
from service.policy.remembering import Remembering
from service.store import durable, keys
from service.store.calls import Calls
from service.store.consents import ConsentStore
from service.store.customers import CustomerStore
from service.store.outcomes import OutcomeStore
from service.store.people import People
from service.store.pipeline import HOLD_S, Connection
from tests.edge.simulation.backing import Backing

Wrong = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: a change of the functions (`lua`: old and new text) or of the code around it; a seed that sees it.

    `seen_by` is the check that must object, whatever others say.
    """

    name: str
    seen_by: str
    seed: int
    lua: tuple[str, str] = ("", "")
    wrong: Wrong | None = None

    @contextmanager
    def put_in(self, backing: Backing) -> Iterator[None]:
        """Run with the bug."""
        with pytest.MonkeyPatch.context() as patch:
            if self.wrong is not None:
                self.wrong(patch)
            if self.lua[0]:
                backing.load(self._changed)
            try:
                yield
            finally:
                if self.lua[0]:
                    backing.load()

    def _changed(self, source: str) -> str:
        old, new = self.lua
        assert source.count(old) == 1, f"{self.name}: {source.count(old)} places"
        return source.replace(old, new)


def _cached_consent(patch: pytest.MonkeyPatch) -> None:
    """Keep what was read of a customer, and commit under whatever consent holds."""
    read, commit = People.read, People.commit

    async def cached(self: People, customer: str, *rest: Any) -> Known:
        kept = vars(self).setdefault("_kept", {})
        if customer not in kept or rest[0] is not None:
            kept[customer] = await read(self, customer, *rest)
        known: Known = kept[customer]
        return known

    patch.setattr(People, "read", cached)
    patch.setattr(
        People, "commit", lambda self, made, *rest: commit(self, replace(made, consent=b"", memory=None), *rest)
    )


def _unchecked(made: Commit) -> Commit:
    return replace(made, consent=b"", memory=None)


def _swallowed_cancel(patch: pytest.MonkeyPatch) -> None:
    decide = Decider._decide

    async def swallowing(self: Decider, *given: Any) -> Any:
        try:
            return await decide(self, *given)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
            return await decide(self, *given)

    patch.setattr(Decider, "_decide", swallowing)


def _slot_dropped(patch: pytest.MonkeyPatch) -> None:
    """Forget the reply slot of a caller who has left."""
    call = Connection.call

    def dropping(self: Connection, *given: Any) -> asyncio.Future[Any]:
        answer = call(self, *given)

        def left(done: asyncio.Future[Any]) -> None:
            if done.cancelled():
                for slot in [slot for slot in self._slots if slot[0] is done]:
                    self._slots.remove(slot)

        answer.add_done_callback(left)
        return answer

    patch.setattr(Connection, "call", dropping)


def _early_ack(patch: pytest.MonkeyPatch) -> None:
    """Acknowledge an outcome before the store has answered."""
    recorded, tasks = OutcomeStore.recorded, set[asyncio.Task[Any]]()

    async def quietly(self: OutcomeStore, *given: Any) -> None:
        try:
            await recorded(self, *given)
        except Exception:  # noqa: BLE001 - what is wrong with it
            return

    async def at_once(self: OutcomeStore, *given: Any) -> Came:
        task = asyncio.get_running_loop().create_task(quietly(self, *given))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return Came(OutcomeStatus.STORED)

    patch.setattr(OutcomeStore, "recorded", at_once)


def _new_event_ids(patch: pytest.MonkeyPatch) -> None:
    """Send an event that was not answered again as another one."""
    numbers = count()
    patch.setattr(keys, "event_digest", lambda event_id: next(numbers).to_bytes(6, "big"))


def _fresh_names(patch: pytest.MonkeyPatch) -> None:
    """Name a decision at random although it has a key."""
    numbers = count()
    patch.setattr(keys, "repeatable_decision_id", lambda customer, key: keys.fresh_decision_id(
        customer, next(numbers).to_bytes(12, "big")))  # fmt: skip


def _forgetting(patch: pytest.MonkeyPatch) -> None:
    """Record outcomes and let the memory go."""

    async def nothing(*given: Any) -> None:
        return

    patch.setattr(Remembering, "_remember", nothing)


def _endless_patience(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Patience, "wait_s", lambda self, left_s: 1.0)
    patch.setattr(Patience, "ends_s", lambda self, began_s, left_s: began_s + 10.0)


def _blind_validation(patch: pytest.MonkeyPatch) -> None:
    """Judge again by what was known once."""
    context = People.context

    async def cached(self: People, customer: str, deadline_s: float | None = None) -> Known:
        kept: dict[str, Known] = vars(self).setdefault("_contexts", {})
        if customer not in kept:
            kept[customer] = await context(self, customer, deadline_s)
        return kept[customer]

    patch.setattr(People, "context", cached)


def _unbounded_loading(patch: pytest.MonkeyPatch) -> None:
    """Wait for the functions to be loaded as long as it takes: what a seed found."""
    loaded = Calls._loaded
    patch.setattr(Calls, "_loaded", lambda self, left_s: loaded(self, None))


def _overtaken_consents(patch: pytest.MonkeyPatch) -> None:
    """Let a consent that was overtaken on its way hold: what a seed found."""

    async def unguarded(self: ConsentStore, customer: str, arguments: Any, deadline_s: float | None) -> Any:
        return await self._of_the_person("consent", customer, arguments, 3, deadline_s)

    patch.setattr(ConsentStore, "_given_now", unguarded)


def _unconfirmed(patch: pytest.MonkeyPatch) -> None:
    """Answer in durable mode before the replicas have it."""
    answer = durable._answer
    patch.setattr(durable, "_answer", lambda to, reply, *, safe: answer(to, reply, safe=True))


def _rounded_timer(patch: pytest.MonkeyPatch) -> None:
    """Ask of a rounded difference whether a timer is due: what a seed found."""

    def let_go(self: Connection) -> None:
        self._letting_go = None
        if self._outbox and not self._leaving:
            if self._loop.time() - self._left_at >= HOLD_S:
                self._flush()
            else:
                self._letting_go = self._loop.call_at(self._left_at + HOLD_S, self._let_go)

    patch.setattr(Connection, "_let_go", let_go)


def _unguarded_commits(patch: pytest.MonkeyPatch) -> None:
    """Commit under whatever consent holds."""
    commit = CustomerStore.commit
    patch.setattr(CustomerStore, "commit", lambda self, made, *rest: commit(self, _no_consent(made), *rest))


def _no_consent(made: Commit) -> Commit:
    return replace(made, consent=b"")


def _always_less(patch: pytest.MonkeyPatch) -> None:
    """Answer nobody who is known in full: safe, in time, and worth nothing."""
    decide = Decider._decide

    async def less(self: Decider, engine: Any, request: Request, *rest: Any) -> Any:
        if request.customer != "nobody":
            raise StoreError("always")
        return await decide(self, engine, request, *rest)

    patch.setattr(Decider, "_decide", less)


def _stray_cancel(patch: pytest.MonkeyPatch) -> None:
    """Cancel decisions with a key although their callers wait."""
    decide = Decider._decide

    async def stray(self: Decider, engine: Any, request: Request, *rest: Any) -> Any:
        if request.idempotency_key:
            raise asyncio.CancelledError
        return await decide(self, engine, request, *rest)

    patch.setattr(Decider, "_decide", stray)


BUSY = "redis.call('ZCOUNT', keys[3], '-inf', whole(now)) - 1"
MUTANTS = (
    Mutant("caps are read, not counted", "caps_hold", 26, ("key, frees = binding(room, one)", "key, frees = nil, nil")),
    Mutant(
        "units are granted unseen", "supply_is_never_over_granted", 377, ("and free_of(stock) >= units then", "then")
    ),
    Mutant("leases never end", "supply_is_never_over_granted", 4, (BUSY, "-1")),
    Mutant(
        "outcomes count again",
        "outcomes_count_once",
        4,
        ("local before = redis.call('HGET', keys[1], name)", "local before = false"),
    ),
    Mutant(
        "events count again", "events_count_once", 9, ("or holds(beside, digest) or holds(beyond, digest) then", "then")
    ),
    Mutant(
        "memory is not compared",
        "promises_hold",
        114,
        ("if remembered and remembered[1] and remembered[1] ~=", "if false and now ~="),
    ),
    Mutant(
        "a decision is made again",
        "decisions_are_kept",
        42,
        ("local stored = recall_said(keys[3], keys[2])\n  if", "local stored = nil\n  if"),
    ),
    Mutant("the consent is cached", "consent_holds", 83, wrong=_cached_consent),
    Mutant("a cancel is swallowed", "broken", 1, wrong=_swallowed_cancel),
    Mutant("the slot of who left is dropped", "broken", 4, wrong=_slot_dropped),
    Mutant("an outcome is acknowledged early", "outcomes_count_once", 34, wrong=_early_ack),
    Mutant("an event is sent again as another", "events_count_once", 9, wrong=_new_event_ids),
    Mutant("a key does not name its decision", "one_key_one_answer", 4, wrong=_fresh_names),
    Mutant("refusals are forgotten", "refusals_hold", 76, wrong=_forgetting),
    Mutant("the store is waited for beyond the deadline", "answers_in_time", 1, wrong=_endless_patience),
    Mutant("what may be said is judged by old facts", "nothing_said_later", 155, wrong=_blind_validation),
    Mutant("a timer is set for the same moment", "broken", 18, wrong=_rounded_timer),
    Mutant("loading takes as long as it takes", "answers_in_time", 153, wrong=_unbounded_loading),
    Mutant("a consent that was overtaken holds", "consents_are_kept", 600, wrong=_overtaken_consents),
    Mutant("replicas are not waited for", "events_count_once", 602, wrong=_unconfirmed),
    Mutant("who is known is answered less", "broken", 1, wrong=_always_less),
    Mutant("a calm world is answered less", "calm_is_answered_in_full", 12, wrong=_always_less),
    Mutant("a cancel comes from nowhere", "answers_in_time", 1, wrong=_stray_cancel),
    Mutant("a commit ignores the consent", "nothing_is_committed_after_a_withdrawal", 48, wrong=_unguarded_commits),
)
