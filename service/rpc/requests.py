"""Requests for decisions, read from the bytes that came: what is usual in one step, everything else by protobuf.

service/rpc/_requests.c is compiled when Tact is installed (models/kernel_build.py). It reads a request that is right
and says nothing rare, without a message of protobuf. `Plainly` is its twin, which reads everything and says what is
wrong: it serves where there was no compiler, or with `TACT_KERNEL=python`, and for what the compiled one leaves to it
(as_of, moments and lists of texts in the context, more than two placements, names beyond ASCII, all that is bad).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from models.bounds import MAX_CHARACTERS
from models.compiled import compiled
from models.context import Field, Source, ValueType
from models.operations import LARGEST_INT
from service.core.decision import Request
from service.core.strategy import Strategy
from service.rpc.checks import MAX_CUSTOMER_BYTES
from service.rpc.convert_decision import MAX_CONTEXT, MAX_KEY_BYTES, request_of
from service.rpc.wrapper import MAX_REQUEST_BYTES, parsed
from tact.v1.decision_pb2 import DecideRequest

if TYPE_CHECKING:  # the edge holds what reads its requests
    from service.rpc.edge import Limits, Vocabulary

_BOUNDS = (MAX_REQUEST_BYTES, MAX_CUSTOMER_BYTES, MAX_KEY_BYTES, MAX_CONTEXT, MAX_CHARACTERS)
_KINDS = {ValueType.BOOL: 0, ValueType.INT: 1, ValueType.DOUBLE: 2, ValueType.STRING: 3}
_compiled = compiled("service.rpc._requests")

COMPILED: bool = _compiled is not None
"""Whether requests are read in one step."""


class RequestReader(Protocol):
    """Reads requests by the words of one strategy."""

    def read(self, raw: bytes, /) -> Request:
        """Return the request in some bytes; raise `InvalidArgument` with what is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Plainly:
    """Reads requests by protobuf, a field at a time."""

    vocabulary: Vocabulary
    limits: Limits

    def read(self, raw: bytes, /) -> Request:
        """See `RequestReader`."""
        return request_of(parsed(DecideRequest, raw, MAX_REQUEST_BYTES), self)


def reader_for(strategy: Strategy, vocabulary: Vocabulary, limits: Limits) -> RequestReader:
    """Return what reads the requests to a strategy."""
    plainly = Plainly(vocabulary, limits)
    if not COMPILED:
        return plainly
    reader = _compiled.Reader(Request, plainly.read, _BOUNDS, tuple(vocabulary.usual), tuple(_rows(strategy)))
    return cast(RequestReader, reader)


def _rows(strategy: Strategy) -> Iterator[tuple[Any, ...]]:
    for index, field in enumerate(strategy.schema.fields):
        if field.source is Source.REQUEST and field.type in _KINDS:
            yield field.id, index, _KINDS[field.type], *_ends(field), field.bounds.values


def _ends(field: Field) -> tuple[float, float, int, int]:
    """Return the least and the largest number that a field can be, and whole number."""
    low = -sys.float_info.max if field.bounds.low is None else field.bounds.low
    high = sys.float_info.max if field.bounds.high is None else field.bounds.high
    return low, high, max(-LARGEST_INT, math.ceil(low)), min(LARGEST_INT, math.floor(high))
