"""Keys move between the servers of a cluster while processes decide: no cap is overrun, and hardly anybody notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from service.store import keys
from service.store.cluster_slots import slot_of_key
from tests.cli.commands import Process
from tests.edge.cluster.load import MOST, counted, load
from tests.edge.cluster.servers import Cluster, spread
from tests.profile import cases
from tests.strategies import edited, write_strategy

SECONDS = cases(3, 20)
SLOTS_MOVED = cases(20, 240)
CUSTOMERS = cases(240, 2_400)
HELD_OPEN_S = 0.02
HELD_LONGER_S = 0.5
STORE_WAIT_S = 1.0  # on a busy machine slots stay half moved for longer than the 0.25 s of the default
LEAST_SUCCESS = 0.999


@pytest.fixture(scope="module")
def targets(servers: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Serve the small strategy from several processes on the cluster, and return where."""
    strategy = write_strategy(
        tmp_path_factory.mktemp("many") / "strategy", strategy=edited("strategy", "explore: 0.05", "explore: 0.0")
    )
    words = ("serve", "--store", servers.url, "--strategy", strategy, "--port", "0", "--json",
             "--store-wait", STORE_WAIT_S)  # fmt: skip
    with ExitStack() as stack:
        started = [stack.enter_context(Process(*words)) for _ in range(cases(2, 3))]
        yield tuple(process.serving().target for process in started)


def tried_again(servers: Cluster) -> int:
    """Return how many servers have refused what asked for keys of which a part had moved."""
    return sum(node.ask("INFO errorstats").count(b"errorstat_TRYAGAIN") for node in servers.masters)


def held_open(servers: Cluster) -> None:
    """Leave a slot half moved for a while, and for longer as long as nobody has asked for one that is."""
    ends = time.monotonic() + HELD_LONGER_S
    time.sleep(HELD_OPEN_S)
    while not tried_again(servers) and time.monotonic() < ends:
        time.sleep(HELD_OPEN_S)


async def test_moving_slots_under_load_overruns_no_cap_and_fails_next_to_nobody(
    servers: Cluster, targets: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    """While used slots move one after the other, each held half moved for a while, 99.9 % are decided in full."""
    customers = [f"moving-{number}" for number in range(CUSTOMERS)]
    slots = sorted({slot_of_key(keys.context_key(customer)) for customer in customers})[:SLOTS_MOVED]
    moved: list[int] = []

    def move() -> None:
        for number in spread(SECONDS - 0.5, len(slots)):
            source = servers.owner(slots[number])
            target = servers.masters[(servers.masters.index(source) + 1) % len(servers.masters)]
            servers.begin(slots[number], source, target)
            there = source.keys_in(slots[number])
            servers.carry(source, target, there[: len(there) // 2])
            held_open(servers)
            while rest := source.keys_in(slots[number], 200):
                servers.carry(source, target, rest)
            servers.end(slots[number], target)
            moved.append(len(there))

    run = await load(targets, customers, SECONDS, move)
    found = counted(servers, customers)
    record_property("printed", f"{len(moved)} slots with {sum(moved):,} keys moved: {run}; {found.decisions:,} logged")
    assert len(moved) == len(slots)
    assert tried_again(servers), "slots were asked for while half of their keys had moved"
    assert found.overrun == {}
    assert max(found.offers.values()) == MOST, "the cap was reached, so it could have been overrun"
    assert run.decided <= found.ids, "what was answered as decided is in the log"
    assert run.success >= LEAST_SUCCESS, f"{run} {run.late[:20]}"
