"""What is switched off: a master copy that says why, and a small copy in each bucket that reads and commits look at.

A switch holds once every bucket has been written. What is half written is finished by whoever sees it: the master notes
up to which version all buckets are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from service.core.audit import NOBODY, Who
from service.core.control import EVERYTHING, Off, Switches
from service.core.memory import NOTHING_OFF, Switched
from service.errors import TooManySwitches
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import Argument, StoreReplied, pack

AT_ONCE = 128
"""How many buckets are written at once: more would keep the decisions of this process waiting."""

_ALL, _VERSION, _SPREAD = b"*", b"#", b"="
UNREADABLE = (
    "What is switched off cannot be read in the store, so everything is. "
    f"Remove the key {keys.switches_key().decode()}: what the processes and the buckets know is put back."
)
_NOBODY_KNOWS = "It is not known any more."
_encode = msgspec.msgpack.Encoder().encode
_decode_off = msgspec.msgpack.Decoder(tuple[int, str, str]).decode
_decode_copy = msgspec.msgpack.Decoder(tuple[int, tuple[str, ...], bool]).decode
_UNREADABLE = Switched(everything=True)


class SwitchStore:
    """Keeps what is switched off. Raises a `StoreError` when the store does not do what it is asked; repeating is safe.

    `deadline_s` is the time that is left, for each call to the store.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def listed(self, deadline_s: float | None = None) -> Switches:
        """Return what the master copy says; raise StoreUnreadable when it cannot be read."""
        try:
            return _switches(await self._calls.call(pack("HGETALL", keys.switches_key()), deadline_s))
        except StoreReplied as error:
            if error.prefix != "WRONGTYPE":
                raise
            raise StoreUnreadable(UNREADABLE) from None

    async def set(
        self, action: str, details: tuple[str, str] | None, deadline_s: float | None = None, who: Who = NOBODY
    ) -> tuple[Switches, bool]:
        """Switch an action or `EVERYTHING` off (with why and by whom), or on (no details), in the master copy alone.

        The audit record notes at once who did it. Returns all that is off, and whether this changed anything. It holds
        only after `spread`. Raises TooManySwitches when too many actions are off one by one.
        """
        packed, because = (b"", "") if details is None else (_encode(details), details[0])
        told = (action.encode() or _ALL, packed, who.by, who.origin, because)
        places = (keys.switches_key(), keys.audit_key(), keys.head_key(keys.audit_key()))
        changed, flat = await self._master("switch_set", told, deadline_s, 3, places)
        if changed < 0:
            raise TooManySwitches("too much is switched off one by one")
        return _switches(flat), changed == 1

    async def restore(self, switches: Switches, deadline_s: float | None = None) -> None:
        """Put back what the master copy has lost; one that is newer stays, and what it alone says is off stays off.

        Where both know something else, what either says is off is off, under a version of its own.
        """
        rows: list[Argument] = [switches.version]
        for one in switches.off:
            rows += [one.action.encode() or _ALL, _encode((one.since_ms, one.because, one.by))]
        await self._master("switch_restore", rows, deadline_s)

    async def spread(self, switches: Switches, deadline_s: float | None = None) -> Switches:
        """Write every bucket's copy and note it in the master; return the newest version, which a bucket may know.

        One that is as new and says something else is returned, too: then two were made of the same, and one was lost.
        """
        newest = await self.write(switches, range(keys.BUCKETS), deadline_s)
        if newest is switches:
            await self._master("switch_spread", (switches.version,), deadline_s)
        return newest

    async def write(self, switches: Switches, buckets: Iterable[int], deadline_s: float | None = None) -> Switches:
        """Write the copies of some buckets where they are older; return the newest version, which a bucket may know."""
        newest, packed, places = switches, _packed(switches), [_place(number) for number in buckets]
        for first in range(0, len(places), AT_ONCE):
            writing = (self._write(place, switches, packed, deadline_s) for place in places[first : first + AT_ONCE])
            newest = _newest(switches, newest, *await asyncio.gather(*writing))
        return newest

    async def compare(self, switches: Switches, buckets: Iterable[int], deadline_s: float | None = None) -> Switches:
        """Do as `write` does, but look first which copies are older: a store that is full can be read, and no more."""
        packed, older, newest, wanted = _packed(switches), [], switches, list(buckets)
        for first in range(0, len(wanted), AT_ONCE):
            some = wanted[first : first + AT_ONCE]
            asking = (self._calls.call(pack("GET", _place(number)), deadline_s) for number in some)
            for number, stored in zip(some, await asyncio.gather(*asking), strict=True):
                if stored == packed or (stored is None and not switches.version):
                    continue
                found = None if stored is None else _of_copy(stored)
                if found is None or found.version < switches.version:
                    older.append(number)
                else:
                    newest = _newest(switches, newest, found)
        return _newest(switches, newest, await self.write(switches, older, deadline_s))

    async def _write(self, place: bytes, switches: Switches, packed: bytes, deadline_s: float | None) -> Switches:
        _, stored = await self._calls.function(
            "switch_copy", (place,), (switches.version, packed), about=place, length=2, deadline_s=deadline_s
        )
        return switches if stored == packed else _of_copy(stored) or switches

    async def _master(
        self,
        function: str,
        told: Sequence[Argument],
        deadline_s: float | None,
        length: int = 2,
        places: Sequence[bytes] = (keys.switches_key(),),
    ) -> list[Any]:
        about = places[0]
        reply = await self._calls.function(function, places, told, about=about, length=length, deadline_s=deadline_s)
        return reply[1:]


