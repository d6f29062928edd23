"""A channel whose calls end in time, say who calls, are safe to repeat, and raise `CallFailed`; for threads.

Stubs ask a channel for four kinds of calls and for nothing else. Each call goes over the next of the connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from threading import Semaphore
from time import monotonic, sleep
from typing import Any, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.message import Message

from tact.client._again import Again
from tact.client._errors import CallFailed, Ended, Life
from tact.client._messages import is_safe_twice, written
from tact.client._stubs import ENDLESS
from tact.client._tokens import Tokens
from tact.v1.context_pb2 import SetConsentRequest

T = TypeVar("T")
NO_TURN = "Too many calls are under way at once; make fewer, or open more connections."
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """How long calls and streams may take unless they say otherwise, who calls, and what is made once more."""

    timeout_s: float
    stream_timeout_s: float
    tokens: Tokens | None
    again: Again
    turns: Semaphore
    life: Life


class Calls:
    """Makes the calls of the stubs over several channels."""

    def __init__(self, channels: tuple[grpc.Channel, ...], terms: Terms) -> None:
        self._channels, self._terms, self._turn = channels, terms, count()

    @property
    def channel(self) -> grpc.Channel:
        """It as stubs take it."""
        return cast(grpc.Channel, self)

    def unary_unary(self, method: str, **how: object) -> _One:
        """Return how one message is answered with one."""
        ways = [each.unary_unary(method, **as_bytes(how)) for each in self._channels]
        return _One(self._terms, self._next(ways))

    def stream_unary(self, method: str, **how: object) -> _Collected:
        """Return how many messages are answered with one."""
        ways = [each.stream_unary(method, **ours(how)) for each in self._channels]
        return _Collected(self._terms, self._next(ways), self._stream_s(method))

    def unary_stream(self, method: str, **how: object) -> _Told:
        """Return how one message is answered with many."""
        ways = [each.unary_stream(method, **ours(how)) for each in self._channels]
        return _Told(self._terms, self._next(ways), self._stream_s(method), repeats=True)

    def stream_stream(self, method: str, **how: object) -> _Told:
        """Return how many messages are answered with many."""
        ways = [each.stream_stream(method, **ours(how)) for each in self._channels]
        return _Told(self._terms, self._next(ways), self._stream_s(method), repeats=False)

    def _next(self, ways: list[Any]) -> Callable[..., Any]:
        only = ways[0]
        if len(ways) == 1:
            return cast("Callable[..., Any]", only)
        return lambda *given, **named: ways[next(self._turn) % len(ways)](*given, **named)

    def _stream_s(self, method: str) -> float | None:
        return None if method in ENDLESS else self._terms.stream_timeout_s


@dataclass(frozen=True, slots=True)
class _One:
    """Answers one message with one. What is made once more is the same to the byte, ids and all."""

    terms: Terms
    way: Callable[..., Any]

    def __call__(
        self, request: Message, timeout: float | None = None, metadata: Metadata | None = None, **more: object
    ) -> Any:  # noqa: ANN401 - the stubs say what it is
        raw, ends = written(request), monotonic() + (self.terms.timeout_s if timeout is None else timeout)
        tokens, repeated = self.terms.tokens, False
        bearer = tokens.now(ends) if tokens else None
        self.terms.again.called()
        while True:
            if not self.terms.turns.acquire(timeout=max(0.0, ends - monotonic())):
                raise CallFailed(grpc.StatusCode.DEADLINE_EXCEEDED, NO_TURN)
            try:
                said = said_by(metadata, bearer)
                return self.way(raw, timeout=max(0.0, ends - monotonic()), metadata=said, **more)
            except grpc.RpcError as error:
                failed = CallFailed.of(cast(Ended, error))
            except ValueError as error:
                raise _closed(self.terms.life, error) from None
            finally:
                self.terms.turns.release()
            if repeated or self.terms.life.closed:
                raise failed
            repeated = True
            if (renewed := _renewed(failed, tokens, bearer, ends)) is not None:
                bearer = renewed
            elif (pause_s := pause_of(self.terms.again, failed, request)) is not None and monotonic() + pause_s < ends:
                sleep(pause_s)
            else:
                raise failed


@dataclass(frozen=True, slots=True)
class _Collected:
    """Answers many messages with one; what was sent is gone, so it is never made twice by us."""

    terms: Terms
    way: Callable[..., Any]
    stream_s: float | None

    def __call__(
        self,
        requests: Iterable[Message],
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **more: object,
    ) -> Any:  # noqa: ANN401 - as above
        limit_s = self.stream_s if timeout is None else timeout
        ends, tokens = monotonic() + (self.terms.timeout_s if limit_s is None else limit_s), self.terms.tokens
        bearer = tokens.now(ends) if tokens else None
        try:
            return self.way(iter(requests), timeout=limit_s, metadata=said_by(metadata, bearer), **more)
        except grpc.RpcError as error:
            raise _failed(error, tokens, bearer, ends) from None
        except ValueError as error:
            raise _closed(self.terms.life, error) from None


@dataclass(frozen=True, slots=True)
class _Told:
    """Answers with many messages. `repeats` says that the call can be made once more where its token was refused."""

    terms: Terms
    way: Callable[..., Any]
    stream_s: float | None
    repeats: bool

    def __call__(
        self,
        sent: Message | Iterable[Message],
        timeout: float | None = None,
        metadata: Metadata | None = None,
        **more: object,
    ) -> Answers:
        tokens, limit_s = self.terms.tokens, self.stream_s if timeout is None else timeout
        patience_s = self.terms.timeout_s if limit_s is None else limit_s
        bearer = tokens.now(monotonic() + patience_s) if tokens else None

        def dial(bearer: str | None) -> Any:  # noqa: ANN401 - gRPC's calls share no type
            try:
                return self.way(sent, timeout=limit_s, metadata=said_by(metadata, bearer), **more)
            except ValueError as error:
                raise _closed(self.terms.life, error) from None

        return Answers(dial, tokens, bearer, patience_s, repeats=self.repeats)


class Answers(Iterator[Any]):
    """The answers of a stream as they come; `cancel` ends it before."""

    def __init__(
        self,
        dial: Callable[[str | None], Any],
        tokens: Tokens | None,
        bearer: str | None,
        patience_s: float,
        *,
        repeats: bool,
    ) -> None:
        self._patience_s = patience_s
        self._dial, self._tokens, self._bearer, self._repeats = dial, tokens, bearer, repeats
        self._call = dial(bearer)

    def __next__(self) -> Any:  # noqa: ANN401 - the stubs say what it is
        try:
            answer = next(self._call)
        except grpc.RpcError as error:
            failed = CallFailed.of(cast(Ended, error))
            renewed = _renewed(failed, self._tokens, self._bearer, monotonic() + self._patience_s)
            if renewed is None or not self._repeats:
                raise failed from None
            self._bearer, self._repeats = renewed, False
            self._call = self._dial(renewed)
            return next(self)
        self._repeats = False
        return answer

    def cancel(self) -> None:
        """End the stream; what was not read is lost."""
        self._call.cancel()


def _closed(life: Life, error: ValueError) -> CallFailed:
    """Return how a call of a closed client ends; raise what happened where that is something else."""
    if not life.closed:
        raise error
    return life.over()


def pause_of(again: Again, failed: CallFailed, request: Message) -> float | None:
    """Return how many seconds to wait before a call is made once more; None where it is not."""
    return again.pause_after(failed, alone=isinstance(request, SetConsentRequest)) if is_safe_twice(request) else None


def _failed(error: grpc.RpcError, tokens: Tokens | None, bearer: str | None, ends: float) -> CallFailed:
    """Return how a call failed; where its token is why, the next call has another one."""
    failed = CallFailed.of(cast(Ended, error))
    _renewed(failed, tokens, bearer, ends)
    return failed


def _renewed(failed: CallFailed, tokens: Tokens | None, bearer: str | None, ends: float) -> str | None:
    if tokens is None or bearer is None or failed.code is not grpc.StatusCode.UNAUTHENTICATED:
        return None
    return tokens.after(bearer, ends)


def as_bytes(how: Mapping[str, object]) -> dict[str, Any]:
    """Return how a stub wants a call made whose request is bytes already."""
    return {**how, "request_serializer": None}


def ours(how: Mapping[str, object]) -> dict[str, Any]:
    """Return how a stub wants a call made, with what makes requests safe to repeat in place of its own serializer."""
    return {**how, "request_serializer": written}


def said_by(metadata: Metadata | None, bearer: str | None) -> Metadata:
    """Return the metadata of a call with the token of whoever makes it."""
    said = tuple(metadata or ())
    return said if bearer is None else (*said, ("authorization", f"Bearer {bearer}"))
