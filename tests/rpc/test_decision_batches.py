"""Batches on a stream: every request is answered as it would be alone, in order, and no batch spoils another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.decision import Answer, Decision, Request
from service.rpc.admission.admission import Admission
from service.rpc.decision_batches import ANSWER_BYTES, MOST_IN_A_BATCH, batches_of, requests_in
from service.rpc.decisions import MAX_IN_WORK, READ_ON_BELOW
from service.rpc.server import Listen, Server
from tact.v1 import decision_pb2 as pb
from tact.v1.decision_pb2_grpc import DecisionServiceStub
from tests.rpc.messages import ask
from tests.rpc.world import NOW_MS, Answering, answered, calling, channel_to, edge_of, strategy

PATHS = {"DecideStream": pb.DecideResponse.FromString, "DecideBatches": pb.DecideBatchesResponse.FromString}
OK, INVALID = 0, grpc.StatusCode.INVALID_ARGUMENT.value[0]


def batch(*requests: pb.DecideRequest) -> pb.DecideBatchesRequest:
    """Return a batch."""
    return pb.DecideBatchesRequest(requests=requests)


def numbered(first: int, count: int) -> pb.DecideBatchesRequest:
    """Return a batch of so many good requests, with their numbers as ids."""
    return batch(*(ask(request_id=str(number)) for number in range(first, first + count)))


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=70))
def test_a_batch_is_cut_as_protobuf_would(parts: Sequence[bytes]) -> None:
    """What protobuf writes as a repeated field comes out part by part, empty parts included."""
    written = b"".join(b"\x0a" + bytes(_varint(len(part))) + part for part in parts)
    if len(parts) <= MOST_IN_A_BATCH:
        assert requests_in(written) == list(parts)
    good = [ask(customer_id=f"c-{number}", request_id="x" * (len(part) % 60)) for number, part in enumerate(parts)][:64]
    assert requests_in(batch(*good).SerializeToString()) == [request.SerializeToString() for request in good]


@given(st.lists(st.sampled_from((0, 1, 100, 200, 20_000, 300_000, 1_100_000)), min_size=1, max_size=12))
def test_answers_are_put_together_as_protobuf_would(sizes: Sequence[int]) -> None:
    """All answers come in order; a message that could hold the next answer as well holds it, and none is empty."""
    sent = [pb.DecideResponse(request_id=str(at), decision_id="d" * size) for at, size in enumerate(sizes)]
    messages = list(batches_of([answer.SerializeToString() for answer in sent]))
    parsed = [list(pb.DecideBatchesResponse.FromString(message).answers) for message in messages]
    assert [answer for answers in parsed for answer in answers] == sent
    weights = [sum(answer.ByteSize() for answer in answers) for answers in parsed]
    assert all(len(answers) == 1 or weight <= ANSWER_BYTES for answers, weight in zip(parsed, weights, strict=True))
    for (_, weight), (after, _) in pairwise(zip(parsed, weights, strict=True)):
        assert weight + after[0].ByteSize() > ANSWER_BYTES


def _varint(size: int) -> list[int]:
    return [size] if size < 128 else [size & 127 | 128, *_varint(size >> 7)]


async def test_each_request_is_answered_as_it_would_be_alone() -> None:
    """Good ones, bad ones, a fault and undecodable bytes in one batch: each has its own answer, in its place."""

    async def how(request: Request) -> Decision:
        if request.request_id == "fault":
            raise ValueError("mary.jones@example.com")
        if request.request_id == "cancelled":
            raise asyncio.CancelledError
        return answered(request)

    raws = [
        ask(request_id="good").SerializeToString(),
        ask(request_id="bad", channel="fax").SerializeToString(),
        b"\xff",
        ask(request_id="fault").SerializeToString(),
        b"",
        ask(request_id="cancelled").SerializeToString(),
        ask(request_id="large", customer_id="x" * 70_000).SerializeToString(),
        ask(request_id="last").SerializeToString(),
    ]
    written = b"".join(b"\x0a" + bytes(_varint(len(raw))) + raw for raw in raws)
    async with calling(edge_of(Answering(how))) as channel:
        call = channel.stream_stream("/tact.v1.DecisionService/DecideBatches", None, PATHS["DecideBatches"])
        (message,) = [message async for message in call(iter([written]))]
        alone = await DecisionServiceStub(channel).Decide(ask(request_id="good"))
    unavailable, internal = (getattr(grpc.StatusCode, name).value[0] for name in ("UNAVAILABLE", "INTERNAL"))
    assert [(answer.request_id, answer.error.code) for answer in message.answers] == [
        ("good", OK),
        ("bad", INVALID),
        ("", INVALID),
        ("fault", internal),
        ("", INVALID),
        ("cancelled", unavailable),
        ("", INVALID),
        ("last", OK),
    ]
    assert message.answers[0] == alone
    assert message.answers[1].error.violations[0].field == "channel"
    assert "mary" not in str(message)


async def test_answers_come_in_the_order_of_the_requests() -> None:
    """Whatever is decided first: within a batch, and from batch to batch."""
    first_may_end = asyncio.Event()

    async def how(request: Request) -> Decision:
        if request.request_id == "0":
            await asyncio.wait_for(first_may_end.wait(), 5)
        if request.request_id == "29":
            first_may_end.set()
        return answered(request)

    async with calling(edge_of(Answering(how))) as channel:
        call = DecisionServiceStub(channel).DecideBatches(iter([numbered(0, 10), numbered(10, 20)]))
        came = [[answer.request_id for answer in message.answers] async for message in call]
    assert came == [[str(number) for number in range(10)], [str(number) for number in range(10, 30)]]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        pytest.param(b"", "has 0 entries; send 1 to 64", id="none"),
        pytest.param(numbered(0, 65).SerializeToString(), "has 65 entries; send 1 to 64", id="too many"),
        pytest.param(b"\x0a\x05ab", "cannot be decoded", id="cut short"),
    ],
)
async def test_what_is_no_batch_ends_the_stream(bad: bytes, told: str) -> None:
    """It is refused with INVALID_ARGUMENT and in words, once everything before it is answered."""
    first = numbered(0, 3).SerializeToString()
    async with calling(edge_of()) as channel:
        call = channel.stream_stream("/tact.v1.DecisionService/DecideBatches", None, PATHS["DecideBatches"])(
            iter([first, bad, first])
        )
        message = await call.read()
        assert [answer.request_id for answer in message.answers] == ["0", "1", "2"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told in str(caught.value.details())


@pytest.mark.parametrize(
    ("method", "each", "most"), [("DecideStream", 1, MAX_IN_WORK), ("DecideBatches", 50, READ_ON_BELOW)]
)
async def test_no_more_is_read_than_is_written(method: str, each: int, most: int) -> None:
    """Below so many requests the stream is read on; then not until answers are written, and then no further."""
    gate, reached = asyncio.Semaphore(0), asyncio.Event()
    bound = -(-most // each) * each  # the last message read begins below the limit

    async def how(request: Request) -> Decision:
        if len(decider.asked) == bound:
            reached.set()
        await gate.acquire()
        return answered(request)

    async def asks() -> AsyncIterator[pb.DecideRequest | pb.DecideBatchesRequest]:
        for at in range(0, 1_000, each):
            yield ask(request_id=str(at)) if each == 1 else numbered(at, each)

    decider = Answering(how)
    async with calling(edge_of(decider)) as channel:
        call = getattr(DecisionServiceStub(channel), method)(asks())
        await asyncio.wait_for(reached.wait(), 5)
        for written in range(1, 4):
            await asyncio.sleep(0.05)  # time enough to read on, were it allowed
            assert len(decider.asked) == bound + (written - 1) * each
            for _ in range(each):
                gate.release()
            assert await call.read()
        call.cancel()


@pytest.mark.parametrize("method", PATHS)
async def test_a_caller_who_does_not_read_is_not_read(method: str) -> None:
    """Of requests without end, whose large answers nobody takes, no more are decided than the connection holds.

    gRPC holds at most a few windows of 64 KiB here: of answers of 32 KiB fewer than 200 ever begin.
    """
    text = "x" * 32_768

    async def how(request: Request) -> Decision:
        words = Answer("greeting", "greet", "greeting", text, (), 1.0, 0.0, ())
        return Decision("0" * 26, (words,), strategy().version, "", NOW_MS)

    async def asks() -> AsyncIterator[pb.DecideRequest | pb.DecideBatchesRequest]:
        while True:
            yield ask() if method == "DecideStream" else numbered(0, 10)
            await asyncio.sleep(0)

    decider = Answering(how)
    async with calling(edge_of(decider)) as channel:
        call = getattr(DecisionServiceStub(channel), method)(asks())
        before = -1
        while len(decider.asked) != before:
            before = len(decider.asked)
            await asyncio.sleep(0.25)  # as long as this goes on something is still being read
            assert before < 1_000
        assert 0 < before < 400
        call.cancel()


@pytest.mark.parametrize("method", PATHS)
async def test_who_leaves_takes_the_work_along(method: str) -> None:
    """When the caller goes, everything in work for the stream is cancelled and nothing is left behind."""
    begun, ended = asyncio.Event(), list[str]()

    async def how(request: Request) -> Decision:
        try:
            if len(decider.asked) == 30:
                begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(request.request_id)
        raise AssertionError

    singles = [ask(request_id=str(number)) for number in range(30)]
    decider = Answering(how)
    async with calling(edge_of(decider)) as channel:
        before = _working()
        sent = iter(singles) if method == "DecideStream" else iter([batch(*singles[:10]), batch(*singles[10:])])
        call = getattr(DecisionServiceStub(channel), method)(sent)
        await asyncio.wait_for(begun.wait(), 5)
        call.cancel()
        async with asyncio.timeout(5):
            while _working() - before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # what ends here has no event to wait for
    assert sorted(ended, key=int) == [str(number) for number in range(30)]


def _working() -> set[asyncio.Task[object]]:
    """Return the tasks of streams: their readers and what is in work."""
    return {task for task in asyncio.all_tasks() if "Conversation." in repr(task) or "answer_item" in repr(task)}


@pytest.mark.parametrize("method", PATHS)
async def test_a_service_that_ends_answers_what_it_has_read(method: str) -> None:
    """A stream is read no further, what is in work is answered, and it ends with UNAVAILABLE, long before the grace."""
    gate, reached = asyncio.Event(), asyncio.Event()

    async def how(request: Request) -> Decision:
        if len(decider.asked) == 20:
            reached.set()
        await gate.wait()
        return answered(request)

    decider = Answering(how)
    server = Server(edge_of(decider), Listen(port=0), admission=Admission(first=512))
    async with channel_to(f"127.0.0.1:{await server.start()}") as channel:
        call = getattr(DecisionServiceStub(channel), method)()
        for at in range(0, 20, 10):
            for message in [numbered(at, 10)] if method == "DecideBatches" else numbered(at, 10).requests:
                await call.write(message)
        await asyncio.wait_for(reached.wait(), 5)
        drained = asyncio.create_task(server.drain(linger_s=0, grace_s=60))
        asyncio.get_running_loop().call_later(0.05, gate.set)
        came = [await asyncio.wait_for(call.read(), 5) for _ in range(2 if method == "DecideBatches" else 20)]
        with pytest.raises(grpc.aio.AioRpcError, match="The service ends") as caught:
            await asyncio.wait_for(call.read(), 5)
        await asyncio.wait_for(drained, 5)
    answers = came if method == "DecideStream" else [answer for message in came for answer in message.answers]
    assert [answer.request_id for answer in answers] == [str(number) for number in range(20)]
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_no_batches_at_all() -> None:
    """A stream without batches ends without answers, and well."""
    async with calling(edge_of()) as channel:
        call = DecisionServiceStub(channel).DecideBatches(iter([]))
        assert [answer async for answer in call] == []
        assert await call.code() is grpc.StatusCode.OK
