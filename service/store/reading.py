"""The two commands of a decision, put together by hand because they are sent for every one of them.

What is the same for all customers of a bucket, or for every call, is packed once. What the store would take apart
argument by argument goes as one msgpack value.

`read_packer` and `commit_packer` are what serves: compiled (service/store/_commands.c), where there was a compiler.
What is unusual comes back from there to the twins in Python: `Reading.packed` and `Committing.packed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from models.compiled import compiled
from service.core.chained import seal
from service.core.decision import Commit, Counter, Counting
from service.store import keys

SEPARATOR = "\x1f"
_BULK = b"$%d\r\n%b\r\n"
_RENEWED = 0.999
"""The time to live of the log is renewed when a thousandth of it has passed."""
_Candidate: TypeAlias = tuple[str, tuple[Counter, ...]]
_PLAIN, _WHOLE = 3, 7
_encode = msgspec.msgpack.Encoder().encode
_COMMANDS = compiled("service.store._commands")
COMPILED = _COMMANDS is not None
"""Whether commands are packed, and replies read, by what is compiled."""
_ANY = "@@@"
"""Stands for the bucket where a key is a template."""

ReadPacker: TypeAlias = Callable[[str, bytes, str | None], bytes]
CommitPacker: TypeAlias = Callable[[Commit, bytes], tuple[bytes, bytes]]


def _bulk(part: bytes) -> bytes:
    return _BULK % (len(part), part)


class _Bucket(NamedTuple):
    """What the keys of a bucket begin with, and those that its customers share, packed: `beside` for a read, `settled`
    for a commit.
    """

    name: str
    context: bytes
    heard: bytes
    decision: bytes
    log: bytes
    beside: bytes
    settled: bytes
    counts: bytes


@lru_cache(maxsize=keys.BUCKETS)
def _bucket(number: int) -> _Bucket:
    return _named(f"{number:03x}")


def _named(name: str) -> _Bucket:
    log, beside = keys.log_key(name), _bulk(keys.suppression_key(name)) + _bulk(keys.switch_key(name))
    settled = beside + _bulk(keys.head_key(log))
    return _Bucket(name, *keys.prefixes(name), _bulk(log), beside, settled, _bulk(keys.counts_key(name)))


def _decision(bucket: _Bucket, decision_id: str) -> bytes:
    if decision_id[:3] != bucket.name:
        raise ValueError("the decision id belongs to another bucket than the customer")
    return bucket.decision + decision_id.encode()


@dataclass(frozen=True, slots=True)
class Reading:
    """The read command, of which only the keys and the customer differ."""

    head: bytes
    with_decision: bytes
    allowed: bytes

    @classmethod
    def of(cls, function: str, groups_by_level: Mapping[str, str], lowest: str) -> Reading:
        """Prepare the command for a function and what it is told that each consent level allows."""
        name = _bulk(b"FCALL_RO") + _bulk(function.encode())
        allowed = _encode((groups_by_level[lowest], groups_by_level))
        return cls(b"*9\r\n" + name + _bulk(b"3"), b"*11\r\n" + name + _bulk(b"5"), _bulk(allowed))

    def packed(self, asked: str, digest: bytes, decision_id: str | None = None) -> bytes:
        """Return the command for a customer, with the digest that says whether they were erased.

        With the id of a decision it asks for that one too; raise ValueError for one of another bucket.
        """
        customer = asked.encode()
        bucket, size = _bucket(crc32(customer) % keys.BUCKETS), len(customer)
        head, decided = self.head, b""
        if decision_id is not None:
            head, decided = self.with_decision, _bulk(_decision(bucket, decision_id)) + bucket.log
        return _READ % (
            head, len(bucket.context) + size, bucket.context, customer, bucket.beside, decided,
            size, customer, len(digest), digest, self.allowed,
        )  # fmt: skip


_READ = b"%b$%d\r\n%b%b\r\n%b%b$%d\r\n%b\r\n$%d\r\n%b\r\n%b"
"""How many parts and the function; the keys; the customer, the digest, what is allowed."""


@dataclass(frozen=True, slots=True)
class Committing:
    """The commit command, of which the function and how long everything is kept are packed once."""

    name: bytes
    kept: bytes

    @classmethod
    def of(cls, function: str, kept_ms: tuple[int, int, int]) -> Committing:
        """Prepare the command for a function and the times to live of the context, of decisions and of the log (ms)."""
        context, decision, log = kept_ms
        renewed = max(decision, int(_RENEWED * log))  # for a decision that can be repeated is in the log
        kept = b"%d %d %d %d" % (context, decision, log, renewed)
        return cls(_bulk(b"FCALL") + _bulk(function.encode()), _bulk(kept))

    def packed(self, commit: Commit, digest: bytes) -> tuple[bytes, bytes]:
        """Return the key of the decision and the command, with the digest that says whether the customer was erased.

        Where the commit counts, the key of the counts follows the others. Raise ValueError for a decision id of another
        bucket.
        """
        customer, entry, consent = commit.customer.encode(), commit.entry, commit.consent
        bucket, size = _bucket(crc32(customer) % keys.BUCKETS), len(customer)
        decision, told = _decision(bucket, commit.decision_id), _told(commit)
        places, counts = (b"7", b"") if commit.counting is None else (b"8", bucket.counts)
        candidates = [_BULK % (len(row), row) for row in map(in_a_row, commit.candidates)]
        return decision, _COMMIT % (
            18 + bool(counts) + len(candidates), self.name, places,
            len(bucket.context) + size, bucket.context, customer, bucket.log, len(decision), decision,
            bucket.settled, len(bucket.heard) + size, bucket.heard, customer, counts,
            size, customer, len(entry), entry, len(commit.digest), commit.digest, len(digest), digest,
            len(consent), consent, self.kept, len(told), told, seal(entry), b"".join(candidates),
        )  # fmt: skip


_COMMIT_KEYS = b"$%d\r\n%b%b\r\n%b" + _BULK + b"%b$%d\r\n%b%b\r\n%b"
_COMMIT = b"".join((b"*%d\r\n%b$1\r\n%b\r\n", _COMMIT_KEYS, 5 * _BULK, b"%b", _BULK, b"$32\r\n%b\r\n%b"))
"""How many parts, the function; keys; customer, entry, digests, consent; times to live; the rest; seal; candidates."""


def read_packer(reading: Reading) -> ReadPacker:
    """Return what packs the read of a customer, with their digest and the id of a decision or None."""
    return reading.packed if _COMMANDS is None else compiled_reading(reading).packed


def compiled_reading(reading: Reading) -> Any:  # noqa: ANN401 - it is compiled
    """Return the compiled side of a read command."""
    any_ = _named(_ANY)
    parts = (reading.head, reading.with_decision, reading.allowed)
    return _COMMANDS.Reading(reading.packed, *parts, any_.context, any_.beside, any_.decision, any_.log)


def commit_packer(committing: Committing) -> CommitPacker:
    """Return what packs a commit, with the digest of its customer."""
    return committing.packed if _COMMANDS is None else compiled_committing(committing).packed


def compiled_committing(committing: Committing) -> Any:  # noqa: ANN401 - it is compiled
    """Return the compiled side of a commit command."""
    any_ = _named(_ANY)
    parts = (any_.context, any_.settled, any_.heard, any_.decision, any_.log, any_.counts)
    return _COMMANDS.Committing(
        committing.packed, _told, seal, Commit, Counter, committing.name, committing.kept, *parts
    )


def _told(commit: Commit) -> bytes:
    """Pack what a commit is told beside what the store hands on as it is."""
    asked = "" if commit.asked == commit.customer else commit.asked
    remembered = _remembered(commit) if commit.memory is not None or commit.gives or commit.channel else False
    counting = False if commit.counting is None else _counting(commit.counting)
    return _encode((commit.now_ms, commit.read_ms, commit.not_after_ms, asked, remembered, counting))


def _remembered(commit: Commit) -> object:
    """Return what a commit has to do with what is remembered."""
    # The store packs and unpacks texts, but no bytes.
    gives = [(give.action, give.key, give.until_ms, give.facts.hex()) for give in commit.gives]
    return False if commit.memory is None else commit.memory, commit.channel, gives


def _counting(counting: Counting) -> object:
    """Return what a commit counts for what is learned between trainings."""
    rows = {
        action: (SEPARATOR.join((counting.scope, action, segment)), expected)
        for action, segment, expected in counting.rows
    }
    return counting.on, counting.within_ms, counting.half_life_ms, rows


def in_a_row(candidates: Sequence[_Candidate]) -> bytes:
    """Pack candidates one after another, so that the store unpacks no more of them than it looks at."""
    return b"".join(map(_candidate, candidates))


@lru_cache(maxsize=4096)
def _candidate(candidate: _Candidate) -> bytes:
    """Pack a candidate as a flat list: the store takes that apart in half the time of names and values.

    Mostly the same ones are said again and again, so that they are packed already.
    """
    action, counters = candidate
    plain = not any(one.since_ms or one.frees_ms or one.hold_ms or one.on for one in counters)
    flat: list[object] = [action, _PLAIN if plain else _WHOLE]
    for one in counters:
        flat += (one.key, one.at_most, one.within_ms)
        if not plain:
            flat += (one.since_ms, one.frees_ms, one.hold_ms, one.on)
    return _encode(flat)
