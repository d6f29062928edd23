"""Events a second, beside a floor that takes as many bytes; and what a customer weighs in the store."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks import events, loadgen
from benchmarks.section import Bench, Figure, NotMeasured, SectionResult


class Ingestion:
    """The benchmark of `RecordEvents`, in a world of its own: its events fill all 60 fields of a customer."""

    name = "events"
    says = "Events taken in, beside a floor that looks at nothing"

    def run(self, bench: Bench) -> SectionResult:
        """Measure a round after another, each of new events, and what is stored of them."""
        if loadgen.missing():
            raise NotMeasured("it needs the load generator in C++ (Debian: libgrpc++-dev)")
        plan = replace(events.Plan(), seconds=bench.seconds, warmup_s=bench.warmup_s, rounds=bench.rounds)
        if bench.quick:
            plan = replace(plan, customers=2_000, rounds=1)
        folder = bench.folder / "events"
        folder.mkdir()
        with events.Stage(folder) as stage:
            weight = events.weigh(stage, 500 if bench.quick else 2_000, bench.say)
            measure = partial(events.throughput, stage, plan, say=bench.say)
            found = [measure(number) for number in range(plan.rounds)]
        return _result(plan, found, weight)


def _result(plan: events.Plan, found: list[events.Figures], weight: events.Weight) -> SectionResult:
    case = {"in_a_batch": plan.batch, "in_flight": plan.in_flight}
    taken = Figure("events", case, "events", "1/s", tuple(one.events_per_s for one in found))
    floor = Figure("floor", case, "events", "1/s", tuple(one.floor_events_per_s for one in found))
    service = Figure("events", case, "server CPU", "µs", tuple(one.service_cpu_us for one in found))
    store = Figure("events", case, "store CPU", "µs", tuple(one.store_cpu_us for one in found))
    weights = (
        Figure("customer", {"events": 20, "fields": 60}, "bytes", "B", (weight.context,)),
        Figure("consent", {"history": 1}, "bytes", "B", (weight.consent,)),
    )
    stored, checked = sum(one.stored for one in found), sum(one.checked_customers for one in found)
    note = f"{stored:,} events, each answered as stored; {checked} customers compared with what Python folds."
    return SectionResult((taken, floor, taken.over(floor), service, store, *weights), notes=(note,))


SECTION = Ingestion()
