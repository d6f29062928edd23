"""A field key is kept for one purpose in a store, whichever strategies are served on it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import pytest
from redis import Redis

from models.context import Attribute, ContextSchema, Field, Fold, FoldKind, Purpose, ValueType, field_key
from service.store import keys
from service.store.settings import StoreRefused
from service.store.store import Store
from tests.store.patience import patient

S, P, F = Purpose.SERVICE, Purpose.PERSONALIZATION, Purpose.PROFILING


def a_field(name: str, purpose: Purpose, key: int | None = None) -> Field:
    """Return a field that counts something."""
    bounds, fold = Attribute("x", ValueType.INT), Fold(FoldKind.COUNT, "noted")
    return Field(name, ValueType.INT, purpose, "", fold, None, bounds, field_key(name) if key is None else key)


TICKETS, TIER, ASKED = a_field("past.tickets", S), a_field("past.tier", P), replace(a_field("present.x", S), fold=None)


@asynccontextmanager
async def serving(url: str, *fields: Field) -> AsyncIterator[Store]:
    """Open the store at `url` for a strategy with these fields."""
    async with patient(url) as connections:
        yield Store.over(connections, {"full": "spf"}, "full", schema=ContextSchema.of((), fields))


async def claim(url: str, *fields: Field) -> None:
    """Start a service with these fields, as far as the purposes go."""
    async with serving(url, *fields) as store:
        await store.purposes.claim()


def held(url: str) -> dict[bytes, bytes]:
    """Return which letter is kept for each key."""
    with Redis.from_url(url) as raw:
        return cast(dict[bytes, bytes], raw.hgetall(keys.purposes_key().decode()))


async def test_the_first_says_what_a_field_is_for(clean_store_url: str) -> None:
    """Each field that is kept for a customer is claimed once; the same again, with more or with fewer, is no news."""
    for fields in [(TICKETS, ASKED), (TICKETS, ASKED), (TICKETS, TIER), (TIER,), ()]:
        await claim(clean_store_url, *fields)
    assert held(clean_store_url) == {b"%d" % TICKETS.key: b"s", b"%d" % TIER.key: b"p"}


@pytest.mark.parametrize("before", Purpose)
@pytest.mark.parametrize("after", Purpose)
async def test_a_field_that_moves_is_refused(clean_store_url: str, before: Purpose, after: Purpose) -> None:
    """To whichever purpose: the words name field, key and both purposes; nothing of the strategy is claimed."""
    await claim(clean_store_url, replace(TICKETS, purpose=before))
    was = held(clean_store_url)
    if before is after:
        return await claim(clean_store_url, replace(TICKETS, purpose=after))
    for more in ((), (TIER,)):
        with pytest.raises(StoreRefused, match=rf"`past.tickets` is kept for {before} .*{TICKETS.key}.* says {after}"):
            await claim(clean_store_url, *more, replace(TICKETS, purpose=after))
    assert held(clean_store_url) == was
    return None


async def test_the_remedies_that_are_named_work(clean_store_url: str) -> None:
    """The old purpose, another id, or the key that is named; of several fields each has a key of its own."""
    first, new = a_field("past.first", S, 1), a_field("past.new", S, 2)
    await claim(clean_store_url, TICKETS, TIER, first)
    moved = [replace(TICKETS, purpose=F), replace(TIER, purpose=S)]
    with pytest.raises(StoreRefused) as refused:
        await claim(clean_store_url, *moved, first, new)
    remedies = [int(key) for key in re.findall(r"`key: (\d+)`", str(refused.value))]
    assert len(set(remedies)) == len(str(refused.value).splitlines()) == 2
    renewed = [replace(one, key=key) for one, key in zip(moved, remedies, strict=True)]
    assert not {one.key for one in renewed} & {TICKETS.key, TIER.key, first.key, new.key}
    await claim(clean_store_url, *renewed, first, new)
    await claim(clean_store_url, a_field("past.tickets_known", F))
    await claim(clean_store_url, TICKETS, TIER, first)  # and the version before goes on


async def test_of_two_that_start_at_once_one_holds(clean_store_url: str) -> None:
    """Two services whose strategies differ start together: one is refused, and has claimed nothing."""
    many = [a_field(f"past.f{n}", S) for n in range(50)]
    others = [replace(one, purpose=P) for one in many[::-1]]
    for _ in range(20):
        with Redis.from_url(clean_store_url) as raw:
            raw.flushdb()
        async with serving(clean_store_url, *many, TICKETS) as one, serving(clean_store_url, *others, TIER) as other:
            await asyncio.gather(one.calls.load_functions(), other.calls.load_functions())
            done = await asyncio.gather(one.purposes.claim(), other.purposes.claim(), return_exceptions=True)
        assert [type(outcome) for outcome in done if outcome] == [StoreRefused]
        assert len(set(held(clean_store_url).values())) == 1
        assert len(held(clean_store_url)) == 51


async def test_a_store_that_is_full_is_still_read(clean_store_url: str) -> None:
    """What was claimed needs no room to be seen again."""
    await claim(clean_store_url, TICKETS)
    with Redis.from_url(clean_store_url) as raw:
        raw.config_set("maxmemory", "1")
        try:
            await claim(clean_store_url, TICKETS)
        finally:
            raw.config_set("maxmemory", "0")


async def test_an_emptied_store_is_claimed_again(clean_store_url: str) -> None:
    """When the store was emptied under a service, its next look claims its fields before somebody else can."""
    async with serving(clean_store_url, TICKETS) as store:
        await store.purposes.claim()
        with Redis.from_url(clean_store_url) as raw:
            raw.flushdb()
        await store.purposes.claim()
    with pytest.raises(StoreRefused):
        await claim(clean_store_url, replace(TICKETS, purpose=P))
