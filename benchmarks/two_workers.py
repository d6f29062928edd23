"""One worker and two on the same two cores, which the client and the store share with them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import loadgen
from benchmarks.evidence import faultless, judged, logged
from benchmarks.matrix import memory_mb
from benchmarks.processes import Pinned
from benchmarks.section import Bench, Bound, Figure, NotMeasured, SectionResult
from benchmarks.stage import DECIDE, Stage
from benchmarks.windows import SAMPLE_EVERY, one

CORES = (0, 1)
CLIENTS = 8
EACH_IN_FLIGHT = 8
AT_LEAST = 1.3
BUSY = "cores busy"


@dataclass(frozen=True, slots=True)
class Together:
    """What several clients saw at once: the sum of their rates, and the median of their percentiles.

    CPU a decision and memory (PSS, MB) are those of all processes of the service; `cores` is how many cores service,
    store and clients together kept busy.
    """

    throughput: float
    p50_us: float
    p99_us: float
    cpu_us: float
    memory_mb: float
    cores: float


class TwoWorkers:
    """Each worker has a core of its own, the first of them the core that one worker alone has; clients have both.

    The kernel gives each new connection to one of the workers, so there are several clients, each with its own.
    """

    name = "workers"
    says = "One worker and two on the same two cores"

    def run(self, bench: Bench) -> SectionResult:
        """Measure both in turn."""
        if loadgen.missing():
            raise NotMeasured("it needs the load generator in C++ (Debian: libgrpc++-dev)")
        with bench.stage() as stage:
            found = in_workers(bench, stage)
        gain = one(found, "two workers / one", "requests")
        bound = Bound("requests a second, two workers over one", gain.median, at_least=AT_LEAST)
        return SectionResult(tuple(found), (bound,), (room(found),))


def room(found: Sequence[Figure]) -> str:
    """Say what two workers can reach at most on these cores: what one leaves of them."""
    busy = one(found, "one worker", BUSY).median
    return (
        f"One worker with its store and clients keeps {busy:.2f} of {len(CORES)} cores busy, so there is room for "
        f"{len(CORES) / busy:.2f} times its requests, were a call of two workers no dearer."
    )


def in_workers(bench: Bench, stage: Stage) -> list[Figure]:
    """Measure a service of one worker and one of two, in turn."""
    with ExitStack() as opened:
        subjects: dict[str, Callable[[], Together]] = {
            "one worker": partial(
                _measured, bench, stage, "one worker", opened.enter_context(stage.another(quick=bench.quick))
            ),
            "two workers": partial(_measured, bench, stage, "two workers", opened.enter_context(_two(stage))),
        }
        found = bench.interleaved(subjects)
    alone, both = (_figures(name, number, found[name]) for number, name in enumerate(subjects, 1))
    gain = Figure("two workers / one", both[0].case, "requests", "x", both[0].over(alone[0]).values)
    return [*alone, *both, gain]


def _two(stage: Stage) -> Pinned:
    """Return a service of two workers that is not started yet, each of which keeps to a core of its own."""
    return stage.serve("--workers", "2", "--pin", cores=CORES)


def _measured(bench: Bench, stage: Stage, name: str, service: Pinned) -> Together:
    together = _loaded(bench, stage, service)
    bench.say(f"{name}: {together.throughput:,.0f}/s, p99 {together.p99_us / 1000:.1f} ms")
    return together


def _loaded(bench: Bench, stage: Stage, service: Pinned) -> Together:
    pids, before = family(service.pid), logged(stage.store)
    kept = [stage.requests_file.with_name(f"client-{number}.bin") for number in range(CLIENTS)]
    loads = [
        loadgen.Load(
            service.target, DECIDE, stage.requests_file, in_flight=EACH_IN_FLIGHT, seconds=bench.seconds,
            warmup_s=bench.warmup_s, watched=(*pids, stage.store_pid), samples=samples, sample_every=SAMPLE_EVERY,
        )
        for samples in kept
    ]  # fmt: skip
    with ThreadPoolExecutor(CLIENTS) as clients:
        seen = list(clients.map(partial(loadgen.drive, bench.program), loads))
    for measured in seen:
        faultless(measured, "one of several clients")
    samples = [sample for file in kept for sample in loadgen.read_samples(file)]
    grown = logged(stage.store) - before
    judged(samples, stage.requests, sum(measured.ok_in_all for measured in seen), grown)
    return _together(seen, pids, sum(memory_mb(pid)["PSS"] for pid in pids))


def _together(seen: Sequence[loadgen.Measured], pids: Sequence[int], held_mb: float) -> Together:
    throughput = sum(measured.throughput for measured in seen)
    # Each client watches the same processes over its own window, and all windows are about the same.
    served = statistics.median(sum(measured.cpu_s[pid] for pid in pids) / measured.seconds for measured in seen)
    watched = statistics.median(sum(measured.cpu_s.values()) / measured.seconds for measured in seen)
    return Together(
        throughput,
        statistics.median(measured.latency_us["p50"] for measured in seen),
        statistics.median(measured.latency_us["p99"] for measured in seen),
        1e6 * served / throughput,
        held_mb,
        watched + sum(measured.client_cpu_s / measured.seconds for measured in seen),
    )


def family(pid: int) -> tuple[int, ...]:
    """Return a process and all that it and its children started, as far as they live."""
    texts = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    children = (int(child) for text in texts for child in text.split())
    return (pid, *(one for child in children for one in family(child)))


def _figures(subject: str, workers: int, found: Sequence[Together]) -> tuple[Figure, ...]:
    case = {"workers": workers, "clients": CLIENTS, "in_flight": CLIENTS * EACH_IN_FLIGHT}
    return (
        Figure(subject, case, "requests", "1/s", tuple(one.throughput for one in found)),
        Figure(subject, case, "p50", "µs", tuple(one.p50_us for one in found)),
        Figure(subject, case, "p99", "µs", tuple(one.p99_us for one in found)),
        Figure(subject, case, "server CPU", "µs", tuple(one.cpu_us for one in found)),
        Figure(subject, case, BUSY, "share", tuple(one.cores for one in found)),
        Figure(subject, case, "PSS of all its processes", "MB", tuple(one.memory_mb for one in found)),
    )


SECTION = TwoWorkers()
