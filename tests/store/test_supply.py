"""Units are granted exactly, held once a decision, and come back; what was accepted counts until it was counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count

import pytest
from redis import Redis

from service.core.decision import Take
from service.core.stock import Stock
from service.core.supplies import SupplyReport, SupplyStatus
from service.store import keys
from service.store.connection import StoreReplied
from tests.store.running import Running, running

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_numbers = count()


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store."""
    with running(store_url) as one:
        yield one


def now_ms() -> int:
    """Return the wall clock, which is the store's too."""
    return time.time_ns() // 1_000_000


def new_place() -> str:
    """Return a place of which nothing was reported yet."""
    return f"place-{next(_numbers)}"


def report(place: str, available: int, observed_ms: int, expires_ms: int | None = None) -> SupplyReport:
    """Return a report of trucks that holds for an hour."""
    return SupplyReport("truck", place, available, observed_ms, expires_ms or now_ms() + HOUR_MS)


def take(place: str, units: int = 1, hold_ms: int = HOUR_MS) -> Take:
    """Return what an action takes."""
    return Take("let", "truck", place, units, hold_ms)


def free(store: Running, place: str) -> int:
    """Return what is free; fail where nothing is reported."""
    stock = store.wait(store.store.supply.stock("truck", place))
    assert stock is not None
    return stock.free


def granted(store: Running, one: Take, decision: str) -> bool:
    """Return whether units are held."""
    return store.wait(store.store.supply.grant(one, decision))[0]


def end_holds(store: Running, place: str) -> None:
    """Move the end of every hold into the past, as waiting would."""
    held = keys.shelf_keys("truck", place)[2]
    leases = store.wait(store.connections.execute("ZRANGE", held, 0, -1))
    if leases:
        store.wait(store.connections.execute("ZADD", held, "XX", *(word for lease in leases for word in (1, lease))))


def test_what_was_never_reported_is_unknown_and_granted_to_nobody(store: Running) -> None:
    """Without a report there is no stock, not even of zero, and a grant leaves nothing behind."""
    place = new_place()
    assert store.wait(store.store.supply.stock("truck", place)) is None
    assert not granted(store, take(place), "d1")
    assert store.wait(store.connections.execute("EXISTS", *keys.shelf_keys("truck", place))) == 0


def test_a_grant_counts_once(store: Running) -> None:
    """The same decision holds its units once however often it asks; another one takes what is left, and no more."""
    place, now = new_place(), now_ms()
    store.wait(store.store.supply.report(report(place, 5, now)))
    assert [granted(store, take(place, 2), d) for d in ("d1", "d1", "d2", "d3", "d1")] == [
        True,
        True,
        True,
        False,
        True,
    ]
    assert free(store, place) == 1
    assert store.wait(store.store.supply.give_back(take(place, 2), "d1"))
    assert not store.wait(store.store.supply.give_back(take(place, 2), "d1"))
    assert free(store, place) == 3


def test_a_hold_ends_by_itself(store: Running) -> None:
    """What nobody answered for is free again when its hold ends, also where nothing is written meanwhile."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 1, now_ms())))
    assert granted(store, take(place, hold_ms=40), "d1")
    assert free(store, place) == 0
    ends = time.monotonic() + 5
    while free(store, place) == 0:
        assert time.monotonic() < ends
    assert granted(store, take(place), "d2")
    assert not granted(store, take(place), "d1"), "the first has lost it"


def test_an_acceptance_is_for_good(store: Running) -> None:
    """Accepted units stay gone when the hold ends, when they are refused later, and however often it is told."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 3, now_ms())))
    one = take(place)
    assert granted(store, one, "d1")
    assert store.wait(store.store.supply.accept(one, "d1", None))
    assert not store.wait(store.store.supply.accept(one, "d1", None))
    assert not store.wait(store.store.supply.give_back(one, "d1"))
    assert granted(store, one, "d1"), "it has them"
    assert free(store, place) == 2


