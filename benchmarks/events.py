"""Measure RecordEvents: `python -m benchmarks.events [--quick] [--json FILE]`. See benchmarks/README.md."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
from redis import Redis
from rich.console import Console

from benchmarks import events_world, floor, loadgen, report
from benchmarks.loading import batches, load
from benchmarks.population import Happened, Population
from benchmarks.processes import Pinned, pin
from benchmarks.stage import CLIENT_CORE, SERVER_CORE, TACT, port_said
from benchmarks.store_cost import used_memory
from models import folds
from models.schema import load_context
from models.states import unpacked
from service.store import keys
from service.store.embedded import EmbeddedStore
from tact.v1 import context_pb2, context_pb2_grpc

METHOD = "/tact.v1.ContextService/RecordEvents"
MOST_A_SECOND = 60_000  # more events are prepared than any machine takes in the time
CHECKED = 200  # customers whose stored state is compared

Say = Callable[[str], None]


class NotStored(Exception):
    """Events were not stored as they should have been."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure, with how many events a call, calls open at once, and customers."""

    seconds: float = 5.0
    warmup_s: float = 1.0
    batch: int = 500
    in_flight: int = 8
    customers: int = 20_000
    rounds: int = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured: events a second, CPU microseconds an event of service and store, and over the floor.

    The floor answers the same calls with as many bytes and looks at nothing.
    """

    events_per_s: float
    service_cpu_us: float
    store_cpu_us: float
    floor_events_per_s: float
    ratio: float
    stored: int
    checked_customers: int


class Stage:
    """A store and a service with the strategy of events, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = ExitStack()
        self.program = loadgen.build()

    def __enter__(self) -> Stage:
        try:
            self.strategy = events_world.write_strategy(self.folder / "strategy")
            store = EmbeddedStore(self.folder / "store")
            self.url = self._open.enter_context(store)
            self.store_pid = store.processes[1]
            self.store = self._open.enter_context(Redis.from_url(self.url))
            served = ["--store", self.url, "--strategy", str(self.strategy), "--port", "0", "--json"]
            served += ["--store-wait", "5", "--scheduling", "batch"]  # as the floor is scheduled
            self.service = self.server("service", [*TACT, "serve", *served])
            pin(self.store_pid, CLIENT_CORE)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *ended: object) -> None:
        self._open.close()

    def server(self, name: str, command: Sequence[str]) -> Pinned:
        """Start a server on the servers' core."""
        return self._open.enter_context(Pinned(command, SERVER_CORE, self.folder / f"{name}.log", port_said))

    def drive(self, server: Pinned, method: str, plan: Plan, file: Path, samples: Path | None) -> loadgen.Measured:
        """Send the requests of a file and return what was measured; raise `NotStored` unless all were answered."""
        asked = loadgen.Load(
            server.target, method, file, in_flight=plan.in_flight, seconds=plan.seconds, warmup_s=plan.warmup_s,
            watched=(server.pid, self.store_pid), samples=samples, sample_every=1, timeout_s=20.0,
        )  # fmt: skip
        measured = loadgen.drive(self.program, asked, core=SERVER_CORE)
        if measured.errors or not measured.ok:
            raise NotStored(f"{method}: {measured.ok} OK, {measured.errors}, {measured.error_texts}")
        return measured


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of the store that one more customer takes: 60 fields from 20 events, and a consent with its history."""

    context: float
    consent: float


def weigh(stage: Stage, customers: int, say: Say) -> Weight:
    """Return what a customer weighs, with all keys, event ids and what the store needs to keep them apart."""
    now_ms = time.time_ns() // 1_000_000
    warm, weighed = (
        Population(tuple(f"{name}-{number:06d}" for number in range(customers)), now_ms, seed)
        for seed, name in enumerate(("warm", "customer"))
    )
    load(stage.service.target, warm, events_world.whole(warm))  # what the store takes when it is first used
    before = used_memory(stage.store)
    load(stage.service.target, replace(weighed, customers=()), events_world.whole(weighed))
    known = used_memory(stage.store)
    agree(stage.service.target, weighed.customers)
    found = Weight((known - before) / customers, (used_memory(stage.store) - known) / customers)
    fields = sum(len(unpacked(group)) for group in groups(stage.store, weighed.customers[0]))
    if fields != events_world.STORED:
        raise NotStored(f"{fields} fields are known of a customer, not {events_world.STORED}")
    say(f"a customer with {fields} fields takes {found.context:.0f} bytes in the store, "
        f"and the consent with its history {found.consent:.0f}")  # fmt: skip
    return found


def agree(target: str, customers: Sequence[str]) -> None:
    """Give every customer a consent, one after another."""
    with grpc.insecure_channel(target) as channel:
        stub = context_pb2_grpc.ContextServiceStub(channel)
        for customer in customers:
            consent = context_pb2.Consent(level="full", source="benchmark")
            stub.SetConsent(context_pb2.SetConsentRequest(customer_id=customer, consent=consent), timeout=30.0)


def groups(store: Redis, customer: str) -> list[bytes]:
    """Return the packed states of a customer, straight from the store."""
    found = store.hmget(keys.context_key(customer), "s", "p", "f")
    return [group for group in found if isinstance(group, bytes)]


def throughput(stage: Stage, plan: Plan, number: int, say: Say) -> Figures:
    """Measure one round: the service on new events, then the floor on the same bytes."""
    names = tuple(f"customer-{number}-{n:06d}" for n in range(plan.customers))
    population = Population(names, time.time_ns() // 1_000_000, number)
    count = int(MOST_A_SECOND * (plan.seconds + plan.warmup_s + 1)) // plan.batch * plan.batch
    sent = [*batches(events_world.stream(population, count), plan.batch)]
    file = loadgen.write_messages(
        stage.folder / "events.bin",
        (context_pb2.RecordEventsRequest(events=[e.message() for e in batch]).SerializeToString() for batch in sent),
    )
    kept = stage.folder / "answers.bin"
    measured = stage.drive(stage.service, METHOD, plan, file, kept)
    stored = all_stored(measured, kept, sent)
    checked = as_folded(stage, [event for batch in sent[: measured.ok_in_all] for event in batch])
    reply = round(measured.reply_bytes["mean"])
    mirror = stage.server(
        f"floor-{number}", [sys.executable, "-m", "benchmarks.floor", "--store", stage.url, "--reply-bytes", str(reply)]
    )
    least = stage.drive(mirror, floor.MIRROR, plan, file, None)
    found = Figures(
        events_per_s=measured.throughput * plan.batch,
        service_cpu_us=measured.cpu_us_a_call(stage.service.pid) / plan.batch,
        store_cpu_us=measured.cpu_us_a_call(stage.store_pid) / plan.batch,
        floor_events_per_s=least.throughput * plan.batch,
        ratio=measured.throughput / least.throughput,
        stored=stored, checked_customers=checked,
    )  # fmt: skip
    say(f"round {number + 1}  {found.events_per_s:>8,.0f} events/s  service {found.service_cpu_us:5.1f} µs  "
        f"store {found.store_cpu_us:5.1f} µs an event  {found.ratio:.3f} of the floor")  # fmt: skip
    return found


def all_stored(measured: loadgen.Measured, answers: Path, sent: Sequence[Sequence[Happened]]) -> int:
    """Return how many events were stored; raise `NotStored` unless each answer says so of each of its events."""
    if measured.ok_in_all >= len(sent):
        raise NotStored("The events did not suffice for the time; prepare more.")
    fates: Counter[int] = Counter()
    for request, reply in loadgen.read_samples(answers):
        results = context_pb2.RecordEventsResponse.FromString(reply).results
        if [result.event_id for result in results] != [event.event_id for event in sent[request]]:
            raise NotStored("An answer is about other events than the request.")
        fates.update(result.status for result in results)
    if set(fates) != {context_pb2.EVENT_STATUS_STORED}:
        raise NotStored(f"Events ended as {dict(fates)}.")
    return measured.ok_in_all * len(sent[0])


def as_folded(stage: Stage, events: Sequence[Happened]) -> int:
    """Compare what is stored of some customers with what Python folds in order; return how many were compared."""
    folding = folds.Folding(load_context(stage.strategy))
    wanted: defaultdict[str, dict[int, folds.State]] = defaultdict(dict)
    customers = sorted({event.customer for event in events})
    chosen = set(customers[:: max(1, len(customers) // CHECKED)][:CHECKED])
    for event in events:
        if event.customer in chosen:
            states = wanted[event.customer]
            for one in folding.operations(event.type, event.attributes):
                states[one.key] = folds.apply(states.get(one.key), one, event.at_ms)
    for customer, states in wanted.items():
        found: dict[int, folds.State] = {}
        for group in groups(stage.store, customer):
            found |= unpacked(group)
        if found != states:
            raise NotStored(f"What is stored of {customer} is not what their events say.")
    return len(wanted)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="One round of two seconds.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything that was measured here.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; 5, or 1 with --quick.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Events a call.")] = 500,
) -> None:
    """Measure how many events a second one service process and one store take in, and what a customer weighs."""
    console = Console(stderr=True, highlight=False)
    say = partial(console.print, soft_wrap=True)
    plan = Plan(seconds=2.0 if quick else 5.0, batch=batch, rounds=rounds or (1 if quick else 5))
    before = report.machine()
    try:
        with tempfile.TemporaryDirectory(prefix="tact-bench-") as folder, Stage(Path(folder)) as stage:
            weight = weigh(stage, 500 if quick else 2000, say)
            found = [throughput(stage, plan, number, say) for number in range(plan.rounds)]
    except (NotStored, loadgen.CannotBuild) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    best = sorted(found, key=lambda one: one.events_per_s)[len(found) // 2]
    said: dict[str, Any] = {"machine": before, "plan": asdict(plan), "rounds": [asdict(one) for one in found]}
    said["median"] = asdict(best) | {"bytes_a_customer": asdict(weight)}
    if json_file:
        json_file.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(said["median"]))


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
