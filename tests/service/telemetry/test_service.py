"""A whole service, and what leaves it as traces and metrics."""

import asyncio
import logging
import struct
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE as CUMULATIVE
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from service.app import StartRefused
from service.rpc.client import Ask, CallFailed, Event
from service.telemetry import sending
from service.telemetry.settings import TelemetrySettings
from service.telemetry.timeline import STAGES
from service.telemetry.w3c import response
from tact.v1 import decision_pb2 as pb
from tact.v1 import decision_pb2_grpc
from tests.service.telemetry.collector import Collector, collecting, until, values
from tests.service.telemetry.world import OPENMETRICS, WEB, ask, client_of, measured, number, scraped

ALL = 1.0
NONE = 0.0
ONE_DECISION = set(STAGES) - {"again"}
TOLD = {
    "rpc.system", "tact.channel", "tact.outcome", "tact.strategy", "tact.model", "tact.placements", "tact.refused",
    *(f"tact.stage.{stage}.us" for stage in STAGES),
}  # fmt: skip
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331


def settings(collector: Collector, share: float, by_callers: float = 10.0) -> TelemetrySettings:
    """Return settings that tell a collector, and Prometheus on any port."""
    return TelemetrySettings(otlp=collector.url, trace_share=share, by_callers=by_callers, port=0)


def stages_of(span: Span) -> dict[str, float]:
    """Return the microseconds of the stages that a span tells."""
    return {
        name.removeprefix("tact.stage.").removesuffix(".us"): took
        for name, took in values(span.attributes).items()
        if name.startswith("tact.stage.")
    }


async def test_a_decision_is_one_span_with_its_stages(store: str) -> None:
    """Every traced decision is one span, whose stages add up to it, and its share of metrics says the same."""
    with collecting() as collector:
        async with measured(store, settings(collector, ALL)) as running, client_of(running) as client:
            for _ in range(5):
                await client.decide(WEB)
            families = await scraped(running.metrics_port)
            strategy = running.strategy.version
    assert len(collector.spans) == 5
    took_s = 0.0
    for span in collector.spans:
        assert (span.name, span.kind) == ("tact.v1.DecisionService/Decide", Span.SPAN_KIND_SERVER)
        told, stages = values(span.attributes), stages_of(span)
        assert told.keys() <= TOLD
        assert told["tact.strategy"] == strategy
        assert (told["tact.channel"], told["tact.outcome"], told["tact.placements"]) == ("web", "said", 2)
        assert stages.keys() == ONE_DECISION
        ns = span.end_time_unix_nano - span.start_time_unix_nano
        assert sum(stages.values()) == pytest.approx(ns / 1000)
        took_s += ns / 1e9
    assert number(families, "tact_decide_duration_seconds_count", channel="web") == 5
    assert number(families, "tact_decide_duration_seconds_sum", channel="web") == pytest.approx(took_s)
    for stage in ONE_DECISION:
        found = number(families, "tact_decide_stage_duration_seconds_sum", channel="web", stage=stage)
        assert found == pytest.approx(sum(stages_of(span)[stage] for span in collector.spans) / 1e6, abs=1e-8)
    assert number(families, "tact_decisions_total", outcome="said") == 5
    assert number(families, "tact_version_info", strategy=strategy, model="", challenger="") == 1


async def test_prometheus_and_the_collector_are_told_the_same(store: str) -> None:
    """What is read on the port is what is sent: the same numbers under the same names, as Prometheus spells them."""
    with collecting() as collector:
        async with measured(store, settings(collector, NONE)) as running, client_of(running) as client:
            for _ in range(60):
                await client.decide(WEB)
            families = await scraped(running.metrics_port)
    told = collector.latest()
    assert told["tact.decide.duration"].histogram.aggregation_temporality == CUMULATIVE
    (whole,) = told["tact.decide.duration"].histogram.data_points
    assert not whole.HasField("min")  # which nobody kept: better none than an invented one
    assert not whole.HasField("max")
    samples = families["tact_decide_duration_seconds"].samples
    buckets = [each.value for each in samples if each.name.endswith("_bucket")]
    counts = list(whole.bucket_counts)
    assert [sum(counts[: at + 1]) for at in range(len(counts))] == buckets
    assert whole.count == 60
    assert whole.sum == pytest.approx(number(families, "tact_decide_duration_seconds_sum"))
    stages = {values(point.attributes)["stage"] for point in told["tact.decide.stage.duration"].histogram.data_points}
    assert stages == ONE_DECISION
    assert {name.replace(".", "_") for name in told if name != "tact.version.info"} <= {
        name.removesuffix("_seconds").removesuffix("_bytes") for name in families
    }


