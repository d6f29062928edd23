"""Claims about caps that never bind: whatever is said, and when, others hold the same back before they do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service.core.caps import CapTable
from service.core.rules import ALWAYS, Cap, Kind, Per, Selector, Valid
from service.core.strategy import Strategy
from service.proving.found_caps import odd_caps
from tests.core import worlds
from tests.core.expressions import NOW_MS
from tests.folding import DETERMINISTIC

LIVES = int(os.environ.get("TACT_CAPPED_LIVES", "6"))
CONTACTS = 60
HOUR_MS = 3_600_000

_selectors = st.builds(
    Selector,
    kinds=st.sampled_from([(), (Kind.OFFER,), (Kind.MESSAGE,)]),
    channels=st.sampled_from([(), ("web",), ("email",)]),
)
_dimensions = st.sampled_from([(), (), (Per.ACTION,), (Per.GROUP,), (Per.CHANNEL,), (Per.PLACEMENT,), (Per.INTENT,)])


def caps(number: int) -> st.SearchStrategy[Cap]:
    """Draw a cap; several of them often count the same."""
    return st.builds(
        Cap,
        id=st.just(f"cap-{number}"),
        says=st.just("."),
        count=_selectors,
        at_most=st.integers(1, 4),
        within_ms=st.sampled_from([1, 2, 3, 4]).map(lambda hours: hours * HOUR_MS),
        per=_dimensions,
        valid=st.sampled_from([ALWAYS, ALWAYS, Valid(NOW_MS + 5 * HOUR_MS, None)]),
    )


@st.composite
def strategies(draw: st.DrawFn) -> Strategy:
    """Draw a strategy with a few caps."""
    drawn = tuple(draw(caps(number)) for number in range(4))
    return replace(worlds.EMPTY, actions=draw(worlds.actions()), caps=drawn)


@given(strategies(), st.integers(0, 2**32))
@settings(DETERMINISTIC, max_examples=30, phases=[Phase.generate])
def test_a_cap_that_is_found_never_to_bind_is_never_first(strategy: Strategy, seed: int) -> None:
    """In random lives, whenever such a cap is used up, all that it counts is held back by others as well."""
    odd = {one.about[0] for one in odd_caps(strategy)}
    dice = Random(seed)
    for _ in range(LIVES if odd else 0):
        _lived(strategy, CapTable(strategy), odd, dice)


def test_about_half_of_the_random_strategies_have_such_a_cap() -> None:
    """The claim above is about something."""
    found: list[bool] = []

    @given(strategies())
    @settings(DETERMINISTIC, max_examples=30, phases=[Phase.generate])
    def looked(strategy: Strategy) -> None:
        found.append(any(True for _ in odd_caps(strategy)))

    looked()
    assert sum(found) > len(found) / 4


def _lived(strategy: Strategy, table: CapTable, odd: set[str], dice: Random) -> None:
    """Say as much as caps let through, at random moments, and look at who holds back what."""
    uses: dict[str, tuple[int, ...]] = {}
    now_ms = NOW_MS
    for _ in range(CONTACTS):
        now_ms += dice.choice([0, HOUR_MS // 4, HOUR_MS // 2, HOUR_MS - 1, HOUR_MS])
        channel, placement = dice.choice(worlds.PLACES)
        worded = sum(1 << a.index for a in strategy.actions for t in a.treatments if (t.channel, t.placement) == (
            channel, placement))  # fmt: skip
        held = _held(table, channel, placement, uses, now_ms)
        others = _union(mask for name, mask in held if name not in odd)
        assert not _union(mask for name, mask in held if name in odd) & worded & ~others
        free = [a.index for a in strategy.actions if worded >> a.index & 1 and not others >> a.index & 1]
        if free:
            for counter in table.all_counters(channel, placement, dice.choice(free), now_ms):
                uses[counter.key] = (*uses.get(counter.key, ()), now_ms)


def _held(
    table: CapTable, channel: str, placement: str, uses: Mapping[str, tuple[int, ...]], now_ms: int
) -> list[tuple[str, int]]:
    return [(one.reason.rule, one.mask) for one, _ in table.used_up(channel, placement, uses, now_ms)]


def _union(masks: Iterable[int]) -> int:
    found = 0
    for one in masks:
        found |= one
    return found
