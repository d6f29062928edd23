"""Whether a chain is whole: followed from the newest entry to the oldest, each vouched for by the one after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from service.core.chained import BEGINNING, Gone, Item, Link, Place, Raw, beginning, digest_of, link_of

MOST_FAULTS = 100
"""Of the faults of one stream no more than so many are told one by one."""


class Wrong(StrEnum):
    """What is wrong with a place in a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    UNLINKED = "unlinked"
    ANEW = "anew"
    HEADLESS = "headless"
    REWRITTEN = "rewritten"
    CUT = "cut"

    @property
    def says(self) -> str:
        """Say it in a sentence."""
        return _SAYS[self]


_SAYS = {
    Wrong.CHANGED: "this entry, or the link after it, is not as it was written",
    Wrong.MISSING: "this entry, and maybe more before it, is gone, and neither an erasure nor its age took it",
    Wrong.INSERTED: "this entry stands where the chain has none",
    Wrong.UNLINKED: "this entry has no link among others that have one: inserted, or written by an earlier version",
    Wrong.ANEW: "the chain begins anew with this entry, so that nothing vouches for those before it",
    Wrong.HEADLESS: "the link of this newest entry is gone or was changed, so that nothing vouches for it",
    Wrong.REWRITTEN: "what was noted of this entry is not what the chain says: it was written anew",
    Wrong.CUT: "this entry was noted, and the chain ends before it",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place of a stream."""

    at: Place
    wrong: Wrong


@dataclass(slots=True)
class Found:
    """What a walk found: the head, how many entries are vouched for, erased, and from before there was a chain, and
    what is wrong, the newest first; `untold` counts faults beyond `MOST_FAULTS`. `compared`: the anchor is in there.
    """

    head: Link | None = None
    entries: int = 0
    erased: int = 0
    unchained: int = 0
    faults: list[Fault] = field(default_factory=list)
    untold: int = 0
    compared: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def nothing(self) -> bool:
        """Whether there is nothing, and never was."""
        return self.head is None and not (self.unchained or self.entries or self.erased or self.faults)

    def add(self, at: Place, wrong: Wrong) -> None:
        """Note a fault."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(at, wrong))
        else:
            self.untold += 1


class Limits(NamedTuple):
    """What a walk allows for. Below `dropped_ms` entries may be gone by their age; links can say so too.

    Up to `unlinked_ms` entries without a link may stand among others, as they do where an earlier version was replaced
    bit by bit. `anchor` is a link that was noted elsewhere.
    """

    dropped_ms: int = 0
    unlinked_ms: int = 0
    anchor: Link | None = None


NO_LIMITS = Limits()


class Walk:
    """Follows one stream (its key) from its newest entry to its oldest: `take` each item in that order, then `end`."""

    def __init__(self, stream: bytes, head: bytes, limits: Limits = NO_LIMITS) -> None:
        # Nothing vouches for the head and for what erasures left: neither may say what is dropped by its age.
        self.found = Found(None if b" " in head else Link.parse(head))
        self._stream, self._first = stream, beginning(stream)
        self._dropped_ms, self._unlinked_ms, self._anchor = limits
        self._newest = True
        self._doubted: tuple[Raw, str] | None = None  # a changed entry, and the digest that it had
        self._loose: list[Place] = []  # without a link, and nothing with one was older yet
        self._more_loose = 0
        self._unsure: Place | None = None  # the erased entry whose link is followed: nothing vouches for what that left
        self._began = BEGINNING  # the entry whose link says that nothing comes before it
        self._wanted: Link | None = None  # what is said of the next older entry; None where that is not known
        self._look_for(self.found.head)

    def take(self, item: Item) -> None:
        """Follow the next older item."""
        if item.link is None:
            self._take_unlinked(item)
        else:
            self._tell_loose()
            link, dated, _ = item.link.partition(b" ") if isinstance(item, Gone) else (item.link, b"", b"")
            if dated:
                self.found.add(item.at, Wrong.CHANGED)
            self._take(item, link)
            self._newest = False

    def end(self) -> Found:
        """Return what was found: there is nothing older."""
        wanted, found = self._wanted, self.found
        repaired = self._doubted is not None and self._repaired(self._first)
        if wanted is None or wanted.at == BEGINNING or repaired:
            found.unchained += len(self._loose) + self._more_loose
        else:
            self._tell_loose()
            if self._doubted is None and not self._misnames(self._first, wanted) and not self._dropped(wanted.at):
                found.add(wanted.at, Wrong.MISSING)
        anchor = self._anchor
        if anchor is not None and (wanted is None or wanted.at == BEGINNING) and not self._dropped(anchor.at):
            found.add(anchor.at, Wrong.CUT if found.head is None or found.head.at < anchor.at else Wrong.REWRITTEN)
        return found

    def _take(self, item: Item, link: bytes) -> None:
        wanted = self._wanted
        doubted, vouched = self._doubted is not None, False
        if isinstance(item, Raw) and doubted and self._repaired(link_of(self._stream, item)):
            vouched = True
        elif wanted is None:
            if self._newest:
                self.found.add(item.at, Wrong.HEADLESS)
        elif wanted.at == BEGINNING and not doubted:
            self.found.add(self._began, Wrong.ANEW)
        elif item.at == wanted.at:
            vouched = isinstance(item, Gone) or digest_of(self._stream, item) == wanted.digest
            if not vouched and isinstance(item, Raw):
                self.found.add(item.at, Wrong.CHANGED)
                self._follow(link)
                self._unsure = None
                self._doubted = item, wanted.digest
                return
        elif not doubted and not self._misses(item, wanted):
            return
        self.found.entries += vouched and isinstance(item, Raw)
        self.found.erased += isinstance(item, Gone)
        self._follow(link, item.at)
        self._unsure = item.at if isinstance(item, Gone) else None

    def _misses(self, item: Item, wanted: Link) -> bool:
        """Tell what is wrong where another item comes than was to come; return whether the chain goes on with it."""
        if isinstance(item, Raw) and self._misnames(link_of(self._stream, item), wanted):
            pass
        elif self._newest and isinstance(item, Raw) and digest_of(self._stream, item) == wanted.digest:
            self.found.add(item.at, Wrong.HEADLESS)
        elif item.at > wanted.at:
            self.found.add(item.at, Wrong.INSERTED)
            return False
        elif isinstance(item, Gone) and self._dropped(wanted.at):
            return False  # what is dropped by its age leaves what erasures left before it
        else:
            self.found.add(wanted.at, Wrong.MISSING)
        return True

    def _misnames(self, link: Link, wanted: Link) -> bool:
        """Tell, and say whether, what an erased entry left was changed: it names an entry, but elsewhere."""
        if self._unsure is None or (link.digest != wanted.digest and wanted.at < self._unsure):
            return False
        self.found.add(self._unsure, Wrong.CHANGED)
        return True

    def _take_unlinked(self, item: Item) -> None:
        wanted = self._wanted
        if wanted is not None and item.at == wanted.at:
            self._tell_loose()
            self.found.add(item.at, Wrong.CHANGED)
            self._newest = False
            self._look_for(None)
        elif wanted is not None and wanted.at == BEGINNING:
            self.found.unchained += 1
        elif len(self._loose) < MOST_FAULTS:
            self._loose.append(item.at)
        else:
            self._more_loose += 1

    def _tell_loose(self) -> None:
        for at in self._loose:
            if at.ms > self._unlinked_ms:
                self.found.add(at, Wrong.UNLINKED)
            else:
                self.found.unchained += 1
        self.found.untold += self._more_loose
        self._loose, self._more_loose = [], 0

    def _follow(self, text: bytes, of: Place | None = None) -> None:
        """Look for what a link names; one that cannot be read was made from a head that could not."""
        self._doubted, link = None, Link.parse(text)
        if of is not None and (link is None or (link.at == BEGINNING and link.digest != self._first.digest)):
            self.found.add(of, Wrong.ANEW)
        if of is not None and link is not None and link.at == BEGINNING:
            self._began = of
        self._look_for(link)

    def _look_for(self, link: Link | None) -> None:
        self._wanted = link
        if link is None:
            return
        self._dropped_ms = max(self._dropped_ms, link.dropped_ms)
        anchor = self._anchor
        if anchor is None or link.at > anchor.at:
            return
        if link.at == anchor.at:
            self._anchor, self.found.compared = None, link.digest == anchor.digest
            if not self.found.compared:
                self.found.add(anchor.at, Wrong.REWRITTEN)
        elif link.at != BEGINNING:
            self._anchor = None
            self.found.add(anchor.at, Wrong.CUT if self._newest else Wrong.REWRITTEN)

    def _repaired(self, link: Link) -> bool:
        """Tell whether of the changed entry only its link was changed, and was this one."""
        if self._doubted is None:
            return False
        raw, digest = self._doubted
        _, space, dropped = (raw.link or b"").partition(b" ")
        return digest_of(self._stream, raw, str(link).encode() + space + dropped) == digest

    def _dropped(self, at: Place) -> bool:
        return at.ms < self._dropped_ms
