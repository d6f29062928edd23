"""The two commands of a decision, put together by hand because they are sent for every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from service.core.decision import Commit, Counting

SEPARATOR = "\x1f"
_BULK = b"$%d\r\n%b\r\n"
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reading:
    """The read command, of which only the keys and the customer differ: packing the rest each time costs 3 µs."""

    name: bytes
    allowed: bytes
    fixed: int

    @classmethod
    def of(cls, function: str, allowed: Sequence[str]) -> Reading:
        """Prepare the command for a function and what it is told that each consent level allows."""
        name = b"".join(_bulk(part) for part in (b"FCALL_RO", function.encode()))
        return cls(name, b"".join(_bulk(part.encode()) for part in allowed), 5 + len(allowed))

    def packed(self, places: Sequence[bytes], customer: bytes, digest: bytes) -> bytes:
        """Return the command for these keys and this customer, with the digest that says whether they were erased."""
        head = b"*%d\r\n%b$1\r\n%d\r\n" % (self.fixed + len(places), self.name, len(places))
        return b"".join([head, *map(_bulk, places), _bulk(customer), _bulk(digest), self.allowed])


@dataclass(frozen=True, slots=True)
class Committing:
    """The commit command, of which the function and how long everything is kept are packed once."""

    head: bytes
    counting: bytes
    kept: bytes

    @classmethod
    def of(cls, function: str, kept_ms: Sequence[int]) -> Committing:
        """Prepare the command for a function and the times to live of the context, of decisions and of the log (ms)."""
        head = b"".join(map(_bulk, (b"FCALL", function.encode())))
        return cls(head + _bulk(b"5"), head + _bulk(b"6"), b"".join(_bulk(b"%d" % ms) for ms in kept_ms))

    def packed(self, places: Sequence[bytes], commit: Commit, digest: bytes, candidates: Sequence[bytes]) -> bytes:
        """Return the command for these five keys, with the digest that says whether the customer was erased.

        Where the commit counts, the key of the counts follows them.
        """
        context, log, decision, erased, switch, *counts = places
        head, counted = (self.counting, _bulk(counts[0])) if counts else (self.head, b"")
        counting = _counting(commit.counting) if commit.counting is not None else b""
        customer, now, read = commit.customer.encode(), b"%d" % commit.now_ms, b"%d" % commit.read_ms
        asked, remembered, ends = commit.asked.encode() or customer, _remembered(commit), b"%d" % commit.not_after_ms
        return _COMMIT % (
            22 + len(counts) + len(candidates), head, len(context), context, len(log), log, len(decision), decision,
            len(erased), erased, len(switch), switch, counted, len(customer), customer, len(now), now,
            len(commit.digest), commit.digest, len(commit.entry), commit.entry, self.kept, len(digest), digest,
            len(read), read, len(asked), asked,
            len(commit.consent), commit.consent, len(remembered), remembered, len(ends), ends,
            len(counting), counting, b"".join(map(_bulk, candidates)),
        )  # fmt: skip


_COMMIT = b"".join((b"*%d\r\n%b", 5 * _BULK, b"%b", 4 * _BULK, b"%b", 7 * _BULK, b"%b"))
"""How many parts; the function; the keys, customer, moment, digest, entry; times to live; the rest; the candidates."""


def _remembered(commit: Commit) -> bytes:
    """Pack what a commit has to do with what is remembered; empty for nothing at all."""
    if commit.memory is None and not commit.gives and not commit.channel:
        return b""
    # The store packs and unpacks texts, but no bytes.
    gives = [(give.action, give.key, give.until_ms, give.facts.hex()) for give in commit.gives]
    return _encode((False if commit.memory is None else commit.memory, commit.channel, gives))


def _counting(counting: Counting) -> bytes:
    """Pack what a commit counts for what is learned between trainings."""
    rows = {
        action: (SEPARATOR.join((counting.scope, action, segment)), expected)
        for action, segment, expected in counting.rows
    }
    return _encode((counting.on, counting.within_ms, counting.half_life_ms, rows))


def _bulk(part: bytes) -> bytes:
    return _BULK % (len(part), part)
