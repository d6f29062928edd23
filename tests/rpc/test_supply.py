"""Reports are answered one by one, and demand is told from any cursor; what is bad is refused with its path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from redis import Redis

from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.core.supplies import Wanted, Wanting
from service.rpc.client import Answer, Ask, CallFailed, Event, Report, TactClient
from service.rpc.edge import Edge, Limits, Vocabulary
from service.rpc.server import Listen, Server
from service.store import keys
from service.store.store import Store
from service.supply.demand import Tally
from tact.v1 import supply_pb2 as pb
from tests.rpc.messages import METHODS, bad_fields, call_raw
from tests.rpc.world import NOW_MS, Answering, Unasked, calling, edge_of, serving, store_at
from tests.service.shop import now_ms, there_are, write_shop

HOUR_S = 3_600
NOW_S = NOW_MS // 1000
BY_NAME = {method.name: method for method in METHODS}


def at(seconds: float) -> Timestamp:
    """Return a moment so many seconds from the edge's now."""
    return Timestamp(seconds=NOW_S + int(seconds))


def report(**changes: object) -> pb.SupplyReport:
    """Return a good report with some fields replaced."""
    good: dict[str, object] = {
        "item": "truck",
        "place": "north",
        "available": 5,
        "observed_at": at(-60),
        "expires_at": at(HOUR_S),
    }
    return pb.SupplyReport(**{**good, **changes})  # type: ignore[arg-type]  # the tests break types on purpose


BAD = [
    ("no item", report(item=""), "item"),
    ("a blank item", report(item="  "), "item"),
    ("an item that is too long", report(item="x" * 65), "item"),
    ("an item with a hidden sign", report(item="a\u202eb"), "item"),
    ("no place", report(place=""), "place"),
    ("a place with a line break", report(place="a\nb"), "place"),
    ("a place of 65 bytes", report(place="ü" * 33), "place"),
    ("fewer than none", report(available=-1), "available"),
    ("more than there can be", report(available=1_000_000_001), "available"),
    ("no moment of the count", report(observed_at=None), "observed_at"),
    ("a count in the future", report(observed_at=at(301), expires_at=at(HOUR_S)), "observed_at"),
    ("a count before 2000", report(observed_at=Timestamp(seconds=946_684_799)), "observed_at"),
    ("a count in no year", report(observed_at=Timestamp(seconds=253_402_300_800)), "observed_at"),
    ("a count with bad nanos", report(observed_at=Timestamp(seconds=NOW_S, nanos=-1)), "observed_at"),
    ("no end", report(expires_at=None), "expires_at"),
    ("an end that is over", report(expires_at=at(0)), "expires_at"),
    ("an end before the count", report(observed_at=at(200), expires_at=at(100)), "expires_at"),
    ("an end in more than a year", report(expires_at=at(366 * 86_400 + 1)), "expires_at"),
    ("an end in the year 10000", report(expires_at=Timestamp(seconds=253_402_300_800)), "expires_at"),
]


