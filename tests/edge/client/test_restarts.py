"""F-14: services end and begin again under load, and the callers of the shipped client notice nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import psutil
import pytest

from service.store.embedded import free_port
from tact.client import AsyncClient, event, question
from tact.v1 import context_pb2
from tests.edge.client.world import Load, Replica, replicas
from tests.profile import cases, full
from tests.service.telemetry.collector import until

GRACE_S = 2
A_SECOND, AT_ONCE, MOST = 300, 20, 40
LONGEST_CALL_S = 10.0
CUSTOMERS = 50
WORKERS = 2


@contextmanager
def silent_collector() -> Iterator[str]:
    """Yield the URL of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class Callers:
    """Ask for decisions, and tell that one customer in five bought something."""

    def __init__(self, tact: AsyncClient) -> None:
        self._tact = tact
        self.bought = 0

    async def __call__(self, number: int) -> None:
        """Make the call of this number."""
        customer = f"customer-{number % CUSTOMERS}"
        if number % 5:
            answer = await self._tact.decide(question(customer, "web", ["greeting", "hero"]))
            assert len(answer.answers) == 2
            return
        self.bought += 1
        recorded = await self._tact.record_events([event(customer, "purchase", {"amount": 1.0, "product": "phone"})])
        assert recorded.results[0].status in (context_pb2.EVENT_STATUS_STORED, context_pb2.EVENT_STATUS_REPEATED)

    async def counted(self) -> float:
        """Return how much the customers have spent, as the service counts it."""
        spent = 0.0
        for number in range(CUSTOMERS):
            await self._tact.set_consent(f"customer-{number}", "full")
            known = await self._tact.get_context(f"customer-{number}")
            spent += sum(one.value.double_value for one in known.fields if one.field_id == "past.spend")
        return spent


async def restart(one: Replica) -> float:
    """Restart a service as an operator does and return how many seconds it took to end."""
    one.tell_to_end()
    took_s = await asyncio.to_thread(one.await_end, GRACE_S + 3)
    one.begin()
    await asyncio.to_thread(one.await_serving)
    return took_s


async def test_rolling_restarts_fail_no_call(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Two services are restarted in turn under load, their collectors dead: no call fails, nothing counts twice."""
    closed = f"http://127.0.0.1:{free_port()}"
    grace = ("--grace", str(GRACE_S))
    with (
        silent_collector() as silent,
        replicas(tmp_path, (*grace, "--otlp", closed), (*grace, "--otlp", silent)) as two,
    ):
        addresses = tuple(one.address for one in two)
        async with AsyncClient(addresses, timeout_s=LONGEST_CALL_S) as tact:
            callers = Callers(tact)
            load = Load(callers, A_SECOND, AT_ONCE, MOST)
            running = asyncio.create_task(load.run())
            await asyncio.sleep(0.3)
            ended_s = [await restart(one) for one in islice(cycle(two), cases(2, 5))]
            await asyncio.sleep(0.3)
            load.stopped = True
            told = await running
            counted = await callers.counted()
    ended = ", ".join(f"{s:.2f}" for s in ended_s)
    record_property("printed", f"{told}; ended in {ended} s")
    assert told.failed == []
    assert counted == callers.bought
    assert told.answered > 50 * len(ended_s)
    assert max(ended_s) <= GRACE_S + 3


@pytest.mark.skipif(not full(), reason="only in the full profile: TACT_FULL=1")
async def test_workers_on_one_port_end_and_no_call_fails(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Workers that share a port are told to end one by one under load, and others take their seats: no call fails."""
    with replicas(tmp_path, ("--workers", str(WORKERS), "--grace", str(GRACE_S))) as (service,):
        assert service.process is not None
        supervisor = psutil.Process(service.process.pid)
        async with AsyncClient(service.address, timeout_s=LONGEST_CALL_S, connections=4) as tact:
            callers = Callers(tact)
            load = Load(callers, A_SECOND, AT_ONCE, MOST)
            running = asyncio.create_task(load.run())
            for _ in range(5):
                await asyncio.sleep(1.0)
                worker = workers_of(supervisor)[0]
                worker.terminate()
                await asyncio.to_thread(worker.wait, GRACE_S + 3)
                await asyncio.to_thread(until, lambda: len(workers_of(supervisor)) == WORKERS)
                await asyncio.sleep(2.0)
            load.stopped = True
            told = await running
            counted = await callers.counted()
    record_property("printed", str(told))
    assert told.failed == []
    assert counted == callers.bought


def workers_of(supervisor: psutil.Process) -> list[psutil.Process]:
    """Return the workers of a service, the oldest first."""
    workers = [each for each in supervisor.children() if "service.workers" in each.cmdline()]
    return sorted(workers, key=psutil.Process.create_time)
