"""From nothing to the first decision: a process is started, says that it serves, and is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import grpc

from benchmarks.matrix import memory_mb
from benchmarks.section import Bench, Figure, SectionResult
from benchmarks.stage import DECIDE, Stage
from tact.v1 import decision_pb2

ACTIONS = (10, 100, 1000)
HUNDRED = 100


@dataclass(frozen=True, slots=True)
class Start:
    """How long a start took, until it serves and then to the first answer; and how the hundredth compares."""

    serving_s: float
    first_ms: float
    hundredth_ms: float
    pss_mb: float


class ColdStart:
    """A service over a store that is there, with strategy and model, started again and again."""

    name = "cold_start"
    says = "From nothing to the first decision"

    def run(self, bench: Bench) -> SectionResult:
        """Start each size once a round."""
        sizes = (HUNDRED,) if bench.quick else ACTIONS
        with bench.stage() as stage:
            for actions in sizes:
                stage.version(replace(stage.size, actions=actions))  # trained before it is measured
            subjects: dict[str, Callable[[], Start]] = {
                str(actions): partial(_started, bench, stage, actions) for actions in sizes
            }
            found = bench.interleaved(subjects, 1 if bench.quick else None)
        figures = [figure for actions in sizes for figure in _figures(actions, found[str(actions)])]
        return SectionResult(tuple(figures))


def _started(bench: Bench, stage: Stage, actions: int) -> Start:
    to_start, began = stage.serve(size=replace(stage.size, actions=actions)), time.perf_counter()
    with to_start as service:
        serving_s = time.perf_counter() - began
        with grpc.insecure_channel(service.target) as channel:
            decide: Callable[..., decision_pb2.DecideResponse] = channel.unary_unary(
                DECIDE, decision_pb2.DecideRequest.SerializeToString, decision_pb2.DecideResponse.FromString
            )
            grpc.channel_ready_future(channel).result(timeout=10.0)
            took_ms = [_asked(decide, request) for request in stage.requests[:HUNDRED]]
        memory = memory_mb(service.pid)["PSS"]
    bench.say(f"{actions:>6} actions: serving after {serving_s:.2f} s, first answer {took_ms[0]:.1f} ms")
    return Start(serving_s, took_ms[0], took_ms[-1], memory)


def _asked(decide: Callable[..., decision_pb2.DecideResponse], request: decision_pb2.DecideRequest) -> float:
    """Ask one request and return the milliseconds; raise `RuntimeError` unless it was decided."""
    began = time.perf_counter()
    answer = decide(request, timeout=10.0)
    took_ms = 1000 * (time.perf_counter() - began)
    if answer.degraded or not answer.decision_id:
        raise RuntimeError(f"a new service answered with a degraded decision: {answer.degraded_reasons}")
    return took_ms


def _figures(actions: int, starts: tuple[Start, ...]) -> tuple[Figure, ...]:
    case = {"actions": actions}
    return (
        Figure("start", case, "to serving", "s", tuple(start.serving_s for start in starts)),
        Figure("start", case, "first answer", "ms", tuple(start.first_ms for start in starts)),
        Figure("start", case, "hundredth answer", "ms", tuple(start.hundredth_ms for start in starts)),
        Figure("start", case, "PSS", "MB", tuple(start.pss_mb for start in starts)),
    )


SECTION = ColdStart()
