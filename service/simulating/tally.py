"""Count what changes between two strategies, decision by decision; what was counted apart adds up."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from service.core.rules import Kind
from service.core.selection import bits
from service.core.stockroom import Stockroom
from service.simulating.deciding import NO_TREATMENT, Deciding, Redecided, named
from service.simulating.logged import Logged, LoggedRow
from service.simulating.segments import Segment

Key = tuple[str, ...]


class Tally(Struct):
    """Sums by what is counted and of what: numbers whose meaning the methods of `Counting` say."""

    counts: dict[str, dict[Key, list[int]]] = {}

    def add(self, what: str, of: Key, *numbers: int) -> None:
        """Add numbers to what was counted of something before."""
        mine = self.counts.setdefault(what, {}).setdefault(of, [0] * len(numbers))
        for place, number in enumerate(numbers):
            mine[place] += number

    def merge(self, other: Tally) -> None:
        """Add all that another one counted."""
        for what, of in other.counts.items():
            for key, numbers in of.items():
                self.add(what, key, *numbers)

    def sorted(self, what: str) -> list[tuple[Key, list[int]]]:
        """Return what was counted by its key, in order."""
        return sorted(self.counts.get(what, {}).items())


class Moment(Struct, frozen=True):
    """One logged decision, what was said before and is said now at each of its rows, and how the latter was made."""

    logged: Logged
    before: tuple[str, ...]
    now: tuple[str, ...]
    found: Redecided


class Counting:
    """Counts decisions of one strategy against what was said before."""

    def __init__(
        self, deciding: Deciding, segments: Sequence[Segment], kind_before: Callable[[str], Kind | None]
    ) -> None:
        self.tally = Tally()
        self._deciding = deciding
        self._segments = segments
        self._kind_before = kind_before
        self._stockroom = Stockroom(deciding.strategy)
        self._rules = {cap.id for cap in deciding.strategy.caps}

    def person(self, moments: Sequence[Moment]) -> None:
        """Count all decisions about one person, in the order of time."""
        for moment in moments:
            groups = [(segment.field, segment.of(moment.logged.head.known)) for segment in self._segments]
            for place, row in enumerate(moment.logged.rows):
                self._row(moment, place, row, groups)
            self.tally.add("decisions", (), 1)
            self._caps(moment)
            self._supply(moment)
        self._offers(moments)

    def _row(self, moment: Moment, place: int, row: LoggedRow, groups: Sequence[Key]) -> None:
        """Count a row: rows, changed, nothing before and now, offers before and now; and who gets what instead."""
        before, now = moment.before[place], moment.now[place]
        numbers = (1, before != now, not before, not now, self._was_offer(before), self._is_offer(now))
        self.tally.add("channel", (row.channel,), *numbers)
        self.tally.add("flow", (row.channel, before, now), 1)
        for group in groups:
            self.tally.add("group", group, *numbers)
        if before and before != now:
            index = self._deciding.index.get(before)
            why = NO_TREATMENT if index is None else self._deciding.why_not(moment.found, place, index)
            self.tally.add("why", (before, why), 1)

    def _caps(self, moment: Moment) -> None:
        """Count by day and cap: uses by what was said before and is said now, and decisions in which it held back."""
        snapshot, judged = moment.found.snapshot, moment.found.judged
        if snapshot is None or judged is None or not self._rules:
            return
        day = day_of(moment.logged.head.at_ms)
        for place, row in enumerate(moment.logged.rows):
            for which, action in enumerate((moment.before[place], moment.now[place])):
                if action:
                    used = self._deciding.counters(row.channel, row.placement, action, snapshot)
                    for cap in {counter.key.partition("|")[0] for counter in used}:
                        self.tally.add("cap", (day, cap), which == 0, which == 1, 0)
        for cap in {veto.reason.rule for capped in judged.capped for veto in capped}:
            self.tally.add("cap", (day, cap), 0, 0, 1)

    def _supply(self, moment: Moment) -> None:
        """Count by day and item: units taken by what was said before and is said now, and decisions it held back."""
        snapshot, judged = moment.found.snapshot, moment.found.judged
        if snapshot is None or judged is None:
            return
        day = day_of(moment.logged.head.at_ms)
        for which, said in enumerate((moment.before, moment.now)):
            for take in self._stockroom.takes(filter(None, said), snapshot.values):
                units = take.units * said.count(take.action)
                shelf = f"{take.item} at {take.place}" if take.place else take.item
                self.tally.add("supply", (day, shelf), units * (which == 0), units * (which == 1))
        for reason in {named(veto.reason) for veto in judged.verdicts.vetoes}:
            if reason in ("out_of_stock", "short_supply"):
                self.tally.add("short", (day, reason), 1)

    def _offers(self, moments: Sequence[Moment]) -> None:
        """Count a person: had offers before, has offers now, lost every one, gets none; and why, of the last two."""
        had = any(self._was_offer(action) for moment in moments for action in moment.before)
        has = any(self._is_offer(action) for moment in moments for action in moment.now)
        lost = had and not has
        self.tally.add("people", (), 1, had, has, lost)
        for segment in self._segments:
            group = segment.of(moments[-1].logged.head.known)
            self.tally.add("people_group", (segment.field, group), 1, not has, lost)
        if not has:
            why = Multiset(reason for moment in moments for reason in self._why_none(moment)).most_common(1)
            self.tally.add("underserved", (why[0][0] if why else NO_TREATMENT,), 1, lost)

    def _why_none(self, moment: Moment) -> Iterator[str]:
        """Yield, for each row, what keeps back the offer that would be worth most there."""
        scores = moment.found.scores
        for place, row in enumerate(moment.logged.rows):
            treated = self._deciding.treated(row.channel, row.placement) & self._deciding.offers
            if scores is not None and treated:
                best = max(bits(treated), key=lambda index: (scores.net_value(index), -index))
                yield self._deciding.why_not(moment.found, place, best)

    def _was_offer(self, action: str) -> bool:
        return bool(action) and self._kind_before(action) is Kind.OFFER

    def _is_offer(self, action: str) -> bool:
        return self._deciding.kinds.get(action) is Kind.OFFER


def day_of(at_ms: int) -> str:
    """Return the day of a moment, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()