async def test_an_example_leads_from_a_bucket_to_its_trace(store: str) -> None:
    """The exemplar of a bucket names a span that was sent, and one that took what the exemplar says."""
    with collecting() as collector:
        async with measured(store, settings(collector, ALL)) as running, client_of(running) as client:
            for _ in range(20):
                await client.decide(WEB)
            families = await scraped(running.metrics_port)
    exemplars = [each.exemplar for each in families["tact_decide_duration_seconds"].samples if each.exemplar]
    took = {
        (span.trace_id.hex(), span.span_id.hex()): (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        for span in collector.spans
    }
    assert exemplars
    for exemplar in exemplars:
        place = (exemplar.labels["trace_id"], exemplar.labels["span_id"])
        assert took[place] == pytest.approx(exemplar.value)
    (whole,) = collector.latest()["tact.decide.duration"].histogram.data_points
    assert {(one.trace_id.hex(), one.span_id.hex()) for one in whole.exemplars} <= took.keys()
    assert whole.exemplars


async def traced_call(address: str, traceparent: str, *more: tuple[str, str]) -> dict[str, str]:
    """Ask with a trace and what else is said beside the request, and return what came beside the answer."""
    asked = pb.DecideRequest(customer_id="c", channel="web", placements=["hero"])
    async with grpc.aio.insecure_channel(address) as channel:
        call = decision_pb2_grpc.DecisionServiceStub(channel).Decide(
            asked, metadata=(("traceparent", traceparent), *more), timeout=10
        )
        await call
        return {key: str(value) for key, value in await call.trailing_metadata() or ()}


async def test_the_trace_of_a_caller_goes_on(store: str) -> None:
    """A decision that its caller traces is a span in the caller's trace, and the caller is told which."""
    with collecting() as collector:
        async with measured(store, settings(collector, NONE)) as running:
            beside = await traced_call(running.address, response(TRACE, SPAN))
            assert "traceresponse" not in await traced_call(running.address, response(TRACE, SPAN)[:-2] + "00")
            assert "traceresponse" not in await traced_call(running.address, "broken")
    (span,) = collector.spans
    assert (span.trace_id, span.parent_span_id) == (TRACE.to_bytes(16), SPAN.to_bytes(8))
    assert beside["traceresponse"] == response(TRACE, int.from_bytes(span.span_id))
    (whole,) = collector.latest()["tact.decide.duration"].histogram.data_points
    assert whole.count == 3  # also what was decided just before the end


@pytest.mark.parametrize("calls", ["unary", "stream"])
async def test_callers_get_no_more_traces_than_they_may(store: str, calls: str) -> None:
    """However many decisions callers ask to have traced, so many a second are, and the others are counted."""
    metadata = (("traceparent", response(TRACE, SPAN)),)
    with collecting() as collector:
        async with measured(store, settings(collector, NONE, 2.0)) as running:
            began = time.monotonic()
            async with grpc.aio.insecure_channel(running.address) as channel:
                stub: Any = decision_pb2_grpc.DecisionServiceStub(channel)
                asked = [pb.DecideRequest(customer_id="c", channel="web", placements=["hero"])] * 60
                if calls == "unary":
                    await asyncio.gather(*(stub.Decide(each, metadata=metadata) for each in asked))
                else:
                    call = stub.DecideStream(iter(asked), metadata=metadata)
                    assert len([answer async for answer in call]) == 60
                    assert "traceresponse" not in dict(await call.trailing_metadata() or ())  # of which answer?
            took_s = time.monotonic() - began
            families = await scraped(running.metrics_port)
    assert 2 <= len(collector.spans) <= 2 + 2 * took_s + 1
    assert {span.trace_id for span in collector.spans} == {TRACE.to_bytes(16)}
    assert number(families, "tact_telemetry_spans_total", fate="unheeded") == 60 - len(collector.spans)


async def test_a_request_that_is_refused_is_counted_and_traced(store: str) -> None:
    """What gets no decision is counted by its status, is a span that failed, and is in no duration."""
    with collecting() as collector:
        async with measured(store, settings(collector, ALL)) as running, client_of(running) as client:
            with pytest.raises(CallFailed):
                await client.decide(Ask("c", "nowhere", ("hero",)))
            families = await scraped(running.metrics_port)
    (span,) = collector.spans
    told = values(span.attributes)
    assert told["tact.refused"] == "invalid_argument"
    assert "tact.channel" not in told
    assert (span.status.code, span.status.message) == (SpanStatus.STATUS_CODE_ERROR, "")
    assert number(families, "tact_refused_total", code="invalid_argument") == 1
    assert families["tact_decide_duration_seconds"].samples == []


async def test_a_degraded_answer_says_so(free_port: int) -> None:
    """Without a store answers are safe ones: counted with the reason, traced as degraded, and the store is away."""
    with collecting() as collector:
        url = f"redis://127.0.0.1:{free_port}/0"
        async with measured(url, settings(collector, ALL)) as running, client_of(running) as client:
            await client.decide(WEB)
            families = await scraped(running.metrics_port)
    assert values(collector.spans[0].attributes)["tact.outcome"] == "degraded"
    assert number(families, "tact_decisions_total", outcome="degraded") == 1
    assert number(families, "tact_degraded_total", reason="store_unavailable") == 1
    assert number(families, "tact_store_away") == 1


CANARY = "canary-7c1e"
NAMED = f"{CANARY}-customer"
SAID_OF_A_PERSON = (
    Ask(NAMED, "web", ("greeting", "hero"), {"present.page": "home"}, True, f"{CANARY}-key", f"{CANARY}-id"),
    Ask(NAMED, "desk", ("offer",), {"present.sentiment": 0.7654321}),
    Ask(NAMED, f"{CANARY}-channel", ("hero",)),
    Ask(NAMED, "web", (f"{CANARY}-placement",)),
    Ask(NAMED, "web", ("hero",), {"present.page": f"{CANARY}-page"}),
    Ask(NAMED, "web", ("hero",), {f"present.{CANARY}": 1}),
    Ask(f"{CANARY}@example.org\n", "web", ("hero",)),
)


BESIDE = (("tracestate", f"{CANARY}=1"), ("baggage", f"customer={CANARY}"), (CANARY, CANARY))


async def test_nothing_of_a_person_leaves(store: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is known or said of a person, in answers and in refusals, none of it is in anything that is told."""
    profile = {"first_name": f"{CANARY}-Anna", "household": f"{CANARY}-home"}
    with collecting() as collector, caplog.at_level(logging.DEBUG):
        async with measured(store, settings(collector, ALL)) as running, client_of(running) as client:
            await client.set_consent(NAMED, "full", ("web",))
            await client.record_events([Event(f"{CANARY}-1", NAMED, "profile.updated", datetime.now(UTC), profile)])
            for each in SAID_OF_A_PERSON:
                with suppress(CallFailed):
                    await client.decide(each)
            await traced_call(running.address, f"{CANARY}-{response(TRACE, SPAN)}")
            await traced_call(running.address, response(TRACE, SPAN), *BESIDE)
            texts = [(await ask(running.metrics_port, headers=accept)).text for accept in ("", OPENMETRICS)]
    codes = [values(span.attributes).get("tact.refused", "") for span in collector.spans]
    assert sorted(codes) == ["", "", "", "", *["invalid_argument"] * 5]
    told = b"".join(collector.raw) + "".join(texts).encode() + caplog.text.encode()
    assert b"invalid_argument" in told
    assert CANARY.encode() not in told
    assert b"0.7654321" not in told
    assert struct.pack("<d", 0.7654321) not in told


async def test_a_service_does_not_start_without_its_port_for_metrics(store: str) -> None:
    """A port for metrics that is taken is refused in words, with nothing left behind, before anything is served."""
    async with measured(store, TelemetrySettings(port=0)) as running:
        taken = TelemetrySettings(port=running.metrics_port)
        with pytest.raises(StartRefused, match=rf"127.0.0.1:{running.metrics_port} for metrics.*--metrics-port"):
            async with measured(store, taken):
                pass


async def test_switched_off_nothing_is_measured(store: str) -> None:
    """Without telemetry decisions are made as ever, nothing listens for Prometheus, and the status still counts."""
    async with measured(store, TelemetrySettings(on=False)) as running, client_of(running) as client:
        await client.decide(WEB)
        assert running.metrics_port is None
        counts = (await client.control.status())["counts"]
    told = [("decisions", "said"), ("degraded", "no_model"), ("rungs", "rules_and_priors")]
    assert [(each["name"], each["label"]) for each in counts] == told


async def test_a_loop_that_is_held_up_is_seen(store: str) -> None:
    """What blocks the loop stands in its lag, once for every tenth of a second that it was blocked."""
    async with measured(store, TelemetrySettings(port=0)) as running:
        await asyncio.sleep(0.1)
        time.sleep(0.45)  # noqa: ASYNC251 - it is the point to block
        await asyncio.sleep(0.05)
        families = await scraped(running.metrics_port)
    buckets = {
        float(each.labels["le"]): each.value
        for each in families["tact_loop_lag_seconds"].samples
        if each.name.endswith("_bucket")
    }
    below = max(value for bound, value in buckets.items() if bound < 0.05)
    assert buckets[float("inf")] - below >= 3


@pytest.mark.parametrize("how", ["refuses", "hangs", "dies"])
async def test_a_bad_collector_costs_no_decision_and_no_time(
    store: str, free_port: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a collector that refuses, hangs or dies every decision is made, and the end comes within two seconds."""
    monkeypatch.setattr(sending, "ATTEMPT_S", 0.4)  # the real one is waited for in a process of its own
    with collecting(how="hangs" if how == "hangs" else "") as collector:
        url = f"http://127.0.0.1:{free_port}" if how == "refuses" else collector.url
        async with (
            measured(store, TelemetrySettings(otlp=url, trace_share=ALL)) as running,
            client_of(running) as client,
        ):
            if how == "dies":
                await client.decide(WEB)
                await asyncio.to_thread(until, lambda: collector.spans)
                collector.die()
            for _ in range(40):
                assert (await client.decide(WEB))["answers"]
            began = time.monotonic()
            await running.stop(grace_s=0.0)
            assert time.monotonic() - began < 2.5
