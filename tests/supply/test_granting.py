"""Units are held before a decision is committed: never more than there is, and never for what is not said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis import Redis

from service.core.decision import Commit, Committed, ReasonCode, Take
from service.errors import AlreadyExists, ConsentChanged, CustomerLinked, StoreError
from service.store import keys
from service.store.connection import StoreTimeout
from tests.service.shop import edited, now_ms
from tests.supply.world import ACCEPTED, DEADLINE_S, NEVER, NOT_NOW, REFUSED, Shop, shop

CAPPED = """\
caps:
  - {id: one-phone, says: One phone a day., count: {ids: [phone]}, at_most: 1, within: 24h}
"""


async def test_an_offer_holds_its_units(clean_store_url: str, tmp_path: Path) -> None:
    """Whoever is offered something has it held; the last unit goes to one of two, and the other is told why."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(2)
        assert [(await one.said(name))[1].action for name in ("ada", "bo", "cy")] == ["phone", "phone", "hello"]
        assert await one.left() == 0


async def test_what_another_process_took_is_not_promised(clean_store_url: str, tmp_path: Path) -> None:
    """While the book still says that one is left, the store does not grant it: the next candidate is said instead."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        await one.report(2, "hq", "gift")
        await one.said("ada")
        await one.empty()
        stocks = one.warehouse.book.stocks["phone", "north"]
        assert stocks is not None
        assert stocks.free == 4
        assert (await one.said("bo"))[1].action == "gift"
        assert await one.left("hq", "gift") == 0


async def test_when_nothing_is_granted_nothing_is_said(clean_store_url: str, tmp_path: Path) -> None:
    """Where no candidate is left the placement stays silent, out of stock, and the same again under the same key."""
    actions = edited("actions", "placements: [hero], ", "placements: [side], ")
    async with shop(clean_store_url, tmp_path, actions=actions) as one:
        await one.report(2)
        await one.said("ada")
        await one.empty()
        first = await one.said("bo", "k1")
        assert (first[1].action, first[1].held_back, first[1].until_ms) == ("", "phone", None)
        assert [reason.code for reason in first[1].reasons] == [ReasonCode.OUT_OF_STOCK]
        await one.report(9)
        assert await one.said("bo", "k1") == first
        assert await one.left() == 7


async def test_one_key_holds_once(clean_store_url: str, tmp_path: Path) -> None:
    """The same question asked thirty times at once holds one unit, and gives one answer."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(10)
        answers = await asyncio.gather(*(one.said("ada", "k1") for _ in range(30)))
        assert {answer.action for _, answer in answers} == {"phone"}
        assert len({decision for decision, _ in answers}) == 1
        assert await one.left() == 9


async def test_a_key_of_another_request_holds_nothing(clean_store_url: str, tmp_path: Path) -> None:
    """Two requests at once under one key, for two places: one is decided, the other refused, and one unit is held."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(10)
        await one.report(10, "south")
        asked = [one.said("ada", "k1", place) for place in ("north", "south") * 8]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, AlreadyExists)]
        assert len(refused) == 8
        assert await one.left() + await one.left("south") == 19


async def test_what_a_cap_takes_back_is_free_again(clean_store_url: str, tmp_path: Path) -> None:
    """In a race for the one contact a day, the losers' units are free again at once."""
    async with shop(clean_store_url, tmp_path, caps=CAPPED) as one:
        await one.report(40)
        answers = await asyncio.gather(*(one.said("ada") for _ in range(30)))
        assert sum(answer.action == "phone" for _, answer in answers) == 1
        assert await one.left() == 39


async def test_whoever_comes_behind_a_cap_is_promised_nothing_unheld(clean_store_url: str, tmp_path: Path) -> None:
    """In a race, whom the cap stops is not given the next candidate unless its units are held: the placement stays
    silent, and units are held for all that is said."""
    actions = edited("actions", "placements: [hero], ", "placements: [side], ")
    async with shop(clean_store_url, tmp_path, actions=actions, caps=CAPPED) as one:
        await one.report(40)
        await one.report(40, "hq", "gift")
        answers = [answer for _, answer in await asyncio.gather(*(one.said("ada") for _ in range(20)))]
        said = [answer.action for answer in answers]
        assert "" in said, "somebody lost the race"
        assert 40 - said.count("phone") == await one.left()
        assert 40 - 2 * said.count("gift") == await one.left("hq", "gift")


@pytest.mark.parametrize(
    ("kinds", "left"),
    [
        ((ACCEPTED,), 4),
        ((REFUSED,), 5),
        ((NEVER,), 5),
        ((NOT_NOW,), 4),
        ((REFUSED, ACCEPTED), 4),
        ((ACCEPTED, REFUSED), 4),
        ((ACCEPTED, ACCEPTED), 4),
        ((REFUSED, NEVER, REFUSED), 5),
    ],
    ids=str,
)
async def test_the_answer_settles_the_hold(
    clean_store_url: str, tmp_path: Path, kinds: tuple[int, ...], left: int
) -> None:
    """Accepted units stay gone when the hold ends, refused ones are back at once, and the acceptance weighs more."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        decision, _ = await one.said("ada")
        for kind in kinds:
            await one.told(decision, kind)
        assert await one.left() == left
        end_holds(clean_store_url)
        assert await one.left() == (4 if ACCEPTED in kinds else 5)


@pytest.mark.parametrize("held", [True, False], ids=["held", "its hold has ended"])
async def test_nothing_is_accepted_before_it_was_decided(clean_store_url: str, tmp_path: Path, held: bool) -> None:
    """An acceptance that is said to be older than its decision counts all the same, and no unit is granted twice."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        for n in range(5):
            decision, answer = await one.said(f"customer-{n}")
            assert answer.action == "phone"
            if not held:
                end_holds(clean_store_url)
            await one.told(decision, ACCEPTED, at_ms=now_ms() - 60_000)
            assert await one.left() == 4 - n
        assert (await one.said("late"))[1].action == "hello"


