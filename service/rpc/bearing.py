"""The bearer token that our own client sends with its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc


class _Unary(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds the token to calls of one message."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:  # noqa: ANN401 - gRPC types none of it
        return await continuation(_with(details, self._token), request)


class _Streams(grpc.aio.StreamStreamClientInterceptor):
    """Adds the token to streams of decisions."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:  # noqa: ANN401 - as above
        return await continuation(_with(details, self._token), requests)


def bearing(token: str) -> list[grpc.aio.ClientInterceptor]:
    """Return what sends a token with every call whose answer depends on it."""
    return [_Unary(token), _Streams(token)]


def _with(details: Any, token: str) -> Any:  # noqa: ANN401 - as above
    metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {token}"))
    return details._replace(metadata=metadata)
