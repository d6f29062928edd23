"""What tracing needs of a call that asks for decisions: who called is at hand where a decision begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from service.rpc.wrapper import Handler
from service.telemetry.sampling import CALLER


class Stream:
    """The caller of a stream, which is told nothing beside the answers: there are many decisions and one end."""

    def __init__(self, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        self._metadata = metadata

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return what the caller sent when it opened the stream."""
        return self._metadata

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...], /) -> None:
        """Tell nothing."""


def traced(handler: Handler) -> Handler:
    """Let what a handler does know who called: of one message with one answer, or of a stream of both."""
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(_of_one(handler.unary_unary))
    if handler.stream_stream is None:
        raise TypeError("only what answers one with one, or many with many, can be traced")
    return grpc.stream_stream_rpc_method_handler(_of_many(handler.stream_stream))


def _of_one(answer: Callable[..., Any]) -> Any:  # noqa: ANN401 - gRPC types handlers of its own kinds
    async def answered(raw: bytes, call: Any) -> Any:  # noqa: ANN401
        CALLER.set(call)  # each call runs in a task, and so in a context, of its own
        return await answer(raw, call)

    return answered


def _of_many(answer: Callable[..., Any]) -> Any:  # noqa: ANN401 - gRPC types handlers of its own kinds
    async def answered(raws: Any, call: Any) -> Any:  # noqa: ANN401
        CALLER.set(Stream(tuple(call.invocation_metadata() or ())))
        return await answer(raws, call)

    return answered
