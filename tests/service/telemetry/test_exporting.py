"""A collector gets what was measured; one that is dead, slow or contrary costs nothing, and holds up no end."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE
from opentelemetry.sdk.resources import Resource

from service.telemetry import sending
from service.telemetry.exporting import Exporting
from service.telemetry.families import Family, Kind, Point
from service.telemetry.sampling import Trace
from service.telemetry.sending import Sender
from service.telemetry.timeline import Timeline
from service.telemetry.watch import Traced, Waiting
from tests.service.telemetry.collector import Collector, collecting, until, values

FAMILIES = (Family("tact.decisions", Kind.COUNTER, "{decision}", "Decisions.", (Point((("outcome", "said"),), 7),)),)
RESOURCE = Resource({"service.name": "tact", "service.instance.id": "here:1"})


class World:
    """A thread that sends, what waits for it, and what became of that."""

    def __init__(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        every_s: float = 0.02,
        read: Callable[[], tuple[Family, ...]] = lambda: FAMILIES,
    ) -> None:
        self.fates: Counter[str] = Counter()
        self.waiting = Waiting(lambda: self._count("dropped", 1))
        self.exporting = Exporting(
            Sender(url, headers or {}),
            RESOURCE,
            read,
            self.waiting,
            sent=lambda spans: self._count("sent", spans),
            lost=lambda spans: self._count("lost", spans),
            every_s=every_s,
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
    told = collector.latest()["tact.decisions"].sum
    assert (told.is_monotonic, told.aggregation_temporality) == (True, CUMULATIVE)
    (point,) = told.data_points
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
    assert caplog.messages == [
        "the collector at 127.0.0.1 takes no traces (ConnectionRefusedError); decisions go on without"
    ]


def test_a_bad_collector_holds_up_the_end_for_one_attempt_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that never comes to an end of its answer is given up, at the end as well, and not asked once more."""
    monkeypatch.setattr(sending, "ATTEMPT_S", 0.6)
    with collecting(how="drips") as collector:
        world = World(collector.url)
        world.trace(1, 10)
        until(lambda: collector.asked)
        ended, took_s = world.stop()
    assert ended
    assert took_s < 1.1
    assert collector.asked == 1


def test_a_collector_that_hangs_at_the_end_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody takes the last traces the metrics are not tried as well, which would take as long again."""
    monkeypatch.setattr(sending, "ATTEMPT_S", 0.4)
    with collecting(how="hangs") as collector:
        world = World(collector.url, every_s=60.0)
        world.trace(1, 10)
        assert world.stop()[0]
    assert collector.asked == 1


def test_nobody_waits_longer_for_the_thread_than_was_said() -> None:
    """Whatever the thread does, the end goes on without it when its time is over."""
    with collecting(how="hangs") as collector:
        world = World(collector.url)
        world.trace(1, 10)
        until(lambda: collector.asked)
        ended, took_s = world.stop(0.3)
    assert not ended
    assert 0.2 < took_s < 0.9


def test_a_collector_that_was_given_up_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an answer keeps nobody listening for ever: once the collector is well it gets what waited."""
    monkeypatch.setattr(sending, "ATTEMPT_S", 0.3)
    with collecting(how="drips") as collector:
        world = World(collector.url)
        world.trace(1, 10)
        until(lambda: collector.asked)
        collector.drips = False
        until(lambda: len(collector.spans) >= 9)
        world.stop()


def _has(collector: Collector, spans: int) -> bool:
    return len(collector.spans) == spans


@pytest.mark.parametrize("status", [404, 503])
def test_who_takes_only_traces_gets_them_as_soon_as_anybody(status: int) -> None:
    """Metrics that a collector does not take, as one that is for traces alone, do not make traces rare or late."""
    with collecting() as collector:
        collector.statuses["/v1/metrics"] = status
        world = World(collector.url)
        for name in range(1, 9):  # each time the pause would have doubled
            world.trace(name, name + 1)
            until(partial(_has, collector, name), within_s=2.0)
        world.stop()
    assert world.fates == {"sent": 8}
    assert collector.paths.count("/v1/metrics") == 2  # once, and with what is left at the end


def test_metrics_come_as_soon_as_the_collector_is_back(free_port: int) -> None:
    """Once somebody answers again they hear at once how the process is, and not when the long pause is over."""
    world = World(f"http://127.0.0.1:{free_port}")
    world.trace(1, 5)
    time.sleep(0.1)
    with collecting(port=free_port) as collector:
        until(lambda: collector.spans)
        until(lambda: collector.metrics, within_s=2.0)
        world.stop()


def test_what_a_collector_leaves_out_is_lost() -> None:
    """A collector can take a document and say that it left spans out: these are counted as lost, the others as sent."""
    left_out = ExportTracePartialSuccess(rejected_spans=3, error_message="hush")
    with collecting() as collector:
        collector.says = ExportTraceServiceResponse(partial_success=left_out).SerializeToString()
        world = World(collector.url)
        world.trace(1, 11)
        until(lambda: world.fates["sent"])
        assert world.fates == {"sent": 7, "lost": 3}
        collector.says = b"\xff\xff no OTLP"
        world.trace(11, 21)
        until(lambda: world.fates["sent"] == 17)
        world.stop()


def test_what_a_collector_wants_later_it_gets_later(caplog: pytest.LogCaptureFixture) -> None:
    """While a collector is too busy decisions wait; then it gets each of them once, and the log says both once.

    It is asked less and less often: the fourth time comes 0.02, 0.04, 0.08 and 0.16 seconds after the beginning.
    """
    with collecting() as collector, caplog.at_level(logging.INFO):
        collector.statuses["/v1/traces"] = 503
        world, began = World(collector.url), time.monotonic()
        world.trace(1, 50)
        until(lambda: collector.paths.count("/v1/traces") > 3)
        assert time.monotonic() - began > 0.25
        collector.statuses.clear()
        until(lambda: len(collector.spans) >= 49)
        world.stop()
    assert names(collector) == list(range(1, 50))
    assert world.fates == {"sent": 49}
    assert caplog.messages == [
        "the collector at 127.0.0.1 takes no traces (status 503); decisions go on without",
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


def test_a_defect_in_what_is_read_does_not_come_at_every_turn() -> None:
    """Numbers that cannot be read are tried again when they are due again; traces go on."""
    tried: list[int] = []

    def read() -> tuple[Family, ...]:
        tried.append(1)
        raise ValueError("hush")

    with collecting() as collector:
        world = World(collector.url, read=read)
        for name in range(1, 5):
            world.trace(name, name + 1)
            until(partial(_has, collector, name))
        assert len(tried) == 1
        world.stop()


def test_a_defect_is_told_and_does_not_end_the_sending(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written costs itself and a line of the log, never what comes after it."""
    with collecting() as collector, caplog.at_level(logging.INFO):
        world = World(collector.url)
        line = Timeline(1)
        line.channel = 7  # type: ignore[assignment]  # what a defect elsewhere could leave
        world.waiting.put(Traced(Trace(1, 2), line, -1))
        until(lambda: world.fates["lost"])
        world.waiting.put(Traced(Trace(1, 2), line, -1))
        until(lambda: world.fates["lost"] == 2)
        world.trace(3, 4)
        until(lambda: collector.spans)
        world.stop()
    assert names(collector) == [3]
    (said,) = caplog.messages  # once, however often
    assert said.startswith("telemetry failed and goes on: ")
