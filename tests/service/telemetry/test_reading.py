"""Everything that is counted and measured is read as families, each number under the right name."""

import asyncio

from service.telemetry.beat import EVERY_S, Beat
from service.telemetry.counts import COUNTED, Counts
from service.telemetry.families import Labels
from service.telemetry.openmetrics import text_of
from service.telemetry.reading import Readings, Versions
from service.telemetry.spreads import BUCKETS, Durations, Lags
from service.telemetry.timeline import Timeline
from tests.service.telemetry.world import number, read_families

ONE_IN_TWO = BUCKETS // 2 + 1
"""Of 49 buckets every other one, and the endless one."""


def test_every_number_has_its_name() -> None:
    """A version stands under what it is a version of, and stages are told in half as many buckets as decisions."""
    counts, durations = Counts(), Durations()
    for nth, count in enumerate(COUNTED, start=1):
        counts.add(count.name, "it" if count.label else "", nth)
    line = Timeline(1_000)
    line.channel, line.admitted, line.serialised = "web", 3_000, 8_000
    durations.add(line)
    durations.settle()
    told = Readings(counts, durations, Lags(), lambda: Versions("s@1", "m@2", "c@3"), lambda: True).families()
    families = {family.name: family for family in told}
    assert families["tact.version"].points[0].labels == (("strategy", "s@1"), ("model", "m@2"), ("challenger", "c@3"))
    assert families["tact.store.away"].points[0].value == 1
    for nth, count in enumerate(COUNTED, start=1):
        points = {point.labels: point.value for point in families[f"tact.{count.name}"].points}
        wanted: dict[Labels, float] = {((count.label, name),): 0 for name in count.known if name}
        wanted[((count.label, "it"),) if count.label else ()] = nth
        assert points == wanted
    (whole,) = families["tact.decide.duration"].spreads
    assert (whole.labels, len(tuple(whole.steps())), whole.spread.total_s) == ((("channel", "web"),), BUCKETS, 7e-6)
    stages = {dict(one.labels)["stage"]: one for one in families["tact.decide.stage.duration"].spreads}
    assert {stage: one.spread.total_s for stage, one in stages.items()} == {"admit": 2e-6, "serialise": 5e-6}
    assert {len(tuple(one.steps())) for one in stages.values()} == {ONE_IN_TWO}


def test_what_may_come_is_told_as_nought() -> None:
    """An alarm on degraded answers has a number to look at before there is the first one; so have other alarms."""
    told = Readings(Counts(), Durations(), Lags(), Versions, lambda: False).families()
    families = {family.name: family for family in read_families(text_of(told, openmetrics=True))}
    for outcome in ("said", "suppressed", "degraded"):
        assert number(families, "tact_decisions_total", outcome=outcome) == 0
    assert number(families, "tact_degraded_total", reason="store_unavailable") == 0
    assert number(families, "tact_strategy_refused_total", what="strategy") == 0
    assert number(families, "tact_memory_conflicts_total") == 0
    assert number(families, "tact_telemetry_spans_total", fate="lost") == 0


async def test_what_has_to_be_done_once_a_beat_is_done() -> None:
    """What was noted down is counted ten times a second, though nobody asks, so that a collector is told all of it."""
    done: list[int] = []
    beat = Beat(Lags(), lambda: done.append(1))
    beat.start()
    await asyncio.sleep(2.5 * EVERY_S)
    beat.stop()
    told = len(done)
    assert 1 <= told <= 3
    await asyncio.sleep(1.5 * EVERY_S)
    assert len(done) == told
