"""What was decided may be said as long as its units are held, or can be held again."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from service.core.decision import ReasonCode
from service.store import keys
from service.validate import Validator
from tests.supply.world import DEADLINE_S, Shop, shop


async def codes(one: Shop, decision_id: str) -> list[ReasonCode]:
    """Judge a decision again and return the codes of what forbids its only placement."""
    store = one.store
    validator = Validator(lambda: one.engine, store.issued, store.customers, store.supply, one.warehouse.book)
    (standing,) = (await validator.validate(decision_id, None, DEADLINE_S)).placements
    return [reason.code for reason in standing.reasons]


def end_hold(url: str, decision_id: str) -> None:
    """Let the hold of a decision end now."""
    _, _, held, _ = keys.shelf_keys("phone", "north")
    with Redis.from_url(url) as store:
        assert store.zadd(held, {keys.lease(decision_id, "phone"): 1}, xx=True, ch=True) == 1


async def test_units_that_are_held_may_be_said_though_none_is_left(clean_store_url: str, tmp_path: Path) -> None:
    """Who holds the last unit is not told that nothing is left, and asking holds nothing more."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(1)
        decision_id, answer = await one.said("ada")
        assert answer.action == "phone"
        assert await one.left() == 0
        assert await codes(one, decision_id) == []
        await one.warehouse.book.refresh()
        assert await codes(one, decision_id) == []


async def test_units_are_held_again_after_their_hold(clean_store_url: str, tmp_path: Path) -> None:
    """When the hold has ended and one is left, it is held again for the mail that goes out now."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(1)
        decision_id, _ = await one.said("ada")
        end_hold(clean_store_url, decision_id)
        assert await codes(one, decision_id) == []
        assert await one.left() == 0


async def test_units_that_others_hold_by_now_may_not_be_said(clean_store_url: str, tmp_path: Path) -> None:
    """When the hold has ended and the rest went to others, nothing may be said: it is out of stock."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(1)
        decision_id, _ = await one.said("ada")
        end_hold(clean_store_url, decision_id)
        await one.warehouse.book.refresh()
        assert (await one.said("bo"))[1].action == "phone"
        assert await codes(one, decision_id) == [ReasonCode.OUT_OF_STOCK]


async def test_what_consumes_nothing_asks_for_no_stock(clean_store_url: str, tmp_path: Path) -> None:
    """A greeting is valid whatever is left."""
    async with shop(clean_store_url, tmp_path) as one:
        decision_id, answer = await one.said("ada")
        assert answer.action == "hello"
        assert await codes(one, decision_id) == []
