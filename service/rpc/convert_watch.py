"""Watches of the contract to values and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from secrets import token_hex

from models.context import Field
from service.core.depths import Sieve
from service.core.explained import Depth
from service.core.strategy import ConsentLevel, Strategy
from service.listening import Asked, Told
from service.rpc import checks
from service.rpc.checks import Findings, timestamp
from service.rpc.reasons import add_reasons
from service.watch_cursor import Cursor
from service.watching_people import (
    CONSENT,
    DECISION,
    ERASED,
    EVENT,
    IDENTITY,
    OUTCOME,
    PREDICTION,
    SUPPLY,
    SWITCH,
    TIME,
    VERSION,
    Heard,
)
from tact.v1 import decision_pb2 as pb

MAX_NAME_BYTES = 32
LEAST_HEARTBEAT_MS, USUAL_HEARTBEAT_MS, MOST_HEARTBEAT_MS = 1_000, 15_000, 60_000
_NAME_BYTES = 12
_KINDS: Mapping[str, pb.WatchCauseKind.ValueType] = {
    EVENT: pb.WATCH_CAUSE_KIND_EVENT,
    CONSENT: pb.WATCH_CAUSE_KIND_CONSENT,
    OUTCOME: pb.WATCH_CAUSE_KIND_OUTCOME,
    DECISION: pb.WATCH_CAUSE_KIND_DECISION,
    PREDICTION: pb.WATCH_CAUSE_KIND_PREDICTION,
    IDENTITY: pb.WATCH_CAUSE_KIND_IDENTITY,
    ERASED: pb.WATCH_CAUSE_KIND_ERASED,
    SUPPLY: pb.WATCH_CAUSE_KIND_SUPPLY,
    SWITCH: pb.WATCH_CAUSE_KIND_SWITCH,
    VERSION: pb.WATCH_CAUSE_KIND_VERSION,
    TIME: pb.WATCH_CAUSE_KIND_TIME,
}
_NAMELESS = frozenset({IDENTITY, ERASED, TIME})


def asked_of(message: pb.WatchRequest) -> Asked:
    """Check how it is to be watched; what is asked is read as a question of its own. Raises `InvalidArgument`."""
    found, question = Findings(), message.question
    if not message.HasField("question"):
        found.add("question", "is required: what is asked, as of Decide.")
    if question.HasField("as_of"):
        found.add("question.as_of", "is not allowed; what is watched is what is to be said now. Leave it out.")
    checks.check_length(found, "question.idempotency_key", question.idempotency_key, MAX_NAME_BYTES)
    cursor = Cursor.parse(message.cursor) if message.cursor else None
    if message.cursor and cursor is None:
        found.add("cursor", "is no cursor: send back that of the last message, or leave it out.")
    beat_ms = message.heartbeat_ms or USUAL_HEARTBEAT_MS
    if not LEAST_HEARTBEAT_MS <= beat_ms <= MOST_HEARTBEAT_MS:
        bounds = f"{LEAST_HEARTBEAT_MS:,} to {MOST_HEARTBEAT_MS:,}"
        found.add("heartbeat_ms", f"is out of range; send {bounds}, or 0 for {USUAL_HEARTBEAT_MS:,}.")
    found.end()
    name = cursor.name if cursor else _name(question.idempotency_key)
    return Asked(name, cursor, beat_ms / 1000, message.every_cause)


def question_of(message: pb.WatchRequest) -> bytes:
    """Return what is asked as a question that names no watch."""
    question = pb.DecideRequest()
    question.CopyFrom(message.question)
    question.ClearField("idempotency_key")
    return question.SerializeToString()


def _name(key: str) -> str:
    return blake2b(key.encode(), digest_size=_NAME_BYTES).hexdigest() if key else token_hex(_NAME_BYTES)


class Telling:
    """Writes what one watch is told as its caller may be told it, under one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self._fed: dict[str, list[Field]] = {}
        self._fields = {field.id: field for field in strategy.schema.fields}
        for field in strategy.schema.fields:
            if field.fold is not None:
                for event in {field.fold.event, field.fold.closed_by} - {None, ""}:
                    self._fed.setdefault(str(event), []).append(field)

    def message(self, told: Told, answer: bytes | None, sieve: Sieve, now_ms: int) -> pb.WatchResponse:
        """Return a message; `answer` is the packed one of a decision that is told."""
        message = pb.WatchResponse(seq=told.seq, kind=pb.WatchKind.ValueType(told.kind), cursor=told.cursor)
        message.more_causes = told.more
        message.told_at.CopyFrom(timestamp(now_ms))
        if answer is not None:
            message.answer.MergeFromString(answer)
        for one in told.withdrawn:
            gone = message.withdrawn.add(placement=one.placement, action_id=one.action)
            add_reasons(gone.reasons, sieve.reasons(one.reasons))
        message.causes.extend(self._cause(one, told.level, sieve) for one in told.causes)
        return message

    def _cause(self, heard: Heard, level: ConsentLevel | None, sieve: Sieve) -> pb.WatchCause:
        kind = _KINDS.get(heard.kind, pb.WATCH_CAUSE_KIND_UNSPECIFIED)
        cause = pb.WatchCause(kind=kind, seq=heard.seq)
        if heard.at_ms:
            cause.at.CopyFrom(timestamp(heard.at_ms))
        if sieve.depth is not Depth.CUSTOMER and heard.kind not in _NAMELESS and self._may(heard, level, sieve):
            cause.name, cause.id = heard.name, heard.id
        return cause

    def _may(self, heard: Heard, level: ConsentLevel | None, sieve: Sieve) -> bool:
        """Tell whether the consent and the depth allow to name what was written, by the fields that it tells of.

        What feeds no field has no purpose that would allow to name it; what is no fact of the customer needs none.
        """
        if heard.kind not in (EVENT, PREDICTION):
            return True
        about: Iterable[Field] = self._fed.get(heard.name, ())
        if heard.kind == PREDICTION:
            about = (self._fields[heard.name],) if heard.name in self._fields else ()
        purposes = level.purposes if level else ()
        return bool(about) and all(field.purpose in purposes and sieve.tells((field.id,)) for field in about)
