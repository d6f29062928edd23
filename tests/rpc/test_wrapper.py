"""Every call ends with a status that tells the caller what to do, and nothing that tells what went on inside."""

from __future__ import annotations

import asyncio
import logging
import re

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor

from service.core.decision import Decision, Request
from service.errors import AlreadyExists, CannotListen, FailedPrecondition, StoreError, TactError
from service.rpc import refusals
from service.rpc.client import CallFailed
from service.rpc.edge import Limits
from service.rpc.refusals import STATUS, refusal_of
from service.rpc.wrapper import refusal_unless_cancelled, require_fast_protobuf
from tact.v1.decision_pb2 import DecideResponse
from tests.rpc.messages import METHODS, ask, call_raw
from tests.rpc.world import Answering, answered, calling, edge_of

DECIDE, DECIDE_STREAM = METHODS[:2]
SECRET = "mary.jones@example.com"
# No message of the contract: a field of an impossible wire type; a text that is not UTF-8; a length beyond the end.
GARBAGE = {
    "no tag": b"\xff\xff\xff",
    "not UTF-8": b"\x0a\x02\xc3\x28",
    "cut off": b"\x0a\xff\x01x",
    "nested too deep": b"\x0b" * 4_000,
}


def raising(error: BaseException) -> Answering:
    """Return a decider that raises."""

    async def fail(request: Request) -> Decision:
        raise error

    return Answering(fail)


async def refused(decider: Answering, limits: Limits | None = None, timeout_s: float = 5) -> grpc.aio.AioRpcError:
    """Return the error that a good question ends with."""
    async with calling(edge_of(decider, limits=limits)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, DECIDE, [ask().SerializeToString()], timeout_s)
    return caught.value


# Events are refused for themselves (test_bad_events.py), and so are the requests of a batch (test_decision_batches.py);
# the first field of the others is a number, or there is none.
READABLE = {
    "RecordEvents", "RecordEventsStream", "DecideBatches", "WatchChanges", "GetStatus", "ListSwitches", "GetStrategy",
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        pytest.param(method, raw, id=f"{name}-{method.name}")
        for name, raw in GARBAGE.items()
        for method in METHODS
        if not (name == "not UTF-8" and method.name in READABLE)
    ],
)
async def test_bytes_that_are_no_message(method: MethodDescriptor, raw: bytes) -> None:
    """Every method of the contract answers bytes that it cannot decode with INVALID_ARGUMENT, a stream item by item."""
    async with calling(edge_of()) as channel:
        if method is DECIDE_STREAM:
            (answer,) = await call_raw(channel, method, [raw])
            assert isinstance(answer, DecideResponse)
            assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert len(answer.error.violations) == 1
            return
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, method, [raw])
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(CallFailed.of(caught.value).violations) == 1, "google.rpc.BadRequest tells where"


@pytest.mark.parametrize(("size", "code"), [(65_536, None), (65_537, grpc.StatusCode.INVALID_ARGUMENT)])
async def test_a_question_has_64_kib(size: int, code: grpc.StatusCode | None) -> None:
    """A question of 64 KiB is read, one byte more is refused; fields that this version does not know are skipped."""
    good = ask().SerializeToString()
    padding = size - len(good) - 4  # tag 15, bytes, and a length of three bytes
    raw = good + b"\x7a" + bytes([padding & 0x7F | 0x80, padding >> 7 & 0x7F | 0x80, padding >> 14]) + b"x" * padding
    assert len(raw) == size
    async with calling(edge_of()) as channel:
        if code is None:
            assert await call_raw(channel, DECIDE, [raw])
            return
        with pytest.raises(grpc.aio.AioRpcError, match="65,536") as caught:
            await call_raw(channel, DECIDE, [raw])
    assert caught.value.code() is code


async def test_a_message_has_512_kib() -> None:
    """What no method takes is refused by gRPC itself, before it is in memory."""
    async with calling(edge_of()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, DECIDE, [b"x" * 524_289])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), MemoryError(), CannotListen(SECRET)])
