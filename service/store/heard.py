"""What the store notes of a person while somebody listens (lua/heard.lua), read and marked as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.suppression import Suppression
from service.watching_people import Heard

WANTED_S = 300.0
"""How long notes are taken after the last that listened was there: so long whoever comes back misses nothing."""
_NUMBER, _HEAD, _SIZE = 16, 32, 2

_note = msgspec.msgpack.Decoder(tuple[int, str, str, str, int, int]).decode
_common = msgspec.msgpack.Decoder(tuple[str, str, int]).decode


@dataclass(frozen=True, slots=True)
class Note:
    """What was heard, and the number of what was written before it."""

    heard: Heard
    before: int


@dataclass(frozen=True, slots=True)
class Noted:
    """What the store has noted of one id: the number of the last note, and all notes after `dropped`, if any newer.

    `linked` is how it is linked with other ids, empty where it is not: the same as long as that does not change.
    """

    last: int
    dropped: int
    notes: tuple[Note, ...]
    linked: bytes
    erased: bool = False


class HeardStore:
    """Marks whom somebody listens for. Raises a `StoreError` when the store does not do it; repeating is safe."""

    def __init__(self, calls: Calls, suppression: Suppression) -> None:
        self._calls = calls
        self._erased = suppression.digest
        self._wanted_ms = round(WANTED_S * 1000)

    async def listen(self, customer: str, known: int, seen: int, deadline_s: float | None = None) -> Noted:
        """Have notes taken of one id for the next `WANTED_S` seconds; return those after the number that is `known`.

        Whoever listens has `seen` this number, of this id or another one of the person's: from now on none is lower.
        """
        place = keys.heard_key(customer), keys.context_key(customer), keys.suppression_key(keys.bucket(customer))
        _, erased, alias_of, leaving, members, packed = await self._calls.function(
            "listen", place, (customer, self._erased(customer), self._wanted_ms, known, seen),
            about=customer.encode(), length=6, deadline_s=deadline_s,
        )  # fmt: skip
        if erased:
            return Noted(0, 0, (), b"", erased=True)
        linked = b" ".join((alias_of, leaving, members)) if alias_of or leaving or members else b""
        last, dropped = int(packed[:_NUMBER]), int(packed[_NUMBER:_HEAD])
        try:
            return Noted(last, dropped, tuple(notes_of(packed[_HEAD:])), linked)
        except StoreUnreadable:
            return Noted(last, last, (), linked)  # as if all of them had been dropped


def notes_of(packed: bytes) -> Iterator[Note]:
    """Yield the notes that stand in what is kept or was published; raise `StoreUnreadable` where these are none."""
    at = 0
    try:
        while at < len(packed):
            size = int.from_bytes(packed[at : at + _SIZE], "big")
            number, kind, name, one, at_ms, before = _note(packed[at + _SIZE : at + _SIZE + size])
            yield Note(Heard(number, kind, name, one, at_ms), before)
            at += _SIZE + size
    except msgspec.DecodeError:
        raise StoreUnreadable("What was noted for those who listen cannot be read.") from None


def common_of(packed: bytes) -> Heard:
    """Return what was told to everybody; raise `StoreUnreadable` where it is nothing of the kind."""
    try:
        kind, name, at_ms = _common(packed)
    except msgspec.DecodeError:
        raise StoreUnreadable("What was told to everybody who listens cannot be read.") from None
    return Heard(0, kind, name, "", at_ms)
