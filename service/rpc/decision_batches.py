"""Batches of requests for decisions, cut apart and put together as bytes: a bad item spoils none of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.core.cel import wire
from service.errors import InvalidArgument, Violation
from service.rpc.flooding import check_entries
from service.rpc.undecodable import violation_in
from tact.v1 import decision_pb2 as pb

MOST_IN_A_BATCH = 64
ANSWER_BYTES = 1_048_576
"""How many bytes of answers go into one message, unless a single answer has more: clients take four times as many."""

_REQUESTS = pb.DecideBatchesRequest.DESCRIPTOR.fields_by_name["requests"].number
_ANSWERS = pb.DecideBatchesResponse.DESCRIPTOR.fields_by_name["answers"].number
_ANSWER_TAG = bytes((_ANSWERS << 3 | 2,))


def requests_in(raw: bytes) -> list[bytes]:
    """Return the requests of a batch, undecoded; raise `InvalidArgument` for too many, none, or what is no batch."""
    try:
        check_entries("requests", raw, MOST_IN_A_BATCH)
        found = [value for number, value in wire.fields(raw) if number == _REQUESTS and isinstance(value, bytes)]
    except ValueError:
        raise InvalidArgument.of([violation_in(pb.DecideBatchesRequest, raw)]) from None
    if not 1 <= len(found) <= MOST_IN_A_BATCH:
        raise InvalidArgument.of([Violation("requests", f"has {len(found)} entries; send 1 to {MOST_IN_A_BATCH}.")])
    return found


def batches_of(answers: Sequence[bytes]) -> Iterator[bytes]:
    """Yield answers as messages of many, in order; each has about `ANSWER_BYTES` at most."""
    parts: list[bytes] = []
    size = 0
    for answer in answers:
        if parts and size + len(answer) > ANSWER_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
        parts += (_ANSWER_TAG, _length(len(answer)), answer)
        size += len(answer)
    yield b"".join(parts)


def _length(size: int) -> bytes:
    """Return a length as protobuf writes it."""
    written = bytearray()
    while size > 0x7F:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    written.append(size)
    return bytes(written)
