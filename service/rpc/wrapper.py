"""Every method takes raw bytes: the edge itself parses, keeps the time, and turns every error into a status.

gRPC's own ways are not good enough: bytes that cannot be decoded end as UNKNOWN, the text of an uncaught exception
reaches the caller, and a CancelledError that escapes sends no status at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError, Message

from service.errors import DeadlineExpired, TooSlow, Undecodable, Violation
from service.rpc.admission.shed import Connected, places_of
from service.rpc.refusals import Refusal, refusal_of
from service.rpc.undecodable import MOST_FIELDS, MOST_FIELDS_OF_A_BATCH, Looks, violation_in

MAX_REQUEST_BYTES = 65_536
"""How long a message may be that is no batch."""

Raws: TypeAlias = AsyncIterator[bytes]
TimeLeft: TypeAlias = Callable[[], float]
TimeToEnd: TypeAlias = Callable[[], float | None]
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
LEFT_TO_SLOW_S = 5.0
"""How long who did not take messages in time has to take that the call ended; then it is given up."""
ENDED_WITHIN = Refusal(grpc.StatusCode.UNAVAILABLE, "The work was ended from within; repeat the call.")
Seen: TypeAlias = Callable[[Any], object]
"""Is told of a call, as gRPC has it."""
Gate: TypeAlias = Callable[[Any], object]
"""Is asked of each call, as gRPC has it, before anything of it is read; raises what refuses it."""

M = TypeVar("M", bound=Message)
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)
M_contra = TypeVar("M_contra", bound=Message, contravariant=True)
M_co = TypeVar("M_co", bound=Message | bytes, covariant=True)


class Call(Protocol):
    """The side of a gRPC call that the edge needs."""

    def time_remaining(self) -> float | None:
        """Return the seconds to the caller's deadline; None when the caller named none."""
        ...

    async def write(self, message: bytes, /) -> None:
        """Send one answer of a stream."""
        ...

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()
    ) -> NoReturn:
        """End the call with a status."""
        ...


class Unary(Protocol[R_contra, M_co]):
    """Answers one message, as it was read, with one."""

    async def __call__(self, request: R_contra, deadline_s: float) -> M_co:
        """Answer within `deadline_s` seconds."""
        ...


class Collecting(Protocol[M_co]):
    """Answers many messages with one; `left` tells the seconds that the next step may take."""

    async def __call__(self, raws: Raws, left: TimeLeft) -> M_co:
        """Answer when the messages end."""
        ...


class Telling(Protocol[M_contra, M_co]):
    """Answers one message with many; `left` tells the seconds to the caller's deadline, unset when there is none."""

    def __call__(self, request: M_contra, left: TimeToEnd) -> AsyncGenerator[M_co, None]:
        """Answer until all is said, or the caller leaves."""
        ...


class Conversing(Protocol):
    """Answers many messages with many, as bytes; `left` tells the seconds that the next answer may take."""

    def __call__(self, raws: Raws, left: TimeLeft) -> AsyncGenerator[bytes, None]:
        """Answer until the messages end and all are answered."""
        ...


def require_fast_protobuf() -> None:
    """Raise RuntimeError unless protobuf runs on upb: the pure Python one is slow, and recurses without bound."""
    if (kind := api_implementation.Type()) != "upb":
        raise RuntimeError(f"protobuf runs on {kind!r}, not on upb; unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION")


def parsed(message_type: type[M], raw: bytes, most_bytes: int) -> M:
    """Decode a message; raise `Undecodable` when it is too long or cannot be decoded."""
    check_size(raw, most_bytes)
    try:
        return message_type.FromString(raw)
    except DecodeError:
        looks = Looks(MOST_FIELDS if most_bytes <= MAX_REQUEST_BYTES else MOST_FIELDS_OF_A_BATCH)
        raise Undecodable.of([violation_in(message_type, raw, looks)]) from None


def check_time(call: Call) -> None:
    """Raise `DeadlineExpired` when the caller has given up already."""
    if (remaining := call.time_remaining()) is not None and remaining <= 0:
        raise DeadlineExpired


def check_size(raw: bytes, most_bytes: int) -> None:
    """Raise `Undecodable` when a message is too long."""
    if len(raw) > most_bytes:
        raise Undecodable.of([Violation("", f"the message has {len(raw):,} bytes; at most {most_bytes:,} are allowed")])


@dataclass(frozen=True, slots=True)
class Times:
    """How long a call may take: what its caller says, at most `longest_s`; `default_s` when the caller says nothing."""

    default_s: float
    longest_s: float

    def left(self, call: Call) -> float:
        """Return the seconds left; raise `DeadlineExpired` when there are none."""
        return self.of(call.time_remaining())

    def of(self, remaining: float | None) -> float:
        """Return the seconds left of what remains to the caller's deadline, which is unset where none was named."""
        if remaining is None:
            return self.default_s
        if remaining <= 0:
            raise DeadlineExpired
        return min(remaining, self.longest_s)


