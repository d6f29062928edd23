"""Moments of triggers in the store: armed and cancelled with the events, lent to one consumer each, never lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis import Redis

from models.context import FoldKind
from models.folds import Operation
from service.core.due import DELIVERIES, Ended, Lent
from service.core.records import EventToFold
from service.core.triggers import ALL, NOTHING_BEGUN, Arm, Cancel, Cell, Change, armed, changed
from service.store import keys
from service.store.moments import MomentStore
from service.store.store import Store
from tests.store.patience import patient
from tests.store.running import LEVELS

NOW_MS = 1_790_000_000_000
LONG_AGO_MS = 1_600_000_000_000
LONG_S = 60.0
SEEN = Operation(1, "s", FoldKind.COUNT, 1)
CART, CHANNEL = "cart", "email"
CHANNELS = {CART: CHANNEL, "thrice": CHANNEL, "call": "desk"}


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """Open a store that knows triggers."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none", channels=CHANNELS)
        await store.calls.load_functions()
        yield store


def left(at_ms: int = LONG_AGO_MS, key: str = "c1", trigger: str = CART, due_ms: int | None = None) -> Arm:
    """Return what a cart that was left arms; due at once, for it was long ago."""
    return Arm(trigger, key, at_ms, at_ms if due_ms is None else due_ms, 0)


async def happened(store: Store, event: str, *changes: Change, customer: str = "ina") -> None:
    """Let an event happen that arms and cancels."""
    await store.events.fold(customer, [EventToFold(event, LONG_AGO_MS, (SEEN,), changes=changes)])


async def lent(moments: MomentStore, lease_s: float = LONG_S, channel: str = CHANNEL) -> list[Lent]:
    """Return all that is lent in one look at every bucket."""
    found: list[Lent] = []
    async for names in moments.due(channel, NOW_MS * 2, 100):
        found += (await moments.lend(names, lease_s))[0]
    return found


async def named(store: Store, channel: str = CHANNEL) -> list[tuple[str, str]]:
    """Return trigger and key of all that is due, without lending it."""
    return [(name.trigger, name.key) async for names in store.moments.due(channel, NOW_MS * 2, 100) for name in names]


async def test_a_moment_is_lent_to_one_and_ends_when_it_is_said(clean_store_url: str) -> None:
    """Of many who ask at once one is lent the moment; when it has said it, nobody is."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        first, *others = await asyncio.gather(*(lent(store.moments) for _ in range(8)))
        one = next(some for some in (first, *others) if some)
        assert sum(map(len, (first, *others))) == 1
        assert await store.moments.end(one[0].name, one[0].loan, Ended.SAID)
        assert await lent(store.moments, 0.0) == []
        assert not await store.moments.end(one[0].name, one[0].loan, Ended.SAID)


async def test_what_is_not_due_yet_is_lent_to_nobody(clean_store_url: str) -> None:
    """The store's own clock says when a moment is due, whoever asks early."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left(due_ms=NOW_MS * 2 - 1))
        assert await named(store) == [(CART, "c1")]
        assert await lent(store.moments) == []


async def test_a_cancelled_moment_is_not_sent(clean_store_url: str) -> None:
    """What is lent and cancelled before it is sent is not sent, and is due for nobody any more."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        (one,) = await lent(store.moments)
        await happened(store, "e2", Cancel(CART, "c1", LONG_AGO_MS + 1))
        assert await store.moments.sent(one, "d1", LONG_S) is None
        assert await named(store) == []


async def test_the_end_of_all_keys_ends_each(clean_store_url: str) -> None:
    """A cancel of the customer as a whole ends those of all keys, and what began until then and comes late."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left(key="c1"), left(key="c2"))
        (one, _) = await lent(store.moments)
        await happened(store, "e2", Cancel(CART, ALL, LONG_AGO_MS + 1))
        assert await store.moments.sent(one, "d1", LONG_S) is None
        await happened(store, "e3", left(key="c3"))
        assert await lent(store.moments, 0.0) == []
        await happened(store, "e4", left(LONG_AGO_MS + 2, key="c3"))
        assert [one.name.key for one in await lent(store.moments)] == ["c3"]


async def test_a_crashed_consumer_loses_nothing(clean_store_url: str) -> None:
    """A loan that ends unfinished is given out again, with the decision that it was sent by."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        (one,) = await lent(store.moments, 0.0)
        sent = await store.moments.sent(one, "d1", 0.0)
        assert sent is not None
        (again,) = await lent(store.moments)
        assert (again.state.decision, again.state.given, again.state.sent) == ("d1", 2, 1)
        assert again.run == one.run
        assert not await store.moments.end(sent.name, sent.loan, Ended.SAID)
        assert await store.moments.end(again.name, again.loan, Ended.SAID)


async def test_what_nobody_finishes_waits_for_somebody_to_look(clean_store_url: str) -> None:
    """After so many tries a moment is given out no more, is listed, and is released or given up by hand."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        for _ in range(DELIVERIES):
            assert len(await lent(store.moments, 0.0)) == 1
        names = [name async for names in store.moments.due(CHANNEL, NOW_MS * 2, 9) for name in names]
        assert await store.moments.lend(names, 0.0) == ((), 1)
        assert await lent(store.moments) == []
        (dead,) = await store.moments.dead(CHANNEL, 10)
        assert dead.name == names[0]
        assert await store.moments.release(dead.name)
        assert await store.moments.dead(CHANNEL, 10) == ()
        (again,) = await lent(store.moments, 0.0)
        assert again.state.given == 1
        for _ in range(DELIVERIES):
            await lent(store.moments, 0.0)
        assert await store.moments.release(dead.name, give_up=True)
        assert await lent(store.moments) == []
        assert not await store.moments.release(dead.name)


