"""One worker and two on the same two cores, which the client and the store share with them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks import loadgen
from benchmarks.evidence import faultless
from benchmarks.processes import DidNotStart, Pinned
from benchmarks.section import Bench, Bound, Figure, NotMeasured, SectionResult
from benchmarks.stage import DECIDE, SERVER_CORE, Stage

CORES = (0, 1)
CLIENTS = 8
EACH_IN_FLIGHT = 8
AT_LEAST = 1.3


@dataclass(frozen=True, slots=True)
class Together:
    """What several clients saw at once: the sum of their rates, and the median of their percentiles."""

    throughput: float
    p50_us: float
    p99_us: float


class TwoWorkers:
    """The kernel gives each new connection to one of the workers, so there are several clients, each with its own."""

    name = "workers"
    says = "One worker and two on the same two cores"

    def run(self, bench: Bench) -> SectionResult:
        """Measure both in turn."""
        if loadgen.missing():
            raise NotMeasured("it needs the load generator in C++ (Debian: libgrpc++-dev)")
        with bench.stage() as stage:
            subjects: dict[str, Callable[[], Together]] = {
                "1": partial(_measured, bench, stage, 1),
                "2": partial(_measured, bench, stage, 2),
            }
            found = bench.interleaved(subjects)
        case = {"clients": CLIENTS, "in_flight": CLIENTS * EACH_IN_FLIGHT}
        alone, both = (_figures(f"{number} worker(s)", case, found[number]) for number in ("1", "2"))
        gain = both[0].over(alone[0])
        bound = Bound("requests a second, two workers over one", gain.median, at_least=AT_LEAST)
        return SectionResult((*alone, *both, gain), (bound,))


def _measured(bench: Bench, stage: Stage, workers: int) -> Together:
    """Start the service, load it from all clients at once, and end it."""
    try:
        with stage.serve("--workers", str(workers), cores=CORES if workers > 1 else SERVER_CORE) as service:
            together = _loaded(bench, stage, service)
    except DidNotStart as error:
        raise NotMeasured(f"a service with {workers} workers did not start: {error}") from None
    bench.say(f"{workers} worker(s): {together.throughput:,.0f}/s, p99 {together.p99_us / 1000:.1f} ms")
    return together


def _loaded(bench: Bench, stage: Stage, service: Pinned) -> Together:
    load = loadgen.Load(
        service.target, DECIDE, stage.requests_file, in_flight=EACH_IN_FLIGHT, seconds=bench.seconds,
        warmup_s=bench.warmup_s,
    )  # fmt: skip
    with ThreadPoolExecutor(CLIENTS) as clients:
        seen = list(clients.map(lambda _: loadgen.drive(bench.program, load), range(CLIENTS)))
    for measured in seen:
        faultless(measured, "one of several clients")
    return Together(
        sum(measured.throughput for measured in seen),
        statistics.median(measured.latency_us["p50"] for measured in seen),
        statistics.median(measured.latency_us["p99"] for measured in seen),
    )


def _figures(subject: str, case: dict[str, int], found: tuple[Together, ...]) -> tuple[Figure, ...]:
    return (
        Figure(subject, case, "requests", "1/s", tuple(one.throughput for one in found)),
        Figure(subject, case, "p50", "µs", tuple(one.p50_us for one in found)),
        Figure(subject, case, "p99", "µs", tuple(one.p99_us for one in found)),
    )


SECTION = TwoWorkers()
