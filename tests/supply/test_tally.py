"""What is wanted is added up and told once, also when the store is away for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from redis import Redis

from service.core.supplies import MOST_COUNTED, Wanted, Wanting
from service.store.connection import StoreTimeout
from service.supply import doubts
from service.supply.demand import MOST_ROWS, MOST_WANTED, Tally
from tests.supply.world import ACCEPTED, REFUSED, Shop, shop


async def wanted(one: Shop) -> Counter[tuple[str, str, Wanting, int]]:
    """Tell what was counted and return what the store has, as item, place, kind and units with the counts."""
    await one.warehouse.tally.tell()
    found: Counter[tuple[str, str, Wanting, int]] = Counter()
    cursor = ""
    while entries := await one.store.demand.told(cursor):
        cursor = entries[-1].cursor
        for row in (row for entry in entries for row in entry.wanted):
            found[row.item, row.place, row.kind, row.units] += row.count
    return found


async def test_decisions_and_acceptances_are_demand(clean_store_url: str, tmp_path: Path) -> None:
    """An offer that holds units and an acceptance count once each, whatever is repeated; other decisions do not."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(6)
        decisions = [await one.said("ada", "k"), await one.said("ada", "k"), await one.said("bo")]
        await one.said("cy", place="nowhere")
        await asyncio.gather(*(one.said("di", "at once") for _ in range(20)))
        for _ in range(2):
            await one.told(decisions[0][0], ACCEPTED)
        await one.told(decisions[2][0], REFUSED)
        assert await wanted(one) == {
            ("phone", "north", Wanting.DECISION, 3): 3,
            ("phone", "north", Wanting.ACCEPTED, 1): 1,
        }


class Deaf:
    """A demand log that hears, and does not answer, every other time; it counts a number once, as the store does."""

    def __init__(self) -> None:
        self.heard: dict[int, tuple[Wanted, ...]] = {}
        self.calls = 0

    async def tell(self, process: str, number: int, wanted: Sequence[Wanted], deadline_s: float) -> None:
        """Hear, and fail half of the time."""
        self.calls += 1
        self.heard.setdefault(number, tuple(wanted))
        if self.calls % 2:
            raise StoreTimeout("no answer")


async def test_what_may_have_been_heard_is_told_again_under_its_number() -> None:
    """After a telling that got no answer the same rows are told again, with nothing added, and the rest after them."""
    log = Deaf()
    tally = Tally(log, "p")
    tally.add("truck", "north", Wanting.VIEW, 1)
    await tally.tell()
    tally.add("truck", "north", Wanting.VIEW, 2)
    for _ in range(3):
        await tally.tell()
    assert log.heard == {
        1: (Wanted("truck", "north", Wanting.VIEW, 1, 1),),
        2: (Wanted("truck", "north", Wanting.VIEW, 1, 2),),
    }


async def test_many_rows_are_told_in_parts_and_bounded() -> None:
    """A telling has 1,000 rows at most, and no more than 20,000 wait to be told; those that are counted go on."""
    log = Deaf()
    tally = Tally(log, "p")
    for n in range(MOST_WANTED + 5):
        tally.add("truck", f"place-{n}", Wanting.VIEW, 1)
    tally.add("truck", "place-0", Wanting.VIEW, 1)
    while tally._wanted or tally._untold:
        await tally.tell()
    rows = [row for part in log.heard.values() for row in part]
    assert len(rows) == MOST_WANTED
    assert max(map(len, log.heard.values())) == MOST_ROWS
    assert next(row for row in rows if row.place == "place-0").count == 2


async def test_sums_stay_within_the_contract() -> None:
    """However many units are wanted in a second, their sum can be told; beyond that it stays the largest."""
    log = Deaf()
    tally = Tally(log, "p")
    for _ in range(3):
        tally.add("truck", "north", Wanting.CART, MOST_COUNTED - 1)
    await tally.tell()
    assert log.heard[1] == (Wanted("truck", "north", Wanting.CART, 3, MOST_COUNTED),)


class Choking:
    """A demand log that breaks over one item; it keeps all others."""

    def __init__(self) -> None:
        self.heard: list[Wanted] = []

    async def tell(self, process: str, number: int, wanted: Sequence[Wanted], deadline_s: float) -> None:
        """Hear, or break."""
        if any(row.item == "broken" for row in wanted):
            raise OverflowError("too much")
        self.heard += wanted


async def test_rows_that_cannot_be_told_hold_up_no_others(caplog: pytest.LogCaptureFixture) -> None:
    """What breaks the telling is given up and logged, without its names; what is counted later is told."""
    log = Choking()
    tally = Tally(log, "p")
    tally.add("broken", "north", Wanting.VIEW, 1)
    await tally.tell()
    tally.add("truck", "north", Wanting.VIEW, 1)
    await tally.tell()
    assert log.heard == [Wanted("truck", "north", Wanting.VIEW, 1, 1)]
    assert "1 rows of the demand are lost: OverflowError" in caplog.text
    assert "broken" not in caplog.text


async def test_a_background_that_fails_goes_on(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks in a round of the background, it is logged and the rounds go on, and the end is in peace."""
    broken = asyncio.Event()

    async def breaks() -> None:
        broken.set()
        raise ZeroDivisionError

    async with shop(clean_store_url, tmp_path) as one:
        one.warehouse.tally = Tally(one.store.demand, "quick", tell_s=0.01)
        one.warehouse.book._refresh_s = 0.01
        monkeypatch.setattr(doubts, "LOOK_EVERY_S", 0.01)
        for part, name in (
            (one.warehouse.book, "refresh"),
            (one.warehouse.tally, "tell"),
            (one.warehouse.doubts, "look"),
        ):
            with monkeypatch.context() as breaking:
                breaking.setattr(part, name, breaks)
                broken.clear()
                one.warehouse.open()
                for _ in range(2):
                    await asyncio.wait_for(broken.wait(), 5)
                    broken.clear()
                one.warehouse.tally.add("truck", "north", Wanting.VIEW, 1)
            for task in one.warehouse._tasks:
                task.cancel()
        one.warehouse.open()
        while not await one.store.demand.told(""):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)
    assert caplog.text.count("ZeroDivisionError") >= 6


async def test_what_was_counted_is_told_at_the_end(clean_store_url: str, tmp_path: Path) -> None:
    """A process that ends in peace tells what it had counted since it told last."""
    async with shop(clean_store_url, tmp_path) as one:
        one.warehouse.open()
        one.warehouse.tally.add("phone", "north", Wanting.VIEW, 1)
    with Redis.from_url(clean_store_url) as raw:
        assert raw.xlen("tact:{demand}:log") == 1


async def test_a_background_that_runs_tells_by_itself(clean_store_url: str, tmp_path: Path) -> None:
    """While the warehouse is open, what is counted reaches the log without anybody asking."""
    async with shop(clean_store_url, tmp_path) as one:
        one.warehouse.tally = Tally(one.store.demand, "quick", tell_s=0.01)
        one.warehouse.open()
        one.warehouse.tally.add("truck", "north", Wanting.VIEW, 1)
        while not await one.store.demand.told(""):  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)
