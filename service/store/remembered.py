"""What is remembered of a person as the store keeps it (lua/memory.lua), and what that means as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha1
from typing import TypeAlias

import msgspec
from msgspec import Struct

from service.core.memory import Contact, Memory, Promised, Refusal
from service.store.calls import StoreUnreadable

Uses: TypeAlias = Mapping[str, tuple[int, ...]]
"""Times (ms, ascending) by cap counter."""

_MARK_DIGITS = 12


class Reserved(Struct, frozen=True, array_like=True):
    """A use that was reserved: when (ms), when its hold ends, the mark of its decision and action, the kind of outcome
    that it waits for, the window of its cap (ms), and 1 where that is a day.

    Once the outcome has come it is a use like any other: `at_ms` is when that was, `ends_ms` and `on` are 0.
    """

    at_ms: int
    ends_ms: int
    mark: str
    on: int
    within_ms: int
    daily: int

    def use_ms(self, now_ms: int) -> int | None:
        """Return the time of the use that stands for this; None for a hold that is over.

        For a hold it is the one that frees when the hold ends; of a day it is now, for it may be shown on this one.
        """
        if self.ends_ms == 0:
            return self.at_ms
        if self.ends_ms <= now_ms:
            return None
        return now_ms if self.daily else self.ends_ms - self.within_ms


_Refusal: TypeAlias = tuple[str, str, tuple[str, ...], int, int, str]
_Promised: TypeAlias = tuple[str, str, int, int, str, str]
_refusals = msgspec.msgpack.Decoder(tuple[_Refusal, ...]).decode
_promised = msgspec.msgpack.Decoder(tuple[_Promised, ...]).decode
_reserved = msgspec.msgpack.Decoder(dict[str, tuple[Reserved, ...]]).decode
_contact = msgspec.msgpack.Decoder(Contact).decode


def mark_of(decision_id: str, action: str) -> str:
    """Return the 12 hexadecimal digits under which what came of an action of a decision is remembered."""
    return sha1(f"{decision_id}|{action}".encode(), usedforsecurity=False).hexdigest()[:_MARK_DIGITS]


def refusals_of(packed: bytes | None) -> tuple[Refusal, ...]:
    """Return refusals, the oldest first; raise what msgspec or `bytes.fromhex` raise."""
    return tuple(Refusal(*one[:5], bytes.fromhex(one[5])) for one in _refusals(packed)) if packed is not None else ()


def promised_of(packed: bytes | None) -> tuple[Promised, ...]:
    """Return promises, also those that have run out; raise what msgspec or `bytes.fromhex` raise."""
    return tuple(Promised(*one[:5], bytes.fromhex(one[5])) for one in _promised(packed)) if packed is not None else ()


def reserved_of(packed: bytes | None) -> Mapping[str, tuple[Reserved, ...]]:
    """Return reservations by counter, and what has become of them; raise what msgspec raises."""
    return _reserved(packed) if packed is not None else {}


def contact_of(packed: bytes | None) -> Contact | None:
    """Return the latest contact; raise what msgspec raises."""
    return _contact(packed) if packed is not None else None


def memory_of(told: Sequence[bytes | None]) -> Memory:
    """Return what a read tells: the version, refusals, promises, (reservations), the latest contact.

    What cannot be read is an error: then nothing is known to have been refused or promised.
    """
    version, refusals, promises, _, contact = told[:5]
    try:
        number = 0 if version is None else int(version)
        return Memory(refusals_of(refusals), promised_of(promises), contact_of(contact), number)
    except ValueError:  # of msgspec too
        raise StoreUnreadable("What is remembered of a customer cannot be read.") from None


def with_reserved(uses: Uses, packed: bytes | None, now_ms: int) -> Uses:
    """Return the uses of cap counters together with what is reserved at a moment."""
    if packed is None:
        return uses
    try:
        reserved = reserved_of(packed)
    except ValueError:
        raise StoreUnreadable("The reserved contacts of a customer cannot be read.") from None
    merged = dict(uses)
    for key, ones in reserved.items():
        times = [time for one in ones if (time := one.use_ms(now_ms)) is not None]
        if times:
            merged[key] = tuple(sorted((*merged.get(key, ()), *times)))
    return merged
