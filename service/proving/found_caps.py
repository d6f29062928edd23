"""Caps that can never bind: other caps let through no more than they allow, or nothing that they count is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.core.parts import parts
from service.core.rules import ALWAYS, Cap, Valid
from service.core.selection import bits, mask
from service.core.strategy import Strategy
from service.proving.finding import Finding, FindingKind, Gravity, listed

_SHORTEST_DAY_MS = 23 * 3_600_000
"""The calendar day on which summer time begins."""

Spot = tuple[str, str, int]
"""A channel, a placement and the index of an action that has words there."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one counter of a cap counts."""

    cap: Cap
    counted: frozenset[Spot]


def odd_caps(strategy: Strategy) -> Iterator[Finding]:
    """Yield the caps that never bind; of two that are alike, the later one."""
    counted = {cap.id: _parts(strategy, cap, for_ever=False) for cap in strategy.caps}
    counting = {cap.id: _parts(strategy, cap, for_ever=True) for cap in strategy.caps}
    odd: dict[str, Finding] = {}
    for cap in reversed(strategy.caps):
        others = [part for other in strategy.caps if other is not cap and other.id not in odd
                  and _comparable(cap, other) for part in counting[other.id]]  # fmt: skip
        if (finding := _odd(cap, counted[cap.id], others)) is not None:
            odd[cap.id] = finding
    yield from (odd[cap.id] for cap in strategy.caps if cap.id in odd)


def _odd(cap: Cap, mine: Sequence[_Part], others: Sequence[_Part]) -> Finding | None:
    if not mine:
        return _found(cap, (), "it counts nothing that has words anywhere")
    binding = [_before(part, others) for part in mine]
    if any(by is None for by in binding):
        return None
    names = tuple(dict.fromkeys(name for by in binding for name in by or ()))
    return _found(cap, names, f"{listed(names)} let{'s' if len(names) == 1 else ''} no more through")


def _found(cap: Cap, others: tuple[str, ...], why: str) -> Finding:
    says = f"The cap `{cap.id}` can never bind: {why}."
    return Finding(FindingKind.CAP_NEVER_BINDS, Gravity.MISTAKE, (cap.id, *others), says)


def _before(part: _Part, others: Sequence[_Part]) -> tuple[str, ...] | None:
    """Return the caps that are used up by the time this counter is, whatever happened; None where it can be first."""
    useful = [other for other in others if other.counted & part.counted]
    caps = {other.cap.id: other.cap for other in useful}.values()
    for way in (*([other for other in useful if other.cap is cap] for cap in caps), _cheapest(part, useful)):
        covered = frozenset[Spot]().union(*(other.counted for other in way))
        most = sum(_most(other.cap, part.cap) for other in way)
        if part.counted <= covered and most + bool(part.cap.instead) <= part.cap.at_most:
            return tuple(dict.fromkeys(other.cap.id for other in way))
    return None


def _cheapest(part: _Part, others: Sequence[_Part]) -> list[_Part]:
    """Return for each counted spot the counter that lets the least through."""
    found: dict[int, _Part] = {}
    for spot in part.counted:
        counting = [other for other in others if spot in other.counted]
        if counting:
            least = min(counting, key=lambda other: _most(other.cap, part.cap))
            found[id(least)] = least
    return list(found.values())


def _most(cap: Cap, within: Cap) -> int:
    """Return how many uses of a cap can lie in the window of another, at most."""
    if cap.daily and within.daily:
        return cap.at_most
    windows = -(-within.within_ms // (_SHORTEST_DAY_MS if cap.daily else cap.within_ms))
    return cap.at_most * (windows + 1 if cap.daily else windows)


def _comparable(cap: Cap, other: Cap) -> bool:
    """Tell whether another cap counts the same uses for the same people, whenever this one is in force."""
    alike = (cap.counts, cap.hold_ms, cap.household) == (other.counts, other.hold_ms, other.household)
    return alike and _within(cap.valid, other.valid)


def _within(inner: Valid, outer: Valid) -> bool:
    began = outer.from_ms is None or (inner.from_ms is not None and outer.from_ms <= inner.from_ms)
    lasts = outer.until_ms is None or (inner.until_ms is not None and inner.until_ms <= outer.until_ms)
    return began and lasts


def _parts(strategy: Strategy, cap: Cap, for_ever: bool) -> tuple[_Part, ...]:
    """Return what each counter of a cap counts: always, with `for_ever`; else at any time."""
    found: dict[str, set[Spot]] = {}
    for (channel, placement), worded in _worded(strategy).items():
        selected = mask(cap.count, strategy.actions, channel) & worded & ~_exempt(strategy, cap, channel, for_ever)
        for key, part in parts(cap.id, cap.per, selected, strategy.actions, channel, placement).items():
            found.setdefault(key, set()).update((channel, placement, index) for index in bits(part))
    return tuple(_Part(cap, frozenset(spots)) for spots in found.values())


def _exempt(strategy: Strategy, cap: Cap, channel: str, at_times: bool) -> int:
    """Return the actions that are exempt from a cap: at any time, with `at_times`; else always."""
    found = 0
    for exemption in strategy.exemptions:
        if cap.id in exemption.exempt_from and (at_times or exemption.valid == ALWAYS):
            found |= mask(exemption.actions, strategy.actions, channel)
    return found


def _worded(strategy: Strategy) -> Mapping[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for action in strategy.actions:
        for one in action.treatments:
            found[one.channel, one.placement] = found.get((one.channel, one.placement), 0) | 1 << action.index
    return found
