"""Counting for insight: what was read is kept, nobody waits longer than said, and who was erased is not counted."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest

from service import insights
from service.core.engine import Engine
from service.core.insight import BUCKETS
from service.core.loader import load_strategy
from service.core.logged import DecisionPage, OutcomePage
from service.core.rights import KeptDecision
from service.errors import DeadlineExpired
from service.insights import Insights
from tests.cli.commands import DEMO

NOW_MS = 1_770_000_000_000
HOUR_MS = 3_600_000
STEPS_MS = tuple(60_000 * minutes for minutes in (5, 15, 60, 360, 1440))
UNREADABLE = KeptDecision(NOW_MS - 1, None, None)
"""It is counted like any other entry, and needs no engine."""


class Entries:
    """A log whose bucket 7 has so many entries, of which some may go."""

    def __init__(self, kept: int = 0) -> None:
        self.kept, self.gone = kept, 0
        self.begun: Counter[str] = Counter()

    async def decisions(self, bucket: int, after: str, deadline_s: float | None) -> DecisionPage:
        """Return all entries to who begins, and nothing more afterwards."""
        begins = after.endswith("-999999")
        self.begun["decisions"] += begins
        found = (UNREADABLE,) * self.kept if begins and bucket == 7 else ()
        return DecisionPage(found, "1-1", True)

    async def outcomes(self, bucket: int, after: str, deadline_s: float | None) -> OutcomePage:
        """Return none."""
        return OutcomePage((), "1-1", True, 0)

    async def removed(self, bucket: int, deadline_s: float | None) -> int:
        """Return how many are gone."""
        return self.gone if bucket == 7 else 0


def counting(log: Entries) -> Insights:
    """Return what counts a log by the demo's engine."""
    engine = Engine(load_strategy(DEMO), None)
    return Insights(("", "", ""), log, lambda: engine, dict, lambda: NOW_MS)


async def test_a_view_of_each_step_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for all sizes of steps in turn reads each bucket once a size, and from there on what is new."""
    monkeypatch.setattr(insights, "AGAIN_AFTER_S", -1.0)
    log = Entries()
    insight = counting(log)
    for _ in range(3):
        for step_ms in STEPS_MS:
            assert (await insight.insight(NOW_MS - HOUR_MS, step_ms, 60.0)).complete
    assert log.begun["decisions"] == BUCKETS * len(STEPS_MS)


async def test_nobody_waits_for_a_turn_beyond_the_deadline() -> None:
    """While another counts on and on, whoever asks is told in time that the time is over, and the next is answered."""
    insight = counting(Entries())
    held = asyncio.Event()
    holding = asyncio.create_task(insight._alone(held.wait, time.monotonic() + 1.0))
    await asyncio.sleep(0)
    began_s = time.monotonic()
    with pytest.raises(DeadlineExpired):
        async with asyncio.timeout(5.0):
            await insight.insight(NOW_MS - HOUR_MS, HOUR_MS, 0.2)
    assert time.monotonic() - began_s < 1.0
    held.set()
    await holding
    assert (await insight.insight(NOW_MS - HOUR_MS, HOUR_MS, 60.0)).complete


async def test_what_an_erasure_took_is_counted_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that was counted is counted anew once something of it was erased, and only then."""
    monkeypatch.setattr(insights, "AGAIN_AFTER_S", -1.0)
    log = Entries(kept=3)
    insight = counting(log)
    for kept, gone, begun in ((3, 0, 1), (3, 0, 1), (1, 2, 2), (1, 2, 2)):
        log.kept, log.gone = kept, gone
        seen = await insight.insight(NOW_MS - HOUR_MS, HOUR_MS, 60.0)
        assert (seen.told.total.of("unreadable"), seen.complete, seen.buckets) == (kept, True, BUCKETS)
        assert log.begun["decisions"] <= begun * BUCKETS
