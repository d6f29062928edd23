"""A collector gets what was measured; one that is dead, slow or contrary costs nothing, and holds up no end."""

import asyncio
import logging
import time
from collections import Counter

import pytest
from opentelemetry.sdk.resources import Resource

from service.telemetry.exporting import Exporting
from service.telemetry.families import Family, Kind, Point
from service.telemetry.sampling import Trace
from service.telemetry.sending import Sender
from service.telemetry.timeline import Timeline
from service.telemetry.watch import MOST_WAITING, Traced, Waiting
from tests.service.telemetry.collector import Collector, collecting, until, values

FAMILIES = (Family("tact.decisions", Kind.COUNTER, "{decision}", "Decisions.", (Point((("outcome", "said"),), 7),)),)
RESOURCE = Resource({"service.name": "tact", "service.instance.id": "here:1"})


class World:
    """A thread that sends, what waits for it, and what became of that."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.fates: Counter[str] = Counter()
        self.waiting = Waiting(lambda: self._count("dropped", 1))
        self.exporting = Exporting(
            Sender(url, headers or {}),
            RESOURCE,
            lambda: FAMILIES,
            self.waiting,
            sent=lambda spans: self._count("sent", spans),
            lost=lambda spans: self._count("lost", spans),
            every_s=0.02,
        )
        self.exporting.start()

    def trace(self, first: int, last: int) -> None:
        """Let decisions wait whose spans have these ids."""
        for name in range(first, last):
            line = Timeline(1_000)
            line.channel, line.admitted, line.serialised = "web", 3_500, 9_000
            self.waiting.put(Traced(Trace(0xABC, name, 5), line, 1_800_000_000_000_000_000, "said", "demo@1"))

    def stop(self, within_s: float = 2.0) -> tuple[bool, float]:
        """Stop; return whether the thread ended in time, and how long that took."""
        began = time.monotonic()
        return asyncio.run(self.exporting.stop(within_s)), time.monotonic() - began

    def _count(self, fate: str, spans: int) -> None:
        self.fates[fate] += spans


def names(collector: Collector) -> list[int]:
    """Return the ids of the spans that a collector took."""
    return [int.from_bytes(span.span_id) for span in collector.spans]


def test_spans_and_metrics_arrive() -> None:
    """A collector gets each decision as one span with its stages, and the numbers, with who sent them."""
    with collecting() as collector:
        world = World(collector.url, {"x-team": "sales"})
        world.trace(1, 101)
        until(lambda: len(collector.spans) == 100 and collector.metrics)
        assert world.stop()[0]
    assert names(collector) == list(range(1, 101))
    assert world.fates == {"sent": 100}
    assert collector.headers["x-team"] == "sales"
    span = collector.spans[0]
    assert (span.trace_id, span.parent_span_id) == ((0xABC).to_bytes(16), (5).to_bytes(8))
    assert span.end_time_unix_nano - span.start_time_unix_nano == 8_000
    assert values(span.attributes) == {
        "rpc.system": "grpc", "tact.channel": "web", "tact.outcome": "said", "tact.strategy": "demo@1",
        "tact.stage.admit.us": 2.5, "tact.stage.serialise.us": 5.5,
    }  # fmt: skip
    assert collector.resources[0] == {"service.name": "tact", "service.instance.id": "here:1"}
    (point,) = collector.latest()["tact.decisions"].sum.data_points
    assert (values(point.attributes), point.as_int) == ({"outcome": "said"}, 7)


def test_the_end_sends_what_is_left() -> None:
    """What was measured last is not lost with the process: it is sent at the end, with the numbers of the end."""
    with collecting() as collector:
        world = World(collector.url)
        until(lambda: collector.metrics)
        told = len(collector.metrics)
        world.trace(1, 4)
        assert world.stop()[0]
    assert names(collector) == [1, 2, 3]
    assert len(collector.metrics) > told


def test_nobody_there_is_told_once_and_holds_up_no_end(free_port: int, caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens, one line of the log says so however often it is tried, and the end comes at once."""
    with caplog.at_level(logging.INFO):
        world = World(f"http://127.0.0.1:{free_port}")
        world.trace(1, 10)
        until(lambda: caplog.messages)
        time.sleep(0.3)
        ended, took_s = world.stop()
    assert ended
    assert took_s < 1.0
    assert caplog.messages == ["the collector at 127.0.0.1 takes no traces; decisions go on without"]


def test_a_collector_that_never_answers_holds_up_the_end_for_two_seconds_at_most() -> None:
    """A collector that takes connections and says nothing is given up, at the end as well."""
    with collecting(hangs=True) as collector:
        world = World(collector.url)
        world.trace(1, 10)
        until(lambda: collector.asked)
        ended, took_s = world.stop()
    assert ended
    assert took_s < 2.0


def test_a_collector_that_drips_its_answer_holds_up_the_end_for_two_seconds_at_most() -> None:
    """Whatever a collector does between two bytes, nobody waits longer for the thread than was said."""
    with collecting(drips=True) as collector:
        world = World(collector.url)
        world.trace(1, 10)
        until(lambda: collector.asked)
        ended, took_s = world.stop(1.0)
        assert not ended
        assert 0.9 < took_s < 1.8


@pytest.mark.parametrize("status", [503, 429])
def test_what_a_collector_wants_later_it_gets_later(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """While a collector is too busy decisions wait; then it gets each of them once, and the log says both once."""
    with collecting(status=status) as collector, caplog.at_level(logging.INFO):
        world = World(collector.url)
        world.trace(1, 50)
        until(lambda: collector.asked > 2)
        collector.status = 200
        until(lambda: len(collector.spans) >= 49)
        world.stop()
    assert names(collector) == list(range(1, 50))
    assert world.fates == {"sent": 49}
    assert caplog.messages == [
        "the collector at 127.0.0.1 takes no traces; decisions go on without",
        "the collector at 127.0.0.1 takes traces again",
    ]


def test_a_collector_that_died_and_came_back_gets_what_waited(free_port: int) -> None:
    """Nothing that was measured while it was away is lost, as long as there was room for it."""
    world = World(f"http://127.0.0.1:{free_port}")
    with collecting(port=free_port) as collector:
        world.trace(1, 20)
        until(lambda: len(collector.spans) == 19)
    world.trace(20, 60)
    time.sleep(0.1)
    with collecting(port=free_port) as collector:
        until(lambda: len(collector.spans) == 40)
        world.stop()
    assert names(collector) == list(range(20, 60))


def test_what_a_collector_refuses_for_good_is_counted_as_lost() -> None:
    """Decisions that a collector will never take are not tried for ever: they are counted, and the next are tried."""
    with collecting(status=400) as collector:
        world = World(collector.url)
        world.trace(1, 41)
        until(lambda: world.fates["lost"] == 40)
        world.stop()
    assert world.fates == {"lost": 40}


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


def test_a_defect_is_told_and_does_not_end_the_sending(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written costs itself and a line of the log, never what comes after it."""
    with collecting() as collector, caplog.at_level(logging.INFO):
        world = World(collector.url)
        line = Timeline(1)
        line.channel = 7  # type: ignore[assignment]  # what a defect elsewhere could leave
        world.waiting.put(Traced(Trace(1, 2), line, -1))
        until(lambda: world.fates["lost"])
        world.trace(3, 4)
        until(lambda: collector.spans)
        world.stop()
    assert names(collector) == [3]
    assert caplog.messages[0].startswith("telemetry failed and goes on: ")
