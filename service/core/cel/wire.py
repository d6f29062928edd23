"""Read the serialized form of a checked CEL expression, without the protobuf library.

The core depends on no serialization framework, and the message has a handful of fields: a reader of the wire format
(https://protobuf.dev/programming-guides/encoding) is smaller than the dependency.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
LARGEST_NUMBER = 2**29 - 1


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) in order: whole numbers as read, everything else as bytes.

    Raises ValueError when the message is cut short, has an unknown wire type, or a field number that none has.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if not 1 <= number <= LARGEST_NUMBER:
            raise ValueError(f"there is no field {number}")
        if wire_type == VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire_type == BYTES:
            size, at = _varint(message, at)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire_type} is unknown")
        if at + size > len(message):
            raise ValueError("the message is cut short")
        yield number, message[at : at + size]
        at += size


def signed(value: int) -> int:
    """Return the int64 that a varint carries."""
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: bytes) -> float:
    """Return the double that eight bytes carry."""
    return float(struct.unpack("<d", value)[0])


def _varint(message: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("the message is cut short")
        byte = message[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
