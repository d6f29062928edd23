"""The same channel as `_calls.py` for a loop: calls are awaited, streams iterated with `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any, Self, TypeAlias, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from tact.client._again import Again
from tact.client._calls import NO_TURN, Metadata, as_bytes, ours, pause_of, said_by
from tact.client._errors import CallFailed, Life
from tact.client._messages import written
from tact.client._stubs import ENDLESS
from tact.client._tokens import AsyncTokens

Sent: TypeAlias = Message | Iterable[Message] | AsyncIterable[Message]


@dataclass(frozen=True, slots=True)
class AsyncTerms:
    """How long calls and streams may take unless they say otherwise, who calls, and what is made once more."""

    timeout_s: float
    stream_timeout_s: float
    tokens: AsyncTokens | None
    again: Again
    turns: asyncio.Semaphore
    life: Life

    def ended(self, error: BaseException) -> CallFailed:
        """Return how a call ends whose client was closed; raise what happened where that is something else.

        gRPC cancels whoever waits for a call of a channel that is closed, and so does who cancels the waiting task.
        """
        task = asyncio.current_task()
        if not self.life.closed or (task is not None and task.cancelling()):
            raise error
        return self.life.over()


class AsyncCalls:
    """Makes the calls of the stubs over several channels."""

    def __init__(self, channels: tuple[grpc.aio.Channel, ...], terms: AsyncTerms) -> None:
        self._channels, self._terms, self._turn = channels, terms, count()

    @property
    def channel(self) -> grpc.aio.Channel:
        """It as stubs take it."""
        return cast(grpc.aio.Channel, self)

    def unary_unary(self, method: str, **how: object) -> _One:
        """Return how one message is answered with one."""
        ways = [cast(Any, each).unary_unary(method, **as_bytes(how)) for each in self._channels]
        return _One(self._terms, self._next(ways))

    def stream_unary(self, method: str, **how: object) -> _Collected:
        """Return how many messages are answered with one."""
        ways = [cast(Any, each).stream_unary(method, **ours(how)) for each in self._channels]
        return _Collected(self._terms, self._next(ways))

    def unary_stream(self, method: str, **how: object) -> _Told:
        """Return how one message is answered with many."""
        ways = [cast(Any, each).unary_stream(method, **ours(how)) for each in self._channels]
        return _Told(self._terms, self._next(ways), self._stream_s(method), repeats=True)

    def stream_stream(self, method: str, **how: object) -> _Told:
        """Return how many messages are answered with many."""
        ways = [cast(Any, each).stream_stream(method, **ours(how)) for each in self._channels]
        return _Told(self._terms, self._next(ways), self._stream_s(method), repeats=False)

    def _next(self, ways: list[Any]) -> Callable[..., Any]:
        if len(ways) == 1:
            return cast("Callable[..., Any]", ways[0])
        return lambda *given, **named: ways[next(self._turn) % len(ways)](*given, **named)

    def _stream_s(self, method: str) -> float | None:
        return None if method in ENDLESS else self._terms.stream_timeout_s


@dataclass(frozen=True, slots=True)
class _One:
    """Answers one message with one. What is made once more is the same to the byte, ids and all."""

    terms: AsyncTerms
    way: Callable[..., Any]

    async def __call__(
        self,
        request: Message,
        timeout: float | None = None,  # noqa: ASYNC109 - as stubs are called
        metadata: Metadata | None = None,
        **more: object,
    ) -> Any:  # noqa: ANN401 - the stubs say what it is
        raw, ends = written(request), monotonic() + (self.terms.timeout_s if timeout is None else timeout)
        tokens, repeated = self.terms.tokens, False
        bearer = await tokens.now(ends) if tokens else None
        self.terms.again.called()
        while True:
            await self._turn(ends)
            try:
                said = said_by(metadata, bearer)
                return await self.way(raw, timeout=max(0.0, ends - monotonic()), metadata=said, **more)
            except grpc.aio.AioRpcError as error:
                failed = CallFailed.of(error)
            except (asyncio.CancelledError, grpc.aio.UsageError) as error:
                raise self.terms.ended(error) from None
            finally:
                self.terms.turns.release()
            if repeated or self.terms.life.closed:
                raise failed
            repeated = True
            if (renewed := await _renewed(failed, tokens, bearer, ends)) is not None:
                bearer = renewed
            elif (pause_s := pause_of(self.terms.again, failed, request)) is not None and monotonic() + pause_s < ends:
                await asyncio.sleep(pause_s)
            else:
                raise failed

    async def _turn(self, ends: float) -> None:
        """Wait until there is room on the connections."""
        if not self.terms.turns.locked():
            await self.terms.turns.acquire()
            return
        try:
            await asyncio.wait_for(self.terms.turns.acquire(), ends - monotonic())
        except TimeoutError:
            raise CallFailed(grpc.StatusCode.DEADLINE_EXCEEDED, NO_TURN) from None


@dataclass(frozen=True, slots=True)
class _Collected:
    """Answers many messages with one; what was sent is gone, so it is never made twice by us."""

    terms: AsyncTerms
    way: Callable[..., Any]

    async def __call__(
        self,
        requests: Iterable[Message] | AsyncIterable[Message],
        timeout: float | None = None,  # noqa: ASYNC109 - as stubs are called
        metadata: Metadata | None = None,
        **more: object,
    ) -> Any:  # noqa: ANN401 - as above
        tokens, limit_s = self.terms.tokens, self.terms.stream_timeout_s if timeout is None else timeout
        ends = monotonic() + limit_s
        bearer = await tokens.now(ends) if tokens else None
        try:
            return await self.way(requests, timeout=limit_s, metadata=said_by(metadata, bearer), **more)
        except grpc.aio.AioRpcError as error:
            failed = CallFailed.of(error)
        except (asyncio.CancelledError, grpc.aio.UsageError) as error:
            raise self.terms.ended(error) from None
        await _renewed(failed, tokens, bearer, ends)
        raise failed


@dataclass(frozen=True, slots=True)
class _Told:
    """Answers with many messages."""

    terms: AsyncTerms
    way: Callable[..., Any]
    stream_s: float | None
    repeats: bool

    def __call__(
        self, sent: Sent, timeout: float | None = None, metadata: Metadata | None = None, **more: object
    ) -> AsyncAnswers:
        limit_s = self.stream_s if timeout is None else timeout
        patience_s = self.terms.timeout_s if limit_s is None else limit_s

        def dial(bearer: str | None) -> Any:  # noqa: ANN401 - gRPC's calls share no type
            return self.way(sent, timeout=limit_s, metadata=said_by(metadata, bearer), **more)

        return AsyncAnswers(dial, self.terms, patience_s, repeats=self.repeats)


class AsyncAnswers(AsyncIterator[Any]):
    """The answers of a stream as they come; `cancel` ends it before."""

    def __init__(
        self, dial: Callable[[str | None], Any], terms: AsyncTerms, patience_s: float, *, repeats: bool
    ) -> None:
        self._dial, self._terms, self._patience_s, self._repeats = dial, terms, patience_s, repeats
        self._bearer: str | None = None
        self._call: Any = None
        self._answers: Any = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - the stubs say what it is
        tokens, ends = self._terms.tokens, monotonic() + self._patience_s
        bearer = await tokens.now(ends) if tokens and self._call is None else None
        try:
            if self._call is None:
                self._begin(bearer)
            answer = await anext(self._answers)
        except grpc.aio.AioRpcError as error:
            failed = CallFailed.of(error)
        except (asyncio.CancelledError, grpc.aio.UsageError) as error:
            raise self._terms.ended(error) from None
        else:
            self._repeats = False
            return answer
        renewed = await _renewed(failed, tokens, self._bearer, monotonic() + self._patience_s)
        if renewed is None or not self._repeats:
            raise failed
        self._repeats = False
        self._begin(renewed)
        return await anext(self)

    def cancel(self) -> None:
        """End the stream; what was not read is lost."""
        if self._call is not None:
            self._call.cancel()

    def _begin(self, bearer: str | None) -> None:
        self._bearer, self._call = bearer, self._dial(bearer)
        self._answers = aiter(self._call)


async def _renewed(failed: CallFailed, tokens: AsyncTokens | None, bearer: str | None, ends: float) -> str | None:
    if tokens is None or bearer is None or failed.code is not grpc.StatusCode.UNAUTHENTICATED:
        return None
    return await tokens.after(bearer, ends)
