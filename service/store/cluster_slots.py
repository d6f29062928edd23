"""Which of a cluster's 16,384 slots a command belongs to, read from its packed bytes, and who has which slot."""

from __future__ import annotations

from binascii import crc_hqx
from dataclasses import dataclass
from typing import Any

from service.store.cluster_address import Place
from service.store.pipeline import StoreReplied

SLOTS = 16_384
_MASK = SLOTS - 1
_TAGGED = b"\r\ntact:{"
_BEFORE_KEY = 5
"""So many lines are before the first key of a function: its kind, then length and text of its name and of their number,
and the length of the key.
"""
_HEAD = 160
"""The name of a function and how many keys it takes end before so many bytes."""

_WITHOUT_KEYS = frozenset(
    b"ACL AUTH BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE ECHO FLUSHALL FLUSHDB FUNCTION HELLO INFO "
    b"LASTSAVE LATENCY PING SAVE SCAN SCRIPT SLOWLOG TIME WAIT WAITAOF".split()
)
_COUNTED = frozenset((b"FCALL", b"FCALL_RO", b"EVAL", b"EVALSHA"))


def slot_of(packed: bytes) -> int | None:
    """Return the slot of a packed command by its first key, for all its keys share one; None for one without keys.

    What all decisions call, a function with keys of Tact, is not taken apart: 0.5 µs.
    """
    named = packed.find(b"FCALL", 8, 18)
    if named > 0:
        begin = packed.find(_TAGGED, named, _HEAD)
        if begin > 0 and packed.count(b"\r\n", named, begin) == _BEFORE_KEY:
            begin += len(_TAGGED)
            return crc_hqx(packed[begin : packed.find(b"}", begin)], 0) & _MASK
    key = first_key(packed)
    return None if key is None else slot_of_key(key)


def slot_of_key(key: bytes) -> int:
    """Return the slot of a key: of what its first braces hold, if anything, or else of all of it."""
    begin = key.find(b"{")
    end = key.find(b"}", begin + 1) if begin >= 0 else -1
    return crc_hqx(key[begin + 1 : end] if end > begin + 1 else key, 0) & _MASK


def first_key(packed: bytes) -> bytes | None:
    """Return the first key of a packed command, or None where it has none."""
    words = words_of(packed, 4)
    name = words[0].upper()
    if name in _COUNTED:
        return words[3] if len(words) > 3 and words[2] != b"0" else None
    return words[1] if len(words) > 1 and name not in _WITHOUT_KEYS else None


def words_of(packed: bytes, most: int) -> list[bytes]:
    """Return the first words of a packed command, so many at most."""
    head, words = packed.index(b"\r\n"), []
    at = head + 2
    for _ in range(min(most, int(packed[1:head]))):
        ends = packed.index(b"\r\n", at)
        begin = ends + 2
        at = begin + int(packed[at + 1 : ends]) + 2
        words.append(packed[begin : at - 2])
    return words


@dataclass(frozen=True, slots=True)
class View:
    """How one server sees the cluster: whether it is well, of which epoch that is, and whose each range of slots is."""

    well: bool
    epoch: int
    ranges: tuple[tuple[int, int, Place], ...]

    @classmethod
    def of(cls, info: bytes, slots: list[Any], asked: Place) -> View:
        """Read the replies of CLUSTER INFO and SLOTS; a server named without a host has that of the asked one."""
        said = dict(line.partition(":")[::2] for line in info.decode(errors="replace").splitlines())
        epoch = said.get("cluster_current_epoch", "")
        ranges = tuple((first, last, _place(master, asked)) for first, last, master, *_ in slots)
        return cls(said.get("cluster_state") == "ok", int(epoch) if epoch.isdigit() else 0, ranges)

    @property
    def worth(self) -> tuple[bool, int]:
        """Order views: what a server that is well and knows of the latest election says goes before the others."""
        return self.well, self.epoch


def redirected_to(error: StoreReplied, asked: Place) -> tuple[int, Place]:
    """Return the slot and the server that a MOVED or an ASK names; raise ValueError where it names none."""
    slot, _, server = error.message.partition(" ")
    place = Place.parse(server)
    if not slot.isdigit() or int(slot) >= SLOTS:
        raise ValueError("There is no such slot.")
    return int(slot), place if place.host not in ("", "?") else Place(asked.host, place.port)


def _place(master: list[Any], asked: Place) -> Place:
    host = (master[0] or b"").decode()
    return Place(host if host not in ("", "?") else asked.host, int(master[1]))