async def test_what_was_not_foreseen(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours ends as INTERNAL with a reference; its log has where and what kind, and nobody has its text."""
    with caplog.at_level(logging.ERROR):
        refusal = await refused(raising(error))
    assert refusal.code() is grpc.StatusCode.INTERNAL
    reference = re.fullmatch(
        r"Something went wrong inside; the log has reference ([0-9a-f]{12})\.", refusal.details() or ""
    )
    assert reference
    (record,) = [each for each in caplog.records if each.name == refusals.__name__]
    told = record.getMessage()
    assert reference[1] in told
    assert type(error).__name__ in told
    assert "in fail" in told
    assert SECRET not in caplog.text + str(refusal.trailing_metadata())
    assert record.exc_info is None


async def test_references_differ(caplog: pytest.LogCaptureFixture) -> None:
    """Two faults are told apart by their references."""
    with caplog.at_level(logging.CRITICAL):
        assert refusal_of(ValueError()).message != refusal_of(ValueError()).message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AlreadyExists(SECRET), grpc.StatusCode.ALREADY_EXISTS),
        (FailedPrecondition(SECRET), grpc.StatusCode.FAILED_PRECONDITION),
        (StoreError(SECRET), grpc.StatusCode.UNAVAILABLE),
    ],
)
async def test_what_was_foreseen(error: TactError, code: grpc.StatusCode) -> None:
    """Each error of the tree has its status and a sentence of the edge's own, never the error's text."""
    refusal = await refused(raising(error))
    assert refusal.code() is code
    assert refusal.details() == STATUS[type(error)][1]


def test_the_table_is_whole() -> None:
    """Every error of the tree that a call can end with has a status; only what ends a start has none."""
    without = {kind for kind in _tree(TactError) if not any(base in STATUS for base in kind.__mro__)}
    assert without <= {TactError, CannotListen}


def _tree(kind: type[TactError]) -> set[type[TactError]]:
    ours = [sub for sub in kind.__subclasses__() if sub.__module__ == "service.errors"]
    return {kind}.union(*(_tree(sub) for sub in ours))


async def test_a_cancellation_from_within_has_a_status() -> None:
    """When something that a call waits for is cancelled, the caller hears at once, not at the deadline."""
    refusal = await refused(raising(asyncio.CancelledError()), timeout_s=60)
    assert refusal.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_task_that_is_cancelled_stays_cancelled() -> None:
    """Only a cancellation from elsewhere becomes a status; a task's own goes on through it."""

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            refusal_unless_cancelled(cancelled)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()


async def test_a_caller_who_leaves_stops_the_work(caplog: pytest.LogCaptureFixture) -> None:
    """A call that its caller cancels is cancelled inside too, the next call is answered, and nobody is told of it."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def hang(request: Request) -> Decision:
        if request.request_id != "hang":
            return answered(request)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async with calling(edge_of(Answering(hang))) as channel:
        call = asyncio.create_task(call_raw(channel, DECIDE, [ask(request_id="hang").SerializeToString()], 60))
        await begun.wait()
        call.cancel()
        await asyncio.wait_for(cancelled.wait(), 5)
        assert await call_raw(channel, DECIDE, [ask().SerializeToString()])
    assert caplog.records == []


async def test_the_callers_deadline_rules() -> None:
    """The decider is told the time that the caller still waits, and the call ends with it."""

    async def hang(request: Request) -> Decision:
        await asyncio.Event().wait()
        raise AssertionError

    decider = Answering(hang)
    refusal = await refused(decider, timeout_s=0.2)
    assert refusal.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < decider.deadlines[0] < 0.3  # not the second that a call without a deadline gets


async def test_a_missing_deadline_is_a_short_one() -> None:
    """A caller who names no deadline gets the service's: nothing waits for ever."""

    async def hang(request: Request) -> Decision:
        await asyncio.Event().wait()
        raise AssertionError

    decider = Answering(hang)
    async with calling(edge_of(decider, limits=Limits(deadline_s=0.05))) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/tact.v1.DecisionService/Decide")(ask().SerializeToString())
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert decider.deadlines == [0.05]


async def test_a_far_deadline_is_cut() -> None:
    """A caller who would wait for an hour does not hold the store for an hour."""
    decider = Answering()
    async with calling(edge_of(decider, limits=Limits(longest_s=30))) as channel:
        await call_raw(channel, DECIDE, [ask().SerializeToString()], 3_600)
    assert decider.deadlines == [30]


def test_slow_protobuf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service does not start on the pure Python protobuf."""
    require_fast_protobuf()
    monkeypatch.setattr("google.protobuf.internal.api_implementation.Type", lambda: "python")
    with pytest.raises(RuntimeError, match="upb"):
        require_fast_protobuf()
