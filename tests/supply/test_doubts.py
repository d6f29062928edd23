"""Units of a decision of which nobody knew are freed once it is there without them, and never before."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.core.decision import ReasonCode, Take
from service.store.connection import StoreTimeout
from service.supply import doubts
from tests.supply.test_granting import Failing
from tests.supply.world import ACCEPTED, DEADLINE_S, Shop, shop


async def doubtful(one: Shop, customer: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit end without an answer, after its units were held."""
    with monkeypatch.context() as failing:
        failing.setattr(one.warehouse.decisions, "_decisions", Failing(one, StoreTimeout("too slow")))
        decision = await one.decider.decide(one.request(customer, key), DEADLINE_S)
    assert [reason.code for reason in decision.degraded] == [ReasonCode.STORE_UNAVAILABLE]


async def test_units_that_the_decision_does_not_take_are_freed(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated when nothing was left to be seen, the decision is another one; its old units are free then, once."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        await doubtful(one, "ada", "k1", monkeypatch)
        await one.empty()
        await one.warehouse.book.refresh()
        await one.warehouse.doubts.look()
        assert await one.left() == 0, "the decision may still come"
        assert (await one.said("ada", "k1"))[1].action == "hello"
        await one.warehouse.doubts.look()
        assert await one.left() == 1
        await one.warehouse.doubts.look()
        assert await one.left() == 1


async def test_units_that_the_decision_takes_stay_its_own(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated in time, the decision takes the units that were held for it, and looking changes nothing."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        await doubtful(one, "ada", "k1", monkeypatch)
        decision, answer = await one.said("ada", "k1")
        assert answer.action == "phone"
        await one.warehouse.doubts.look()
        assert await one.left() == 1
        await one.told(decision, ACCEPTED)
        assert await one.left() == 1


async def test_units_of_another_place_are_freed(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the decision comes to be about another place, the action holds units there, and those here are free."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        await one.report(2, "south")
        await doubtful(one, "ada", "k1", monkeypatch)
        assert (await one.said("ada", "k1", "south"))[1].action == "phone"
        assert (await one.left(), await one.left("south")) == (1, 1)
        await one.warehouse.doubts.look()
        assert (await one.left(), await one.left("south")) == (2, 1)


class Unheard:
    """Grants of which nobody hears: the units are held, and the answer is lost."""

    def __init__(self, around: Shop) -> None:
        self._supply = around.store.supply

    async def grant(self, take: Take, decision_id: str, deadline_s: float) -> tuple[bool, int]:
        """Hold the units, and fail."""
        await self._supply.grant(take, decision_id, deadline_s)
        raise StoreTimeout("too slow")


async def test_units_whose_grant_was_not_heard_of_are_doubtful(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the store does not answer a grant the units may be held all the same: they are looked after, and freed."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        with monkeypatch.context() as failing:
            failing.setattr(one.warehouse.decisions, "_grants", Unheard(one))
            decision = await one.decider.decide(one.request("ada", "k1"), DEADLINE_S)
        assert [reason.code for reason in decision.degraded] == [ReasonCode.STORE_UNAVAILABLE]
        assert await one.left() == 1
        await one.empty()
        await one.warehouse.book.refresh()
        assert (await one.said("ada", "k1"))[1].action == "hello"
        await one.warehouse.doubts.look()
        assert await one.left() == 1


async def test_a_doubt_is_forgotten_when_its_hold_is_over(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that never comes is not looked for any longer than ten minutes; its units wait for their end."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        await doubtful(one, "ada", "k1", monkeypatch)
        monkeypatch.setattr(doubts, "FORGET_AFTER_S", -1.0)
        await one.warehouse.doubts.look()
        assert one.warehouse.doubts._open == {}
        assert await one.left() == 1


async def test_doubts_are_bounded(clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more doubts than there is room for the latest stay, and each look has a bounded number of questions."""
    monkeypatch.setattr(doubts, "MOST_DOUBTS", 3)
    monkeypatch.setattr(doubts, "LOOKED_AT_ONCE", 2)
    async with shop(clean_store_url, tmp_path) as one:
        for n in range(5):
            one.warehouse.doubts.add(f"00{n}" + "0" * 23, ())
        assert [name[:3] for name in one.warehouse.doubts._open] == ["002", "003", "004"]
        await one.warehouse.doubts.look()
        assert [name[:3] for name in one.warehouse.doubts._open] == ["004", "002", "003"]
