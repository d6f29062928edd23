"""What is due is sent once to one consumer, decided as it is sent, and not at all when its reason is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from service.rpc import triggers
from service.rpc.client import Answer, Ask, CallFailed, TactClient
from tests.live.triggers.world import (
    CHANNEL,
    HOUR_MS,
    agreed,
    bought,
    client_of,
    customers_of,
    due,
    happened,
    left,
    now_ms,
    serving,
    told,
)

NAMED = ("customer_id", "trigger_id", "key")


@asynccontextmanager
async def shop(store_url: str, folder: Path, *customers: str) -> AsyncIterator[TactClient]:
    """Serve the shop, where these customers agree to everything."""
    async with serving(store_url, folder) as running, client_of(running) as tact:
        await agreed(tact, *customers)
        yield tact


async def test_a_cart_that_was_left_is_written_about_once(clean_store_url: str, tmp_path: Path) -> None:
    """Every cart comes once, with what to say; acknowledged it does not come again."""
    async with shop(clean_store_url, tmp_path, "ina", "jon") as tact:
        await told(tact, left("ina"), left("ina", "c2"), left("jon"), left("jon", "c2", now_ms() + HOUR_MS))
        moments = await due(tact)
        assert customers_of(moments) == ["ina", "ina", "jon"]
        for one in moments:
            (answer,) = one["decision"]["answers"]
            assert answer["offer"]["action_id"] == "finish-cart"
            assert (one["delivery"], one["name"]["trigger_id"]) == (1, "cart-left")
        assert await due(tact) == []
        assert (await tact.triggers.acknowledge(CHANNEL, moments))["held"] == [True] * 3
        assert (await tact.triggers.acknowledge(CHANNEL, moments))["held"] == [False] * 3
        assert await due(tact, 1) == []


async def test_a_cart_that_was_bought_is_not_written_about(clean_store_url: str, tmp_path: Path) -> None:
    """Whether the purchase is heard of before or after the cart, or says of no cart at all."""
    async with shop(clean_store_url, tmp_path, "ina", "jon", "kim") as tact:
        await told(tact, left("ina"), bought("ina"))
        await told(tact, bought("jon"), left("jon"))
        await told(tact, left("kim"), happened("kim", "cart.bought", "all-of-kims"))
        assert await due(tact) == []


async def test_without_consent_or_permission_nothing_is_sent(clean_store_url: str, tmp_path: Path) -> None:
    """Who agreed to no e-mail, or withdrew it by the time, is not written to, now or later."""
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        await tact.set_consent("jon", "all", [])
        await told(tact, left("ina"), left("jon"), left("kim"))
        await tact.set_consent("ina", "basic", ["email"])
        assert await due(tact) == []
        await agreed(tact, "ina", "jon", "kim")
        assert await due(tact) == []


async def test_an_open_ticket_holds_back_and_a_cap_puts_off(clean_store_url: str, tmp_path: Path) -> None:
    """What a guardrail forbids ends; what a cap holds back is tried again when it frees."""
    async with shop(clean_store_url, tmp_path, "ina", "jon") as tact:
        await told(tact, left("ina"), happened("ina", "ticket.opened", "t1", ticket="t1"))
        await told(tact, happened("jon", "paper.read", "p1"))
        (first,) = await due(tact)
        assert first["decision"]["answers"][0]["offer"]["action_id"] == "news"
        await tact.triggers.acknowledge(CHANNEL, [first])
        await told(tact, happened("jon", "paper.read", "p2"))
        assert await due(tact) == []
        with Redis.from_url(clean_store_url) as raw:
            ((_, at),) = [
                one for key in raw.scan_iter("tact:*:due:email") for one in raw.zrange(key, 0, -1, withscores=True)
            ]
        assert 0 < at - now_ms() <= 61_000
        status = {one["label"]: one["value"] for one in await counted(tact)}
        assert (status["sent"], status["later"], status["suppressed"]) == (1, 1, 1)


async def counted(tact: TactClient) -> list[dict[str, object]]:
    """Return what was counted of triggers."""
    return [one for one in (await tact.control.status())["counts"] if one["name"] == "triggers"]


async def test_a_condition_that_holds_no_more_ends_it(clean_store_url: str, tmp_path: Path) -> None:
    """The condition is looked at as it is due, not as it is armed."""
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        await told(tact, *(happened("ina", "paper.read", f"p{number}") for number in range(3)))
        assert await due(tact) == []


async def test_what_is_not_acknowledged_is_sent_again_as_it_was(clean_store_url: str, tmp_path: Path) -> None:
    """A lost consumer's moments come again under the same decision, counted once; bought meanwhile they do not."""
    async with shop(clean_store_url, tmp_path, "ina", "jon", "kim") as tact:
        await told(tact, left("ina"), left("jon"), left("kim"))
        before = {one["name"]["customer_id"]: one for one in await due(tact, 1)}
        await told(tact, bought("jon"))
        await told(tact, happened("kim", "ticket.opened", "t1", ticket="t1"))
        await asyncio.sleep(1.1)
        (again,) = await due(tact)
        assert again["decision"]["decision_id"] == before["ina"]["decision"]["decision_id"]
        assert again["delivery"] == 2
        assert (await tact.triggers.acknowledge(CHANNEL, before.values()))["held"] == [False] * 3
        assert (await tact.triggers.acknowledge(CHANNEL, [again]))["held"] == [True]


