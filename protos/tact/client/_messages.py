"""Messages of the contract from plain values, and the ids that make them safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from secrets import token_hex
from typing import TypeAlias

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tact.v1 import context_pb2, decision_pb2, outcome_pb2
from tact.v1.values_pb2 import StringList, Value

Plain: TypeAlias = bool | int | float | str | datetime | Sequence[str]
"""A value as callers write it: 5 is a whole number and 5.0 is not, as the strategy declares its fields."""


def value(plain: Plain) -> Value:
    """Return a value of the contract; raise TypeError for what is none."""
    match plain:
        case bool():
            return Value(bool_value=plain)
        case int():
            return Value(int_value=plain)
        case float():
            return Value(double_value=plain)
        case str():
            return Value(string_value=plain)
        case datetime():
            return Value(timestamp_value=moment(plain))
        case list() | tuple():
            return Value(strings_value=StringList(values=plain))
    raise TypeError(f"{type(plain).__name__} is no value; use a bool, int, float, str, datetime or list of str")


def moment(when: datetime) -> Timestamp:
    """Return a moment of the contract; raise ValueError for one that does not say where on earth it is."""
    if when.tzinfo is None:
        raise ValueError("a moment needs its time zone: datetime.now(UTC), not datetime.now()")
    stamp = Timestamp()
    stamp.FromDatetime(when.astimezone(UTC))
    return stamp


def question(
    customer_id: str,
    channel: str,
    placements: Iterable[str],
    context: Mapping[str, Plain] | None = None,
    *,
    explain: bool = False,
    depth: str = "",
    idempotency_key: str = "",
    request_id: str = "",
    as_of: datetime | None = None,
) -> decision_pb2.DecideRequest:
    """Return what to ask of `decide`: what to say to a customer on a channel at these placements.

    `depth` is how deep to explain: customer, agent or auditor; empty for as deep as the caller may see.
    """
    return decision_pb2.DecideRequest(
        customer_id=customer_id,
        channel=channel,
        placements=tuple(placements),
        context={name: value(plain) for name, plain in (context or {}).items()},
        explain=explain,
        explain_depth=depth_of(depth),
        idempotency_key=idempotency_key,
        request_id=request_id,
        as_of=None if as_of is None else moment(as_of),
    )


def event(
    customer_id: str,
    type: str,
    attributes: Mapping[str, Plain] | None = None,
    *,
    occurred_at: datetime | None = None,
    event_id: str = "",
) -> context_pb2.Event:
    """Return something that happened to a customer; without a moment it happened just now."""
    return context_pb2.Event(
        event_id=event_id or new_id(),
        customer_id=customer_id,
        type=type,
        occurred_at=moment(occurred_at or datetime.now(UTC)),
        attributes={name: value(plain) for name, plain in (attributes or {}).items()},
    )


def outcome(
    decision_id: str, action_id: str, kind: str, *, amount: float = 0.0, occurred_at: datetime | None = None
) -> outcome_pb2.Outcome:
    """Return what came of one action of a decision: shown, clicked, accepted, refused, not_now or never."""
    return outcome_pb2.Outcome(
        decision_id=decision_id,
        action_id=action_id,
        kind=outcome_pb2.OutcomeKind.Value(_named(outcome_pb2.OutcomeKind.keys(), "OUTCOME_KIND_", kind)),
        amount=amount,
        occurred_at=None if occurred_at is None else moment(occurred_at),
    )


def depth_of(depth: str) -> decision_pb2.ExplainDepth.ValueType:
    """Return a depth by its name."""
    names = decision_pb2.ExplainDepth.keys()
    return decision_pb2.ExplainDepth.Value(_named(names, "EXPLAIN_DEPTH_", depth or "unspecified"))


def new_id() -> str:
    """Return an id that nobody else has."""
    return token_hex(16)


def run_key(run: str, request_id: str) -> str:
    """Return the key of one question of a run, the same whenever the run is begun again."""
    return blake2b(f"{run}\0{request_id}".encode(), digest_size=16).hexdigest()


def written(message: Message) -> bytes:
    """Return a message as bytes, with the ids that make it safe to repeat where the caller gave none.

    The message itself stays as it is. What has an id of its own, as outcomes, consents and reports have, needs none.
    """
    match message:
        case decision_pb2.DecideRequest(idempotency_key=""):
            # What stands behind a message is merged into it: cheaper than a copy.
            return (
                message.SerializeToString() + decision_pb2.DecideRequest(idempotency_key=new_id()).SerializeToString()
            )
        case decision_pb2.DecideBatchesRequest() if any(not one.idempotency_key for one in message.requests):
            return decision_pb2.DecideBatchesRequest(requests=map(_keyed, message.requests)).SerializeToString()
        case context_pb2.RecordEventsRequest() if any(not one.event_id for one in message.events):
            return context_pb2.RecordEventsRequest(events=map(_identified, message.events)).SerializeToString()
    return message.SerializeToString()


def is_safe_twice(message: Message) -> bool:
    """Tell whether a message may be sent again once the service may have acted on it.

    A consent without a moment may not: it is given when it arrives, so that its repetition would undo a withdrawal that
    came between, by whomever. The moment of this machine is no remedy, for a clock that is behind would have a
    withdrawal refused as older than the consent that it ends.
    """
    return not isinstance(message, context_pb2.SetConsentRequest) or message.consent.HasField("given_at")


def _keyed(asked: decision_pb2.DecideRequest) -> decision_pb2.DecideRequest:
    if asked.idempotency_key:
        return asked
    keyed = decision_pb2.DecideRequest(idempotency_key=new_id())
    keyed.MergeFrom(asked)
    return keyed


def _identified(happened: context_pb2.Event) -> context_pb2.Event:
    if happened.event_id:
        return happened
    identified = context_pb2.Event(event_id=new_id())
    identified.MergeFrom(happened)
    return identified


def _named(names: Iterable[str], prefix: str, short: str) -> str:
    known = {name.removeprefix(prefix).lower(): name for name in names}
    if short not in known:
        raise ValueError(f"{short!r} is none of {', '.join(name for name in known if name != 'unspecified')}")
    return known[short]
