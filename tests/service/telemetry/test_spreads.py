"""How long things take is counted in arrays, and comes out as if each had been counted by hand."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from service.telemetry.sampling import Trace
from service.telemetry.spreads import (
    BOUNDS_NS,
    BOUNDS_S,
    MOST_CHANNELS,
    OTHER_CHANNEL,
    ROWS,
    Durations,
    Lags,
    Spread,
)
from service.telemetry.timeline import STAGES, Timeline

MARKED = (
    "admitted", "retried", "read", "seen", "judged", "scored", "arbitrated", "checked", "committed", "answered",
    "serialised",
)  # fmt: skip
STEPS = st.one_of(st.none(), st.sampled_from(BOUNDS_NS), st.integers(0, 40_000_000_000))
LINES = st.tuples(st.sampled_from(["web", "desk", "email"]), st.lists(STEPS, min_size=11, max_size=11))


def line_of(channel: str, steps: Sequence[int | None], began: int = 5_000) -> Timeline:
    """Return a timeline whose steps took so long; None for a step that it did not come to. It always ends."""
    line, at = Timeline(began), began
    line.channel = channel
    for mark, step in zip(MARKED, [*steps[:-1], steps[-1] or 0], strict=True):
        if step is not None:
            at += step
            setattr(line, mark, at)
    return line


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=12), st.integers(0, ROWS))
def test_what_is_counted_at_once_is_what_is_counted_one_by_one(
    told: list[tuple[str, list[int | None]]], before: int
) -> None:
    """By channel and stage every bucket and every sum is right, wherever in the buffer a decision was noted down."""
    durations = Durations()
    lines = [line_of("web", [1] * 11)] * before + [line_of(*each) for each in told]
    for line in lines:
        durations.add(line)
    durations.settle()
    by_hand: dict[tuple[str, str], list[int]] = {}
    for line in lines:
        for stage, took in line.stages().items():
            by_hand.setdefault((line.channel, stage), []).append(took)
    assert {(channel, stage): spread for channel, stage, spread in durations.stages()} == {
        place: spread_of(took) for place, took in by_hand.items()
    }
    whole = {channel: spread for channel, spread, _ in durations.whole()}
    assert {channel: sum(spread.counts) for channel, spread in whole.items()} == Counter(line.channel for line in lines)
    for channel, spread in whole.items():
        assert spread == spread_of([line.serialised - line.began for line in lines if line.channel == channel])


def spread_of(took: list[int]) -> Spread:
    """Count durations one by one: a bucket holds what is not longer than its bound."""
    counts = [0] * (len(BOUNDS_NS) + 1)
    for each in took:
        counts[bisect_left(BOUNDS_NS, each)] += 1
    return Spread(tuple(counts), sum(took) / 1e9)


def test_the_stages_are_those_of_a_timeline() -> None:
    """A mark that is set ends the stage of its place, so that none is told under another's name."""
    for number, mark in enumerate(MARKED):
        line = Timeline(1)
        setattr(line, mark, 8)
        assert line.stages() == {STAGES[number]: 7}


def test_an_attempt_that_was_given_up_is_told_as_such() -> None:
    """What the first attempt took goes to `again`; the marks that it left do not count for the second one."""
    line = Timeline(100)
    line.admitted, line.read, line.seen, line.judged, line.checked, line.committed = 110, 120, 130, 140, 150, 160
    line.retried = 200
    line.read, line.committed, line.serialised = 230, 260, 270  # decided before, as the second reading told
    stages = {"admit": 10, "again": 90, "read": 30, "commit": 30, "serialise": 10}
    assert line.stages() == stages
    durations = Durations()
    durations.add(line)
    durations.settle()
    assert {stage: round(spread.total_s * 1e9) for _, stage, spread in durations.stages()} == stages


def test_the_number_of_channels_is_bounded() -> None:
    """However many channels there are, a fixed number is told apart and no decision is lost."""
    durations = Durations()
    for number in range(3 * MOST_CHANNELS):
        line = line_of(f"channel-{number}", [1] * 11)
        durations.add(line)
        durations.exemplify(line, Trace(1, 2), 3)
    durations.settle()
    whole = {channel: sum(spread.counts) for channel, spread, _ in durations.whole()}
    assert len(whole) == MOST_CHANNELS
    assert whole[OTHER_CHANNEL] == 2 * MOST_CHANNELS + 1
    examples = {channel: exemplars for channel, _, exemplars in durations.whole()}
    at = bisect_left(BOUNDS_NS, 11)
    assert {channel: list(found) for channel, found in examples.items()} == {channel: [at] for channel in whole}


def test_the_latest_traced_decision_of_a_bucket_is_its_example() -> None:
    """A later one takes the place of an earlier one in the same bucket of the same channel, and in no other."""
    durations = Durations()
    took = [("web", 5_000_000, 1), ("web", 5_000_001, 2), ("web", 50_000_000, 3), ("desk", 5_000_000, 4)]
    for channel, longest, name in took:
        line = line_of(channel, [0] * 10 + [longest])
        durations.add(line)
        durations.exemplify(line, Trace(name, name), 77)
    durations.settle()
    found = {
        (channel, at): one.trace.trace_id
        for channel, _, exemplars in durations.whole()
        for at, one in exemplars.items()
    }
    five, fifty = bisect_left(BOUNDS_NS, 5_000_000), bisect_left(BOUNDS_NS, 50_000_000)
    assert found == {("web", five): 2, ("web", fifty): 3, ("desk", five): 4}


def test_lags_are_counted() -> None:
    """The loop's lags are counted in the same buckets."""
    lags = Lags()
    for took in (0, 1_000, 1_001, 20_000_000_000):
        lags.add(took)
    assert lags.spread() == spread_of([0, 1_000, 1_001, 20_000_000_000])


def test_the_bounds_are_right_where_they_matter() -> None:
    """Buckets begin at a microsecond, end beyond ten seconds, and are at most half as wide again as the one before."""
    assert BOUNDS_S[0] == 1e-6
    assert BOUNDS_S[-1] > 10
    assert all(1.4 < after / before < 1.42 for before, after in pairwise(BOUNDS_NS))
