"""What the store knows of customers, and how it changes: each method is one call that the store does at once or not.

    StoreError
    ├── StoreCrossed      the reply, or the stored value, is about somebody else
    └── StoreUnreadable   something wrote what cannot be read, and doing without it would break a promise

Every reply begins with what was asked about, a read's with the id inside the stored value, and is compared. A consent
that cannot be read counts as none; field states that cannot be read are handed out and seen as unknown; cap counters
that cannot be read are an error, for then no cap is known to hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from service.core.decision import Bound, Commit, Committed, Known
from service.core.records import ConsentRecord, EventToFold, OutcomeRecord, OutcomeStatus
from service.errors import ConsentOlder
from service.store import keys
from service.store.connection import Argument, Connections, Reply, StoreError, StoreReplied, pack
from service.store.functions import read_functions
from service.store.reading import Reading

FOLDED_AT_ONCE = 100

_encode = msgspec.msgpack.Encoder().encode
_decode_consent = msgspec.msgpack.Decoder(tuple[str, tuple[str, ...], int, str]).decode
_decode_counters = msgspec.msgpack.Decoder(dict[str, tuple[int, ...]]).decode
_decode_chosen = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_decode_bound = msgspec.msgpack.Decoder(tuple[tuple[int, int, str, int], ...]).decode


class StoreCrossed(StoreError):
    """A reply, or a stored value, is about somebody else than was asked for. Nothing of it is used."""


class StoreUnreadable(StoreError):
    """What is stored cannot be read."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the store keeps what. Times run from the last write, for streams from each entry.

    `context` must be at least the longest cap. `decision` bounds both how long a request can be repeated and how long
    its outcomes can come in; `log` must be at least as long.
    """

    context: timedelta = timedelta(days=730)
    decision: timedelta = timedelta(days=14)
    log: timedelta = timedelta(days=90)
    outcomes: timedelta = timedelta(days=90)

    def __post_init__(self) -> None:
        if self.log < self.decision:
            raise ValueError(f"the log is kept for {self.log}, shorter than decisions can be repeated: {self.decision}")


class CustomerStore:
    """Read and write customers through the store's functions.

    `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the level of
    customers without a consent. Every method raises a `StoreError` when the store does not do what it is asked;
    whatever then was written or not, repeating the call is safe. `deadline_s` is the time that is left.
    """

    def __init__(
        self,
        connections: Connections,
        groups_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention | None = None,
    ) -> None:
        self._connections = connections
        self._functions = read_functions()
        self._groups = dict(groups_by_level)
        self._lowest = groups_by_level[lowest]
        allowed = (self._lowest, *(part for level in groups_by_level.items() for part in level))
        self._reading = Reading.of(self._functions.read, allowed)
        self._retention = _Milliseconds.of(retention or Retention())
        self._loading = asyncio.Lock()
        self._loads = 0

    async def load_functions(self) -> None:
        """Load this version of the functions into the store, beside those of other versions."""
        await self._connections.execute("FUNCTION", "LOAD", "REPLACE", self._functions.source)
        self._loads += 1

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision: always the same for a customer and a key, at random (12 bytes) where the key is empty."""
        if idempotency_key:
            return keys.repeatable_decision_id(customer, idempotency_key)
        return keys.fresh_decision_id(customer, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float | None = None) -> Known:
        """Return what the customer's consent allows to be known, and the decision if it was made before."""
        place = (keys.context_key(customer),) if decision_id is None else self._places(customer, decision_id)
        packed = self._reading.packed(place, customer.encode())
        reply = await self._reply(customer.encode(), packed, deadline_s, 6)
        return self._known(*reply[1:])

    async def context(self, customer: str, deadline_s: float | None = None) -> Known:
        """Return what the customer's consent allows to be known."""
        return await self.read(customer, None, deadline_s)

    async def commit(self, commit: Commit, deadline_s: float | None = None) -> Committed:
        """Take, count and log at once; under a decision id that was used before, return what was stored then."""
        context, decision, log = self._places(commit.customer, commit.decision_id)
        kept = self._retention
        packed = pack(
            "FCALL", self._functions.commit, 3, context, log, decision, commit.customer, commit.now_ms, commit.digest,
            commit.entry, kept.context, kept.decision, kept.log, *map(_in_a_row, commit.candidates),
        )  # fmt: skip
        reply = await self._reply(decision, packed, deadline_s, 6)
        repeated = reply[1] == 1
        return _committed(reply[2] if repeated else commit.entry, *reply[3:], repeated=repeated)

    async def fold(
        self, customer: str, events: Sequence[EventToFold], deadline_s: float | None = None
    ) -> tuple[bool, ...]:
        """Fold events of one customer; an item is True for each that is new and False for each folded before.

        At most `FOLDED_AT_ONCE` go into one call, so that no batch holds the store up for long.
        """
        folded: list[bool] = []
        for start in range(0, len(events), FOLDED_AT_ONCE):
            folded += await self._fold(customer, events[start : start + FOLDED_AT_ONCE], deadline_s)
        return tuple(folded)

    async def _fold(self, customer: str, events: Sequence[EventToFold], deadline_s: float | None) -> list[bool]:
        packed = pack(
            "FCALL", self._functions.fold, 2, keys.context_key(customer), keys.events_key(customer), customer,
            self._retention.context, b"".join([keys.event_digest(event.event_id) for event in events]),
            _encode([(event.occurred_ms, event.operations) for event in events]),
        )  # fmt: skip
        reply = await self._reply(customer.encode(), packed, deadline_s, 2)
        return [folded == 1 for folded in reply[1]]

    async def set_consent(
        self, customer: str, consent: ConsentRecord, deadline_s: float | None = None
    ) -> ConsentRecord:
        """Replace the customer's consent and return it; raise `ConsentOlder` when the stored one was given later.

        Of two that were given in the same millisecond the one that is set last holds.
        """
        record = _encode((consent.level, consent.channels, consent.given_ms, consent.source))
        packed = pack(
            "FCALL", self._functions.consent, 1, keys.context_key(customer), customer, self._retention.context,
            consent.given_ms, record,
        )  # fmt: skip
        reply = await self._reply(customer.encode(), packed, deadline_s, 3)
        if reply[1] == 0:
            raise ConsentOlder("a consent that was given later is stored already; send a later `given_at`")
        return consent

    async def get_consent(self, customer: str, deadline_s: float | None = None) -> ConsentRecord | None:
        """Return the customer's consent as it was set; None when there is none that can be read."""
        packed = pack("HMGET", keys.context_key(customer), "i", "c")
        owner, record = await self._call(packed, deadline_s)
        if owner is not None and owner != customer.encode():
            raise StoreCrossed("The stored consent belongs to another customer.")
        return _consent(record)

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record what came of an action; the first outcome of a decision, action and kind holds."""
        decision = outcome.decision_id
        if not keys.is_decision_id(decision):
            return OutcomeStatus.UNKNOWN_DECISION
        bucket, kept = decision[:3], self._retention
        place = (keys.outcomes_key(decision), keys.out_key(bucket), keys.decision_key(decision), keys.log_key(bucket))
        at = "" if outcome.at_ms is None else outcome.at_ms
        packed = pack(
            "FCALL", self._functions.outcome, 4, *place, decision, outcome.action, outcome.kind, at,
            repr(float(outcome.amount)), kept.decision, kept.outcomes,
        )  # fmt: skip
        reply = await self._reply(decision.encode(), packed, deadline_s, 2)
        return OutcomeStatus(reply[1])

    def _places(self, customer: str, decision_id: str) -> tuple[bytes, bytes, bytes]:
        """Return the context, decision and log keys, which stand in one bucket."""
        bucket = keys.bucket(customer)
        if decision_id[:3] != bucket:
            raise ValueError("the decision id belongs to another bucket than the customer")
        return keys.context_key(customer), keys.decision_key(decision_id), keys.log_key(bucket)

    async def _reply(self, asked: bytes, packed: bytes, deadline_s: float | None, length: int) -> list[Any]:
        """Return the reply of a function about what was asked; after any other no connection is trusted any more."""
        reply = await self._call(packed, deadline_s)
        try:
            return _about(asked, reply, length)
        except StoreCrossed:
            self._connections.distrust()
            raise

    async def _call(self, packed: bytes, deadline_s: float | None) -> Reply:
        """Call a function; one that the store does not have (yet, or since a restart) ran not at all: load, repeat."""
        started, loads = asyncio.get_running_loop().time(), self._loads
        try:
            return await self._connections.call(packed, deadline_s)
        except StoreReplied as error:
            if error.prefix != "ERR" or not error.message.startswith("Function not found"):
                raise
        async with self._loading:
            if self._loads == loads:
                await self.load_functions()
        spent_s = asyncio.get_running_loop().time() - started
        return await self._connections.call(packed, None if deadline_s is None else deadline_s - spent_s)

    def _known(
        self,
        now_ms: int,
        packed_consent: bytes | None,
        letters: bytes,
        values: list[bytes | None],
        decided: list[bytes] | None,
    ) -> Known:
        consent = _consent(packed_consent)
        allowed = self._lowest if consent is None else self._groups.get(consent.level, self._lowest)
        groups = {
            letter: packed
            for letter, packed in zip(letters.decode(), values[2:], strict=True)
            if packed is not None and letter in allowed
        }
        return Known(
            now_ms=now_ms,
            level=consent.level if consent else None,
            channels=consent.channels if consent and consent.level in self._groups else (),
            groups=groups,
            counters=_counters(values[1]),
            decided=_committed(*decided[:4], repeated=True) if decided else None,
        )


@dataclass(frozen=True, slots=True)
class _Milliseconds:
    context: int
    decision: int
    log: int
    outcomes: int

    @classmethod
    def of(cls, kept: Retention) -> _Milliseconds:
        spans = (kept.context, kept.decision, kept.log, kept.outcomes)
        return cls(*(span // timedelta(milliseconds=1) for span in spans))


def _about(asked: bytes, reply: Any, length: int) -> list[Any]:  # noqa: ANN401 - a reply can be anything, here it is seen
    """Return a reply that begins with what was asked about; raise `StoreCrossed` for any other."""
    if type(reply) is not list or len(reply) != length:
        raise StoreCrossed("The store sent a reply that does not belong to this call.")
    if reply[0] != asked:
        raise StoreCrossed("The store sent what belongs to another customer.")
    return reply


def _in_a_row(candidates: Sequence[object]) -> Argument:
    """Pack candidates one after another, so that the store unpacks no more of them than it looks at."""
    return b"".join([_encode(candidate) for candidate in candidates])


def _consent(packed: bytes | None) -> ConsentRecord | None:
    try:
        return ConsentRecord(*_decode_consent(packed)) if packed is not None else None
    except msgspec.DecodeError:
        return None


def _counters(packed: bytes | None) -> Mapping[str, tuple[int, ...]]:
    try:
        return _decode_counters(packed) if packed is not None else {}
    except msgspec.DecodeError:
        raise StoreUnreadable("The cap counters of a customer cannot be read.") from None


def _committed(entry: bytes, digest: bytes, chosen: bytes, bound: bytes, *, repeated: bool) -> Committed:
    try:
        return Committed(
            entry, digest, _decode_chosen(chosen), tuple(Bound(*one) for one in _decode_bound(bound)), repeated
        )
    except msgspec.DecodeError:
        raise StoreUnreadable("A stored decision cannot be read.") from None
