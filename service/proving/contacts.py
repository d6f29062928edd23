"""How often a person may hear something at most, by all caps together: a small sum over everything that can be said.

A use counts for each cap that counts it, so within a window no more is said than every cap lets through: that is an
integer programme, which z3 solves exactly. Where it lets too much through, contacts are found that one customer would
hear one after the other, and the real engine is asked whether it would say each of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import z3

from service.core.caps import CapTable
from service.core.invariants import AtMost
from service.core.rules import Cap, Valid
from service.core.strategy import Action, Strategy
from service.proving.invariants import selected

SHORTEST_DAY_MS = 23 * 3_600_000
_DECIDED = 0
"""The counter that is used in the commit itself. One of what was shown or clicked learns later what it let through, so
it bounds nothing: more may be on their way to be shown than it would let through.
"""


@dataclass(frozen=True, slots=True)
class Span:
    """A time (ms) in which the same caps and exemptions are in force; None is no bound."""

    from_ms: int | None
    until_ms: int | None

    @property
    def moment_ms(self) -> int:
        """A moment within it."""
        return self.from_ms if self.from_ms is not None else 0 if self.until_ms is None else self.until_ms - 1


@dataclass(frozen=True, slots=True)
class Contact:
    """Something that could be said in a span of time."""

    span: Span
    channel: str
    placement: str
    action: Action


@dataclass(frozen=True, slots=True)
class Counting:
    """What a promise allows beside what caps let through: `contacts` are what could be said, `bounds` how many of which
    of them (by their places) any cap lets through within the window.
    """

    contacts: tuple[Contact, ...]
    bounds: tuple[tuple[int, tuple[int, ...]], ...]
    beside: tuple[str, ...] = ()
    """Caps that count some of them and yet bound nothing: by what is shown or clicked, or by days that zones move."""

    def too_many(self, at_most: int) -> tuple[list[z3.ArithRef], list[z3.BoolRef]]:
        """Return how often each contact is made, and what must be true of that where one too many is made."""
        often = [z3.Int(f"contact {place}") for place in range(len(self.contacts))]
        bounded = [z3.Sum([often[place] for place in places]) <= most for most, places in self.bounds]
        return often, [*(one >= 0 for one in often), *bounded, z3.Sum(often) == at_most + 1]


def countings(strategy: Strategy, promise: AtMost) -> Iterator[Counting]:
    """Yield what could be said in each window, over the spans of time that one window touches."""
    table, caps = CapTable(strategy), {cap.id: cap for cap in strategy.caps}
    found = list(_in(spans(strategy), promise.written.valid))
    for first, span in enumerate(found):
        touched = [span]
        for later in found[first + 1 :]:
            if span.until_ms is not None and (later.from_ms or 0) < span.until_ms + promise.within_ms:
                touched.append(later)
        contacts = tuple(one for each in touched for one in _contacts(strategy, promise, each))
        counted = _counted(contacts, table)
        rules = {key: caps[key.partition("|")[0]] for key in counted}
        zone = strategy.schema.time_zone
        moves = zone is not None and bool(zone.field) and not promise.daily
        loose = {key for key, (on, _) in counted.items() if on != _DECIDED or (moves and rules[key].daily)}
        bounds = tuple(
            (rules[key].at_most * _times(rules[key], promise), places)
            for key, (_, places) in counted.items()
            if key not in loose
        )
        yield Counting(contacts, bounds, tuple(dict.fromkeys(rules[key].id for key in sorted(loose))))


def spans(strategy: Strategy) -> tuple[Span, ...]:
    """Return the times in which the same caps, cool-offs and exemptions are in force, in their order."""
    rules = [rule.valid for rule in strategy.caps] + [rule.valid for rule in strategy.cool_offs]
    rules += [rule.valid for rule in strategy.exemptions]
    ends = sorted({moment for valid in rules for moment in (valid.from_ms, valid.until_ms) if moment is not None})
    edges = [None, *ends, None]
    return tuple(Span(begin, end) for begin, end in pairwise(edges))


def promised_in(strategy: Strategy, valid: Valid) -> tuple[Span, ...]:
    """Return those times, as far as something is promised in them."""
    return tuple(_in(spans(strategy), valid))


def _in(found: Sequence[Span], valid: Valid) -> Iterator[Span]:
    for span in found:
        begins = [moment for moment in (span.from_ms, valid.from_ms) if moment is not None]
        ends = [moment for moment in (span.until_ms, valid.until_ms) if moment is not None]
        clipped = Span(max(begins, default=None), min(ends, default=None))
        if clipped.from_ms is None or clipped.until_ms is None or clipped.from_ms < clipped.until_ms:
            yield clipped


def _contacts(strategy: Strategy, promise: AtMost, span: Span) -> Iterator[Contact]:
    for channel in strategy.channels:
        for action in selected(promise.count, strategy, channel.id):
            places = {one.placement: None for one in action.treatments if one.channel == channel.id}
            yield from (Contact(span, channel.id, placement, action) for placement in places)


def _counted(contacts: Sequence[Contact], table: CapTable) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Return of each counter what it counts on, and which contacts."""
    found: dict[str, tuple[int, tuple[int, ...]]] = {}
    for place, one in enumerate(contacts):
        for counter in table.all_counters(one.channel, one.placement, one.action.index, one.span.moment_ms):
            _, places = found.get(counter.key, (counter.on, ()))
            found[counter.key] = counter.on, (*places, place)
    return found


def _times(cap: Cap, promise: AtMost) -> int:
    """Return how many windows of a cap are needed to cover one of a promise: so often the cap's number fits."""
    if cap.daily:
        return 1 if promise.daily else -(-promise.within_ms // SHORTEST_DAY_MS) + 1
    return -(-promise.within_ms // cap.within_ms)
