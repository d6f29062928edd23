"""What was decided may be said as long as its units are held, or can be held again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from service.core.decision import ReasonCode
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.store import keys
from service.validate import Validator
from tests.service.shop import edited, now_ms, write_shop
from tests.supply.world import ACCEPTED, DEADLINE_S, NEVER, NOT_NOW, REFUSED, Shop, shop


async def codes(one: Shop, decision_id: str, as_of_ms: int | None = None) -> list[ReasonCode]:
    """Judge a decision again and return the codes of what forbids its only placement."""
    store = one.store
    validator = Validator(lambda: one.engine, store.issued, store.customers, store.supply, one.warehouse.book)
    (standing,) = (await validator.validate(decision_id, as_of_ms, DEADLINE_S)).placements
    return [reason.code for reason in standing.reasons]


def end_hold(url: str, decision_id: str) -> None:
    """Let the hold of a decision end now."""
    _, _, held, _ = keys.shelf_keys("phone", "north")
    with Redis.from_url(url) as store:
        assert store.zadd(held, {keys.lease(decision_id, "phone"): 1}, xx=True, ch=True) == 1


def end_of_hold(url: str, decision_id: str) -> float:
    """Return when the hold of a decision ends (ms)."""
    with Redis.from_url(url) as store:
        ends = store.zscore(keys.shelf_keys("phone", "north")[2], keys.lease(decision_id, "phone"))
    assert isinstance(ends, float)
    return ends


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


@pytest.mark.parametrize(
    ("kinds", "wanted", "left"),
    [
        ((REFUSED,), [ReasonCode.DECLINED], 1),
        ((NEVER,), [ReasonCode.DECLINED], 1),
        ((ACCEPTED, REFUSED), [ReasonCode.DECLINED], 0),
        ((NOT_NOW,), [ReasonCode.DECLINED], 0),
        ((ACCEPTED,), [], 0),
    ],
    ids=str,
)
async def test_what_was_refused_is_not_said_again(
    clean_store_url: str, tmp_path: Path, kinds: tuple[int, ...], wanted: list[ReasonCode], left: int
) -> None:
    """After a refusal of this very decision it may not be said any more, and holds nothing again."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(1)
        decision_id, _ = await one.said("ada")
        for kind in kinds:
            await one.told(decision_id, kind)
        assert await codes(one, decision_id) == wanted
        assert await one.left() == left


async def test_a_refusal_is_told_beside_what_else_forbids(clean_store_url: str, tmp_path: Path) -> None:
    """Where the offer is gone too, both reasons are told; a refusal of another decision forbids nothing here."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        refused, kept = (await one.said("ada"))[0], (await one.said("ada"))[0]
        await one.told(refused, REFUSED)
        assert await codes(one, kept) == []
        later = load_strategy(write_shop(tmp_path / "later", actions=edited("actions", "id: phone", "id: tablet")))
        one = replace(one, engine=Engine(later, None))
        assert await codes(one, refused) == [ReasonCode.NO_LONGER_OFFERED, ReasonCode.DECLINED]
        assert await codes(one, kept) == [ReasonCode.NO_LONGER_OFFERED]


async def test_a_simulation_holds_nothing(clean_store_url: str, tmp_path: Path) -> None:
    """As of a moment, the answer is as if units were held, and none are; what is held is not held any longer."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(1)
        decision_id, _ = await one.said("ada")
        ends = end_of_hold(clean_store_url, decision_id)
        assert await codes(one, decision_id, now_ms()) == []
        assert end_of_hold(clean_store_url, decision_id) == ends
        end_hold(clean_store_url, decision_id)
        await one.warehouse.book.refresh()
        assert await codes(one, decision_id, now_ms()) == []
        assert await one.left() == 1
        await one.empty()
        assert await codes(one, decision_id, now_ms()) == [ReasonCode.OUT_OF_STOCK]


async def test_what_goes_out_now_is_held_from_now_on(clean_store_url: str, tmp_path: Path) -> None:
    """A hold that is about to end begins anew, so that the mail does not promise what is gone a second later."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(1)
        decision_id, _ = await one.said("ada")
        soon = now_ms() + 5_000
        with Redis.from_url(clean_store_url) as store:
            store.zadd(keys.shelf_keys("phone", "north")[2], {keys.lease(decision_id, "phone"): soon}, xx=True)
        assert await codes(one, decision_id) == []
        assert end_of_hold(clean_store_url, decision_id) > soon + 500_000
        assert await one.left() == 0


async def test_what_consumes_nothing_asks_for_no_stock(clean_store_url: str, tmp_path: Path) -> None:
    """A greeting is valid whatever is left."""
    async with shop(clean_store_url, tmp_path) as one:
        decision_id, answer = await one.said("ada")
        assert answer.action == "hello"
        assert await codes(one, decision_id) == []
