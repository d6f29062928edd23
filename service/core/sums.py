"""Sums: counts by name that can be added up, and of how many customers they are; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from service.core.selection import bits

Name: TypeAlias = tuple[str, ...]
"""What is counted: the kind of count, then what it is about."""
FEWEST_PEOPLE = 5
"""How many customers at least the mean of a field is told of: of fewer it would tell what somebody's value is."""


@dataclass(slots=True)
class Sums:
    """Counts and sums by name, and when (ms) something was first and last.

    `people` are digests of customers, of this process alone, and no more than it takes to know that they are not few.
    `masks` are counts about sets of actions, as masks, which are few; `spread` makes counts of actions of them.
    """

    counts: Counter[Name] = field(default_factory=Counter)
    masks: Counter[tuple[Name, int]] = field(default_factory=Counter)
    sums: dict[Name, float] = field(default_factory=dict)
    people: dict[Name, frozenset[int]] = field(default_factory=dict)
    spans: dict[Name, tuple[int, int]] = field(default_factory=dict)

    def count(self, *name: str, times: int = 1) -> None:
        """Count something."""
        self.counts[name] += times

    def count_actions(self, *name: str, mask: int) -> None:
        """Count something of each action in a mask."""
        self.masks[name, mask] += 1

    def spread(self, names: Sequence[str]) -> None:
        """Make counts of what was counted of sets of actions; `names` are these by their index."""
        for ((kind, *about), mask), times in self.masks.items():
            for at in bits(mask):
                self.counts[kind, names[at], *about] += times
        self.masks.clear()

    def add(self, *name: str, amount: float) -> None:
        """Add to a sum."""
        self.sums[name] = self.sums.get(name, 0.0) + amount

    def span(self, *name: str, at_ms: int) -> None:
        """Note that something was at a moment."""
        first, last = self.spans.get(name, (at_ms, at_ms))
        self.spans[name] = min(first, at_ms), max(last, at_ms)

    def meet(self, *name: str, customer: int) -> None:
        """Note that something is about a customer, who is given as a digest."""
        known = self.people.get(name, frozenset())
        if len(known) < FEWEST_PEOPLE:
            self.people[name] = known | {customer}

    def is_of_many(self, *name: str) -> bool:
        """Tell whether something is about enough customers to be told."""
        return len(self.people.get(name, ())) >= FEWEST_PEOPLE

    def of(self, *name: str) -> int:
        """Return a count."""
        return self.counts.get(name, 0)

    def sum(self, *name: str) -> float:
        """Return a sum."""
        return self.sums.get(name, 0.0)

    def about(self, kind: str) -> Iterator[tuple[Name, int]]:
        """Yield what was counted of a kind: what about, and how often."""
        return ((name[1:], times) for name, times in self.counts.items() if name[0] == kind)

    @classmethod
    def total(cls, parts: Iterable[Sums]) -> Sums:
        """Add parts up."""
        whole = cls()
        for part in parts:
            whole.counts.update(part.counts)
            whole.masks.update(part.masks)
            for name, amount in part.sums.items():
                whole.sums[name] = whole.sums.get(name, 0.0) + amount
            for name, (first, last) in part.spans.items():
                known = whole.spans.get(name, (first, last))
                whole.spans[name] = min(first, known[0]), max(last, known[1])
            for name, some in part.people.items():
                whole.people[name] = whole.people.get(name, frozenset()) | some
        return whole
