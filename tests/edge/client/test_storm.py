"""F-20: when a third of all attempts fails, callers that repeat do not make it worse, and are well soon after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from time import monotonic

import grpc
import pytest

from tact.client import AsyncClient, CallFailed, Client, Retry, question
from tests.edge.client.faulty import Fault, front
from tests.edge.client.world import Replica
from tests.profile import cases, full

CLIENTS = 50
SHARE = 0.3
WELL_WITHIN_S = 5.0


async def calls(clients: list[AsyncClient], each: int) -> int:
    """Have every client make calls one after the other, and return how many failed in the end."""

    async def one(number: int, tact: AsyncClient) -> int:
        failed = 0
        for _ in range(each):
            try:
                await tact.decide(question(f"customer-{number}", "web", ["greeting"]), timeout_s=10.0)
            except CallFailed:
                failed += 1
        return failed

    return sum(await asyncio.gather(*(one(number, tact) for number, tact in enumerate(clients))))


async def test_a_storm_of_retries_stays_small_and_passes(
    service: Replica, record_property: Callable[[str, object], None]
) -> None:
    """Fifty clients of up to four attempts meet 30 % of failures: at most 1.2 attempts a call, and well within 5 s.

    Well means that every call is answered, at its first attempt.
    """
    fault, each = Fault(), cases(45, 250)
    async with front(service.address, fault) as address, AsyncExitStack() as opened:
        clients = [await opened.enter_async_context(AsyncClient(address)) for _ in range(CLIENTS)]
        assert await calls(clients, 1) == 0
        fault.begin(SHARE)
        failed = await calls(clients, each)
        storm, ended = fault.begin(0.0), monotonic()
        assert await calls(clients, 2) == 0
        well_s = monotonic() - ended
    assert fault.attempts == 2 * CLIENTS
    amplification = storm.attempts / (CLIENTS * each)
    record_property(
        "printed",
        f"{CLIENTS} clients, {CLIENTS * each} calls: {storm.refused} attempts and {failed} calls failed, amplification "
        f"{amplification:.3f}; all answered again {well_s:.2f} s after",
    )
    assert storm.refused > 0.8 * SHARE * CLIENTS * each
    assert storm.repeated > CLIENTS
    assert amplification <= 1.2
    assert well_s <= WELL_WITHIN_S


async def test_threads_make_no_storm_either(service: Replica) -> None:
    """The same in small with threads, which share the count of what may be made once more."""
    fault, threads, each = Fault(share=SHARE), 8, 25
    async with front(service.address, fault) as address:
        with Client(address, timeout_s=10.0) as tact:

            def one(number: int) -> int:
                failed = 0
                for _ in range(each):
                    try:
                        tact.decide(question(f"customer-{number}", "web", ["greeting"]))
                    except CallFailed:
                        failed += 1
                return failed

            failed = sum(await asyncio.gather(*(asyncio.to_thread(one, number) for number in range(threads))))
            made, _ = fault.begin(0.0), await asyncio.to_thread(one, 0)
    assert 0 < made.attempts - threads * each <= 0.2 * threads * each
    assert 0 < failed < made.refused
    assert fault.attempts == each


@pytest.mark.skipif(not full(), reason="only in the full profile: TACT_FULL=1")
async def test_without_a_budget_the_storm_grows(service: Replica) -> None:
    """The same without a budget to speak of has more than 1.3 attempts a call: the measure can tell."""
    fault = Fault(share=SHARE)
    unbounded = Retry(budget=1000, regained=1.0)
    async with front(service.address, fault) as address, AsyncClient(address, retry=unbounded) as tact:
        await calls([tact] * 10, 30)
    assert fault.attempts / 300 > 1.3


async def test_a_service_that_pushes_back_is_left_alone(service: Replica) -> None:
    """The next attempt comes when the service has asked for it, and none where it asked for none; the error says so."""
    fault = Fault()
    async with front(service.address, fault) as address, AsyncClient(address) as tact:
        assert await calls([tact] * 10, 10) == 0  # so that one call in twenty might be made once more
        fault.begin(1.0)
        fault.pushback_ms = 400
        begun = monotonic()
        asked = asyncio.create_task(tact.decide(question("customer", "web", ["greeting"]), timeout_s=5.0))
        await asyncio.sleep(0.2)
        fault.share = 0.0
        await asked
        assert 0.4 <= monotonic() - begun < 1.5
        assert fault.attempts == 2
        fault.begin(1.0)
        fault.pushback_ms = -1
        with pytest.raises(CallFailed) as failed:
            await tact.decide(question("customer", "web", ["greeting"]), timeout_s=5.0)
        assert fault.attempts == 1
        assert failed.value.pushback_s is not None
        assert failed.value.pushback_s < 0


async def test_what_is_repeated_is_the_same_to_the_byte(service: Replica) -> None:
    """A call that ends as CANCELLED, as those do that a service leaves behind, is made again under the same key.

    So are the four attempts of gRPC and the one that comes after them.
    """
    fault = Fault(code=grpc.StatusCode.CANCELLED)
    async with front(service.address, fault) as address, AsyncClient(address) as tact:
        assert await calls([tact] * 10, 10) == 0
        assert set(fault.keys.values()) == {1}
        fault.keys.clear()
        fault.begin(1.0)
        with pytest.raises(CallFailed, match="CANCELLED"):
            await tact.decide(question("customer", "web", ["greeting"]), timeout_s=5.0)
    assert list(fault.keys.values()) == [5]
