"""The breaker: it opens when a store is silent, lets one probe through at a time, and closes as soon as it answers."""

from __future__ import annotations

import asyncio
import time

import pytest

from service.errors import StoreError
from service.store import breaker as module
from service.store.breaker import OPENS_AFTER, Breaker
from service.store.connection import Connections, pack
from service.store.pipeline import StoreForbidden, StoreReplied, StoreTimeout, StoreUnavailable
from tests.store.proxy import DelayingProxy

SILENT = StoreTimeout("Silent.")


class Probes:
    """Probes that fail until they shall not, and how many were under way at once."""

    def __init__(self, error: StoreError | None = SILENT, takes_s: float = 0.0) -> None:
        self.error, self._takes_s = error, takes_s
        self.made = self.at_once = self._under_way = 0

    async def __call__(self) -> None:
        """Look."""
        self.made += 1
        self._under_way += 1
        self.at_once = max(self.at_once, self._under_way)
        await asyncio.sleep(self._takes_s)
        self._under_way -= 1
        if self.error is not None:
            raise self.error


async def closed(breaker: Breaker) -> list[str]:
    """Wait a second at most until a breaker is closed; return the states that it was seen in."""
    states, ends = [breaker.state], time.monotonic() + 1.0
    while breaker.open and time.monotonic() < ends:
        await asyncio.sleep(0.005)
        states.append(breaker.state)
    assert not breaker.open
    return states


def opened(probes: Probes) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker(probes)
    for _ in range(OPENS_AFTER):
        breaker.failed(SILENT)
    assert breaker.open
    return breaker


async def test_it_opens_after_five_failures_in_a_row() -> None:
    """Four failures, an answer and four more leave it closed; five in a row open it."""
    breaker = Breaker(Probes())
    for _ in range(2):
        for _ in range(OPENS_AFTER - 1):
            breaker.failed(SILENT)
        assert not breaker.open
        breaker.well()
    for _ in range(OPENS_AFTER):
        breaker.failed(SILENT)
    assert breaker.open
    await breaker.close()


async def test_one_probe_at_a_time_looks_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls fail meanwhile, probes follow one another, spread, the first of them within a second."""
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.1)
    probes = Probes(takes_s=0.05)
    breaker, began = opened(probes), time.monotonic()
    for _ in range(100):
        breaker.failed(SILENT)
        await asyncio.sleep(0.01)
    await breaker.close()
    assert 4 <= probes.made <= 1 + (time.monotonic() - began) / 0.1  # each takes 50 ms, after 50 ms at the least
    assert probes.at_once == 1


async def test_it_closes_when_a_probe_is_answered() -> None:
    """Half open while the probe is under way, then closed, with nothing left to do; what it did is counted."""
    probes, counted = Probes(None, takes_s=0.05), list[str]()
    breaker = Breaker(probes)
    breaker.told(counted.append)
    for _ in range(OPENS_AFTER):
        breaker.failed(SILENT)
    assert list(dict.fromkeys(await closed(breaker))) == ["open", "half_open", "closed"]
    assert counted == ["opened", "probed", "closed"]
    await asyncio.sleep(0.2)
    assert probes.made == 1


async def test_a_store_that_refuses_a_probe_is_there() -> None:
    """LOADING is an answer: what it means for a call is for that call to see."""
    breaker = opened(Probes(StoreReplied("LOADING", "Redis is loading the dataset in memory")))
    await closed(breaker)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [(SILENT, StoreUnavailable), (StoreForbidden("No."), StoreForbidden)],
    ids=["silent", "forbidden"],
)
async def test_what_is_refused_says_that_it_was_not_sent(fault: StoreError, kind: type[StoreError]) -> None:
    """A call that fails at once never ran, which a time-out would leave open; a wrong password stays one."""
    breaker = Breaker(Probes(fault))
    for _ in range(OPENS_AFTER):
        breaker.failed(fault)
    assert type(breaker.refusal()) is kind
    await breaker.close()


async def silence(store: Connections, calls: int = 2 * OPENS_AFTER) -> None:
    """Let so many calls run out of time."""
    asked = [store.call(pack("ECHO", "x"), 0.06) for _ in range(calls)]
    assert all(isinstance(one, StoreTimeout) for one in await asyncio.gather(*asked, return_exceptions=True))


async def test_calls_fail_at_once_while_a_store_is_silent(clean_store_url: str) -> None:
    """A write that is refused was never sent; when the store goes on, late replies close the breaker at once."""
    async with DelayingProxy(clean_store_url) as proxy, Connections(proxy.url, timeout_ms=5_000) as store:
        await store.execute("SET", "n", 0)
        proxy.hold()
        await silence(store)
        assert store.breaker.open
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreUnavailable, match="fail at once"):
                await store.execute("INCR", "n", deadline_s=1.0)
        assert time.monotonic() - began < 0.5
        proxy.release()
        await closed(store.breaker)
        assert await store.execute("GET", "n") == b"0"
        assert proxy.accepted == 1


async def test_callers_in_a_hurry_do_not_open_it(clean_store_url: str) -> None:
    """Who gives a store 1 ms that takes 10 says nothing about it, however often; others are served all the while."""
    async with DelayingProxy(clean_store_url, delay_ms=10) as proxy, Connections(proxy.url) as store:
        await store.execute("PING")
        patient = [store.call(pack("ECHO", str(n)), 1.0) for n in range(5)]
        for _ in range(100):
            hurried = [store.call(pack("PING"), 0.001) for _ in range(5)]
            await asyncio.gather(*hurried, return_exceptions=True)
            patient.append(store.call(pack("ECHO", "x"), 1.0))
            await asyncio.sleep(0.001)
            assert not store.breaker.open
        assert len(await asyncio.gather(*patient)) == 105
