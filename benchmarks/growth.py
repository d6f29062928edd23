"""What grows with actions, rules and customers: CPU and latency of a decision, memory of a worker and of the store."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from benchmarks import loadgen
from benchmarks.matrix import memory_mb
from benchmarks.model import MOST_LEARNED, NotTrained
from benchmarks.processes import DidNotStart, Pinned
from benchmarks.section import Bench, Bound, Case, Figure, SectionResult
from benchmarks.stage import Size, Stage
from benchmarks.store_cost import used_memory
from benchmarks.two_workers import in_workers
from benchmarks.windows import Decisions, Floor, Window, figures, one, ratios, told
from service.store import keys
from tact.v1 import decision_pb2

ACTIONS = (10, 100, 1_000, 10_000)
RULES = (0, 8, 100, 500)
CUSTOMERS = (10_000, 100_000, 1_000_000)
QUICK_ACTIONS, QUICK_RULES, QUICK_CUSTOMERS = (), (500,), (2_000, 10_000)
IN_FLIGHT = 8
SHOWN = ("requests", "p50", "p99", "server CPU", "store CPU", "reply")
COPIED_AT_ONCE = 1_000
MOST_SLOWER = 1.3

_COPY = """
for at = 1, #ARGV, 3 do
    redis.call('COPY', KEYS[1], ARGV[at], 'REPLACE')
    redis.call('HSET', ARGV[at], 'i', ARGV[at + 1])
    redis.call('COPY', KEYS[2], ARGV[at + 2], 'REPLACE')
