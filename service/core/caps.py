"""Contact caps: which counters an action would use, and which are used up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.clock import Clock
from models.context import Scalar
from service.core.decision import Counter, Reason, ReasonCode
from service.core.epochs import Epochs, earlier, in_force
from service.core.parts import exempted, parts
from service.core.rules import ALWAYS, Cap, Counts, Valid
from service.core.selection import bits, mask
from service.core.strategy import Strategy

Day = tuple[int, int]
"""When the calendar day began where the customer is, and when the next one begins (ms)."""

_ON = {Counts.DECIDED: 0, Counts.SHOWN: 1, Counts.CLICKED: 2}
"""The kind of outcome that makes a use of what was reserved; the numbers are those of the public contract."""


@dataclass(frozen=True, slots=True)
class Capped:
    """One counter at one placement: its bounds, the actions that use it, the reason to give when it binds, and what is
    preferred then.
    """

    counter: Counter
    mask: int
    reason: Reason
    instead: int = 0
    daily: bool = False
    household: bool = False
    valid: Valid = ALWAYS


@dataclass(frozen=True, slots=True)
class _Uses:
    """What one action uses: its counters, and which of them are of a calendar day; None where none is."""

    counters: tuple[Counter, ...]
    daily: tuple[bool, ...] | None

    @classmethod
    def of(cls, used: Iterable[Capped]) -> _Uses:
        used = tuple(used)
        daily = tuple(capped.daily for capped in used)
        return cls(tuple(capped.counter for capped in used), daily if any(daily) else None)

    def on(self, day: Day | None) -> tuple[Counter, ...]:
        """Return the counters; those of a calendar day with the bounds of today, or rolling where it is not known."""
        if self.daily is None or day is None:
            return self.counters
        both = zip(self.counters, self.daily, strict=True)
        return tuple(_today(counter, *day) if daily else counter for counter, daily in both)


@dataclass(frozen=True, slots=True)
class _Place:
    """The counters of one placement: by key, and by action those of the customer, of the household, and of both."""

    table: Mapping[str, Capped]
    own: tuple[_Uses, ...]
    household: tuple[_Uses, ...]
    both: tuple[_Uses, ...]


class CapTable:
    """All counters of a strategy, by channel and placement."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._caps = {cap.id: cap for cap in strategy.caps}
        self._clock = Clock.of(strategy.schema) if any(cap.daily for cap in strategy.caps) else None
        valids = [*(cap.valid for cap in strategy.caps), *(exemption.valid for exemption in strategy.exemptions)]
        self._places = Epochs(valids, self._in_force)

    def day(self, values: Sequence[Scalar | None], now_ms: int) -> Day | None:
        """Return the customer's day; None where no cap counts it, or where it is not known whose clock tells it."""
        return None if self._clock is None else self._clock.day(values, now_ms)

    def used_up(
        self,
        channel: str,
        placement: str,
        counters: Mapping[str, tuple[int, ...]],
        now_ms: int,
        day: Day | None = None,
    ) -> list[tuple[Capped, int]]:
        """Return each counter that allows no further use now, with the moment (ms) at which it frees, or its cap ends;
        uses ascend.
        """
        table = self._places.at(now_ms)[channel, placement].table
        found = []
        for key, uses in counters.items():
            capped = table.get(key)
            if capped is None or len(uses) < capped.counter.at_most:
                continue
            decisive = uses[-capped.counter.at_most]  # they ascend
            if capped.daily and day is not None:
                if decisive >= day[0]:
                    found.append((capped, earlier(day[1], capped.valid)))
            elif decisive > now_ms - capped.counter.within_ms:
                found.append((capped, earlier(decisive + capped.counter.within_ms, capped.valid)))
        return found

    def counted(self, channel: str, placement: str, now_ms: int) -> Mapping[str, Capped]:
        """Return every counter that is in force at a placement, by its key."""
        return self._places.at(now_ms)[channel, placement].table

    def counters(
        self, channel: str, placement: str, action: int, now_ms: int, day: Day | None = None
    ) -> tuple[Counter, ...]:
        """Return the counters of the customer that saying an action there uses."""
        return self._places.at(now_ms)[channel, placement].own[action].on(day)

    def household_counters(
        self, channel: str, placement: str, action: int, now_ms: int, day: Day | None = None
    ) -> tuple[Counter, ...]:
        """Return the counters of the customer's household that saying an action there uses."""
        return self._places.at(now_ms)[channel, placement].household[action].on(day)

    def all_counters(
        self, channel: str, placement: str, action: int, now_ms: int, day: Day | None = None
    ) -> tuple[Counter, ...]:
        """Return the counters of the customer together with those of the household."""
        return self._places.at(now_ms)[channel, placement].both[action].on(day)

    def reason(self, key: str, frees_ms: int | None = None) -> Reason:
        """Return the reason to give when a counter binds, also for a cap that only an earlier strategy had."""
        cap = self._caps.get(key.partition("|")[0])
        if cap is None:
            return Reason(ReasonCode.CAP_REACHED, "A contact cap was used up.", key, until_ms=frees_ms)
        return Reason(ReasonCode.CAP_REACHED, cap.says, cap.id, until_ms=frees_ms)

    def _in_force(self, now_ms: int) -> dict[tuple[str, str], _Place]:
        strategy = self._strategy
        places = ((channel.id, placement) for channel in strategy.channels for placement in channel.placements)
        return {place: _place(_table(strategy, *place, now_ms), len(strategy.actions)) for place in places}


def _table(strategy: Strategy, channel: str, placement: str, now_ms: int) -> dict[str, Capped]:
    exemptions = [exemption for exemption in strategy.exemptions if in_force(exemption.valid, now_ms)]
    table: dict[str, Capped] = {}
    for cap in strategy.caps:
        if not in_force(cap.valid, now_ms):
            continue
        reason = Reason(ReasonCode.CAP_REACHED, cap.says, cap.id)
        selected = mask(cap.count, strategy.actions, channel) & ~exempted(strategy, cap.id, exemptions, channel)
        instead = mask(cap.instead, strategy.actions, channel) if cap.instead else 0
        for key, part in parts(cap.id, cap.per, selected, strategy.actions, channel, placement).items():
            table[key] = Capped(_counter(key, cap), part, reason, instead, cap.daily, cap.household, cap.valid)
    return table


def _counter(key: str, cap: Cap) -> Counter:
    return Counter(key, cap.at_most, cap.within_ms, hold_ms=cap.hold_ms, on=_ON[cap.counts])


def _place(table: Mapping[str, Capped], size: int) -> _Place:
    household, own = ([one for one in table.values() if one.household is which] for which in (True, False))

    def used(among: Iterable[Capped]) -> tuple[_Uses, ...]:
        found: list[list[Capped]] = [[] for _ in range(size)]
        for one in among:  # there can be as many as actions, most of them of one action alone
            for index in bits(one.mask):
                found[index].append(one)
        return tuple(map(_Uses.of, found))

    return _Place(table, used(own), used(household), used((*own, *household)))


def _today(one: Counter, since_ms: int, frees_ms: int) -> Counter:
    return Counter(one.key, one.at_most, one.within_ms, since_ms, frees_ms, one.hold_ms, one.on)
