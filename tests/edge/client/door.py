"""A small gRPC server that knows some tokens, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from tact.v1 import decision_pb2


@dataclass
class Door:
    """Lets calls in whose token is among `known`; `seen` are the tokens of all calls, `left_s` their time."""

    known: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    left_s: list[float] = field(default_factory=list)
    asked: list[decision_pb2.DecideRequest] = field(default_factory=list)
    silent: bool = False

    async def check(self, context: Any) -> None:  # noqa: ANN401 - a servicer's context
        """End a call that may not come in."""
        metadata = dict(context.invocation_metadata())
        self.seen.append(str(metadata.get("authorization", "")).removeprefix("Bearer "))
        self.left_s.append(context.time_remaining())
        if self.seen[-1] not in self.known:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "none of ours")


@dataclass(frozen=True)
class _Decisions(grpc.GenericRpcHandler):
    door: Door

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        async def decide(asked: decision_pb2.DecideRequest, context: Any) -> decision_pb2.DecideResponse:  # noqa: ANN401
            await self.door.check(context)
            self.door.asked.append(asked)
            if self.door.silent:
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "made up")
            return decision_pb2.DecideResponse(request_id=asked.request_id)

        async def each(asked: AsyncIterator[decision_pb2.DecideRequest], context: Any) -> AsyncIterator[Any]:  # noqa: ANN401
            await self.door.check(context)
            async for one in asked:
                yield decision_pb2.DecideResponse(request_id=one.request_id)

        both = (decision_pb2.DecideRequest.FromString, decision_pb2.DecideResponse.SerializeToString)
        if handler_call_details.method.endswith("/Decide"):
            return grpc.unary_unary_rpc_method_handler(decide, *both)
        return grpc.stream_stream_rpc_method_handler(each, *both)


@asynccontextmanager
async def standing(door: Door, credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[str]:
    """Stand on a port until the end."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Decisions(door),))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