def test_a_late_acceptance_counts_all_the_same(store: Running) -> None:
    """Who accepts after the hold has ended has the unit: it is a fact, and less is left for others, never below 0."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 1, now_ms())))
    for decision in ("d1", "d2"):
        assert store.wait(store.store.supply.accept(take(place), decision, None))
    assert free(store, place) == 0


def test_what_was_accepted_counts_until_it_was_counted(store: Running) -> None:
    """A report subtracts what was accepted after its count, and takes the rest as missing from its number already."""
    place, now = new_place(), now_ms()
    store.wait(store.store.supply.report(report(place, 10, now - HOUR_MS)))
    for decision, minutes in (("d1", 50), ("d2", 30), ("d3", 10)):
        assert granted(store, take(place), decision)
        store.wait(store.store.supply.accept(take(place), decision, now - minutes * 60_000))
    assert free(store, place) == 7
    fate = store.wait(store.store.supply.report(report(place, 9, now - 40 * 60_000)))
    assert (fate.free, fate.held, fate.accepted_since) == (7, 0, 2)
    assert store.wait(store.store.supply.report(report(place, 7, now))).free == 7
    assert not store.wait(store.store.supply.accept(take(place), "d1", None)), "it is still known"


def test_a_report_in_force_goes_only_for_a_later_one(store: Running) -> None:
    """The same report again changes nothing; one that was counted before, or at the same moment, is refused."""
    place, now = new_place(), now_ms()
    supply = store.store.supply
    first = report(place, 5, now)
    statuses = [
        store.wait(supply.report(one)).status
        for one in (
            first,
            first,
            report(place, 6, now, first.expires_ms),
            report(place, 5, now, first.expires_ms + 1),
            report(place, 9, now - 1),
            report(place, 8, now + 1),
        )
    ]
    assert statuses == [
        SupplyStatus.STORED,
        SupplyStatus.REPEATED,
        SupplyStatus.CONFLICT,
        SupplyStatus.CONFLICT,
        SupplyStatus.OLDER,
        SupplyStatus.STORED,
    ]
    assert free(store, place) == 8


def test_a_clock_that_runs_ahead_hides_no_acceptance(store: Running) -> None:
    """Of a report from a clock four minutes ahead, units that are accepted now are subtracted all the same, and a
    repetition of it does not count them as missing."""
    place, ahead = new_place(), report(new_place(), 5, now_ms() + 240_000)
    ahead = SupplyReport("truck", place, 5, ahead.observed_ms, ahead.expires_ms)
    store.wait(store.store.supply.report(ahead))
    assert granted(store, take(place), "d1")
    store.wait(store.store.supply.accept(take(place), "d1", None))
    assert free(store, place) == 4
    assert store.wait(store.store.supply.report(ahead)).status is SupplyStatus.REPEATED
    assert free(store, place) == 4


def test_a_report_that_has_ended_grants_nothing(store: Running) -> None:
    """When a report ends, nothing is granted until the next; what is held stays held under the next."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 5, now_ms(), now_ms() + 60)))
    assert granted(store, take(place), "d1")
    time.sleep(0.08)
    assert not granted(store, take(place), "d2")
    fate = store.wait(store.store.supply.report(report(place, 5, now_ms())))
    assert (fate.free, fate.held) == (4, 1)


def test_no_two_items_and_places_share_anything(store: Running) -> None:
    """Names with the signs that the store's keys are made of stay apart, and all keys of one share its hash tag."""
    shelves = [("a@b", "c"), ("a", "b@c"), ("a}", "x"), ("a", "}x"), ("a%40b", "c"), ("{a}", "b"), ("ü 7,5t", "ö")]
    now = now_ms()
    for units, (item, place) in enumerate(shelves):
        store.wait(store.store.supply.report(SupplyReport(item, place, units, now, now + HOUR_MS)))
    stocks = [store.wait(store.store.supply.stock(item, place)) for item, place in shelves]
    assert [stock and stock.free for stock in stocks] == list(range(len(shelves)))
    for item, place in shelves:
        tags = {key[key.index(b"{") : key.index(b"}") + 1] for key in keys.shelf_keys(item, place)}
        assert tags == {b"{s:" + keys.shelf_name(item, place) + b"}"}


def test_a_value_of_another_item_is_refused(store: Running, store_url: str) -> None:
    """What stands under a key of this item but says that it is of another is not used."""
    place = new_place()
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.shelf_keys("truck", place)[0], mapping={"i": "van@there", "a": 5})
    with pytest.raises(StoreReplied, match="SUPPLY"):
        store.wait(store.store.supply.stock("truck", place))
    with pytest.raises(StoreReplied, match="SUPPLY"):
        granted(store, take(place), "d1")


def test_every_key_has_a_time_to_live(store: Running, store_url: str) -> None:
    """All four keys of an item at a place end some time after its report, and after every hold that there can be."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 5, now_ms())))
    granted(store, take(place), "d1")
    granted(store, take(place), "d2")
    store.wait(store.store.supply.accept(take(place), "d1", None))
    with Redis.from_url(store_url) as raw:
        lives = [raw.pttl(key) for key in keys.shelf_keys("truck", place)]
    assert all(8 * DAY_MS < life < 32 * DAY_MS for life in lives)


def test_many_at_once_never_get_more_than_there_is(store: Running) -> None:
    """400 grants at once of 1 to 3 units out of 100 hold 98 to 100 of them."""
    place = new_place()
    store.wait(store.store.supply.report(report(place, 100, now_ms())))

    async def all_at_once() -> int:
        asked = [take(place, 1 + n % 3) for n in range(400)]
        answers = await asyncio.gather(*(store.store.supply.grant(one, f"d{n}") for n, one in enumerate(asked)))
        return sum(one.units for one, (held, _) in zip(asked, answers, strict=True) if held)

    assert 98 <= store.wait(all_at_once()) <= 100


def test_what_is_read_is_when_it_was_counted_and_until_when_it_holds(store: Running) -> None:
    """The stock says what is free, when that was counted and when the report ends."""
    place, now = new_place(), now_ms()
    store.wait(store.store.supply.report(report(place, 5, now - 5, now + 7_000)))
    assert store.wait(store.store.supply.stock("truck", place)) == Stock(5, now - 5, now + 7_000)
