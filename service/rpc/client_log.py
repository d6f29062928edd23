"""The part of our own client that reads the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from models.context import ValueType
from models.decision_table import NOTHING, Policy
from service.core.chain_walk import Found
from service.core.chained import Stream
from service.rpc.calling import CallFailed, answer_to
from service.rpc.checks import moment_ms
from service.rpc.client_seen import KIND_NAMES, seen_cell
from service.rpc.convert_chain import Anchors, found_of, request_message
from service.rpc.convert_log import BUCKETS
from tact.v1 import log_pb2 as pb
from tact.v1 import log_pb2_grpc, outcome_pb2
from tact.v1.values_pb2 import Value

Row: TypeAlias = dict[str, Any]
"""A row of a table of decisions or outcomes by column; moments are milliseconds since 1970."""

_POLICIES = {pb.ChoicePolicy.Value(f"CHOICE_POLICY_{policy.name}"): policy.value for policy in Policy}
_SCORES = {"propensity": "propensity", "baseline_propensity": "baseline", "net_value": "net_value", "probability": ""}


@dataclass(frozen=True, slots=True)
class LogPart:
    """What one page of the log holds: how far its bucket is told with it, and the rows.

    `decisions` are rows of a table of decisions (models/decision_table.py) with the values of their features in
    `features`, which follow the fields of their `strategy`.
    """

    bucket: int
    position: tuple[str, str]
    decisions: tuple[tuple[Row, tuple[Any, ...]], ...]
    outcomes: tuple[Row, ...]
    unreadable: int


@dataclass(frozen=True, slots=True)
class StrategyFields:
    """The fields of a strategy's decisions, by id, in the order of their values; empty where they are not kept."""

    strategy: str
    fields: Mapping[str, ValueType]


@dataclass(frozen=True, slots=True)
class LogEnds:
    """That all was told that had been logged by this moment (ms)."""

    read_ms: int


class LogClient:
    """Reads the log."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._log = log_pb2_grpc.LogServiceStub(channel)
        self._timeout_s = timeout_s

    async def read(self, positions: Mapping[int, tuple[str, str]]) -> AsyncIterator[LogPart | StrategyFields | LogEnds]:
        """Yield what was logged after the positions, by bucket the last decision and the last outcome that was stored.

        Raises `CallFailed` also when the service ends without having said that this is all.
        """
        places = [pb.LogPosition(bucket=one, decisions=at[0], outcomes=at[1]) for one, at in positions.items()]
        call = self._log.ReadLog(pb.ReadLogRequest(positions=places))
        ended = False
        try:
            async for item in call:
                if (told := _told(item)) is not None:
                    ended = isinstance(told, LogEnds)
                    yield told
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()
        if not ended:
            raise CallFailed("DATA_LOSS", "The log ended before it was told completely; begin again.", ())

    async def verify(self, anchors: Anchors, unlinked_ms: int = 0) -> AsyncIterator[tuple[int, dict[Stream, Found]]]:
        """Yield of each bucket in order whether its chains are whole, held against what was noted of them.

        Up to a moment (ms) entries without a link are no fault. Raises `CallFailed`.
        """
        call, buckets = self._log.VerifyLog(request_message(anchors, unlinked_ms)), 0
        try:
            async for answer in call:
                buckets += 1
                yield answer.bucket, dict(filter(None, map(found_of, answer.chains)))
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()
        if buckets != BUCKETS:
            raise CallFailed("DATA_LOSS", "The log was not looked at completely; begin again.", ())

    async def erased(self, customers: Sequence[str]) -> dict[str, str]:
        """Return when those of 1 to 1,000 customers were erased who were, as RFC 3339."""
        asked = pb.ListErasedRequest(customer_ids=customers)
        answer = await answer_to(self._log.ListErased(asked, timeout=self._timeout_s))
        return {one["customer_id"]: one["erased_at"] for one in answer["erased"]}


def _told(item: pb.LogItem) -> LogPart | StrategyFields | LogEnds | None:
    match item.WhichOneof("item"):
        case "fields":
            fields = {one.field_id: ValueType(one.type) for one in item.fields.fields}
            return StrategyFields(item.fields.strategy, fields)
        case "page":
            return _part(item.page)
        case "end":
            return LogEnds(moment_ms(item.end.read_at))
        case _:
            return None


def _part(page: pb.LogPage) -> LogPart:
    at = page.position
    return LogPart(
        at.bucket,
        (at.decisions, at.outcomes),
        tuple(row for one in page.decisions for row in _decided(one)),
        tuple({"customer_id": one.customer_id, **_outcome(one.outcome)} for one in page.outcomes),
        page.unreadable,
    )


def _decided(one: pb.LoggedDecision) -> Iterable[tuple[Row, tuple[Any, ...]]]:
    """Yield a row a placement, with the values of the features."""
    values = tuple(map(_value, one.values))
    shared: Row = {
        "decision_id": one.decision_id,
        "at": moment_ms(one.decided_at),
        "customer_id": one.customer_id,
        "channel": one.channel,
        "strategy": one.versions.strategy,
        "model": one.versions.model or None,
        "level": one.consent_level,
    }
    seen = seen_cell(one)
    for placed in one.placements:
        drawn = {"draw": placed.draw if placed.HasField("draw") else None}
        yield {**shared, **_placed(placed), "seen": None if seen is None else {**drawn, **seen}}, values


def _placed(placed: pb.LoggedPlacement) -> Row:
    candidates = [_candidate(one) for one in placed.candidates]
    said = next((one for one in candidates if one["action"] == placed.action_id), {})
    return {
        "placement": placed.placement,
        "candidates": candidates,
        "pool": placed.pool,
        "policy": _POLICIES.get(placed.policy),
        "action": placed.action_id or NOTHING,
        "probability": placed.probability,
        "propensity": said.get("propensity"),
        "baseline": said.get("baseline"),
        "net_value": said.get("net_value"),
        "allowed": list(placed.allowed.values) if placed.HasField("allowed") else None,
        "shadow": _shadow(placed.shadow) if placed.HasField("shadow") else None,
    }


def _shadow(shadow: pb.LoggedShadow) -> Row:
    return {"model": shadow.model, "candidates": [_candidate(one) for one in shadow.candidates]}


def _candidate(one: pb.LoggedCandidate) -> Row:
    scores = {name or part: _given(one, part) for part, name in _SCORES.items()}
    return {"action": one.action_id, **scores}


def _given(message: Message, name: str) -> float | None:
    return getattr(message, name) if message.HasField(name) else None


def _outcome(one: outcome_pb2.Outcome) -> Row:
    return {
        "decision_id": one.decision_id,
        "action": one.action_id,
        "kind": KIND_NAMES.get(one.kind, str(one.kind)),
        "at": moment_ms(one.occurred_at),
        "amount": one.amount,
    }


def _value(value: Value) -> Any:  # noqa: ANN401 - a value of any type
    match value.WhichOneof("kind"):
        case None:
            return None
        case "timestamp_value":
            return moment_ms(value.timestamp_value)
        case "strings_value":
            return list(value.strings_value.values)
        case kind:
            return getattr(value, kind)
