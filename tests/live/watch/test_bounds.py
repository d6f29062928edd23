"""How far watching goes: who may, how many, who reads too slowly, and who is not let on."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from service.rpc import watches
from service.rpc.access.who import Role
from service.rpc.client import Event, TactClient
from service.rpc.watch_room import Most, WatchRoom
from tact.v1 import decision_pb2 as pb
from tact.v1 import decision_pb2_grpc
from tests.edge.access.service import service as guarded
from tests.edge.access.world import OWN, bearer, digest, everybody, token_of
from tests.live.watch.at_hand import Told, channel_to, service, watch
from tests.strategies import write_strategy


async def ended(told: Told) -> grpc.StatusCode:
    """Return how the service ends a watch by itself."""
    async with asyncio.timeout(15.0):
        try:
            async for message in told.call:
                told.messages.append(message)
        except grpc.aio.AioRpcError:
            pass
        code: grpc.StatusCode = await told.call.code()
        return code


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"cursor": "x"}, "cursor"),
    ({"heartbeat_ms": 5}, "heartbeat_ms"),
    ({"heartbeat_ms": 60_001}, "heartbeat_ms"),
)


async def test_a_bad_watch_is_refused_with_its_fields(tmp_path: Path) -> None:
    """What cannot be watched like this is refused at once, with the path of what is wrong; so is a question that is
    none for `Decide`, no question, and one of another moment.
    """
    async with service(tmp_path, write_strategy(tmp_path / "s")) as running, channel_to(running) as channel:
        for how, field in BAD:
            told = watch(channel, "anna", "web", "hero", **how)
            assert await ended(told) is grpc.StatusCode.INVALID_ARGUMENT
            assert str(await told.call.details()).startswith(field)
        stub = decision_pb2_grpc.DecisionServiceStub(channel)
        asked = pb.DecideRequest(customer_id="anna", channel="web", placements=("hero",))
        asked.as_of.seconds = 1_800_000_000
        for question in (None, asked):
            told = Told(stub.Watch(pb.WatchRequest(question=question)))
            assert await ended(told) is grpc.StatusCode.INVALID_ARGUMENT
        assert await ended(watch(channel, "anna", "web", "nowhere")) is grpc.StatusCode.INVALID_ARGUMENT


async def test_no_more_may_watch_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer is watched by so many at once; one more is told to wait, and when one leaves there is room."""
    monkeypatch.setattr(watches, "WatchRoom", lambda: WatchRoom(Most(customer=2)))
    async with service(tmp_path, write_strategy(tmp_path / "s")) as running, channel_to(running) as channel:
        first, second = watch(channel, "anna"), watch(channel, "anna")
        await first.next()
        await second.next()
        third = watch(channel, "anna")
        assert await ended(third) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-retry-pushback-ms" in dict(await third.call.trailing_metadata())
        other = watch(channel, "bert")
        await other.next()
        await first.end()
        await asyncio.sleep(0.1)
        again = watch(channel, "anna")
        await again.next()


async def test_a_service_that_ends_sends_watchers_on(tmp_path: Path) -> None:
    """When the service drains, watches end as UNAVAILABLE within its grace, and the cursor goes on elsewhere."""
    strategy = write_strategy(tmp_path / "s")
    async with service(tmp_path, strategy, linger_s=0.0) as running, channel_to(running) as channel:
        told = watch(channel, "anna")
        await told.next()
        stopping, begun = asyncio.create_task(running.stop(5.0)), time.monotonic()
        assert await ended(told) is grpc.StatusCode.UNAVAILABLE
        assert time.monotonic() - begun < 2.0
        async with asyncio.timeout(3.0):
            await stopping


