"""The book knows what decisions ask for, reads it again each second, and forgets what nobody asks for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis import Redis

from service.core.stock import Shelf, Stock
from service.store import keys
from service.store.connection import StoreTimeout
from service.supply import book as book_module
from service.supply.book import MOST_SHELVES, Book
from tests.supply.world import DEADLINE_S, Shop, shop

NORTH, GIFTS = ("phone", "north"), ("gift", "hq")


async def offered(one: Shop, customer: str) -> bool:
    """Tell whether a customer is offered the phone."""
    return (await one.said(customer))[1].action == "phone"


async def test_a_report_is_known_to_the_first_decision(clean_store_url: str, tmp_path: Path) -> None:
    """Of a place that nobody asked about before, the first decision reads what there is by itself."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        assert NORTH not in one.warehouse.book.stocks
        assert await offered(one, "ada")
        assert set(one.warehouse.book.stocks) == {NORTH, GIFTS}


async def test_the_book_follows_the_reports(clean_store_url: str, tmp_path: Path) -> None:
    """What was reported later is known after the next reading, also of what was not reported at first."""
    async with shop(clean_store_url, tmp_path) as one:
        assert not await offered(one, "ada")
        await one.report(5)
        assert await offered(one, "bo")
        await one.report(0)
        assert not await offered(one, "cy")


async def test_the_book_is_read_again_by_itself(clean_store_url: str, tmp_path: Path) -> None:
    """While it is kept fresh, what another process takes is known here soon, with no decision asking the store."""
    async with shop(clean_store_url, tmp_path) as one:
        one.warehouse.book._refresh_s = 0.01
        await one.report(5)
        await offered(one, "ada")
        one.warehouse.open()
        await one.empty()
        while (stock := one.warehouse.book.stocks[NORTH]) is None or stock.free:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        assert not await offered(one, "bo")


async def test_a_grant_corrects_the_book_at_once(clean_store_url: str, tmp_path: Path) -> None:
    """What this process grants and gives back is in its book before the next reading."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        left = []
        for customer in ("ada", "bo", "cy"):
            await offered(one, customer)
            stock = one.warehouse.book.stocks[NORTH]
            left.append(stock and stock.free)
        assert left == [1, 0, 0]


async def test_a_decision_sees_one_moment(clean_store_url: str, tmp_path: Path) -> None:
    """Stocks that a decision has in hand never change, whatever is read meanwhile."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        await offered(one, "ada")
        before = one.warehouse.book.stocks
        copy = dict(before)
        await one.report(0)
        await offered(one, "bo")
        assert before == copy


class Shelves:
    """A supply that counts who reads it; it can be away."""

    def __init__(self) -> None:
        self.reads: list[Shelf] = []
        self.away = False

    async def stock(self, item: str, place: str, deadline_s: float) -> Stock | None:
        """Return one unit, of all but what is missing."""
        self.reads.append((item, place))
        if self.away:
            raise StoreTimeout("too slow")
        return None if item == "missing" else Stock(1, 1, 2)


async def test_what_nobody_asks_for_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes without a question an item at a place is read no more; an unreported one after a second."""
    supply = Shelves()
    book = Book(supply)
    await book.look_up([NORTH, ("missing", "x")], 1.0)
    assert book.stocks == {NORTH: Stock(1, 1, 2), ("missing", "x"): None}
    await book.refresh()
    assert book.stocks == {NORTH: Stock(1, 1, 2)}
    monkeypatch.setattr(book_module, "UNASKED_S", -1.0)
    supply.reads.clear()
    await book.refresh()
    assert book.stocks == {}
    assert supply.reads == []


async def test_the_book_is_bounded() -> None:
    """Of more places than the book has room for, those that were asked for last stay."""
    book = Book(Shelves())
    places = [("truck", f"place-{n}") for n in range(MOST_SHELVES + 10)]
    await book.look_up(places, 1.0)
    await book.refresh()
    assert set(book.stocks) == set(places[10:])


async def test_a_store_that_is_away_long_leaves_nothing_known(caplog: pytest.LogCaptureFixture) -> None:
    """What was read last holds for a few readings that fail, then nothing is known; the log says it once."""
    supply = Shelves()
    book = Book(supply)
    await book.look_up([NORTH], 1.0)
    supply.away = True
    for _ in range(9):
        await book.refresh()
    assert NORTH in book.stocks
    await book.refresh()
    assert book.stocks == {}
    assert len(caplog.records) == 1
    supply.away = False
    assert (await book.look_up([NORTH], 1.0))[NORTH] == Stock(1, 1, 2)


async def test_a_book_that_cannot_be_read_is_a_safe_answer(clean_store_url: str, tmp_path: Path) -> None:
    """When what there is cannot be read, the answer is the safe greeting."""
    async with shop(clean_store_url, tmp_path) as one:
        with Redis.from_url(clean_store_url) as raw:
            raw.set(keys.shelf_keys("phone", "north")[0], "not a hash")
        decision = await one.decider.decide(one.request("ada"), DEADLINE_S)
        assert (decision.decision_id, decision.answers[0].action) == ("", "hello")
