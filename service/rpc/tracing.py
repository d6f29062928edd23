"""What tracing needs of a stream that asks for decisions: who called is at hand where a decision begins."""

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
    """Let what answers a stream with a stream know who called."""
    if handler.stream_stream is None:
        raise TypeError("only what answers many with many can be traced here")
    answer: Callable[..., Any] = handler.stream_stream

    async def answered(raws: Any, call: Any) -> Any:  # noqa: ANN401 - gRPC types handlers of its own kinds
        CALLER.set(Stream(tuple(call.invocation_metadata() or ())))  # each call runs in a context of its own
        return await answer(raws, call)

    return grpc.stream_stream_rpc_method_handler(answered)