async def test_what_fails_again_and_again_waits_for_an_operator(clean_store_url: str, tmp_path: Path) -> None:
    """After five deliveries a moment is listed as dead, and comes again when it is released."""
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        await told(tact, left("ina"))
        sent = []
        for _ in range(5):
            sent += await due(tact, 1)
            await asyncio.sleep(1.05)
        assert [one["delivery"] for one in sent] == [1, 2, 3, 4, 5]
        assert await due(tact) == []
        (dead,) = (await tact.triggers.dead(CHANNEL))["moments"]
        assert (dead["name"], dead["decision_id"]) == (sent[-1]["name"], sent[0]["decision"]["decision_id"])
        assert (await tact.triggers.release(CHANNEL, [dead]))["released"] == 1
        (again,) = await due(tact)
        assert again["name"] == dead["name"]
        assert (await tact.triggers.dead(CHANNEL))["moments"] == []


async def test_a_failure_rests_and_a_refusal_ends(clean_store_url: str, tmp_path: Path) -> None:
    """What a consumer could not say now comes later; what it will not say does not come again."""
    async with shop(clean_store_url, tmp_path, "ina", "jon") as tact:
        await told(tact, left("ina"), left("jon"))
        ina, jon = sorted(await due(tact), key=lambda one: str(one["name"]["customer_id"]))
        await tact.triggers.acknowledge(CHANNEL, [ina], "failed")
        await tact.triggers.acknowledge(CHANNEL, [jon], "refused")
        with Redis.from_url(clean_store_url) as raw:
            ((member, at),) = [
                one for key in raw.scan_iter("tact:*:due:email") for one in raw.zrange(key, 0, -1, withscores=True)
            ]
        assert b"\x1fina\x1f" in member
        assert 4_000 < at - now_ms() <= 5_001, "five seconds at first"


async def test_a_link_brings_the_reason_along(clean_store_url: str, tmp_path: Path) -> None:
    """A visitor's cart is written about for the person; what the person bought is not, under whichever id it came."""
    async with shop(clean_store_url, tmp_path, "ina", "jon") as tact:
        await told(tact, left("visitor-1"), left("visitor-2"))
        await tact.identities.link("visitor-1", "ina")
        await tact.identities.link("visitor-2", "jon")
        await told(tact, bought("jon"))
        (one,) = await due(tact)
        assert one["name"]["customer_id"] == "visitor-1"
        assert one["decision"]["answers"][0]["offer"]["action_id"] == "finish-cart"


