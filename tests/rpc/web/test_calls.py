"""Answers of a stream are handed over one by one, to whoever reads as fast as they read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import grpc
import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import Headers, RequestContext

from service.errors import InvalidArgument, OverQuota, Violation
from service.rpc.refusals import refusal_of
from service.rpc.web.calls import HERE, Connection, Context, WebCall, answers_of


@pytest.fixture
def context() -> Context:
    """Return what Connect knows of a call."""
    info = MethodInfo(
        name="Watch", service_name="s", input=bytes, output=bytes,
        idempotency_level=IdempotencyLevel.UNKNOWN, stream_type=StreamType.SERVER_STREAM,
    )  # fmt: skip
    HERE.set(Connection("ipv4:10.0.0.7:41234", {"x509_common_name": [b"desk"]}))
    sent = Headers((("authorization", "Bearer a"), ("authorization", "Bearer b")))
    return RequestContext(method=info, http_method="POST", request_headers=sent, timeout_ms=5_000)


async def test_the_next_answer_waits_until_it_is_asked_for(context: Context) -> None:
    """Whoever writes goes on when the message before was sent, so nothing piles up for who reads slowly."""
    written: list[bytes] = []

    async def work(call: WebCall) -> None:
        for message in (b"a", b"b", b"c"):
            await call.write(message)
            written.append(message)

    async with aclosing(answers_of(context, work)) as answers:
        for number, message in enumerate((b"a", b"b", b"c")):
            assert await anext(answers) == message
            await asyncio.sleep(0.01)
            assert len(written) == number
        assert [one async for one in answers] == []
    assert written == [b"a", b"b", b"c"]


async def test_who_leaves_ends_the_work(context: Context) -> None:
    """The work is cancelled, and has ended when the reader goes on."""
    ended = False

    async def work(call: WebCall) -> None:
        nonlocal ended
        try:
            while True:
                await call.write(b"a")
        finally:
            await asyncio.sleep(0)
            ended = True

    async with aclosing(answers_of(context, work)) as answers:
        assert await anext(answers) == b"a"
    assert ended


async def test_what_ends_the_work_comes_after_its_answers(context: Context) -> None:
    """A status reaches the caller behind everything that was told."""

    async def work(call: WebCall) -> None:
        await call.write(b"a")
        await call.abort(grpc.StatusCode.UNAVAILABLE, "Go on elsewhere.")

    found = []
    with pytest.raises(ConnectError, match="Go on elsewhere") as caught:
        found.extend([one async for one in answers_of(context, work)])
    assert caught.value.code is Code.UNAVAILABLE
    assert found == []  # extend was never reached; the answer itself was told
    async with aclosing(answers_of(context, work)) as answers:
        assert await anext(answers) == b"a"


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
async def test_every_status_has_its_name_in_connect(context: Context, code: grpc.StatusCode) -> None:
    """Connect has the codes of gRPC under the same names, but for one that it spells otherwise."""
    with pytest.raises(ConnectError) as caught:
        await WebCall(context).abort(code, "")
    assert caught.value.code.value == {"cancelled": "canceled"}.get(code.name.lower(), code.name.lower())


async def test_a_refusal_keeps_its_details_and_its_wait(context: Context) -> None:
    """Bad fields come as details, the time to wait as a trailer."""
    for error in (InvalidArgument.of([Violation("customer_id", "is required")]), OverQuota(1.5)):
        refusal = refusal_of(error)
        with pytest.raises(ConnectError) as caught:
            await WebCall(context).abort(refusal.code, refusal.message, refusal.trailers)
        types = [one.type_name for one in caught.value.details]
        assert types == (["google.rpc.BadRequest"] if refusal.violations else [])
    assert context.response_trailers["grpc-retry-pushback-ms"] == "1500"


def _metadata(call: WebCall) -> object:
    return call.invocation_metadata()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (_metadata, (("authorization", "Bearer a"), ("authorization", "Bearer b"))),
        (WebCall.peer, "ipv4:10.0.0.7:41234"),
        (WebCall.auth_context, {"x509_common_name": [b"desk"]}),
    ],
    ids=["metadata", "peer", "certificate"],
)
async def test_the_gate_sees_what_it_sees_of_grpc(
    context: Context, asked: Callable[[WebCall], object], told: object
) -> None:
    """Two tokens stay two, so that the gate refuses them; the peer and the certificate are those of the connection."""
    assert asked(WebCall(context)) == told
    assert 4.5 < (WebCall(context).time_remaining() or 0) <= 5
