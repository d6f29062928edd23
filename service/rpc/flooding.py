"""Batches of far too many entries, found before they are parsed: 512 KiB can hold a quarter of a million.

To parse these takes 75 ms and 24 MB, while everybody else waits; to count up to what is allowed takes a millisecond.
"""

from __future__ import annotations

from service.core.cel import wire
from service.errors import InvalidArgument, Violation
from service.rpc.checks import MAX_BATCH

UNKNOWN_FIELDS = 64
"""How many fields beside its entries a batch may have: those of later versions of the contract."""

_LONGEST_VARINT = 10


def check_entries(field: str, raw: bytes, most: int = MAX_BATCH) -> None:
    """Raise `InvalidArgument` when a batch has far more fields than entries are allowed.

    Says nothing of what cannot be decoded, nor of a few entries too many: who parses it sees these.
    """
    if len(raw) > 2 * most and _has_more(raw, most + UNKNOWN_FIELDS):
        raise InvalidArgument.of([Violation(field, f"has more than {most:,} entries; send 1 to {most:,}.")])


def _has_more(raw: bytes, most: int) -> bool:
    """Tell whether there are more than so many fields, of which those in groups count as well."""
    at, size = 0, len(raw)
    for _ in range(most):
        tag, at = _varint(raw, at)
        match tag & 7:
            case wire.VARINT:
                _, at = _varint(raw, at)
            case wire.FIXED64:
                at += 8
            case wire.BYTES:
                length, at = _varint(raw, at)
                at += length
            case wire.FIXED32:
                at += 4
        if at >= size:
            return False
    return True


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends; the end of everything where there is none."""
    value = 0
    for place, byte in enumerate(raw[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    return 0, len(raw)
