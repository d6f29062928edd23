"""Families and traced decisions in the words of the OpenTelemetry SDK, whose exporters send them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.metrics import Exemplar as SdkExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from service.telemetry.families import Family, Kind, Point, Spreading
from service.telemetry.spreads import BOUNDS_S
from service.telemetry.watch import Traced

SCOPE = InstrumentationScope("tact")
DECIDE = "tact.v1.DecisionService/Decide"
CUMULATIVE = AggregationTemporality.CUMULATIVE
_FLAGS = TraceFlags(TraceFlags.SAMPLED)
_NOT_KEPT: Any = None
"""The least and the most, which no array keeps: the protocol lets them be left out, the types of the SDK do not."""


def resource_of(instance: str, version: str) -> Resource:
    """Return who sends this: `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` add to it and count more."""
    told = {"service.name": "tact", "service.version": version, "service.instance.id": instance}
    return Resource(told).merge(OTELResourceDetector().detect())


def span_of(traced: Traced, resource: Resource) -> ReadableSpan:
    """Return one decision as a span, its stages as attributes in microseconds."""
    trace = traced.trace
    parent = SpanContext(trace.trace_id, trace.parent_id, True, _FLAGS) if trace.parent_id else None
    return ReadableSpan(
        DECIDE,
        SpanContext(trace.trace_id, trace.span_id, False, _FLAGS),
        parent,
        resource,
        _attributes(traced),
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR) if traced.code else Status(),
        start_time=traced.ended_ns - traced.took_ns,
        end_time=traced.ended_ns,
        instrumentation_scope=SCOPE,
    )


def refused_in(answer: bytes) -> int:
    """Return how many spans a collector did not want of those that it took; 0 where it says nothing that is OTLP."""
    try:
        return max(0, ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    except DecodeError:
        return 0


def _attributes(traced: Traced) -> dict[str, str | int | float]:
    found: dict[str, str | int | float] = {"rpc.system": "grpc"}
    named = {
        "tact.channel": traced.line.channel,
        "tact.outcome": traced.outcome,
        "tact.strategy": traced.strategy,
        "tact.model": traced.model,
        "tact.refused": traced.code,
    }
    found.update({name: value for name, value in named.items() if value})
    if traced.placements:
        found["tact.placements"] = traced.placements
    found.update({f"tact.stage.{stage}.us": took / 1000 for stage, took in traced.line.stages().items()})
    return found


def metrics_of(families: Iterable[Family], resource: Resource, began_ns: int, at_ns: int) -> MetricsData:
    """Return families as cumulative metrics since `began_ns` (ns since 1970)."""
    metrics = [_Moment(began_ns, at_ns).metric(family) for family in families if family.points or family.spreads]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(SCOPE, metrics, "")], "")])


class _Moment:
    def __init__(self, began_ns: int, at_ns: int) -> None:
        self._times = (began_ns, at_ns)

    def metric(self, family: Family) -> Metric:
        """Return a family as a metric; an info is a gauge of that name, as Prometheus would call it."""
        name = f"{family.name}.info" if family.kind is Kind.INFO else family.name
        return Metric(name, family.says, family.unit, self._data(family))

    def _data(self, family: Family) -> Sum | Gauge | Histogram:
        match family.kind:
            case Kind.HISTOGRAM:
                return Histogram([self._spreading(one) for one in family.spreads], CUMULATIVE)
            case Kind.COUNTER:
                return Sum([self._number(point) for point in family.points], CUMULATIVE, True)
            case _:
                return Gauge([self._number(point) for point in family.points])

    def _number(self, point: Point) -> NumberDataPoint:
        return NumberDataPoint(dict(point.labels), *self._times, point.value)

    def _spreading(self, spreading: Spreading) -> HistogramDataPoint:
        steps = tuple(spreading.steps())
        below = (0, *(number for _, number in steps))
        counts = [up_to - before for before, up_to in pairwise(below)]
        bounds = [BOUNDS_S[at] for at, _ in steps[:-1]]
        return HistogramDataPoint(
            dict(spreading.labels), *self._times, below[-1], spreading.spread.total_s, counts, bounds, _NOT_KEPT,
            _NOT_KEPT, list(_exemplars(spreading)),
        )  # fmt: skip


def _exemplars(spreading: Spreading) -> Iterator[SdkExemplar]:
    for one in spreading.exemplars.values():
        yield SdkExemplar({}, one.seconds, one.at_ns, one.trace.span_id, one.trace.trace_id)
