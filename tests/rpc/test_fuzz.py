"""Whatever bytes arrive, the edge answers with a status of its own: never UNKNOWN, never INTERNAL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tact.v1.decision_pb2 import DecideResponse, WatchRequest
from tact.v1.journey_pb2 import GetJourneyRequest, SearchCustomersRequest
from tact.v1.trigger_pb2 import ListDeadMomentsRequest
from tests.rpc.messages import METHODS, ask, call_raw
from tests.rpc.world import NOW_MS, Alone, calling, edge_of
from tests.rpc.yielding import Ears, EmptyChains, EmptyLog, EmptyRecord, ShortJourneys, Standing, Yielding

EXAMPLES = int(os.environ.get("TACT_FUZZ", "20"))
ENDLESS = {"Watch", "WatchChanges", "WatchDemand", "Subscribe"}  # they go on until the caller leaves, which is no error
ANSWERS = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
WORDS = ["c-1", "web", "greeting", "hero", "purchase", "noted", "amount", "text", "personal", "present.sentiment"]
HOSTILE = [
    "",
    " ",
    "\x00",
    "\u202e",
    "\u200b",
    "x}:consent",
    "*",
    "\r\nSET",
    "'; DROP",
    "é" * 65,
    "x" * 2_000,
    "٣",
    "🙂",
]
TEXTS = st.sampled_from(WORDS) | st.sampled_from(HOSTILE) | st.text(max_size=20)
WHOLES = st.sampled_from([0, 1, -1, NOW_MS // 1000, 2**31 - 1, -(2**31)])
LONGS = WHOLES | st.sampled_from([2**53, 2**63 - 1, -(2**63), -62_135_596_801, 253_402_300_800])
NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 0.5, 1e308])


def messages(descriptor: Any) -> st.SearchStrategy[Message]:  # noqa: ANN401 - a descriptor; upb's type is private
    """Draw any message of a type: any field, set or not, with words of the strategy and hostile values."""
    fields = {field.name: _field(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda drawn: _message(descriptor, drawn))


def _field(field: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a descriptor; upb's type is private
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        return st.dictionaries(TEXTS, _single(entry["value"]), max_size=4)
    return st.lists(_single(field), max_size=4) if field.is_repeated else _single(field)


def _single(field: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a descriptor; upb's type is private
    if field.message_type is not None:
        return messages(field.message_type)
    return {
        field.CPPTYPE_STRING: TEXTS,
        field.CPPTYPE_INT32: WHOLES,
        field.CPPTYPE_INT64: LONGS,
        field.CPPTYPE_DOUBLE: NUMBERS,
        field.CPPTYPE_BOOL: st.booleans(),
        field.CPPTYPE_ENUM: WHOLES,
    }[field.cpp_type]


def _message(descriptor: Any, drawn: dict[str, Any]) -> Message:  # noqa: ANN401 - a descriptor
    return GetMessageClass(descriptor)(**drawn)


@dataclass
class Target:
    """A server that lives as long as the tests here, on a loop that runs while one of them calls it."""

    runner: asyncio.Runner
    channel: Any

    def status_of(self, method: MethodDescriptor, raw: bytes) -> set[grpc.StatusCode]:
        """Return the status of a call, or for a stream those of its items."""
        try:
            answers = self.runner.run(call_raw(self.channel, method, [raw], 0.02 if method.name in ENDLESS else 10))
        except grpc.aio.AioRpcError as error:
            ended = method.name in ENDLESS and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return {grpc.StatusCode.OK if ended else error.code()}
        codes = {answer.error.code for answer in answers if isinstance(answer, DecideResponse)} or {0}
        return {code for code in grpc.StatusCode if code.value[0] in codes}


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """Return a server to call from tests that are not asynchronous."""
    with asyncio.Runner() as runner:
        stores = Alone(Yielding())
        stores.log = EmptyLog()
        stores.chain = EmptyChains()
        stores.audit = EmptyRecord()
        stores.journeys = ShortJourneys()
        standing: Any = Standing()
        serving = calling(replace(edge_of(stores=stores), standing=standing), Ears())
        yield Target(runner, runner.run(_enter(serving)))
        runner.run(_leave(serving))


async def _enter(context: Any) -> Any:  # noqa: ANN401 - a context manager
    return await context.__aenter__()


async def _leave(context: Any) -> None:  # noqa: ANN401 - a context manager
    await context.__aexit__(None, None, None)


FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@FUZZ
@given(data=st.data())
def test_any_message(method: MethodDescriptor, target: Target, data: st.DataObject) -> None:
    """Any message of the contract, however odd, is answered or refused."""
    message = data.draw(messages(method.input_type))
    assert target.status_of(method, message.SerializeToString()) <= ANSWERS


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@FUZZ
@given(data=st.data())
def test_any_bytes(method: MethodDescriptor, target: Target, data: st.DataObject) -> None:
    """Any bytes, and any message with a bit turned or an end cut off, are answered or refused."""
    raw = bytearray(data.draw(messages(method.input_type)).SerializeToString() or b"\x0a")
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    assert target.status_of(method, data.draw(st.sampled_from([bytes(raw), cut]) | st.binary(max_size=60))) <= ANSWERS


@pytest.mark.parametrize(
    "message",
    [
        WatchRequest(question=ask()),
        WatchRequest(question=ask(), cursor=f"{'0a' * 12}-1-2-{'0b' * 8}"),
        SearchCustomersRequest(query="c-1"),
        ListDeadMomentsRequest(channel="web", customer_id="c-1"),
        GetJourneyRequest(customer_id="c-1", page_token="1900000000000"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_good_gets_inside(message: Message, target: Target) -> None:
    """The stores here answer what is well formed: else what is drawn above would never get further than to them."""
    (method,) = (one for one in METHODS if one.input_type is message.DESCRIPTOR)
    assert target.status_of(method, message.SerializeToString()) == {grpc.StatusCode.OK}
