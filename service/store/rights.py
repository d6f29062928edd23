"""What a person may ask for: everything that is kept about them, and that it goes.

A store call touches one bucket and looks at no more than `PAGE` entries of a stream, so that nobody else waits long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from service.core.decision import Take
from service.core.plan import Entry
from service.core.records import Person
from service.core.rights import Erased, Kept, KeptDecision, KeptOutcome
from service.errors import ErasureKeyMissing
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import Argument, StoreReplied, pack
from service.store.kept import Counts, decision_of, erased_of, kept_of, not_after, outcome_of, pairs
from service.store.retention import Retention, milliseconds
from service.store.settings import StoreRefused
from service.store.suppression import Suppression

PAGE = 250
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_Page: TypeAlias = list[tuple[str, dict[bytes, bytes]]]


class People(Protocol):
    """Knows which ids are one person's."""

    async def person(self, customer: str, deadline_s: float | None = None) -> Person:
        """Return who a customer is, with all aliases."""
        ...


class Supply(Protocol):
    """Holds units of supply for decisions."""

    async def give_back(self, take: Take, decision_id: str, deadline_s: float | None = None) -> bool:
        """Free what a decision's action holds; False when it holds nothing."""
        ...


class Moments(Protocol):
    """Keeps what triggers wait for."""

    async def forget(self, customer: str, deadline_s: float | None) -> int:
        """Remove all that is kept under one id; return how much that was."""
        ...