@pytest.mark.parametrize(("message", "path"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_bad_reports(message: pb.SupplyReport, path: str) -> None:
    """A bad report is answered for itself with the path of its one bad field, and the store is not touched."""
    async with calling(edge_of()) as channel:
        raw = pb.ReportSupplyRequest(reports=[message]).SerializeToString()
        (answer,) = await call_raw(channel, BY_NAME["ReportSupply"], [raw])
    assert isinstance(answer, pb.ReportSupplyResponse)
    (result,) = answer.results
    assert result.status == pb.SUPPLY_STATUS_REFUSED
    assert [violation.field for violation in result.violations] == [path]
    assert result.violations[0].description.endswith(".")
    assert not result.HasField("free")


@pytest.mark.parametrize("size", [0, 1_001])
async def test_a_batch_is_of_one_to_a_thousand(size: int) -> None:
    """An empty batch, and one that is too long, are refused as a whole."""
    async with calling(edge_of()) as channel:
        raw = pb.ReportSupplyRequest(reports=[report()] * size).SerializeToString()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, BY_NAME["ReportSupply"], [raw])
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(bad_fields(caught.value)) == ["reports"]


async def test_the_good_reports_of_a_batch_are_stored(clean_store_url: str) -> None:
    """Good reports beside bad ones are in force, in their order; the answers say what is free, held and accepted."""
    reports = [
        report(available=7),
        report(item=""),
        report(available=7),
        report(available=9),
        report(available=9, observed_at=at(-61)),
        report(place="south", available=0),
        report(available=2, observed_at=at(-59)),
    ]
    async with store_at(clean_store_url) as store, calling(edge_of(stores=store)) as channel:
        raw = pb.ReportSupplyRequest(reports=reports).SerializeToString()
        (answer,) = await call_raw(channel, BY_NAME["ReportSupply"], [raw])
        stock = await store.supply.stock("truck", "north", 1.0)
    assert isinstance(answer, pb.ReportSupplyResponse)
    stored, repeated, refused = pb.SUPPLY_STATUS_STORED, pb.SUPPLY_STATUS_REPEATED, pb.SUPPLY_STATUS_REFUSED
    statuses = [result.status for result in answer.results]
    assert statuses == [stored, refused, repeated, refused, refused, stored, stored]
    paths = [[violation.field for violation in answer.results[n].violations] for n in (1, 3, 4)]
    assert paths == [["item"], ["observed_at"], ["observed_at"]]
    first, other = answer.results[0], answer.results[5]
    assert [(one.free, one.held, one.accepted_since) for one in (first, other)] == [(7, 0, 0), (0, 0, 0)]
    assert stock is not None
    assert (stock.free, stock.observed_ms) == (2, NOW_MS - 59_000)


@cache
def shop() -> Strategy:
    """Return the strategy of the shop."""
    with TemporaryDirectory() as folder:
        return load_strategy(write_shop(Path(folder)))


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[tuple[TactClient, Tally, Store]]:
    """Serve the shop over a real store; yield a client, what counts the demand, and the store."""
    async with store_at(url) as store:
        tally = Tally(store.demand, "test")
        strategy = shop()
        edge = Edge.of(
            strategy,
            decider=Answering(),
            stores=store,
            limits=Limits(),
            clock=now_ms,
            validator=Unasked(),
            tally=tally,
        )
        async with serving(edge) as target, TactClient(target, schema=strategy.schema) as client:
            yield client, tally, store


async def everything(client: TactClient, cursor: str = "", *items: str) -> list[Answer]:
    """Return what is told until there is no more."""
    return [answer async for answer in client.watch_demand(cursor, items, until_none=True)]


def rows(answers: list[Answer]) -> list[tuple[str, str, str, int, int]]:
    """Return the rows of answers as item, place, kind, count, units."""
    found = (row for answer in answers for row in answer["demands"])
    return sorted((row["item"], row["place"], row["kind"], row["count"], row["units"]) for row in found)


async def test_events_are_demand_once(clean_store_url: str) -> None:
    """Views and carts count by the strategy's rules, repeated and refused events do not, and units add up."""
    async with listening(clean_store_url) as (client, tally, _):
        now = now_ms()
        viewed = [
            Event("e1", "ada", "viewed", now, {"item": "phone", "place": "north"}),
            Event("e1", "ada", "viewed", now, {"item": "phone", "place": "north"}),
            Event("e2", "ada", "viewed", now, {"item": "phone"}),
            Event("e1", "bo", "viewed", now, {"item": "phone", "place": "north"}),
            Event("e3", "ada", "viewed", now, {"item": "x" * 65}),
            Event("e4", "ada", "viewed", now, {"item": ""}),
            Event("e5", "ada", "viewed", now, {"place": "north"}),
            Event("e6", "ada", "carted", now, {"place": "north", "pieces": 3}),
            Event("e7", "ada", "carted", now, {"place": "north", "pieces": 4}),
            Event("e8", "ada", "carted", now, {"place": "north", "pieces": 0}),
        ]
        await client.record_events(viewed)
        await client.record_events(viewed)
        await tally.tell()
        assert rows(await everything(client)) == [
            ("phone", "", "view", 1, 1),
            ("phone", "north", "cart", 2, 7),
            ("phone", "north", "view", 2, 2),
        ]


async def test_a_watcher_goes_on_where_it_was(clean_store_url: str) -> None:
    """Each message has a cursor that leads to the next; a watcher that waits hears what comes, and others the same."""
    async with listening(clean_store_url) as (client, tally, store):
        for n in range(3):
            await store.demand.tell("p", n + 1, (Wanted("truck", "north", Wanting.VIEW, n + 1, 1),))
        messages = await everything(client)
        assert [m["demands"][0]["count"] for m in messages] == [1, 2, 3]
        assert [m["demands"][0]["count"] for m in await everything(client, messages[0]["cursor"])] == [2, 3]
        watching = client.watch_demand(messages[2]["cursor"])
        waiting = asyncio.ensure_future(anext(watching))
        tally.add("van", "south", Wanting.CART, 2)
        await tally.tell()
        assert rows([await waiting]) == [("van", "south", "cart", 1, 2)]
        await watching.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_a_watcher_hears_of_its_items_only(clean_store_url: str) -> None:
    """Who names items hears of these, and gets no message in which there is none of them."""
    async with listening(clean_store_url) as (client, _, store):
        for n, item in enumerate(("truck", "van", "truck"), 1):
            await store.demand.tell(
                "p", n, (Wanted(item, "north", Wanting.VIEW, n, 1), Wanted("x", "", Wanting.CART, 1, 1))
            )
        assert rows(await everything(client, "", "truck")) == [("truck", "north", "view", n, 1) for n in (1, 3)]
        assert await everything(client, "", "nothing") == []


async def test_a_gap_is_told_with_the_next_message(clean_store_url: str) -> None:
    """When something after the cursor is gone, the next message that is sent says so, once, also past other items."""
    async with listening(clean_store_url) as (client, _, store):
        for n, item in enumerate(("truck", "van", "van", "truck", "truck"), 1):
            await store.demand.tell("p", n, (Wanted(item, "north", Wanting.VIEW, n, 1),))
        cursor = (await everything(client))[0]["cursor"]
        with Redis.from_url(clean_store_url) as raw:
            raw.xtrim(keys.demand_log_key(), maxlen=3, approximate=False)
        assert [m["gap"] for m in await everything(client, cursor, "truck")] == [True, False]
        assert [m["gap"] for m in await everything(client)] == [False, False, False]


async def test_what_is_left_is_not_for_callers_to_say(clean_store_url: str) -> None:
    """A request that names a field of the supply is refused, and told where such numbers come from."""
    async with listening(clean_store_url) as (client, _, _):
        with pytest.raises(CallFailed) as caught:
            await client.decide(Ask("ada", "web", ("hero",), {"present.left": 5}))
    (violation,) = caught.value.violations
    assert violation.field == 'context["present.left"]'
    assert "supply" in violation.description


async def test_a_watch_ends_with_the_service(clean_store_url: str) -> None:
    """A server that drains does not wait for those who listen: their streams end well, within a second."""
    async with store_at(clean_store_url) as store:
        server = Server(edge_of(stores=store), Listen(port=0))
        async with TactClient(f"127.0.0.1:{await server.start()}") as client:
            await store.demand.tell("p", 1, (Wanted("truck", "north", Wanting.VIEW, 1, 1),))
            watching = client.watch_demand()
            await anext(watching)
            started = asyncio.get_running_loop().time()
            _, rest = await asyncio.gather(server.drain(linger_s=0, grace_s=30), _to_the_end(watching))
            assert asyncio.get_running_loop().time() - started < 10
        assert rest == []


async def _to_the_end(watching: AsyncIterator[Answer]) -> list[Answer]:
    return [message async for message in watching]


WATCHES: dict[str, tuple[Callable[[TactClient], AsyncIterator[Answer]], str]] = {
    "no cursor": (lambda client: client.watch_demand("yesterday"), "cursor"),
    "a command": (lambda client: client.watch_demand("0-0-1\r\nFLUSHALL"), "cursor"),
    "a moment to come": (lambda client: client.watch_demand(f"{NOW_MS + 300_001}-0-1"), "cursor"),
    "too many items": (lambda client: client.watch_demand("", ["x"] * 65), "items"),
    "an empty item": (lambda client: client.watch_demand("", ["truck", ""]), "items[1]"),
}


@pytest.mark.parametrize(("watch", "path"), WATCHES.values(), ids=WATCHES.keys())
async def test_bad_watches(watch: Callable[[TactClient], AsyncIterator[Answer]], path: str) -> None:
    """A watch that cannot be is refused with the path of what is bad."""
    async with serving(edge_of()) as target, TactClient(target) as client:
        with pytest.raises(CallFailed) as caught:
            await anext(watch(client))
    assert caught.value.code == "INVALID_ARGUMENT"
    assert [violation.field for violation in caught.value.violations] == [path]


async def test_a_client_reports_in_plain_words(clean_store_url: str) -> None:
    """Our own client sends reports and gets plain answers."""
    async with listening(clean_store_url) as (client, _, _):
        told: Report = there_are("truck", "north", 3)
        (result,) = (await client.report_supply([told]))["results"]
    assert (result["status"], result["free"], result["held"], result["accepted_since"]) == ("stored", 3, 0, 0)


async def test_the_words_of_demand_are_found_by_event() -> None:
    """The rules that are about an event are found by its name; a strategy without any has none."""
    words = Vocabulary.of(shop())
    assert {event: [rule.id for rule in rules] for event, rules in words.wants.items()} == {
        "viewed": ["views"],
        "carted": ["carts"],
    }
    assert Vocabulary.of(replace(shop(), demand=())).wants == {}
