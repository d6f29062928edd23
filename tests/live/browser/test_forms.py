"""Connect and gRPC-Web, JSON and protobuf: one and the same answer, one and the same refusal."""

from __future__ import annotations

import asyncio
import base64
import gzip
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]  # ships no types

from service.core.decision import Decision, Request
from tact.v1.decision_pb2 import DecideBatchesRequest, DecideBatchesResponse, DecideResponse
from tests.live.browser.world import FORMS, Port, framed, opened, request
from tests.rpc.messages import ask
from tests.rpc.world import Answering, answered, edge_of

DECIDE = "tact.v1.DecisionService/Decide"
BATCHES = "tact.v1.DecisionService/DecideBatches"
STREAM = "tact.v1.DecisionService/DecideStream"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for the files of a server."""
    return tmp_path


def written(message: Message, form: str) -> bytes:
    """Return a message in a form."""
    raw = msgspec.json.encode(MessageToDict(message)) if form.endswith("json") else message.SerializeToString()
    return raw if form in FORMS[:2] else framed(raw)


def read(kind: type[Message], raw: bytes, form: str) -> Message:
    """Read a message that came in a form."""
    return Parse(raw, kind()) if form.endswith("json") else kind.FromString(raw)


async def grpc_says(port: Port, message: Message) -> DecideResponse:
    """Return what the port of gRPC answers."""
    async with grpc.aio.insecure_channel(port.grpc.target) as channel:
        call: Any = channel.unary_unary(f"/{DECIDE}")
        return DecideResponse.FromString(await call(message.SerializeToString()))


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_has_the_answer_of_grpc(folder: Path, form: str) -> None:
    """One question, asked in each form, is answered as gRPC answers it."""
    question = ask(placements=["greeting", "hero"], request_id="form-1")
    async with opened(folder, guarded=False) as port:
        said = await port.call(DECIDE, written(question, form), form)
        (raw,) = [said.body] if form in FORMS[:2] else said.messages
        assert (said.status, said.ended[0]) == (200, "")
        assert read(DecideResponse, raw, form) == await grpc_says(port, question)


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_refuses_with_the_fields(folder: Path, form: str) -> None:
    """What is wrong is told with the bad fields in the details, as gRPC tells it, in Connect's and in gRPC's way."""
    async with opened(folder, guarded=False) as port:
        said = await port.call(DECIDE, written(ask(customer_id="", channel="fax"), form), form)
    assert said.ended[0] == "invalid_argument"
    assert said.ended[1].startswith("customer_id: is required")
    if form in FORMS[:2]:
        assert said.status == 400
        (detail,) = said.said["details"]
        bad = BadRequest.FromString(base64.b64decode(detail["value"] + "=="))
        assert detail["type"] == "google.rpc.BadRequest"
        assert [one.field for one in bad.field_violations] == ["customer_id", "channel"]
    else:
        assert said.messages == []


@pytest.mark.parametrize("form", ["application/connect+json", "application/connect+proto", "application/grpc-web+json"])
async def test_a_stream_is_answered_in_its_order(folder: Path, form: str) -> None:
    """A stream of questions is answered one by one, and a bad one among them alone."""
    questions = [ask(request_id="a"), ask(request_id="b", channel="fax"), ask(request_id="c")]
    async with opened(folder, guarded=False) as port:
        said = await port.call(STREAM, b"".join(written(one, form) for one in questions), form)
    answers = [read(DecideResponse, raw, form) for raw in said.messages]
    assert [one.request_id for one in answers if isinstance(one, DecideResponse)] == ["a", "b", "c"]
    assert [one.HasField("error") for one in answers] == [False, True, False]
    assert said.ended == ("", "")


async def test_batches_by_connect(folder: Path) -> None:
    """The batches of mailings come through too."""
    batch = DecideBatchesRequest(requests=[ask(request_id=str(number)) for number in range(20)])
    async with opened(folder, guarded=False) as port:
        said = await port.call(BATCHES, framed(batch.SerializeToString()), "application/connect+proto")
    found = [one for raw in said.messages for one in DecideBatchesResponse.FromString(raw).answers]
    assert len(found) == 20


async def test_compressed_both_ways(folder: Path) -> None:
    """A compressed question is read, and the answer is compressed for who takes that."""
    body = gzip.compress(written(ask(), "application/json"))
    async with opened(folder, guarded=False) as port:
        said = await port.call(DECIDE, body, content_encoding="gzip", accept_encoding="br, gzip")
    assert said.headers["content-encoding"] == "gzip"
    assert msgspec.json.decode(gzip.decompress(said.body))["answers"]


async def test_a_deadline_is_kept(folder: Path) -> None:
    """Connect's and gRPC's deadlines count: the work learns what is left, and is ended when it is over."""
    ended = asyncio.Event()

    async def slow(request: Request) -> Decision:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return answered(request)

    decider = Answering(slow)
    async with opened(folder, edge_of(decider), guarded=False) as port:
        body = written(ask(), "application/json")
        said = await port.call(DECIDE, body, connect_timeout_ms="150")
        assert (said.status, said.ended[0]) == (504, "deadline_exceeded")
        await asyncio.wait_for(ended.wait(), 5)
        said = await port.call(DECIDE, framed(ask().SerializeToString()), FORMS[2], grpc_timeout="150m")
        assert said.ended[0] == "deadline_exceeded"
        said = await port.call(DECIDE, body, connect_timeout_ms="0")
        assert said.ended[0] == "deadline_exceeded"
    assert len(decider.deadlines) == 2  # who has no time left is not asked for
    assert all(0 < left_s <= 0.15 for left_s in decider.deadlines)


async def test_who_leaves_ends_the_work(folder: Path) -> None:
    """A browser that goes away in the middle of a call leaves no work behind."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Decision:
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return answered(request)

    async with opened(folder, edge_of(Answering(slow)), guarded=False) as port, port.wire() as wire:
        body = written(ask(), "application/json")
        await wire.send(request(DECIDE, body, connect_timeout_ms="60000"))
        await asyncio.wait_for(begun.wait(), 5)
        wire.close()
        await asyncio.wait_for(ended.wait(), 5)


async def test_many_on_one_connection(folder: Path) -> None:
    """A connection is used again, also by who sends the next question before the answer."""
    async with opened(folder, guarded=False) as port, port.wire() as wire:
        body = written(ask(), "application/json")
        for number in range(3):
            await wire.send(request(DECIDE, body))
            assert (await wire.answer()).ended[0] == "", number
        await wire.send(request(DECIDE, body) * 3)
        assert [(await wire.answer()).ended[0] for _ in range(3)] == ["", "", ""]
