"""What a cluster holds on paper, from the figures of a run: `python -m benchmarks.capacity [.bench/last.json]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.loadgen import BUILT

HELD_BACK = 0.5
"""The share of CPU and memory that is planned with: the rest is for peaks, for a machine that is gone, and to fork."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run found: CPU microseconds a decision (unary and in batches) and an event, of the service and the store,
    and bytes in the store for a customer and for a logged decision.
    """

    unary_us: float
    batch_us: float
    store_us: float
    store_batch_us: float
    event_us: float
    store_event_us: float
    customer_bytes: float
    decision_bytes: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """Machines that answer and machines that store, each with so many cores and so much memory (GB).

    Every primary of the store has a replica on another machine, which takes as much memory and as much CPU to write.
    """

    answering: int = 6
    storing: int = 4
    cores: int = 8
    memory_gb: int = 64

    @property
    def answering_us(self) -> float:
        """CPU microseconds a second that answering may take."""
        return 1e6 * HELD_BACK * self.answering * self.cores

    @property
    def storing_us(self) -> float:
        """The same of primaries, of which half of the cores of the store are."""
        return 1e6 * HELD_BACK * self.storing * self.cores / 2

    @property
    def primary_bytes(self) -> float:
        """Bytes that primaries may hold."""
        return 1e9 * HELD_BACK * self.storing * self.memory_gb / 2


def rows(measured: Measured, cluster: Cluster, *, customers: int, log_days: int) -> Iterator[tuple[str, float]]:
    """Give what the cluster holds; a rate is bounded by whichever ends first, the service or the store."""
    yield (
        "decisions a second, unary",
        min(cluster.answering_us / measured.unary_us, cluster.storing_us / measured.store_us),
    )
    batches = min(cluster.answering_us / measured.batch_us, cluster.storing_us / measured.store_batch_us)
    yield "decisions a second, in batches", batches
    yield "minutes to decide for a million customers in batches", 1e6 / batches / 60
    yield "events a second", min(cluster.answering_us / measured.event_us, cluster.storing_us / measured.store_event_us)
    left = cluster.primary_bytes - customers * measured.customer_bytes
    yield (
        f"customers without any log, {cluster.memory_gb} GB a machine",
        cluster.primary_bytes / measured.customer_bytes,
    )
    yield (
        f"decisions a day whose log is kept {log_days} days, beside {customers:,} customers",
        max(0.0, left) / measured.decision_bytes / log_days,
    )


def of_one_store(measured: Measured) -> Iterator[tuple[str, float]]:
    """Give what half of one store's core takes in, and how much of such a core a worker's core needs."""
    half_us = 1e6 * HELD_BACK
    yield "one store: decisions a second, unary", half_us / measured.store_us
    yield "one store: decisions a second, in batches", half_us / measured.store_batch_us
    yield "one store: events a second", half_us / measured.store_event_us
    yield "core of the store for a worker's core, unary", measured.store_us / measured.unary_us
    yield "core of the store for a worker's core, in batches", measured.store_batch_us / measured.batch_us


def measured_in(document: Mapping[str, Any]) -> Measured:
    """Read the figures of a run that has the sections stream, store and events; raise `LookupError` for one missing."""

    def figure(section: str, subject: str, measure: str) -> float:
        for one in document["sections"]:
            for found in one.get("figures", ()) if one["name"] == section else ():
                if (found["subject"], found["measure"]) == (subject, measure):
                    return float(median(found["values"]))
        raise LookupError(f"the run has no {measure} of {subject} in the section {section}")

    return Measured(
        unary_us=figure("stream", "unary", "server CPU"),
        batch_us=figure("stream", "batches", "server CPU"),
        store_us=figure("stream", "unary", "store CPU"),
        store_batch_us=figure("stream", "batches", "store CPU"),
        event_us=figure("events", "events", "server CPU"),
        store_event_us=figure("events", "events", "store CPU"),
        customer_bytes=figure("events", "customer", "bytes") + figure("events", "consent", "bytes"),
        decision_bytes=figure("store", "store", "bytes a decision"),
    )


def main() -> None:
    """Print the table."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else BUILT.with_name("last.json")
    try:
        measured = measured_in(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError) as error:
        sys.exit(f"{file} is no run that tells the capacity: {error}")
    for name, value in asdict(measured).items():
        print(f"| {name} | {value:,.0f} |")
    for says, value in rows(measured, Cluster(), customers=10_000_000, log_days=14):
        print(f"| {says} | {value:,.2f} |")
    for says, value in of_one_store(measured):
        print(f"| {says} | {value:,.2f} |")


if __name__ == "__main__":
    main()
