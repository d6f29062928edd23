"""What is held is held once and ends by itself, however many end together; an acceptance makes nothing free."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from service.store import keys
from tests.store.running import Running, running
from tests.store.test_supply import DAY_MS, HOUR_MS, end_holds, free, granted, new_place, now_ms, report, take


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store."""
    with running(store_url) as one:
        yield one


@pytest.mark.parametrize("ago_ms", [0, 60_000, DAY_MS])
def test_an_acceptance_from_before_the_count_frees_nothing(store: Running, ago_ms: int) -> None:
    """Units that are held when they are accepted stay subtracted, however old the acceptance is said to be, until the
    next count."""
    place, now = new_place(), now_ms()
    store.wait(store.store.supply.report(report(place, 5, now)))
    for n in range(5):
        assert granted(store, take(place), f"d{n}")
        store.wait(store.store.supply.accept(take(place), f"d{n}", now - ago_ms))
        assert free(store, place) == 4 - n
    assert not granted(store, take(place), "d5")
    time.sleep(0.002)
    fate = store.wait(store.store.supply.report(report(place, 3, now_ms())))
    assert (fate.free, fate.accepted_since) == (3, 0)


def test_an_acceptance_from_the_future_is_one_of_now(store: Running) -> None:
    """A caller whose clock runs ahead accepts now: the next count has it."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 5, now_ms())))
    store.wait(store.store.supply.accept(take(place), "d1", now_ms() + HOUR_MS))
    assert free(store, place) == 4
    time.sleep(0.002)
    fate = store.wait(store.store.supply.report(report(place, 4, now_ms())))
    assert (fate.free, fate.accepted_since) == (4, 0)


def test_asking_again_holds_from_now_on(store: Running) -> None:
    """Who holds units and asks again has the whole hold before him; a shorter one takes nothing away."""
    place = new_place()
    held = keys.shelf_keys("truck", place)[2]
    store.wait(store.store.supply.report(report(place, 1, now_ms())))
    for hold_ms in (60_000, HOUR_MS, 1_000):
        assert granted(store, take(place, hold_ms=hold_ms), "d1")
    ends = int(store.wait(store.connections.execute("ZSCORE", held, keys.lease("d1", "let"))))
    assert HOUR_MS - 30_000 < ends - now_ms() <= HOUR_MS
    assert free(store, place) == 0


def test_who_looks_holds_nothing(store: Running) -> None:
    """Looking tells what a grant would do, for holders, for those who accepted and for others, and changes nothing."""
    place, supply = new_place(), store.store.supply

    def seen(decision: str, units: int = 1) -> bool:
        return store.wait(supply.look(take(place, units), decision))

    assert not seen("d1")
    store.wait(supply.report(report(place, 3, now_ms())))
    assert [seen("d1", units) for units in (1, 3, 4)] == [True, True, False]
    assert granted(store, take(place, 2), "d1")
    assert granted(store, take(place), "d2")
    store.wait(supply.accept(take(place), "d2", None))
    assert [seen(decision) for decision in ("d1", "d2", "d3")] == [True, True, False]
    end_holds(store, place)
    assert [seen(decision, 2) for decision in ("d1", "d2", "d3")] == [True, True, True]
    assert [seen(decision, 3) for decision in ("d1", "d2", "d3")] == [False, True, False]
    assert free(store, place) == 2


def test_many_leases_that_end_together_end_at_once(store: Running) -> None:
    """2,500 holds that end together are all free again for the next who asks."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 2_500, now_ms())))

    async def hold_all() -> None:
        await asyncio.gather(*(store.store.supply.grant(take(place), f"d{n}") for n in range(2_500)))

    store.wait(hold_all())
    assert free(store, place) == 0
    end_holds(store, place)
    assert free(store, place) == 2_500
    assert granted(store, take(place, units=2_400), "big")
    assert free(store, place) == 100


def held_and_ended(url: str, place: str, leases: int) -> None:
    """Let so many holds of two units have ended, as if they had been granted and nobody had asked since."""
    stock, units, held, _ = keys.shelf_keys("truck", place)
    with Redis.from_url(url) as raw:
        raw.hset(units, mapping={f"d{n}|let": 2 for n in range(leases)})
        raw.zadd(held, {f"d{n}|let": 1 + n for n in range(leases)})
        raw.hset(stock, "h", 2 * leases)


def test_more_leases_than_one_call_ends_are_free_too(store: Running, store_url: str) -> None:
    """Of 51,500 holds that have ended one call ends 50,000, and what is told leaves out the rest."""
    place, now = new_place(), now_ms()
    held = keys.shelf_keys("truck", place)[2]
    store.wait(store.store.supply.report(report(place, 120_000, now - 10)))
    held_and_ended(store_url, place, 51_500)
    assert free(store, place) == 120_000
    fate = store.wait(store.store.supply.report(report(place, 110_000, now)))
    assert (fate.free, fate.held) == (110_000, 0)
    assert store.wait(store.connections.execute("ZCARD", held)) == 1_500
    assert free(store, place) == 110_000
    assert granted(store, take(place, 110_000), "all")
    assert store.wait(store.connections.execute("ZCARD", held)) == 1


def test_a_report_for_a_year_lives_for_a_year(store: Running, store_url: str) -> None:
    """All four keys live as long as the report, and 30 days more, whatever is written last."""
    place, supply = new_place(), store.store.supply
    store.wait(supply.report(report(place, 5, now_ms(), now_ms() + 366 * DAY_MS)))
    granted(store, take(place), "d1")
    granted(store, take(place), "d2")
    for change in (supply.accept(take(place), "d1", None), supply.give_back(take(place), "d3")):
        store.wait(change)
        with Redis.from_url(store_url) as raw:
            lives = [raw.pttl(key) for key in keys.shelf_keys("truck", place)]
        assert all(395 * DAY_MS < life <= 396 * DAY_MS for life in lives)
