"""What was traced waits for whoever sends it, in a room of a known size."""

from service.telemetry.counts import Counts
from service.telemetry.running import Telemetry
from service.telemetry.sampling import Trace
from service.telemetry.settings import TelemetrySettings
from service.telemetry.timeline import Timeline
from service.telemetry.watch import MOST_WAITING, Traced, Waiting


def test_no_more_wait_than_there_is_room_for() -> None:
    """While nobody takes them the oldest decisions are dropped and counted, and memory does not grow."""
    dropped: list[int] = []
    waiting = Waiting(lambda: dropped.append(1))
    for name in range(MOST_WAITING + 10):
        waiting.put(Traced(Trace(1, name), Timeline(1), 1))
    assert len(dropped) == 10
    left = [traced.trace.span_id for traced in waiting.take(10 * MOST_WAITING)]
    assert left == list(range(10, MOST_WAITING + 10))
    assert waiting.take(1) == []


def test_what_was_dropped_is_counted_as_dropped() -> None:
    """Operators read how many traced decisions waited too long, apart from those that a collector did not take."""
    counts = Counts()
    watch = Telemetry(TelemetrySettings(otlp="http://127.0.0.1:4318", trace_share=1.0), counts).watch
    for _ in range(MOST_WAITING + 3):
        watch.refused(watch.begin(), "cancelled")
    assert counts.told()["telemetry.spans"] == {"dropped": 3}
    assert counts.told()["refused"] == {"cancelled": MOST_WAITING + 3}
