"""Send malformed inputs, many at a time, and judge what comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from tests.edge.hostile.malformed import Malformed
from tests.rpc.messages import bad_fields, path_of

Channel: TypeAlias = Any
"""A channel as gRPC has it: of calls it makes it knows no types."""

IN_FLIGHT = 48
INVALID = grpc.StatusCode.INVALID_ARGUMENT.value[0]
REFUSED = {"RecordEvents": 3, "RecordOutcomes": 3, "RecordPredictions": 3, "ReportSupply": 3}
LONGEST_S = 20.0


@dataclass(slots=True)
class Tally:
    """What became of the inputs: how many by status, and those that were not refused as they must be."""

    statuses: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many were sent."""
        return sum(self.statuses.values())


async def send_all(target: str, inputs: Iterable[Malformed]) -> Tally:
    """Send everything and say what became of it."""
    tally, waiting = Tally(), iter(inputs)
    async with grpc.aio.insecure_channel(target, options=(("grpc.max_send_message_length", -1),)) as channel:
        await asyncio.gather(*(_send(channel, waiting, tally) for _ in range(IN_FLIGHT)))
    return tally


async def _send(channel: Channel, inputs: Iterator[Malformed], tally: Tally) -> None:
    for one in inputs:
        status, wrong = await verdict(channel, one)
        tally.statuses[status] += 1
        tally.ways[one.way] += 1
        if wrong:
            tally.wrong.append(f"{one.method.name} {one.way} {one.path!r}: {wrong} {one.raw[:80].hex()}")


async def verdict(channel: Channel, one: Malformed) -> tuple[str, str]:
    """Send one input; return the status that it came to, and what is wrong about that."""
    try:
        answers = await asked(channel, one.method, one.raw)
    except grpc.aio.AioRpcError as error:
        return error.code().name, _wrong_end(error, one)
    for code, paths in _items(one.method, answers):
        name = "INVALID_ARGUMENT" if code == INVALID else f"item {code}"
        return f"item {name}", "" if one.for_item and code == INVALID and _names(paths, one.path) else f"{code} {paths}"
    return "OK", "was accepted"


def _wrong_end(error: grpc.aio.AioRpcError, one: Malformed) -> str:
    if one.for_size:
        return "" if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else f"{error.code()} {error.details()}"
    if error.code() is not grpc.StatusCode.INVALID_ARGUMENT or one.for_item:
        return f"{error.code()} {error.details()}"
    paths = list(bad_fields(error))
    return "" if _names(paths, one.path) else f"names {paths}"


def _names(paths: list[str], wanted: str | None) -> bool:
    """Tell whether a refusal names what it must: any path for what cannot be decoded, the beginning of one for `…*`."""
    if wanted is None:
        return bool(paths)
    beginning = wanted.removesuffix("*")
    exactly = beginning == wanted and not wanted.endswith("[")
    return any(path == wanted if exactly else path.startswith(beginning) for path in paths)


def _items(method: MethodDescriptor, answers: list[Any]) -> Iterator[tuple[int, list[str]]]:
    """Yield the code and the paths of each item that was answered with an error."""
    for answer in answers:
        match method.name:
            case "DecideStream":
                yield answer.error.code, [bad.field for bad in answer.error.violations]
            case "DecideBatches":
                yield from ((a.error.code, [bad.field for bad in a.error.violations]) for a in answer.answers)
            case "RecordEventsStream":
                yield from ((INVALID, [bad.field for bad in one.violations]) for one in answer.first_refused)
            case name if name in REFUSED:
                for result in answer.results:
                    code = INVALID if result.status == REFUSED[name] else 0
                    yield code, [bad.field for bad in result.violations]


async def asked(channel: Channel, method: MethodDescriptor, raw: bytes, timeout_s: float = LONGEST_S) -> list[Any]:
    """Send bytes to a method, whatever it streams, and return what it answers."""
    shape = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    make: Callable[..., Any] = getattr(channel, shape)
    call = make(path_of(method), None, GetMessageClass(method.output_type).FromString)
    answer = call(_stream(raw) if method.client_streaming else raw, timeout=timeout_s)
    try:
        return [message async for message in answer] if method.server_streaming else [await answer]
    except asyncio.CancelledError:  # what gRPC's client makes of a stream that ends while it is still written to
        if not answer.done():
            raise
        code, said, trailers = await answer.code(), await answer.details(), await answer.trailing_metadata()
        raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, said) from None


async def _stream(raw: bytes) -> AsyncIterator[bytes]:
    yield raw