async def test_an_outcome_of_something_else_settles_nothing(clean_store_url: str, tmp_path: Path) -> None:
    """Outcomes of unknown decisions and of actions that take nothing leave the supply alone."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        phone, _ = await one.said("ada")
        hello, _ = await one.said("bo", place="nowhere")
        await one.told(phone, REFUSED, "gift")
        await one.told(hello, ACCEPTED, "hello")
        await one.told("000" + "1" * 23, ACCEPTED)
        assert await one.left() == 4


async def test_no_answer_settles_twice(clean_store_url: str, tmp_path: Path) -> None:
    """When settling fails the call fails; told again, the outcome is repeated and the units are settled once."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        decision, _ = await one.said("ada")
        stock = keys.shelf_keys("phone", "north")[0]
        with Redis.from_url(clean_store_url) as raw:
            raw.rename(stock, "aside")
            raw.set(stock, "not a hash")
            with pytest.raises(StoreError):
                await one.told(decision, ACCEPTED)
            raw.delete(stock)
            raw.rename("aside", stock)
        for _ in range(3):
            await one.told(decision, ACCEPTED)
        end_holds(clean_store_url)
        assert await one.left() == 4


class Failing:
    """A store of decisions whose commits fail in one way; everything else is the real store's."""

    def __init__(self, around: Shop, error: Exception) -> None:
        self._store = around.store.customers
        self._error = error
        self.decision_id = self._store.decision_id
        self.read = self._store.read

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Fail."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "left"),
    [(ConsentChanged("withdrawn"), 5), (CustomerLinked("linked"), 5), (StoreTimeout("too slow"), 4)],
    ids=["the consent was replaced", "refused for sure", "perhaps committed"],
)
async def test_units_stay_held_only_where_the_commit_may_have_been(
    clean_store_url: str, tmp_path: Path, error: Exception, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that was refused frees its units; one of which nobody knows keeps them until the hold ends."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        monkeypatch.setattr(one.warehouse.decisions, "_decisions", Failing(one, error))
        await one.decider.decide(one.request("ada"), DEADLINE_S)
        assert await one.left() == left
        end_holds(clean_store_url)
        assert await one.left() == 5


async def test_a_dead_supply_is_no_offer(clean_store_url: str, tmp_path: Path) -> None:
    """When units cannot be granted because their key is spoilt, the answer is the safe one and nothing is logged."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        await one.said("ada")
        with Redis.from_url(clean_store_url) as raw:
            raw.set(keys.shelf_keys("phone", "north")[0], "not a hash")
        decision = await one.decider.decide(one.request("bo"), DEADLINE_S)
        assert (decision.decision_id, decision.answers[0].action) == ("", "hello")
        assert [reason.code for reason in decision.degraded] == [ReasonCode.STORE_UNAVAILABLE]


async def test_decisions_that_take_nothing_go_straight_to_their_store(clean_store_url: str, tmp_path: Path) -> None:
    """A strategy in which nothing is consumed has no warehouse between its decisions and their store."""
    actions = edited("actions", "    consumes: {supply: present.left, units: 1, hold: 10m}\n", "")
    actions = actions.replace("    consumes: {supply: present.gifts, units: 2, hold: 10m}\n", "")
    async with shop(clean_store_url, tmp_path, actions=actions) as one:
        assert one.warehouse.decisions is one.store.customers
        assert (await one.said("ada"))[1].action == "phone"


def end_holds(url: str) -> None:
    """Move the end of every hold into the past, as waiting would."""
    held = keys.shelf_keys("phone", "north")[2]
    with Redis.from_url(url) as raw:
        for lease in raw.zrange(held, 0, -1):
            raw.zadd(held, {lease: 1})


async def test_units_of_a_repeatable_decision_are_not_freed_after_a_refusal(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a key another process may be committing the same decision with these units: they wait for it, once."""
    async with shop(clean_store_url, tmp_path) as one:
        await one.report(5)
        with monkeypatch.context() as refusing:
            refusing.setattr(one.warehouse.decisions, "_decisions", Failing(one, CustomerLinked("linked")))
            await one.decider.decide(one.request("ada", "k1"), DEADLINE_S)
        assert await one.left() == 4
        assert (await one.said("ada", "k1"))[1].action == "phone"
        assert await one.left() == 4


class Slow:
    """Grants that take their time: each call is answered when a share of what was left is over."""

    def __init__(self) -> None:
        self.left: list[float] = []

    async def grant(self, take: Take, decision_id: str, deadline_s: float) -> tuple[bool, int]:
        """Grant at last."""
        self.left.append(deadline_s)
        await asyncio.sleep(0.02)
        return True, 1

    async def give_back(self, take: Take, decision_id: str, deadline_s: float) -> bool:
        """Take back at last."""
        self.left.append(deadline_s)
        await asyncio.sleep(0.02)
        return True


async def test_all_steps_together_have_one_deadline(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a grant has used up of the time is not there any more for the commit, nor what that used for freeing."""
    async with shop(clean_store_url, tmp_path, caps=CAPPED) as one:
        await one.report(5)
        slow = Slow()
        monkeypatch.setattr(one.warehouse.decisions, "_grants", slow)
        await asyncio.gather(*(one.said("ada") for _ in range(2)))
    granted, freed = slow.left[:2], slow.left[2:]
    assert len(freed) == 1
    assert freed[0] <= min(granted) - 0.02
