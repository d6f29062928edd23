"""Good messages to spoil, and raw calls of any method."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]  # ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from service.rpc.methods import CONTRACT
from tact.v1 import context_pb2, decision_pb2, outcome_pb2
from tact.v1.values_pb2 import Value
from tests.rpc.world import NOW_MS

METHODS: tuple[MethodDescriptor, ...] = tuple(
    method for file in CONTRACT for service in file.services_by_name.values() for method in service.methods
)


def ask(**changes: object) -> decision_pb2.DecideRequest:
    """Return a good question with some fields replaced."""
    good: dict[str, object] = {"customer_id": "c-1", "channel": "web", "placements": ["greeting"]}
    return decision_pb2.DecideRequest(**{**good, **changes})  # type: ignore[arg-type]  # the tests break types on purpose


def event(**changes: object) -> context_pb2.Event:
    """Return a good event with some fields replaced."""
    good: dict[str, object] = {
        "event_id": "e-1",
        "customer_id": "c-1",
        "type": "purchase",
        "occurred_at": Timestamp(seconds=NOW_MS // 1000),
        "attributes": {"amount": Value(double_value=10.0), "product": Value(string_value="phone x")},
    }
    return context_pb2.Event(**{**good, **changes})  # type: ignore[arg-type]  # the tests break types on purpose


def consent(**changes: object) -> context_pb2.SetConsentRequest:
    """Return a good consent with some fields replaced."""
    good: dict[str, object] = {"level": "personal", "contact_channels": ["email"], "source": "web form"}
    return context_pb2.SetConsentRequest(
        customer_id="c-1",
        consent=context_pb2.Consent(**{**good, **changes}),  # type: ignore[arg-type]  # the tests break types on purpose
    )


def outcome(**changes: object) -> outcome_pb2.Outcome:
    """Return a good outcome with some fields replaced."""
    good: dict[str, object] = {
        "decision_id": "0ab" + "2" * 23,
        "action_id": "fibre-upgrade",
        "kind": outcome_pb2.OUTCOME_KIND_ACCEPTED,
    }
    return outcome_pb2.Outcome(**{**good, **changes})  # type: ignore[arg-type]  # the tests break types on purpose


def path_of(method: MethodDescriptor) -> str:
    """Return a method's name on the wire."""
    return f"/{method.containing_service.full_name}/{method.name}"


async def call_raw(
    channel: grpc.aio.Channel, method: MethodDescriptor, raws: Iterable[bytes], timeout_s: float = 10
) -> list[Message]:
    """Send bytes to a method, whatever it streams, and return what it answers."""
    make: Callable[..., Callable[..., object]] = getattr(channel, _shape(method))
    call = make(path_of(method), None, GetMessageClass(method.output_type).FromString)
    sent = _stream(raws) if method.client_streaming else next(iter(raws))
    answer = call(sent, timeout=timeout_s)
    if method.server_streaming:
        return [message async for message in answer]  # type: ignore[attr-defined]  # a call of one of four shapes
    return [await answer]  # type: ignore[misc]  # a call of one of four shapes


def bad_fields(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Return the field violations of an error by path."""
    found: dict[str, str] = {}
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = Status.FromString(value)
            assert status.code == error.code().value[0]
            bad = BadRequest()
            assert status.details[0].Unpack(bad)
            found |= {violation.field: violation.description for violation in bad.field_violations}
    return found


def _shape(method: MethodDescriptor) -> str:
    return f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"


async def _stream(raws: Iterable[bytes]) -> AsyncIterator[bytes]:
    for raw in raws:
        yield raw
