"""Links of a chain over entries, and how they are made again; service/store/chain.py says what they are and where.

Nothing here reads or writes: who has entries as they are stored can check them by this and by `chain_walk` alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha1, sha256
from typing import NamedTuple, TypeAlias

_LINK = re.compile(rb"([0-9a-f]{40})(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})(?: (0|[1-9][0-9]{0,14}))?")
_NAME = re.compile(rb"[a-z]")


class Stream(StrEnum):
    """What is chained in each bucket."""

    DECISIONS = "log"
    OUTCOMES = "out"


class Place(NamedTuple):
    """Where an entry stands in a stream: places are ordered as entries are."""

    ms: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read the id of an entry; raise ValueError where it is none."""
        ms, _, number = text.partition("-")
        return cls(int(ms), int(number))

    def __str__(self) -> str:
        """Return the id of the entry."""
        return f"{self.ms}-{self.number}"


BEGINNING = Place(0, 0)


class Link(NamedTuple):
    """What vouches for one entry and all before it; below `dropped_ms`, if that is not 0, entries were dropped then."""

    digest: str
    at: Place
    dropped_ms: int = 0

    @classmethod
    def parse(cls, text: bytes) -> Link | None:
        """Read a link, which is also how an anchor is noted; None where it is none."""
        found = _LINK.fullmatch(text)
        if found is None:
            return None
        return cls(found[1].decode(), Place(int(found[2]), int(found[3])), int(found[4] or 0))

    def __str__(self) -> str:
        """Return the link as a head and an anchor have it."""
        return f"{self.digest}{self.at}"


@dataclass(frozen=True, slots=True)
class Raw:
    """One entry as it is stored: all its fields in their order."""

    at: Place
    fields: tuple[tuple[bytes, bytes], ...]

    @property
    def link(self) -> bytes | None:
        """The field `l`; None where there is none."""
        return next((value for name, value in self.fields if name == b"l"), None)


@dataclass(frozen=True, slots=True)
class Gone:
    """What an erased entry left: its place and the link that it had."""

    at: Place
    link: bytes | None


Item: TypeAlias = Raw | Gone


def beginning(stream: bytes) -> Link:
    """Return the link that the first entry of a stream (its key) has."""
    return Link(_sha1(stream), BEGINNING)


def digest_of(stream: bytes, raw: Raw, link: bytes | None = None) -> str:
    """Return the digest of an entry of a stream (its key); with `link` the one it would have if its `l` were that.

    Empty where a field has a name that no field has: then nothing vouches for the entry.
    """
    sizes, values = [], []
    for name, value in raw.fields:
        if _NAME.fullmatch(name) is None:
            return ""
        stands = seal(value) if name == b"e" else link if name == b"l" and link is not None else value
        sizes.append(b"%b%d" % (name, len(stands)))
        values.append(stands)
    return _sha1(b"%b %b %b %b" % (stream, str(raw.at).encode(), b"".join(sizes), b"".join(values)))


def link_of(stream: bytes, raw: Raw) -> Link:
    """Return the link of an entry, as the next one has it."""
    return Link(digest_of(stream, raw), raw.at)


def seal(entry: bytes) -> bytes:
    """Return the SHA-256 of a log entry, which stands for it where the store chains entries."""
    return sha256(entry).digest()


def _sha1(of: bytes) -> str:
    return sha1(of, usedforsecurity=False).hexdigest()
