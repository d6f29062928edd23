"""The bearer token that our own client sends with its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

Token = Callable[[], str]
"""Returns the token as it is now."""


class _Bearing:
    """Knows the token that calls are sent with."""

    def __init__(self, token: Token) -> None:
        self._token = token


class _UnaryUnary(_Bearing, grpc.aio.UnaryUnaryClientInterceptor):
    """Adds the token to calls of one message with one answer."""

    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:  # noqa: ANN401 - gRPC types none of it
        return await continuation(_with(details, self._token()), request)


class _UnaryStream(_Bearing, grpc.aio.UnaryStreamClientInterceptor):
    """Adds the token to calls of one message with many answers."""

    async def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:  # noqa: ANN401 - as above
        return await continuation(_with(details, self._token()), request)


class _StreamUnary(_Bearing, grpc.aio.StreamUnaryClientInterceptor):
    """Adds the token to calls of many messages with one answer."""

    async def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:  # noqa: ANN401 - as above
        return await continuation(_with(details, self._token()), requests)


class _StreamStream(_Bearing, grpc.aio.StreamStreamClientInterceptor):
    """Adds the token to calls of many messages with many answers."""

    async def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:  # noqa: ANN401 - as above
        return await continuation(_with(details, self._token()), requests)


def bearing(token: Token) -> list[grpc.aio.ClientInterceptor]:
    """Return what sends a token with every call."""
    return [_UnaryUnary(token), _UnaryStream(token), _StreamUnary(token), _StreamStream(token)]


def _with(details: Any, token: str) -> Any:  # noqa: ANN401 - as above
    metadata = grpc.aio.Metadata(*(details.metadata or ()), ("authorization", f"Bearer {token}"))
    return details._replace(metadata=metadata)
