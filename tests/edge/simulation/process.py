"""One process of the service as `generation.py` puts it together, without its edge, over the simulated network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.core.engine import Engine
from service.decide import Decider
from service.policy.remembering import Remembering
from service.store.connection import Connections
from service.store.durable import Confirmation
from service.store.opening import open_ways
from service.store.store import Store
from service.supply.warehouse import Warehouse
from service.telemetry import Counts
from service.validate import Validator
from tests.edge.simulation.backing import EPOCH_MS
from tests.edge.simulation.loop import VirtualLoop


@dataclass(frozen=True, slots=True)
class Process:
    """What callers talk to. `distrusted` collects why connections were distrusted: nothing here is a reason to."""

    name: str
    decider: Decider
    validator: Validator
    store: Store
    warehouse: Warehouse
    counts: Counts
    close: Callable[[], object]
    distrusted: list[str]


@dataclass(frozen=True, slots=True)
class Made:
    """How processes are made: whether what is written is confirmed, and how far their clocks are off."""

    engine: Engine
    loop: VirtualLoop
    entropy: Callable[[int], bytes]
    durable: bool


def process(name: str, made: Made, skew_ms: int) -> Process:
    """Start a process whose clock is off by so many milliseconds."""
    strategy, loop, distrusted = made.engine.strategy, made.loop, list[str]()
    ways = open_ways(f"redis://{name}:6379/0", Confirmation(1, 200) if made.durable else None)
    for way in (ways.quick, ways.confirmed):
        _watch(way, distrusted)
    levels = {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy.levels}
    store = Store.over(ways.quick, levels, strategy.levels[0].id, schema=strategy.schema, confirmed=ways.confirmed)
    outcomes = Remembering(store.recorder, store.memory, strategy, store.words)
    warehouse = Warehouse.of(strategy, store.customers, outcomes, store.supply, store.demand, store.issued, name)
    counts = Counts()

    def clock_ms() -> int:
        return EPOCH_MS + skew_ms + int(loop.now * 1000)

    decider = Decider(made.engine, warehouse.decisions, made.entropy, clock_ms, book=warehouse.book, counts=counts)
    validator = Validator(lambda: made.engine, store.issued, store.customers, store.supply, warehouse.book, counts)
    return Process(name, decider, validator, store, warehouse, counts, ways.close, distrusted)


def _watch(way: object, distrusted: list[str]) -> None:
    assert isinstance(way, Connections)
    distrust = way.distrust

    def watched() -> None:
        distrusted.append("a reply could not be explained")
        distrust()

    way.distrust = watched  # type: ignore[method-assign]  # only to hear of it