class RightsStore:
    """Tells and removes what is kept about a person, under all ids that are linked to the one that is given.

    Raises a `StoreError` when the store does not do what it is asked; repeating a call is safe.
    """

    def __init__(
        self,
        calls: Calls,
        suppression: Suppression,
        people: People,
        supply: Supply,
        retention: Retention,
        moments: Moments,
    ) -> None:
        self._noted_ms = milliseconds(retention.decision)
        self._kept_ms = milliseconds(retention.log), milliseconds(retention.outcomes)
        self._calls = calls
        self._supply = supply
        self._suppression = suppression
        self._people = people
        self._moments = moments

    async def person(self, customer: str, deadline_s: float | None = None) -> Person:
        """Return who a customer is, with all aliases; what is stored of them besides need not be readable."""
        try:
            return await self._people.person(customer, deadline_s)
        except StoreReplied as error:
            if error.prefix != "CORRUPT":
                raise
        root = (await self.kept(customer, deadline_s)).alias_of or customer
        return Person(root, (await self.kept(root, deadline_s)).aliases)

    async def kept(self, customer: str, deadline_s: float | None = None) -> Kept:
        """Return what stands in keys of this one id's own, whatever the consent allows."""
        return kept_of(await self._about("tell", customer, deadline_s))

    async def decisions(
        self, customer: str, up_to: str, deadline_s: float | None = None
    ) -> AsyncIterator[KeptDecision]:
        """Yield the decisions about this one id, the oldest first, up to a place in the log."""
        async for at, fields in self._entries(keys.log_key(keys.bucket(customer)), customer, up_to, deadline_s):
            yield decision_of(at, fields)

    async def outcomes(self, customer: str, up_to: str, deadline_s: float | None = None) -> AsyncIterator[KeptOutcome]:
        """Yield what came of these decisions, in the order of arrival, up to a place in the stream."""
        async for at, fields in self._entries(keys.out_key(keys.bucket(customer)), customer, up_to, deadline_s):
            yield outcome_of(at, fields)

    async def erase(self, customer: str, deadline_s: float | None = None) -> Erased:
        """Remove all that is kept about the person, and keep them suppressed until they agree to something anew.

        Should this end half way, the same call finishes it. Raises `ErasureKeyMissing` without a key.
        """
        if not self._suppression.has_key:
            raise ErasureKeyMissing("there is no erasure key")
        await self._calls.call(pack("SET", keys.erasure_key(), self._suppression.fingerprint, "NX"), deadline_s)
        try:
            await self.check_key(deadline_s)
        except StoreRefused as refused:
            raise ErasureKeyMissing(str(refused)) from None
        waiting = await self._going(customer, deadline_s)
        done: dict[str, Erased] = {}
        while waiting:
            one = waiting.pop(0)
            not_before_ms = max((erased.erased_ms for erased in done.values()), default=0)
            done[one], linked_meanwhile = await self._erase(one, not_before_ms, deadline_s)
            waiting += [alias for alias in linked_meanwhile if alias not in (*done, *waiting)]
        await self._calls.call(pack("DEL", keys.going_key(customer)), deadline_s)
        return Erased.total(tuple(done.values()))

    async def _going(self, customer: str, deadline_s: float | None) -> list[str]:
        """Return all ids to erase, and note them: the first that goes takes the links to the others with it."""
        key, person = keys.going_key(customer), await self.person(customer, deadline_s)
        noted = _ids(await self._calls.call(pack("GET", key), deadline_s))
        going = list(dict.fromkeys((*noted, *person.identities)))
        if len(going) > 1 and len(going) > len(noted):
            await self._calls.call(pack("SET", key, _encode(going), "PX", self._noted_ms), deadline_s)
        return going

    async def check_key(self, deadline_s: float | None = None) -> None:
        """Raise `StoreRefused` in words when somebody was erased here under another key, or there is none now."""
        stored = await self._calls.call(pack("GET", keys.erasure_key()), deadline_s)
        if stored is not None and stored != self._suppression.fingerprint:
            raise StoreRefused(
                "Customers were erased from this store under another erasure key, and would be taken in again. "
                "Name the file that holds it with --erasure-key-file."
            )

    async def rewrite(self, deadline_s: float | None = None) -> bool:
        """Have the store write its append-only file anew, without what is gone; False when it does not start that."""
        try:
            await self._calls.call(pack("BGREWRITEAOF"), deadline_s)
        except StoreReplied:
            return False
        return True

    async def _erase(
        self, customer: str, not_before_ms: int, deadline_s: float | None
    ) -> tuple[Erased, tuple[str, ...]]:
        """Remove what is kept under one id; return what that was and the ids that were linked to it."""
        reply = await self._about("suppress", customer, deadline_s, not_before_ms)
        kept, bucket = kept_of(reply), keys.bucket(customer)
        counts: Counts = Counter(moments=await self._moments.forget(customer, deadline_s))
        gone: set[str] = set()
        async for page in self._pages(keys.log_key(bucket), customer, kept.log_end, deadline_s):
            made = [entry for at, fields in page if (entry := decision_of(at, fields).entry)]
            counts["holds"] += await self._give_back(made, deadline_s)
            decisions = [entry.decision_id for entry in made]
            gone.update(decisions)
            counts += await self._forget(customer, [at for at, _ in page], decisions, [], deadline_s)
        async for page in self._pages(keys.out_key(bucket), customer, "+", deadline_s):
            mine = [at for at, fields in page if not_after(at, kept.out_end) or fields[b"d"].decode() in gone]
            counts += await self._forget(customer, [], [], mine, deadline_s)
        return erased_of(customer, kept, counts), tuple(alias for alias, _ in kept.aliases)

    async def _give_back(self, made: Sequence[Entry], deadline_s: float | None) -> int:
        """Free the units of supply that decisions hold; return how many holds there were."""
        holds = 0
        for entry in made:
            for take in entry.takes:
                holds += await self._supply.give_back(take, entry.decision_id, deadline_s)
        return holds

    async def _about(self, function: str, customer: str, deadline_s: float | None, *more: int) -> list[Any]:
        bucket = keys.bucket(customer)
        place = (
            keys.context_key(customer), keys.events_key(customer), keys.history_key(customer),
            keys.changed_key(bucket), keys.suppression_key(bucket), keys.log_key(bucket), keys.out_key(bucket),
            keys.heard_key(customer), keys.journey_key(customer), keys.ids_key(bucket),
        )  # fmt: skip
        arguments: tuple[Argument, ...] = (customer, self._suppression.digest(customer), *more)
        return await self._calls.function(
            function, place, arguments, about=customer.encode(), length=10, deadline_s=deadline_s
        )

    async def _forget(
        self,
        customer: str,
        logged: Sequence[str],
        decisions: Sequence[str],
        outcomes: Sequence[str],
        deadline_s: float | None,
    ) -> Counts:
        """Remove entries of the log, their decisions, and entries of the stream of outcomes; return how many."""
        if not (logged or outcomes):
            return Counter()
        bucket = keys.bucket(customer)
        streams = keys.log_key(bucket), keys.out_key(bucket)
        place = [*streams, *map(keys.gone_key, streams)]
        for decision in decisions:
            place += (keys.decision_key(decision), keys.outcomes_key(decision))
        reply = await self._calls.function(
            "forget", place, (customer, *self._kept_ms, len(logged), *logged, *outcomes),
            about=customer.encode(), length=5, deadline_s=deadline_s,
        )  # fmt: skip
        return Counter(dict(zip(("decisions", "repeatable", "outcome_records", "outcomes"), reply[1:], strict=True)))

    async def _entries(
        self, stream: bytes, customer: str, up_to: str, deadline_s: float | None
    ) -> AsyncIterator[tuple[str, dict[bytes, bytes]]]:
        async for page in self._pages(stream, customer, up_to, deadline_s):
            for entry in page:
                yield entry

    async def _pages(self, stream: bytes, customer: str, up_to: str, deadline_s: float | None) -> AsyncIterator[_Page]:
        """Yield the customer's entries of a stream, those of one store call at a time."""
        after = "0-0"
        while after:
            reply = await self._calls.function(
                "entries", (stream,), (customer, after, up_to, PAGE),
                about=customer.encode(), length=3, deadline_s=deadline_s,
            )  # fmt: skip
            after = reply[1].decode()
            yield [(at.decode(), pairs(flat)) for at, flat in reply[2]]


def _ids(packed: bytes | None) -> tuple[str, ...]:
    try:
        return () if packed is None else _decode(packed)
    except msgspec.DecodeError:
        raise StoreUnreadable("What an erasure noted cannot be read.") from None