async def test_what_is_put_off_comes_later(clean_store_url: str) -> None:
    """A moment that is put off is not due before, and is decided anew then."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        (one,) = await lent(store.moments)
        assert await store.moments.later(one.name, one.loan, NOW_MS * 2 - 1, anew=True)
        assert await lent(store.moments) == []
        (name,) = [name async for names in store.moments.due(CHANNEL, NOW_MS * 2, 9) for name in names]
        state, _ = await store.moments.known(name.customer, name.trigger, name.key)
        assert (state.rounds, state.given) == (1, 0)


async def test_another_cart_event_counts_from_then(clean_store_url: str) -> None:
    """What begins again while it is lent is another moment: the loan of the one before holds no more."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        (one,) = await lent(store.moments)
        await happened(store, "e2", left(LONG_AGO_MS + 5))
        assert not await store.moments.end(one.name, one.loan, Ended.SAID)
        (again,) = await lent(store.moments)
        assert again.run != one.run


async def test_an_event_that_comes_again_arms_nothing_again(clean_store_url: str) -> None:
    """The same event id arms once, so a moment that was said is not said again."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        (one,) = await lent(store.moments)
        await store.moments.end(one.name, one.loan, Ended.SAID)
        await happened(store, "e1", left(LONG_AGO_MS + 5))
        assert await lent(store.moments) == []


async def test_channels_share_nothing(clean_store_url: str) -> None:
    """Who asks for one channel is lent nothing of another."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left(), left(trigger="call"))
        assert [one.name.trigger for one in await lent(store.moments, channel="desk")] == ["call"]
        assert [one.name.trigger for one in await lent(store.moments)] == [CART]


async def test_nothing_is_left_of_who_is_forgotten(clean_store_url: str) -> None:
    """After it is forgotten no key of the customer's moments is there, dead ones included."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left(), left(trigger="call"), left(key="c2"))
        for _ in range(DELIVERIES + 1):
            await lent(store.moments, 0.0)
        assert len(await store.moments.told("ina")) == 3
        assert await store.moments.forget("ina") == 3
        with Redis.from_url(clean_store_url) as raw:
            kept = [bytes(key) for key in raw.scan_iter("tact:*")]
        assert not [key for key in kept if b":t:" in key or b":due:" in key or b":dead:" in key]


def told(trigger: str, history: Sequence[Change], times: int, within_ms: int) -> set[str]:
    """Return the keys of which a moment is armed after a history, by service/core/triggers.py."""
    cells: dict[str, Cell] = {}
    for change in history:
        cells[change.key] = changed(cells.get(change.key, NOTHING_BEGUN), change)
    arm, of_all = Arm(trigger, "", 0, 0, 0, times, within_ms), cells.get(ALL, NOTHING_BEGUN)
    return {key for key, cell in cells.items() if armed(trigger, key, cell, arm, of_all)}


async def test_the_order_of_arrival_makes_no_difference(clean_store_url: str) -> None:
    """Any history, in any order of arrival, arms in the store what the core says that it arms."""
    dice = random.Random(9)
    async with opened(clean_store_url) as store:
        for number in range(60):
            times, within_ms, customer = dice.choice((1, 2, 3)), dice.choice((0, 4)), f"c{number}"
            history: list[Change] = []
            for _ in range(dice.randrange(1, 10)):
                at, key = LONG_AGO_MS + dice.randrange(8), dice.choice(("a", "b"))
                begins = dice.random() < 0.7
                end = Cancel("thrice", dice.choice((key, ALL)), at)
                history.append(Arm("thrice", key, at, at, 0, times, within_ms) if begins else end)
            for shuffled in (1, 2):
                some = f"{customer}-{shuffled}"
                dice.shuffle(history)
                for place, change in enumerate(history):
                    await happened(store, f"e{place}", change, customer=some)
            found = [(one.name.customer, one.name.key) for one in await lent(store.moments)]
            expected = told("thrice", history, times, within_ms)
            for shuffled in (1, 2):
                assert {key for who, key in found if who == f"{customer}-{shuffled}"} == expected, history


async def test_too_far_apart_is_not_often_enough(clean_store_url: str) -> None:
    """Twice within four milliseconds: six apart arm nothing, and one between them does, though it comes late."""

    def once(at_ms: int) -> Arm:
        return Arm("thrice", ALL, at_ms, at_ms, 0, 2, 4)

    async with opened(clean_store_url) as store:
        await happened(store, "e1", once(LONG_AGO_MS))
        await happened(store, "e2", once(LONG_AGO_MS + 6))
        assert await named(store) == []
        await happened(store, "e3", once(LONG_AGO_MS + 3))
        assert await named(store) == [("thrice", ALL)]


async def test_keys_of_a_trigger_are_bounded(clean_store_url: str) -> None:
    """Of a customer with very many carts those are kept that saw an event last."""
    async with opened(clean_store_url) as store:
        for number in range(90):
            await happened(store, f"e{number}", left(LONG_AGO_MS + number, key=f"k{number}"))
        kept = {key for _, key, _ in await store.moments.told("ina")}
        assert kept == {f"k{number}" for number in range(26, 90)}
        with Redis.from_url(clean_store_url) as raw:
            assert raw.hlen(keys.moments_key("ina").decode()) == 64