def written(answer: Message | bytes) -> bytes:
    """Return an answer as bytes."""
    return answer if type(answer) is bytes else cast(Message, answer).SerializeToString()


def unary(
    method: Unary[R, Message | bytes],
    read: Callable[[bytes], R],
    times: Times,
    seen: Seen | None = None,
    gate: Gate | None = None,
) -> Handler:
    """Wrap a method that answers one message, decoded by `read`, with one. `seen` is told of each call as it begins."""

    async def answer(raw: bytes, call: Call) -> bytes:
        try:
            left = times.of(remaining := call.time_remaining())
            if gate is not None:
                gate(call)
            if seen is not None:
                seen(call)
            request = read(raw)
            if remaining is not None:  # then gRPC itself ends the call in time
                answered = await method(request, left)
            else:
                async with ending_in(left):
                    answered = await method(request, left)
            return written(answered)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
            await end(call, error)

    return grpc.unary_unary_rpc_method_handler(answer)


def collecting(method: Collecting[Message], times: Times, gate: Gate | None = None) -> Handler:
    """Wrap a method that answers many messages with one."""

    async def answer(raws: Raws, call: Call) -> bytes:
        try:
            check_time(call)
            if gate is not None:
                gate(call)
            return (await method(raws, lambda: times.left(call))).SerializeToString()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
            await end(call, error)

    return grpc.stream_unary_rpc_method_handler(answer)


def telling(
    method: Telling[M, Message],
    message_type: type[M],
    most_bytes: int,
    gate: Gate | None = None,
    still: Callable[[], None] | None = None,
    taken_s: float | None = None,
) -> Handler:
    """Wrap a method that answers one message with many; without a deadline it goes on until the caller leaves.

    `still` is asked before each answer, and raises where the caller may hear no more. An answer that is not taken
    within `taken_s` seconds, where that is set, ends the call with `TooSlow`.
    """

    async def answer(raw: bytes, call: Call) -> None:
        try:
            check_time(call)
            if gate is not None:
                gate(call)
            request = parsed(message_type, raw, most_bytes)
            async with aclosing(method(request, call.time_remaining)) as answers:
                async for message in answers:
                    if still is not None:
                        still()
                    await _taken(call, message.SerializeToString(), taken_s)
                    del message  # it would stay until the next one, which may be long
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
            await end(call, error)

    return grpc.unary_stream_rpc_method_handler(answer)


async def _taken(call: Call, message: bytes, within_s: float | None) -> None:
    """Send an answer; raise `TooSlow` where it is not taken in time."""
    try:
        async with asyncio.timeout(within_s):
            await call.write(message)
    except TimeoutError:
        raise TooSlow("messages are not taken in time") from None


def conversing(method: Conversing, times: Times, gate: Gate | None = None) -> Handler:
    """Wrap a method that answers many messages with many."""

    async def answer(raws: Raws, call: Call) -> None:
        try:
            check_time(call)
            if gate is not None:
                gate(call)
            # Written from here, not yielded to gRPC: that would not close the generator when the caller leaves.
            async with aclosing(method(raws, lambda: times.left(call))) as answers:
                async for message in answers:
                    await call.write(message)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
            await end(call, error)

    return grpc.stream_stream_rpc_method_handler(answer)


@asynccontextmanager
async def ending_in(seconds: float) -> AsyncIterator[None]:
    """Raise `DeadlineExpired` in what takes longer than this."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DeadlineExpired from None


async def end(call: Call, error: BaseException) -> NoReturn:
    """End a call with the status that an error means; never return."""
    if isinstance(error, grpc.aio.BaseError):  # gRPC's own: the call was ended already, or the caller has gone
        raise error
    if (places := places_of(error)) is not None:
        places.keep(cast(Connected, call))
    refusal = refusal_unless_cancelled(error)
    if isinstance(error, TooSlow) and (task := asyncio.current_task()) is not None:  # it may not take that either
        asyncio.get_running_loop().call_later(LEFT_TO_SLOW_S, task.cancel)
    await call.abort(refusal.code, refusal.message, refusal.trailers)


def refusal_unless_cancelled(error: BaseException) -> Refusal:
    """Return what an error means to the caller; raise it again when it is this task that was cancelled.

    A CancelledError in a task that nobody cancelled comes from something it waited for. Let through, it would end the
    call without a status, and the caller would wait until the deadline.
    """
    if not isinstance(error, asyncio.CancelledError):
        return refusal_of(error)
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise error
    return ENDED_WITHIN
