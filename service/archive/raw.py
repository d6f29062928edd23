"""Entries of the log as they stand in the store, no byte of them changed, and which versions made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec import Raw, Struct

FIRST_PLACE, LAST_PLACE = "-", "+"


class Stream(StrEnum):
    """The two streams of a bucket: decisions, and what came of them."""

    DECISIONS = "log"
    OUTCOMES = "out"


class RawEntry(Struct, frozen=True, array_like=True):
    """One entry of a stream: where it stands, and its fields and values in the order in which they stand there.

    Of one that was erased nothing but its link in the chain is left, and `gone` is that.
    """

    bucket: int
    stream: Stream
    place: str
    flat: tuple[bytes, ...]
    gone: bytes | None = None

    @property
    def logged_ms(self) -> int:
        """When it was written, by the store's clock."""
        return int(self.place.partition("-")[0])

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The values by field."""
        return dict(zip(self.flat[::2], self.flat[1::2], strict=False))


class MadeBy(Struct, frozen=True):
    """The versions that make a decision again; empty where there was none."""

    strategy: str
    model: str
    challenger: str


class _Shadow(Struct, array_like=True):
    model: str


class _Named(Struct, array_like=True):
    """The beginning of an `Entry` as far as versions are named in it; what lies between is passed over unread."""

    decision_id: str
    customer: str
    channel: str
    at_ms: int
    strategy: str
    model: str
    level: Raw
    degraded: Raw
    asks: Raw
    values: Raw
    draws: Raw
    placements: Raw
    takes: Raw = Raw()
    kept: Raw = Raw()
    objections: Raw = Raw()
    shadow: _Shadow | None = None


_named = msgspec.msgpack.Decoder(_Named).decode


def made_by(packed: bytes) -> MadeBy:
    """Return the versions that a packed entry names; raise msgspec.DecodeError where it is none."""
    named = _named(packed)
    return MadeBy(named.strategy, named.model, named.shadow.model if named.shadow else "")


def versions_of(entries: Sequence[RawEntry]) -> set[MadeBy]:
    """Return the versions that made some decisions; those that cannot be read name none."""
    found: set[MadeBy] = set()
    for entry in entries:
        try:
            found.add(made_by(entry.fields.get(b"e", b"")))
        except msgspec.MsgspecError:
            continue
    return found