end
"""


class Growth:
    """Actions, rules and workers each beside each other, in rounds; customers one size after another."""

    name = "growth"
    says = "As actions, rules and customers grow"

    def run(self, bench: Bench) -> SectionResult:
        """Measure all four; a quick run leaves actions to the section `matrix` and workers to `workers`."""
        found: list[Figure] = []
        left_out: dict[str, str] = {}
        with bench.stage() as stage:
            numbers = (QUICK_ACTIONS, QUICK_RULES) if bench.quick else (ACTIONS, RULES)
            actions = {n: replace(stage.size, actions=n) for n in numbers[0]}
            found += _beside(bench, stage, "actions", actions, left_out)
            found += _beside(bench, stage, "rules", {n: replace(stage.size, rules=n) for n in numbers[1]}, left_out)
            if not bench.quick and not loadgen.missing():
                found += in_workers(bench, stage)
            size = stage.size
        sizes = QUICK_CUSTOMERS if bench.quick else CUSTOMERS
        with bench.stage(to_fill(size, sizes[0], quick=bench.quick)) as stage:
            found += _customers(bench, stage, sizes)
        notes = (_few_learned(most),) if (most := max(numbers[0], default=0)) > MOST_LEARNED else ()
        return SectionResult(tuple(found), (_bound(found, sizes),), notes, left_out)


def to_fill(size: Size, fewest: int, *, quick: bool) -> Size:
    """Return the size of the stage that is filled: one of its own, or where there is no time for that the one there is.

    It has fewer customers than it is filled to, or there would be none to add.
    """
    if quick and size.customers < fewest:
        return size
    return replace(size, customers=min(fewest, size.customers) - 1)


def _few_learned(actions: int) -> str:
    return (
        f"Of {actions:,} actions {MOST_LEARNED:,} have models, as an artefact has no room for more than some 4,500; "
        "serving multiplies rows of zeros for the others."
    )


def _beside(bench: Bench, stage: Stage, what: str, sizes: dict[int, Size], left_out: dict[str, str]) -> list[Figure]:
    """Serve all sizes side by side, and load them in turn; what cannot be trained or served is left out in words."""
    with ExitStack() as opened:
        services = _served(stage, what, sizes, left_out, opened)
        subjects = {n: Decisions(bench, stage, service) for n, service in services.items()}
        for subject in subjects.values():
            subject.window(IN_FLIGHT, seconds=0.4)
        lanes: dict[str, Callable[[], Window]] = {
            str(n): told(bench, f"{n} {what}", partial(subject.window, IN_FLIGHT)) for n, subject in subjects.items()
        }
        if beside := next(iter(subjects.values()), None):
            lanes["floor"] = told(bench, f"floor beside {what}", partial(Floor(beside).window, IN_FLIGHT))
        windows = bench.interleaved(lanes)
        memory = {n: memory_mb(service.pid) for n, service in services.items()}
        for subject in subjects.values():
            subject.evidence()
    found: list[Figure] = []
    for n in services:
        case: Case = {what: n, "in_flight": IN_FLIGHT}
        floor, decide = figures("floor", case, windows["floor"], SHOWN), figures("decide", case, windows[str(n)], SHOWN)
        found += [*decide, *ratios(decide, floor)]
        found += [Figure("worker", case, name, "MB", (memory[n][name],)) for name in ("PSS", "USS")]
    return found


def _served(
    stage: Stage, what: str, sizes: dict[int, Size], left_out: dict[str, str], opened: ExitStack
) -> dict[int, Pinned]:
    services: dict[int, Pinned] = {}
    for n, size in sizes.items():
        try:
            services[n] = opened.enter_context(stage.serve(size=size))
        except (NotTrained, DidNotStart) as why:
            left_out[f"{n} {what}"] = str(why)
    return services


def _customers(bench: Bench, stage: Stage, sizes: Sequence[int]) -> list[Figure]:
    """Fill the store to one size after another, and measure each beside the floor."""
    found: list[Figure] = []
    filled = len(stage.population.customers)
    for count in sizes:
        empty = used_memory(stage.store)
        names, took_s = _filled(stage, filled, count)
        held = used_memory(stage.store)
        bench.say(f"{count:,} customers, the last of them copied in {took_s:.0f} s")
        requests = _about(stage, names)
        file = stage.requests_file.with_name(f"requests-{count}.bin")
        loadgen.write_messages(file, (request.SerializeToString() for request in requests))
        decisions = Decisions(bench, stage, stage.service, requests, file)
        decisions.window(IN_FLIGHT, seconds=0.4)
        windows = bench.interleaved(
            {
                "floor": told(bench, f"floor, {count:,}", partial(Floor(decisions).window, IN_FLIGHT)),
                "decide": told(bench, f"decide, {count:,}", partial(decisions.window, IN_FLIGHT)),
            }
        )
        decisions.evidence()
        case: Case = {"customers": count, "in_flight": IN_FLIGHT}
        floor, decide = (figures(name, case, windows[name], SHOWN) for name in ("floor", "decide"))
        found += [*floor, *decide, *ratios(decide, floor)]
        found.append(Figure("store", case, "memory", "MB", (held / 1e6,)))
        found.append(Figure("store", case, "bytes a customer", "B", ((held - empty) / (count - filled),)))
        filled = count
    return found


def _filled(stage: Stage, filled: int, count: int) -> tuple[Sequence[str], float]:
    """Copy customers from so many to so many; return the names of all, and the seconds.

    Copies have facts, consent with its history and memory of those who came in by events: a million that do so take an
    hour.
    """
    began = time.monotonic()
    real = stage.population.customers
    names = [*real, *(f"copy-{number:07d}" for number in range(count - len(real)))]
    copy = stage.store.register_script(_COPY)
    for at in range(filled, count, COPIED_AT_ONCE):
        copied = names[at : at + COPIED_AT_ONCE]
        args = [part for name in copied for part in (keys.context_key(name), name, keys.history_key(name))]
        one = real[at // COPIED_AT_ONCE % len(real)]
        copy(keys=[keys.context_key(one), keys.history_key(one)], args=args)
    return names, time.monotonic() - began


def _about(stage: Stage, names: Sequence[str]) -> tuple[decision_pb2.DecideRequest, ...]:
    """Return the requests of the stage, about customers drawn from all there are."""
    dice = random.Random(11)
    found = []
    for request in stage.requests:
        other = decision_pb2.DecideRequest()
        other.CopyFrom(request)
        other.customer_id = dice.choice(names)
        found.append(other)
    return tuple(found)


def _bound(found: Sequence[Figure], sizes: Sequence[int]) -> Bound:
    """What a decision costs may not depend on how many customers there are."""
    few, many = (one(found, "decide / floor", "server CPU", customers=count) for count in (sizes[0], sizes[-1]))
    says = f"CPU a decision over the floor's, {sizes[-1]:,} customers over {sizes[0]:,}"
    return Bound(says, many.median / few.median, at_most=MOST_SLOWER)


SECTION = Growth()
