"""The order at the edge: a call that is over costs nothing, a caller who may not come in is not read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
import pytest

from service.errors import UnknownCaller
from service.rpc import health
from service.rpc.wrapper import (
    MAX_REQUEST_BYTES,
    Raws,
    TimeLeft,
    Times,
    TimeToEnd,
    collecting,
    conversing,
    telling,
    unary,
)
from tact.v1.identity_pb2 import GetIdentitiesRequest, GetIdentitiesResponse

TIMES = Times(1.0, 60.0)
SHAPES = ("unary", "telling", "collecting", "conversing", "health watch")
BROKEN = b"\xff"


class Ended(Exception):
    """The call was ended with this status."""


@dataclass
class Call:
    """A call with so many seconds left, and what was done for it."""

    left_s: float | None
    done: list[str] = field(default_factory=list)

    def time_remaining(self) -> float | None:
        """Return what is left."""
        return self.left_s

    async def abort(self, code: grpc.StatusCode, *told: object) -> NoReturn:
        """End."""
        raise Ended(code.name)

    def handlers(self, *, lets_in: bool) -> list[Any]:
        """Return a handler of each of `SHAPES`, which note what is done."""

        def gate(call: object) -> None:
            self.done.append("gate")
            if not lets_in:
                raise UnknownCaller

        def read(raw: bytes) -> GetIdentitiesRequest:
            self.done.append("read")
            return GetIdentitiesRequest()

        async def one(request: object, deadline_s: float) -> GetIdentitiesResponse:
            self.done.append("work")
            return GetIdentitiesResponse()

        async def many(request: object, left: TimeToEnd) -> AsyncGenerator[GetIdentitiesResponse, None]:
            self.done.append("work")
            for none in list[GetIdentitiesResponse]():
                yield none

        async def gathered(raws: Raws, left: TimeLeft) -> GetIdentitiesResponse:
            self.done.append("work")
            return GetIdentitiesResponse()

        async def talk(raws: Raws, left: TimeLeft) -> AsyncGenerator[bytes, None]:
            self.done.append("work")
            for none in list[bytes]():
                yield none

        told = telling(many, GetIdentitiesRequest, MAX_REQUEST_BYTES, gate)
        return [
            unary(one, read, TIMES, gate=gate).unary_unary, told.unary_stream,
            collecting(gathered, TIMES, gate).stream_unary, conversing(talk, TIMES, gate).stream_stream,
            health.Health(()).handlers(gate)["Watch"].unary_stream,
        ]  # fmt: skip


@pytest.mark.parametrize("shape", range(len(SHAPES)), ids=SHAPES)
@pytest.mark.parametrize("left_s", [0.0, -1.0])
async def test_what_is_over_costs_nothing(left_s: float, shape: int) -> None:
    """Nobody is asked who calls, nothing is read and nothing is done."""
    call = Call(left_s)
    with pytest.raises(Ended, match="DEADLINE_EXCEEDED"):
        await call.handlers(lets_in=True)[shape](BROKEN, call)
    assert call.done == []


@pytest.mark.parametrize("shape", range(len(SHAPES)), ids=SHAPES)
async def test_who_may_not_come_in_is_not_read(shape: int) -> None:
    """Bytes of a stranger are not parsed: what is wrong with them is not told either."""
    call = Call(5.0)
    with pytest.raises(Ended, match="UNAUTHENTICATED"):
        await call.handlers(lets_in=False)[shape](BROKEN, call)
    assert call.done == ["gate"]


async def test_everything_in_its_order() -> None:
    """Who calls, then what is asked, then the work."""
    call = Call(5.0)
    await call.handlers(lets_in=True)[0](b"", call)
    assert call.done == ["gate", "read", "work"]
