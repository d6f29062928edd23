"""The wire format, written by hand: what no library would write."""

from __future__ import annotations

from random import Random

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)


def varint(value: int) -> bytes:
    """Return a whole number as protobuf writes it."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*written, value))


def tag(number: int, kind: int) -> bytes:
    """Return what stands before a field."""
    return varint(number << 3 | kind)


def field(number: int, value: bytes) -> bytes:
    """Return a field of bytes, text or a message."""
    return tag(number, BYTES) + varint(len(value)) + value


def padded(raw: bytes, size: int) -> bytes:
    """Return a message made longer, to exactly `size` bytes, by a field that nobody knows."""
    room = size - len(raw)
    for digits in range(1, 5):
        length = room - len(tag(2_000, BYTES)) - digits
        if length >= 0 and len(varint(length)) == digits:
            return raw + field(2_000, bytes(length))
    raise ValueError(f"{room} bytes cannot be filled")


def groups(levels: int, *, closed: bool = True) -> bytes:
    """Return an unknown field of groups within groups."""
    return tag(3_000, START_GROUP) * levels + tag(3_000, END_GROUP) * (levels if closed else 0)


def _cut_off(rng: Random) -> bytes:
    length = rng.randrange(1, 5_000)
    return tag(rng.randrange(1_000, 9_000), BYTES) + varint(length) + rng.randbytes(rng.randrange(min(length, 40)))


BROKEN_ENDS = (
    _cut_off,
    lambda rng: tag(rng.randrange(1, 900), BYTES),  # without a length
    lambda rng: tag(1_000, BYTES) + varint(rng.choice([2**31, 2**32, 2**63, 2**64 - 1])),
    lambda rng: tag(1_000, VARINT) + b"\xff" * rng.randrange(10),  # a number without an end
    lambda rng: tag(1_000, VARINT) + b"\x80" * rng.randrange(11, 40) + b"\x01",  # a number that is too long
    lambda rng: tag(1_000, FIXED64) + rng.randbytes(rng.randrange(8)),
    lambda rng: tag(1_000, FIXED32) + rng.randbytes(rng.randrange(4)),
    lambda rng: tag(rng.randrange(1, 900), END_GROUP),  # of nothing
    lambda rng: tag(1_000, START_GROUP) + field(1, b"x"),  # without an end
    lambda rng: tag(1_000, START_GROUP) + tag(1_001, END_GROUP),
    lambda rng: groups(rng.choice([101, 102, 150, 1_000, 10_000])),
    lambda rng: groups(rng.randrange(101, 20_000), closed=False),
)
"""Each makes bytes that no decoder of protobuf takes as the end of a message."""

BROKEN_HEADS = (
    lambda rng: varint(rng.randrange(1, 2_000) << 3 | rng.choice([6, 7])),  # there are no such wire types
    lambda rng: varint(rng.randrange(1, 2_000) << 3 | END_GROUP),  # of nothing
    lambda rng: b"\xff" * rng.randrange(11, 20),  # a tag without an end
)
"""Each makes bytes that no decoder takes as the beginning of a message, whatever follows."""


def undecodable(rng: Random, good: bytes) -> bytes:
    """Return bytes that are surely no message: a good one with a broken end, or a broken head and anything after it."""
    if rng.random() < 0.6:
        return good + rng.choice(BROKEN_ENDS)(rng)
    return rng.choice(BROKEN_HEADS)(rng) + rng.choice((good, rng.randbytes(rng.randrange(200))))


NOT_UTF_8 = (b"\xc3\x28", b"\xff", b"a\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80", b"\xf4\x90\x80\x80")
"""No text: a lone lead byte, no lead byte, a surrogate, five bytes, a long zero, beyond the last character."""