@lru_cache(maxsize=8)
def version_of(packed: bytes | None) -> int:
    """Return how new a bucket's copy is; 0 where there is none, or it cannot be read: no doubt makes it newer."""
    if packed is None:
        return 0
    try:
        return _decode_copy(packed)[0]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


@lru_cache(maxsize=8)
def switched_of(packed: bytes | None) -> Switched:
    """Return what a bucket's copy says is off; everything where it cannot be read."""
    if packed is None:
        return NOTHING_OFF
    try:
        _, actions, everything = _decode_copy(packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _UNREADABLE
    return Switched(frozenset(actions), everything) if actions or everything else NOTHING_OFF


def _newest(written: Switches, *found: Switches) -> Switches:
    """Return the newest; of two that are as new, the one that says something else than what was written."""
    return max(found, key=lambda one: (one.version, one.switched != written.switched))


def _place(number: int) -> bytes:
    return keys.switch_key(f"{number:03x}")


def _packed(switches: Switches) -> bytes:
    off = switches.switched
    return _encode((switches.version, sorted(off.actions), off.everything))


def _of_copy(packed: bytes) -> Switches | None:
    """Return what a bucket's copy says; None where it cannot be read."""
    try:
        version, actions, everything = _decode_copy(packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    names = (*actions, EVERYTHING) if everything else actions
    return Switches(version, 0, tuple(Off(name, 0, _NOBODY_KNOWS, "") for name in names))


def _switches(flat: Sequence[bytes]) -> Switches:
    """Return what the fields of the master copy say; an action that cannot be read is off all the same."""
    held: Mapping[bytes, bytes] = dict(zip(flat[::2], flat[1::2], strict=True))
    off = sorted(name for name in held if name not in (_VERSION, _SPREAD))
    version, spread = held.get(_VERSION, b"0"), held.get(_SPREAD, b"0")
    if not (version.isdigit() and spread.isdigit()):
        raise StoreUnreadable(UNREADABLE)
    return Switches(int(version), int(spread), tuple(_off(name, held[name]) for name in off))


def _off(name: bytes, packed: bytes) -> Off:
    action = EVERYTHING if name == _ALL else name.decode(errors="replace")
    try:
        return Off(action, *_decode_off(packed))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Off(action, 0, _NOBODY_KNOWS, "")