async def test_two_ids_of_one_person_are_written_to_once(clean_store_url: str, tmp_path: Path) -> None:
    """The same cart under two ids of a person is said for the id that saw it last, and then not again."""
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        at = now_ms()
        await told(tact, left("visitor", "c9", at - 2_000), left("ina", "c9", at - 1_000))
        await tact.identities.link("visitor", "ina")
        (one,) = await due(tact)
        assert one["name"]["customer_id"] == "ina"
        await tact.triggers.acknowledge(CHANNEL, [one])
        assert await due(tact) == []


async def test_nothing_else_is_said_than_what_the_trigger_is_for(clean_store_url: str, tmp_path: Path) -> None:
    """News would be worth more, and are said where somebody asks; when a cart is due it is about the cart."""
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        await told(tact, left("ina"))
        (one,) = await due(tact)
        assert one["decision"]["answers"][0]["offer"]["action_id"] == "finish-cart"
        asked = await tact.decide(Ask("ina", "email", ("body",)))
        assert asked["answers"][0]["offer"]["action_id"] == "news"


async def test_bad_subscriptions_say_what_would_be_right(clean_store_url: str, tmp_path: Path) -> None:
    """A channel that is not there, too much, and an acknowledgement of nothing are refused in words."""
    async with shop(clean_store_url, tmp_path) as tact:
        for asked in (tact.triggers.due("fax"), tact.triggers.due(CHANNEL, 1_001), tact.triggers.due(CHANNEL, 1, -1)):
            with pytest.raises(CallFailed) as refused:
                _ = [one async for one in asked]
            assert refused.value.code == "INVALID_ARGUMENT"
            assert refused.value.violations
        with pytest.raises(CallFailed) as refused:
            await tact.triggers.acknowledge(CHANNEL, [{"name": dict.fromkeys(NAMED, ""), "loan": "x"}])
        assert {one.field for one in refused.value.violations} >= {"acknowledgements[0].loan"}


async def test_a_person_is_told_all_and_then_nothing_is_left(clean_store_url: str, tmp_path: Path) -> None:
    """The export has what triggers know of; after the erasure nothing of it is in the store, and nothing is due."""
    async with serving(clean_store_url, tmp_path, erasure_key=b"k" * 32) as running, client_of(running) as tact:
        await agreed(tact, "ina")
        await told(tact, left("ina"), left("ina", "c2"), bought("ina", "c2"))
        moments = [item async for kind, item in tact.rights.export("ina") if kind == "moment"]
        assert {(one["key"], "ended_at" in one, one["channel"]) for one in moments} == {
            ("c1", False, CHANNEL), ("c2", True, CHANNEL),
        }  # fmt: skip
        assert (await tact.rights.erase("ina"))["moments"] == 2
        with Redis.from_url(clean_store_url) as raw:
            left_over = [key for key in raw.scan_iter("tact:*") if b":t:" in key or b":due:" in key]
        assert left_over == []
        assert await due(tact) == []


async def test_many_who_wait_cost_one_look(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams that wait for the same channel look together, once in so much time (a second, a part of one here), and
    each still hears of what becomes due.
    """
    monkeypatch.setattr(triggers, "LOOK_EVERY_S", 0.3)
    async with shop(clean_store_url, tmp_path, "ina") as tact:
        heard: list[Answer] = []

        async def listen() -> None:
            async for moment in tact.triggers.due(CHANNEL):
                heard.append(moment)

        listeners = [asyncio.create_task(listen()) for _ in range(10)]
        await asyncio.sleep(0.4)
        with Redis.from_url(clean_store_url) as raw:
            before = raw.info("commandstats")["cmdstat_zrangebyscore"]["calls"]
            await asyncio.sleep(0.6)
            looks = (raw.info("commandstats")["cmdstat_zrangebyscore"]["calls"] - before) / 1_024
        await told(tact, left("ina"))
        await asyncio.sleep(0.6)
        for one in listeners:
            one.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
        assert 1 <= looks <= 6, "ten streams that look by themselves take twenty"
        assert customers_of(heard) == ["ina"]
