"""The demand has no text of an event in it but names that the strategy or the ERP gave."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from service.core.loader import load_strategy
from service.core.strategy import DemandKind, DemandRule
from service.core.supplies import Wanted, Wanting
from service.errors import StoreError
from service.store import keys
from service.supply import naming
from service.supply.demand import Tally
from service.supply.naming import Named, Names
from tests.service.shop import edited, write_shop
from tests.store.everything import values_of
from tests.supply.world import Shop, shop

SECRET = "CANARY-jane@example.com"


async def told(one: Shop, *wanted: tuple[str, str, Wanting]) -> list[tuple[str, str, Wanting, int]]:
    """Let a process count what is wanted, one unit each, and return what the ERP hears of it."""
    for item, place, kind in wanted:
        one.warehouse.tally.add(item, place, kind, 1)
    await one.warehouse.tally.tell()
    rows = [row for entry in await one.store.demand.told("") for row in entry.wanted]
    assert all(row.count == row.units for row in rows)
    return sorted((row.item, row.place, row.kind, row.count) for row in rows)


async def test_only_given_names_are_told(clean_store_url: str, tmp_path: Path) -> None:
    """Reported items and places are told, a given item anywhere else at no place, and other texts not at all."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(3, place="north", item="phone")
        await one.report(3, place="berlin", item="charger")
        heard = await told(
            one,
            ("phone", "north", Wanting.VIEW),
            ("charger", "berlin", Wanting.CART),
            ("phone", "hq", Wanting.VIEW),
            ("phone", SECRET, Wanting.VIEW),
            ("phone", "somewhere", Wanting.VIEW),
            ("phone", "", Wanting.VIEW),
            (SECRET, "north", Wanting.VIEW),
            (SECRET, SECRET, Wanting.CART),
            (SECRET, "", Wanting.VIEW),
        )
        assert heard == [
            ("charger", "berlin", Wanting.CART, 1),
            ("phone", "", Wanting.VIEW, 3),
            ("phone", "hq", Wanting.VIEW, 1),
            ("phone", "north", Wanting.VIEW, 1),
        ]
    with Redis.from_url(clean_store_url) as raw:
        assert SECRET.encode() not in b"".join(values_of(raw, b"tact:{demand}:log"))


async def test_what_is_reported_later_is_told_from_then_on(clean_store_url: str, tmp_path: Path) -> None:
    """A place that was unknown is looked up again, and one that was reported keeps its name when the report ends."""
    async with shop(clean_store_url, tmp_path) as one:
        assert await told(one, ("phone", "north", Wanting.VIEW)) == [("phone", "", Wanting.VIEW, 1)]
        await one.report(0, place="north")
        assert ("phone", "north", Wanting.VIEW, 1) in await told(one, ("phone", "north", Wanting.VIEW))
        with Redis.from_url(clean_store_url) as raw:
            raw.delete(*keys.shelf_keys("phone", "north"))
        assert ("phone", "", Wanting.VIEW, 2) not in await told(one, ("phone", "north", Wanting.VIEW))


def test_values_of_an_attribute_are_given(tmp_path: Path) -> None:
    """Where the documents list what an attribute can hold, all of that is given; any text is not."""
    events = edited("events", "{item: string,", "{item: {type: string, values: [phone, case]},")
    strategy = load_strategy(write_shop(tmp_path, events=events))
    schema = strategy.schema
    assert Names.of(strategy.demand, schema) == Names(frozenset({"phone", "case", "gift"}), frozenset({"", "hq"}))
    fixed = (DemandRule("r", "r", "viewed", DemandKind.VIEW, "a", "", "b", "", ""),)
    assert Names.of(fixed, schema).items == {"a", "phone", "gift"}
    assert Names.of(fixed, schema).places == {"b", "", "hq"}


async def test_a_shelf_that_cannot_be_read_holds_nothing_up(clean_store_url: str, tmp_path: Path) -> None:
    """What is wanted there is told at no place, the second time, and all else as ever."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(3, place="north")
        with Redis.from_url(clean_store_url) as raw:
            raw.set(keys.shelf_keys("phone", "broken")[0], "not a hash")
        wanted = [("phone", "broken", Wanting.VIEW), ("phone", "north", Wanting.VIEW)]
        assert await told(one, *wanted) == []
        assert await told(one) == [("phone", "", Wanting.VIEW, 1), ("phone", "north", Wanting.VIEW, 1)]


class Away:
    """A supply and a demand log that are away."""

    async def stock(self, item: str, place: str, deadline_s: float) -> None:
        """Fail."""
        raise StoreError("it is away")

    async def tell(self, process: str, number: int, wanted: object, deadline_s: float) -> None:
        """Fail."""
        raise StoreError("it is away")


async def test_a_store_that_is_away_loses_no_name(clean_store_url: str, tmp_path: Path) -> None:
    """What was counted while nothing could be looked up or told is told by its name when the store is back."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(3, place="north")
        away = Away()
        named = Named(away, away, Names.of((), one.engine.strategy.schema))
        tally = Tally(named, "p")
        tally.add("phone", "north", Wanting.VIEW, 1)
        for _ in range(3):
            await tally.tell()
        assert await one.store.demand.told("") == ()
        named._demands, named._supply = one.store.demand, one.store.supply
        await tally.tell()
        (entry,) = await one.store.demand.told("")
        assert entry.wanted == (Wanted("phone", "north", Wanting.VIEW, 1, 1),)


async def test_the_memory_of_names_is_bounded(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When too many shelves are remembered they are looked up anew, and are told as before."""
    monkeypatch.setattr(naming, "MOST_REMEMBERED", 1)
    async with shop(clean_store_url, tmp_path) as one:
        for place in ("a", "b", "c"):
            await one.report(3, place=place)
        await told(one, *(("phone", place, Wanting.VIEW) for place in ("a", "b", "c")))
        heard = await told(one, ("phone", "a", Wanting.CART))
        assert ("phone", "a", Wanting.CART, 1) in heard
        named = one.warehouse.tally._demands
        assert isinstance(named, Named)
        assert named._reported == {("phone", "a")}
