"""How often a person hears something is bounded by all caps together, and by no more than they let through."""

from __future__ import annotations

from pathlib import Path

import pytest
import z3

from service.core.invariants import AtMost
from service.core.loader import load_strategy
from service.proving.contacts import countings
from tests.core.policies import write_policy

OFFERS = "of: {kinds: [offer]}"
EACH = "{id: one, says: One., count: {kinds: [offer]}, "
FREE = "exemptions: [{id: free, says: Free., actions: {kinds: [offer]}, exempt_from: [one]}]\n"
TABLE = {
    "as often as the cap says": (EACH + "at_most: 2, within: 7d}", "within: 7d", 2, ""),
    "an hour's cap fits three times into three hours": (EACH + "at_most: 2, within: 1h}", "within: 3h", 6, ""),
    "a longer cap bounds a shorter time": (EACH + "at_most: 2, within: 7d}", "within: 1h", 2, ""),
    "each channel counts for itself": (EACH + "at_most: 2, within: 7d, per: [channel]}", "within: 7d", 6, ""),
    "a day is a day": (EACH + "at_most: 1, within: day}", "within: day", 1, ""),
    "24 hours touch two days, and three where one is short": (EACH + "at_most: 1, within: day}", "within: 24h", 3, ""),
    "while a cap is in force, and after it as long as it counts": (
        EACH + "at_most: 2, within: 7d, until: 2027-01-01}", "within: 7d, until: 2027-01-01", 2, ""),
}  # fmt: skip
"""A cap, a time, and the smallest number that is proven; one less is not."""
UNBOUNDED = {
    "what is shown is counted when it is too late": (
        EACH + "at_most: 2, within: 7d, counts: shown, hold: 1m}", "within: 7d, counts: shown", ""),
    "nobody counts what was decided": (EACH + "at_most: 1, within: 7d, counts: shown, hold: 1m}", "within: 7d", ""),
    "an exemption lets all out": (EACH + "at_most: 1, within: 7d}", "within: 7d", FREE),
    "another channel is not counted": (
        "{id: one, says: One., count: {kinds: [offer], channels: [web]}, at_most: 1, within: 7d}", "within: 7d", ""),
    "the cap ends": (EACH + "at_most: 1, within: 7d, until: 2027-01-01}", "within: 7d", ""),
}  # fmt: skip


def holds(folder: Path, cap: str, within: str, number: int, exemptions: str = "", **changes: str) -> bool:
    """Tell whether no more than a number is let through."""
    promise = f"invariants: [{{id: p, says: P., at_most: {number}, {OFFERS}, {within}}}]\n"
    written = write_policy(
        folder, caps=f"caps:\n  - {cap}\n", exemptions=exemptions or None, invariants=promise, **changes
    )
    strategy = load_strategy(written)
    (asked,) = strategy.invariants
    assert isinstance(asked, AtMost)
    for counting in countings(strategy, asked):
        solver = z3.Solver()
        solver.add(*counting.too_many(number)[1])
        if solver.check() != z3.unsat:
            return False
    return True


@pytest.mark.parametrize("what", TABLE)
def test_the_smallest_number_that_caps_let_through_is_found(what: str, tmp_path: Path) -> None:
    """That number holds, and one less does not."""
    cap, within, number, exemptions = TABLE[what]
    assert holds(tmp_path / "holds", cap, within, number, exemptions)
    assert not holds(tmp_path / "breaks", cap, within, number - 1, exemptions)


@pytest.mark.parametrize("what", UNBOUNDED)
def test_what_no_cap_counts_is_not_bounded(what: str, tmp_path: Path) -> None:
    """However large the number, it is not proven."""
    cap, within, exemptions = UNBOUNDED[what]
    assert not holds(tmp_path, cap, within, 1_000, exemptions)


@pytest.mark.parametrize(("within", "bounded"), [("within: 24h", False), ("within: day", True)])
def test_days_bound_no_time_where_the_zone_can_change(within: str, bounded: bool, tmp_path: Path) -> None:
    """Who travels comes into another day, so a cap by the day bounds only what is said on the day that is there."""
    zone = "time_zone: {default: Europe/Berlin, field: past.city}\n"
    cap = EACH + "at_most: 1, within: day}"
    assert holds(tmp_path, cap, within, 1 if bounded else 1_000, time_zone=zone) is bounded
