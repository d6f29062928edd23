"""Count again, from the log and the outcomes alone, whether caps were kept and nothing was held back that fitted.

It follows the log commit by commit. Where two things were under way at once (an outcome that was being remembered, an
id that was being linked) either order is right: then a use counts at least, or at most.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

import msgspec
from redis import Redis

from service.core.decision import Bound, Counter
from service.store import keys
from tests.store.crowding import CLICKED, JITTER_MS, SHOWN, candidates_of

CLOCK_MS = 3
"""So far the clock of the store and those of the processes may seem to differ."""
LATE_MS = 1_000
PAGE = 5_000
_Page = list[tuple[bytes, dict[bytes, bytes]]]
_entry = msgspec.msgpack.Decoder(tuple[str, int, int]).decode
_chosen = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_bound = msgspec.msgpack.Decoder(tuple[Bound, ...]).decode


@dataclass(frozen=True, slots=True)
class Logged:
    """One commit of the log: when it was logged, by whose clock it was made when, what it could take and took."""

    logged_ms: int
    decision: str
    now_ms: int
    number: int
    chosen: tuple[int, ...]
    bound: tuple[Bound, ...]


@dataclass(slots=True)
class Told:
    """An outcome: when it was recorded, and when it counted at the latest."""

    came_ms: int
    counted_ms: int


@dataclass(slots=True)
class Mark:
    """One use: when, when its hold ends (0: none), what came of it, from when on it is known to whom it was brought;
    `vague` where it came while that happened.
    """

    at_ms: int
    ends_ms: int
    told: Told | None
    known_ms: int = 0
    vague: bool = False

    def counts(self, counter: Counter, now_ms: int, logged_ms: int) -> tuple[bool, bool]:
        """Tell whether this counts for sure, and whether it may count."""
        if self.known_ms and logged_ms <= self.known_ms + CLOCK_MS:
            return False, self._states(counter, now_ms, logged_ms)[1]
        return self._states(counter, now_ms, logged_ms)

    def _states(self, counter: Counter, now_ms: int, logged_ms: int) -> tuple[bool, bool]:
        if not self.ends_ms:
            inside = _inside(counter, self.at_ms, now_ms)
            return inside, inside
        held = self.ends_ms > now_ms
        if self.told is None or logged_ms < self.told.came_ms - CLOCK_MS:
            return held, held
        used = _inside(counter, max(self.at_ms, self.told.came_ms), now_ms)
        if self.vague:
            return False, True
        if logged_ms > self.told.counted_ms + CLOCK_MS:
            return used, used
        return held and used, held or used

    def over(self, counter: Counter, now_ms: int) -> bool:
        """Tell whether this can never count again."""
        if self.told and now_ms < self.told.counted_ms + LATE_MS:
            return False
        latest = max(self.at_ms, self.told.came_ms if self.told else 0) + counter.within_ms
        return max(latest, self.ends_ms) + LATE_MS < now_ms


def _inside(counter: Counter, at_ms: int, now_ms: int) -> bool:
    return at_ms >= counter.since_ms if counter.since_ms else at_ms > now_ms - counter.within_ms


@dataclass(slots=True)
class Findings:
    """What was wrong, in words, and how much was looked at."""

    leaks: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    commits: int = 0
    taken: int = 0
    held: int = 0
    shown: int = 0
    late: int = 0
    vague: int = 0


class Recount:
    """What four processes left behind of some persons."""

    def __init__(self, url: str, lines: Iterable[str]) -> None:
        self._raw = Redis.from_url(url)
        self._answered: dict[tuple[str, str, int], int] = {}
        self.links: dict[str, tuple[str, int, int]] = {}
        for what, *told in map(json.loads, lines):
            if what == "answered":
                self._answered[told[0], told[1], told[2]] = told[3]
            else:
                self.links[told[0]] = told[1], told[2], told[3]
        self.findings = Findings()

    def of(self, person: str, others: Iterable[str]) -> dict[str, list[Mark]]:
        """Follow the log of a person; `others` are linked to them at some time. Returns the person's own uses."""
        joining = sorted((self.links[one][1], one) for one in others if one in self.links)
        brought = {one: self._follow(one, self._outcomes(one), [], {}) for _, one in joining}
        return self._follow(person, self._outcomes(person), joining, brought)

    def _follow(
        self,
        customer: str,
        outcomes: Mapping[tuple[str, str, int], int],
        joining: list[tuple[int, str]],
        brought: Mapping[str, Mapping[str, list[Mark]]],
    ) -> dict[str, list[Mark]]:
        uses: dict[str, list[Mark]] = defaultdict(list)
        every: dict[str, list[Mark]] = defaultdict(list)
        for one in self._log(customer):
            while joining and one.logged_ms >= joining[0][0] - CLOCK_MS:
                _, alias = joining.pop(0)
                for key, marks in brought[alias].items():
                    uses[key] += [self._linked(mark, alias) for mark in marks]
            for counter, action in self._check(one, uses):
                mark = self._mark(one, action, counter, outcomes)
                uses[counter.key].append(mark)
                every[counter.key].append(mark)
        return every

    def _linked(self, mark: Mark, alias: str) -> Mark:
        """Return a use as the person knows it whom an alias brought it to."""
        _, began_ms, done_ms = self.links[alias]
        told = mark.told
        overlaps = told is not None and told.came_ms < done_ms and told.counted_ms > began_ms
        self.findings.vague += overlaps
        return Mark(mark.at_ms, mark.ends_ms, told, done_ms, overlaps)

    def _mark(self, one: Logged, action: str, counter: Counter, outcomes: Mapping[tuple[str, str, int], int]) -> Mark:
        if not counter.hold_ms:
            return Mark(one.now_ms, 0, None)
        told = None
        for kind in (SHOWN, CLICKED) if counter.on == SHOWN else (CLICKED,):
            came_ms = outcomes.get((one.decision, action, kind))
            if came_ms is not None:
                told = Told(came_ms, self._answered.get((one.decision, action, kind), 2**62))
                break
        ends_ms = one.now_ms + counter.hold_ms
        self.findings.held += 1
        self.findings.shown += told is not None
        self.findings.late += told is not None and told.came_ms > ends_ms
        return Mark(one.now_ms, ends_ms, told)

    def _check(self, one: Logged, uses: dict[str, list[Mark]]) -> Iterator[tuple[Counter, str]]:
        """Hold one commit against the plain rule; yield each counter that is used when it is to be counted."""
        self.findings.commits += 1
        said, bound = set[str](), {(b.placement, b.rank): b for b in one.bound}
        room = _Room(one, uses)
        for place, ranked in enumerate(candidates_of(one.now_ms, one.number)):
            chosen = one.chosen[place]
            for rank, (action, counters) in enumerate(ranked[: chosen + 1] if chosen >= 0 else ranked):
                if action in said:
                    continue
                if rank == chosen:
                    self.findings.taken += 1
                    self.findings.leaks += [f"{one.logged_ms} {c.key}" for c in counters if room.full(c)]
                    said.add(action)
                    yield from ((counter, action) for counter in counters)
                    room.forget()
                else:
                    self.findings.losses += room.misjudged(bound.get((place, rank)), counters)

    def _log(self, customer: str) -> Iterator[Logged]:
        for at, row in self._rows(keys.log_key(keys.bucket(customer)), customer):
            decision, now_ms, number = _entry(row[b"e"])
            yield Logged(at, decision, now_ms, number, _chosen(row[b"c"]), _bound(row[b"b"]))

    def _outcomes(self, customer: str) -> dict[tuple[str, str, int], int]:
        rows = self._rows(keys.out_key(keys.bucket(customer)), customer)
        return {(row[b"d"].decode(), row[b"a"].decode(), int(row[b"k"])): int(row[b"t"]) for _, row in rows}

    def _rows(self, stream: bytes, customer: str) -> Iterator[tuple[int, dict[bytes, bytes]]]:
        after, named = b"-", customer.encode()
        while page := cast("_Page", self._raw.xrange(stream, after, "+", PAGE)):
            for at, row in page:
                if row[b"i"] == named:
                    yield int(at.split(b"-")[0]), row
            after = b"(" + page[-1][0]