async def test_watching_is_let_on_as_deciding_is(tmp_path: Path) -> None:
    """A caller watches on its channels, a customer's page that customer alone, and no other role at all; a customer
    hears of no rules, scores, or causes by name.
    """
    async with guarded(tmp_path) as served:
        credentials = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{served.running.port}", credentials) as channel:
            stub = decision_pb2_grpc.DecisionServiceStub(channel)

            def asks(role: Role, customer: str, where: str, placement: str) -> Told:
                question = pb.DecideRequest(customer_id=customer, channel=where, placements=(placement,))
                request = pb.WatchRequest(question=question, every_cause=True)
                return Told(stub.Watch(request, metadata=bearer(token_of(role))))

            for role in Role:
                if role not in (Role.DESKTOP, Role.WEB):
                    assert await ended(asks(role, OWN, "web", "hero")) is grpc.StatusCode.PERMISSION_DENIED
            assert await ended(asks(Role.WEB, "customer-2", "web", "hero")) is grpc.StatusCode.PERMISSION_DENIED
            assert await ended(asks(Role.WEB, OWN, "desk", "offer")) is grpc.StatusCode.PERMISSION_DENIED
            assert await ended(asks(Role.DESKTOP, OWN, "web", "hero")) is grpc.StatusCode.PERMISSION_DENIED
            own, desk = asks(Role.WEB, OWN, "web", "hero"), asks(Role.DESKTOP, OWN, "desk", "offer")
            await own.next()
            await desk.next()
            async with served.client(token_of(Role.INGEST)) as tact:
                await _ticket(tact)
            told, named = await own.next(), await desk.next()
            while "ticket.opened" not in {cause.name for cause in named.causes}:
                named = await desk.next()
            assert not any(cause.name or cause.id for message in (told, *own.messages) for cause in message.causes)
            assert not any(
                why.rule_id for message in own.messages for one in message.answer.answers for why in one.reasons
            )


async def test_a_token_that_counts_no_more_ends_the_watch(tmp_path: Path) -> None:
    """The entry of a caller is taken out of the file: the watch that it opened ends within seconds, not at its next
    message.
    """
    more = f"  - {{name: second, role: desktop, token_sha256: {digest('a second token, 0123456789abcdef')}}}"
    async with guarded(tmp_path, more) as served:
        credentials = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{served.running.port}", credentials) as channel:
            stub = decision_pb2_grpc.DecisionServiceStub(channel)
            question = pb.DecideRequest(customer_id="anna", channel="desk", placements=("offer",))
            told = Told(
                stub.Watch(
                    pb.WatchRequest(question=question, heartbeat_ms=60_000),
                    metadata=bearer("a second token, 0123456789abcdef"),
                )
            )
            await told.next()
            (tmp_path / "callers.yaml").write_text(everybody())
            assert await ended(told) is grpc.StatusCode.UNAUTHENTICATED


async def test_a_channel_that_is_taken_away_ends_the_watch(tmp_path: Path) -> None:
    """The caller may go on, but not on this channel: its watch there ends as forbidden, within seconds."""
    token = "a second token, 0123456789abcdef"
    entry = f"  - {{name: second, role: desktop, token_sha256: {digest(token)}, channels: [%s]}}"
    async with guarded(tmp_path, entry % "desk, phone") as served:
        credentials = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
        async with grpc.aio.secure_channel(f"localhost:{served.running.port}", credentials) as channel:
            stub = decision_pb2_grpc.DecisionServiceStub(channel)
            question = pb.DecideRequest(customer_id="anna", channel="desk", placements=("offer",))
            told = Told(stub.Watch(pb.WatchRequest(question=question, heartbeat_ms=60_000), metadata=bearer(token)))
            await told.next()
            (tmp_path / "callers.yaml").write_text(everybody(entry % "phone"))
            assert await ended(told) is grpc.StatusCode.PERMISSION_DENIED


async def _ticket(tact: TactClient) -> None:
    await tact.set_consent(OWN, "full")
    told = Event("t1", OWN, "ticket.opened", time.time_ns() // 1_000_000, {"ticket": "t1", "topic": "billing"})
    result = (await tact.record_events([told]))["results"][0]
    assert result["status"] == "stored", result
