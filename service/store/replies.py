"""What the two calls of a decision answer, as values.

Every reply begins with what was asked about, and is compared. A consent that cannot be read counts as none; field
states that cannot be read are handed out and seen as unknown; cap counters that cannot be read are an error, for then
no cap is known to hold.

`reply_reader` and `commit_reader` are what serves: compiled (service/store/_commands.c), where there was a compiler.
What is unusual comes back from there to the twins in Python: `Replies.known` and `Replies.committed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from models.compiled import compiled
from service.core.decision import Bound, Commit, Committed, Known, Linked
from service.core.memory import NOTHING_OFF, NOTHING_REMEMBERED, Contact, Memory, Switched
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import Reply
from service.store.consents import consent_of
from service.store.remembered import memory_of, with_reserved
from service.store.switches import switched_of, version_of

_decode_counters = msgspec.msgpack.Decoder(dict[str, tuple[int, ...]]).decode
_Elsewhere = dict[str, dict[str, tuple[int, ...]]]
_decode_elsewhere = msgspec.msgpack.Decoder(_Elsewhere).decode
_decode_aliases = msgspec.msgpack.Decoder(tuple[tuple[str, int], ...]).decode
_decode_chosen = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_NONE = msgspec.msgpack.encode(())
_decode_bound = msgspec.msgpack.Decoder(tuple[Bound, ...]).decode
_COMMANDS = compiled("service.store._commands")
_MOST_GROUPS = 26
"""How many purposes there may be, a letter each: what is known of them ends the reply to a read."""

ReplyReader: TypeAlias = Callable[[str, Reply], Known]
CommitReader: TypeAlias = Callable[[Commit, bytes, Reply], Committed]


class Replies:
    """Reads replies, in Python.

    `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the level of
    customers without a consent. Both methods raise `StoreCrossed` for a reply about somebody else and `StoreUnreadable`
    for what cannot be read.
    """

    def __init__(self, calls: Calls, groups_by_level: Mapping[str, str], lowest: str) -> None:
        self._about = calls.about
        self.groups = dict(groups_by_level)
        self.lowest = groups_by_level[lowest]

    def known(self, customer: str, told: Reply) -> Known:
        """Return what the reply to the read of a customer says."""
        reply = self._about(customer.encode(), told, 6, _MOST_GROUPS)
        _, now_ms, packed, letters, uses, rare, *values = reply
        consent = consent_of(packed)
        level = consent.level if consent else None
        channels = consent.channels if consent and level in self.groups else ()
        allowed = self.lowest if level is None else self.groups.get(level, self.lowest)
        groups = {
            letter: known
            for letter, known in zip(letters.decode(), values, strict=True)
            if known is not None and letter in allowed
        }
        if rare is None:
            return Known(now_ms, level, channels, groups, _counters(uses, None), consent=packed or b"")
        decided, erased, linked, memory = rare
        counters, off = _counters(uses, linked), switched_of(memory[5]) if memory else NOTHING_OFF
        return Known(
            now_ms=now_ms,
            level=level,
            channels=channels,
            groups=groups,
            counters=with_reserved(counters, memory[3], now_ms) if memory else counters,
            decided=committed_of(*decided[:4], repeated=True, off=off) if decided else None,
            erased=erased == 1,
            consent=packed or b"",
            linked=_linked(linked, allowed) if linked else None,
            memory=memory_of(memory) if memory else NOTHING_REMEMBERED,
            off=off,
            off_version=version_of(memory[5]) if memory else 0,
        )

    def committed(self, commit: Commit, decision: bytes, told: Reply) -> Committed:
        """Return what a commit did, from the reply about the key of its decision."""
        _, repeated, chosen, bound, packed_off, *stored = self._about(decision, told, 5, 2)
        entry, digest = stored if repeated else (commit.entry, commit.digest)
        return committed_of(entry, digest, chosen, bound, repeated=repeated == 1, off=switched_of(packed_off))


def reply_reader(replies: Replies) -> ReplyReader:
    """Return what reads the reply to the read of a customer."""
    return replies.known if _COMMANDS is None else compiled_reader(replies).known


def compiled_reader(replies: Replies) -> Any:  # noqa: ANN401 - it is compiled
    """Return the compiled side of reading what is known."""
    levels = tuple(replies.groups.items())
    kinds = (Known, Memory, Contact, switched_of, version_of, NOTHING_REMEMBERED, NOTHING_OFF)
    return _COMMANDS.Reader(replies.known, levels, replies.lowest, _MOST_GROUPS, *kinds)


def commit_reader(replies: Replies) -> CommitReader:
    """Return what reads the reply to a commit."""
    return replies.committed if _COMMANDS is None else compiled_settler(replies).committed


def compiled_settler(replies: Replies) -> Any:  # noqa: ANN401 - it is compiled
    """Return the compiled side of reading what a commit did."""
    return _COMMANDS.Settler(replies.committed, Commit, Committed, NOTHING_OFF)


def _counters(packed: bytes | None, linked: list[bytes | None] | None) -> Mapping[str, tuple[int, ...]]:
    try:
        own = _decode_counters(packed) if packed is not None else {}
        if linked is None or linked[0] != b"p" or linked[2] is None:
            return own
        return _all_uses(own, _decode_elsewhere(linked[2]))
    except msgspec.DecodeError:
        raise StoreUnreadable("The cap counters of a customer cannot be read.") from None


def _all_uses(own: Mapping[str, tuple[int, ...]], elsewhere: _Elsewhere) -> Mapping[str, tuple[int, ...]]:
    """Return the uses of a person: their own and those that were made under other identities, in order."""
    uses = dict(own)
    for counters in elsewhere.values():
        for key, times in counters.items():
            uses[key] = tuple(sorted((*uses.get(key, ()), *times)))
    return uses


def _linked(told: list[bytes | None], allowed: str) -> Linked:
    try:
        if told[0] == b"p":
            return Linked(aliases=_decode_aliases(told[1]) if told[1] else (), letters=allowed)
        whose = (told[1] or b"").decode()
        return Linked(leaving=whose) if told[0] == b"u" else Linked(person=whose)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StoreUnreadable("The identities of a customer cannot be read.") from None


def committed_of(
    entry: bytes, digest: bytes, chosen: bytes, bound: bytes, *, repeated: bool, off: Switched = NOTHING_OFF
) -> Committed:
    """Return what a commit did, from what is stored of it; raise `StoreUnreadable`."""
    try:
        not_fitting = () if bound == _NONE else _decode_bound(bound)
        return Committed(entry, digest, _decode_chosen(chosen), not_fitting, repeated, off)
    except msgspec.DecodeError:
        raise StoreUnreadable("A stored decision cannot be read.") from None