class _Room:
    """How full counters are for one commit."""

    def __init__(self, one: Logged, uses: dict[str, list[Mark]]) -> None:
        self._one = one
        self._uses = uses
        self._counted: dict[str, tuple[int, int]] = {}

    def forget(self) -> None:
        """Count anew: something was taken."""
        self._counted.clear()

    def full(self, counter: Counter) -> bool:
        """Tell whether a counter allows nothing more for sure."""
        return self._of(counter)[0] >= counter.at_most

    def misjudged(self, bound: Bound | None, counters: tuple[Counter, ...]) -> list[str]:
        """Return what is wrong with a candidate that was not taken: it fitted, or the moment it frees is not right."""
        if bound is None:
            return [f"{self._one.logged_ms} held back without a word"]
        named = [counter for counter in counters if counter.key == bound.counter]
        if not named:
            return [f"{self._one.logged_ms} {bound.counter} is none of its counters"]
        low, high = self._of(named[0])
        if high < named[0].at_most:
            return [f"{self._one.logged_ms} {bound.counter} is not full"]
        if low == high and bound.frees_ms <= self._one.now_ms:
            return [f"{self._one.logged_ms} {bound.counter} has freed by then"]
        return []

    def _of(self, counter: Counter) -> tuple[int, int]:
        if (known := self._counted.get(counter.key)) is not None:
            return known
        now_ms, logged_ms, low, high = self._one.now_ms, self._one.logged_ms, 0, 0
        marks = self._uses[counter.key]
        if marks and marks[0].over(counter, now_ms):
            marks[:] = [mark for mark in marks if not mark.over(counter, now_ms)]
        for mark in marks:
            sure, maybe = mark.counts(counter, now_ms, logged_ms)
            low, high = low + sure, high + maybe
        self._counted[counter.key] = low, high
        return low, high


def overruns(every: Mapping[str, list[Mark]], counters: Iterable[Counter]) -> list[str]:
    """Return every counter that was used more often than allowed within some window, or on some day: by what was
    decided or, where that counts, by what was shown while it was held.
    """
    found = []
    for counter in counters:
        times = sorted(time for mark in every.get(counter.key, ()) if (time := _in_time(mark)) is not None)
        length_ms = counter.frees_ms - counter.since_ms
        days = [time // length_ms for time in times] if length_ms else []
        beyond = islice(enumerate(times), counter.at_most, None)
        found += [
            counter.key
            for (late, time), early in zip(beyond, times, strict=False)
            if (days[late] == early // length_ms if length_ms else time - early < counter.within_ms)
        ]
    return found


def _in_time(mark: Mark) -> int | None:
    if not mark.ends_ms:
        return mark.at_ms
    if mark.told is None or mark.told.counted_ms > mark.ends_ms - 2 * JITTER_MS - CLOCK_MS:
        return None
    return max(mark.at_ms, mark.told.came_ms)
