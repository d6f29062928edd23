"""Of several ids of one person one speaks, and none is silenced by another that has nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.rpc.client import Event
from tests.live.triggers import world
from tests.live.triggers.test_due import shop
from tests.live.triggers.world import CHANNEL, bought, customers_of, due, left, now_ms, told


async def test_of_two_that_began_at_once_one_speaks(clean_store_url: str, tmp_path: Path) -> None:
    """The same cart at the same millisecond under two ids is written about once, for the first in order."""
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        at = now_ms() - 1_000
        await told(tact, left("visitor", "c9", at), left("ina", "c9", at), left("anon", "c9", at))
        await tact.identities.link("visitor", "ina")
        await tact.identities.link("anon", "ina")
        moments = await due(tact)
        assert customers_of(moments) == ["anon"]
        assert (await tact.triggers.acknowledge(CHANNEL, moments))["held"] == [True]
        assert await due(tact) == []


async def test_where_the_first_is_bought_the_others_are_silent(clean_store_url: str, tmp_path: Path) -> None:
    """What ends the cart of the id that speaks ends it for the person."""
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        at = now_ms() - 1_000
        await told(tact, left("visitor", "c9", at), left("ina", "c9", at), bought("ina", "c9"))
        await tact.identities.link("visitor", "ina")
        assert await due(tact) == []


async def test_one_beginning_elsewhere_does_not_end_three_here(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever read three papers hears of it, also where another of their ids read one later."""
    thrice = world.STRATEGY.replace("    when: past.papers < 3\n", "    times: 3\n    within: 7d\n")
    assert thrice != world.STRATEGY
    monkeypatch.setattr(world, "STRATEGY", thrice)

    def read(customer: str, number: int, ago_ms: int) -> Event:
        return Event(f"{customer}-p{number}", customer, "paper.read", now_ms() - ago_ms, {})

    async with shop(clean_store_url, tmp_path, "ina", "jon") as tact:
        await told(tact, *(read(one, number, 9_000 - number) for one in ("ina", "jon") for number in range(3)))
        await told(tact, read("ina-web", 9, 1_000))
        await tact.identities.link("ina-web", "ina")
        assert customers_of(await due(tact)) == ["ina", "jon"]
