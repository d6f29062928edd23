"""What the store pays: bytes a customer and a decision weigh, and its CPU for one decision."""

from __future__ import annotations

from redis import Redis

from benchmarks.section import Bench, Figure, SectionResult
from benchmarks.stage import Stage
from benchmarks.windows import Decisions, figures
from service.store import keys

IN_FLIGHT = 8


class StoreCost:
    """Decisions leave a log entry, a place to find it by, and uses that caps count."""

    name = "store"
    says = "What the store pays for customers and decisions"

    def run(self, bench: Bench) -> SectionResult:
        """Measure how its memory grows over the decisions of one window a round, all of them logged."""
        with bench.stage() as stage:
            decisions = Decisions(bench, stage, stage.service)
            decisions.window(IN_FLIGHT, seconds=0.4)
            grown, windows = [], []
            for _ in range(bench.rounds):
                before, logged = used_memory(stage.store), decisions.grown
                windows.append(decisions.window(IN_FLIGHT))
                grown.append((used_memory(stage.store) - before) / (decisions.grown - logged))
            decisions.evidence()
            customer = context_bytes(stage)
        case = {"in_flight": IN_FLIGHT}
        spent = figures("store", case, windows, ("store CPU",))
        weights = (
            Figure("store", case, "bytes a decision", "B", tuple(grown)),
            Figure("store", case, "bytes a customer", "B", (customer,)),
        )
        return SectionResult((*spent, *weights), notes=("A decision is kept as long as the log is; see docs/log.md.",))


def used_memory(store: Redis) -> int:
    """Return the bytes that the store has allocated for what it holds, not for those who are connected just now."""
    told = store.info("memory")
    return int(told["used_memory"]) - int(told["mem_clients_normal"])


def context_bytes(stage: Stage, most: int = 300) -> float:
    """Return the mean bytes of what is known and remembered of a customer, as the store reckons it."""
    pipeline = stage.store.pipeline(transaction=False)
    asked = stage.population.customers[:most]
    for customer in asked:
        pipeline.memory_usage(keys.context_key(customer))
    return sum(bytes_ or 0 for bytes_ in pipeline.execute()) / len(asked)


SECTION = StoreCost()
