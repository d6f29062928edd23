"""Moments of triggers are kept as long as they wait, and no longer; what is evicted or erased leaves nothing."""

from __future__ import annotations

from redis import Redis

from service.core.due import DELIVERIES, put_off_ms
from service.core.triggers import ALL, DAY_MS, Arm, Cancel
from service.store import keys
from tests.store.test_moments import CART, CHANNEL, LONG_AGO_MS, LONG_S, happened, left, lent, opened

CUSTOMER = "in*a"
"""An id with a character that stands for any in a pattern."""


def listed(url: str, customer: str = CUSTOMER) -> list[bytes]:
    """Return all that is listed as due or dead in the bucket of a customer."""
    bucket = keys.bucket(customer)
    with Redis.from_url(url) as raw:
        places = (keys.due_key(bucket, CHANNEL), keys.dead_key(bucket, CHANNEL))
        return [bytes(member) for place in places for member in raw.zrange(place.decode(), 0, -1)]


async def test_what_is_evicted_is_listed_no_more(clean_store_url: str) -> None:
    """Of very many carts the oldest go, and are due for nobody."""
    async with opened(clean_store_url) as store:
        for number in range(70):
            await happened(store, f"e{number}", left(LONG_AGO_MS + number, key=f"k{number}"), customer=CUSTOMER)
        assert len(listed(clean_store_url)) == 64
        await happened(store, "older", left(LONG_AGO_MS - 1, key="older"), customer=CUSTOMER)
        assert len(listed(clean_store_url)) == 64


async def test_forgetting_needs_nothing_else_that_is_known(clean_store_url: str) -> None:
    """What is listed of an id goes with it also where the rest has gone before; another id's stays."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left(), left(key="c2"), customer=CUSTOMER)
        other = next(name for number in range(10_000) if keys.bucket(name := f"in{number}a") == keys.bucket(CUSTOMER))
        await happened(store, "e1", left(), customer=other)
        with Redis.from_url(clean_store_url) as raw:
            raw.delete(keys.moments_key(CUSTOMER).decode())
        assert await store.moments.forget(CUSTOMER) == 2
        (kept,) = listed(clean_store_url)
        assert other.encode() in kept


async def test_a_failure_is_no_silence(clean_store_url: str) -> None:
    """A consumer that says each time that it failed never makes a moment dead; five silent ones in a row do."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        for number in range(1, 3 * DELIVERIES):
            (one,) = await lent(store.moments)
            assert one.state.given == number
            assert await store.moments.later(one.name, one.loan, LONG_AGO_MS, anew=False)
        for _ in range(DELIVERIES):
            assert len(await lent(store.moments, 0.0)) == 1
        assert await lent(store.moments) == []
        assert [dead.name.key for dead in await store.moments.dead(CHANNEL, 9)] == ["c1"]


def test_a_failure_rests_five_seconds_and_then_twice_as_long() -> None:
    """As docs/triggers.md says: 5 s, 10 s, … 10 minutes."""
    assert [put_off_ms(given) // 1_000 for given in range(1, 10)] == [5, 10, 20, 40, 80, 160, 320, 600, 600]


async def test_what_was_never_sent_does_not_count(clean_store_url: str) -> None:
    """What is given back unsent is there at once, and however often that happens nobody calls it dead."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        for _ in range(2 * DELIVERIES):
            (one,) = await lent(store.moments)
            assert one.state.given == 1
            assert await store.moments.give_back(one.name, one.loan, LONG_AGO_MS)


async def test_how_often_it_was_sent_begins_anew(clean_store_url: str) -> None:
    """A cart that was sent once and is left again was not sent yet, nor one that is to be decided anew."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left())
        for event in ("e2", "e3"):
            (one,) = await lent(store.moments)
            assert one.state.sent == 0
            sent = await store.moments.sent(one, "d1", LONG_S)
            assert sent is not None
            await happened(store, event, left(LONG_AGO_MS + int(event[1])))
        (one,) = await lent(store.moments)
        sent = await store.moments.sent(one, "d1", LONG_S)
        assert sent is not None
        assert await store.moments.later(sent.name, sent.loan, LONG_AGO_MS, anew=True)
        (one,) = await lent(store.moments)
        assert one.state.sent == 0


async def test_what_waits_long_is_kept_as_long(clean_store_url: str) -> None:
    """A date that is beyond the retention is kept until it was due and good, whatever event comes meanwhile."""
    async with opened(clean_store_url) as store:
        with Redis.from_url(clean_store_url) as raw:
            seconds, _ = raw.time()
            due_ms = 1_000 * seconds + 1_000 * DAY_MS
            await happened(store, "e1", Arm(CART, "c1", LONG_AGO_MS, due_ms, 0, good_for_ms=DAY_MS))
            await happened(store, "e2", left(key="c2"))
            for key in (keys.moments_key("ina"), keys.due_key(keys.bucket("ina"), CHANNEL)):
                assert 1_001 * DAY_MS <= raw.pttl(key.decode()) <= 1_004 * DAY_MS
        await happened(store, "e3", Arm(CART, "c3", LONG_AGO_MS, due_ms * 100, 0, good_for_ms=DAY_MS), customer="jon")
        with Redis.from_url(clean_store_url) as raw:
            assert raw.pttl(keys.moments_key("jon").decode()) <= 3_652 * DAY_MS


async def test_what_is_dead_and_cancelled_or_begun_anew_is_dead_no_more(clean_store_url: str) -> None:
    """By its own end, by one of all keys, and by a new beginning."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left(), left(key="c2"), left(key="c3"), left(key="c4"))
        for _ in range(DELIVERIES + 1):
            await lent(store.moments, 0.0)
        assert len(await store.moments.dead(CHANNEL, 9)) == 4
        await happened(store, "e2", Cancel(CART, "c1", LONG_AGO_MS + 1), left(LONG_AGO_MS + 9, key="c2"))
        assert len([one for one in listed(clean_store_url, "ina") if one.endswith((b"c3", b"c4"))]) == 2
        assert {one.name.key for one in await store.moments.dead(CHANNEL, 9)} == {"c3", "c4"}
        assert len(await store.moments.dead(CHANNEL, 1)) == 1
        (only,) = await store.moments.dead(CHANNEL, 1, customer="ina")
        assert only.name.key == "c3"
        assert await store.moments.dead(CHANNEL, 9, customer="jon") == ()
        await happened(store, "e3", Cancel(CART, ALL, LONG_AGO_MS + 5))
        assert await store.moments.dead(CHANNEL, 9) == ()
        assert [one.name.key for one in await lent(store.moments)] == ["c2"]
        assert len(listed(clean_store_url, "ina")) == 1


async def test_a_channel_that_moves_takes_its_moments_along(clean_store_url: str) -> None:
    """What another version of a trigger says elsewhere is due there from the next event on, and only there."""
    async with opened(clean_store_url) as store:
        await happened(store, "e1", left(LONG_AGO_MS + 5))
        store.events._channels = {CART: "desk"}
        await happened(store, "e2", left(LONG_AGO_MS))
        assert await lent(store.moments) == []
        assert [one.name.trigger for one in await lent(store.moments, channel="desk")] == [CART]
