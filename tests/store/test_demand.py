"""What was wanted is told once, kept in order, and read on from any cursor; what is gone is said to be."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest
from redis import Redis

from service.core.supplies import DemandTold, Wanted, Wanting
from service.store import demand as demand_module
from service.store import keys
from service.store.demand import READ_AT_ONCE
from tests.store.running import Running, running

VIEWS = Wanted("truck", "north", Wanting.VIEW, 3, 3)
CARTS = Wanted("truck", "", Wanting.CART, 1, 4)


@pytest.fixture
def store(clean_store_url: str) -> Iterator[Running]:
    """Return a running store in which nothing was told."""
    with running(clean_store_url) as one:
        yield one


def tell(store: Running, process: str, number: int, *wanted: Wanted) -> None:
    """Tell what one process counted."""
    store.wait(store.store.demand.tell(process, number, wanted))


def told(store: Running, cursor: str = "") -> tuple[DemandTold, ...]:
    """Read what was told after a cursor."""
    return store.wait(store.store.demand.told(cursor))


def test_what_is_told_is_read_in_order(store: Running) -> None:
    """Rows come back as they were told, the oldest entry first, and from each cursor the entries after it."""
    assert told(store) == ()
    tell(store, "p", 1, VIEWS, CARTS)
    tell(store, "q", 1, CARTS)
    first, second = told(store)
    assert (first.wanted, second.wanted) == ((VIEWS, CARTS), (CARTS,))
    assert told(store, first.cursor) == (second,)
    assert told(store, second.cursor) == ()
    assert not first.gap
    assert not second.gap


def test_a_number_is_told_once(store: Running) -> None:
    """A process that does not know whether it was heard tells again under the same number, which counts once."""
    for number in (1, 1, 2, 1, 2):
        tell(store, "p", number, VIEWS)
    tell(store, "q", 1, VIEWS)
    assert len(told(store)) == 3


def test_many_entries_are_read_in_parts(store: Running) -> None:
    """A call reads a bounded number of entries; with the last cursor the next call reads on, and nothing is missing."""
    for number in range(1, READ_AT_ONCE + 11):
        tell(store, "p", number, Wanted("truck", "north", Wanting.VIEW, number, number))
    first = told(store)
    rest = told(store, first[-1].cursor)
    assert (len(first), len(rest)) == (READ_AT_ONCE, 10)
    assert [one.wanted[0].count for one in (*first, *rest)] == list(range(1, READ_AT_ONCE + 11))
    assert not any(one.gap for one in (*first, *rest))


def test_what_is_gone_is_said_to_be(store: Running, clean_store_url: str) -> None:
    """When entries after the cursor were trimmed, the next one that is read says that there is a gap before it."""
    for number in range(1, 5):
        tell(store, "p", number, VIEWS)
    cursor = told(store)[0].cursor
    with Redis.from_url(clean_store_url) as raw:
        raw.xtrim(keys.demand_log_key(), maxlen=1, approximate=False)
    (last,) = told(store, cursor)
    assert last.gap
    assert not told(store)[0].gap, "who begins has missed nothing"


@pytest.mark.parametrize(
    "cursor", ["x", "0", "1-1", "1-1-0", "-1-1-1", "(1-1-1", "1-1-1 ", "9" * 40 + "-1-1", "+-1-1", "１-1-1"]
)
def test_what_is_no_cursor_is_refused(store: Running, cursor: str) -> None:
    """Only what a message came with is a cursor."""
    with pytest.raises(ValueError, match="no cursor"):
        told(store, cursor)


def test_every_key_has_a_time_to_live(store: Running, clean_store_url: str) -> None:
    """The log, its number and the reports of a process end by themselves when nothing is told any more."""
    tell(store, "p", 1, VIEWS)
    with Redis.from_url(clean_store_url) as raw:
        found = raw.keys("tact:*")
        assert set(found) == set(keys.demand_keys("p"))
        assert all(0 < raw.pttl(key) <= 2 * 86_400_000 for key in found)
    tags = {key[key.index(b"{") : key.index(b"}") + 1] for key in found}
    assert tags == {b"{demand}"}


UNREADABLE: dict[str, dict[str | bytes, int | str | bytes]] = {
    "nonsense": {"n": 2, "w": "nonsense"},
    "no number": {"n": "x", "w": msgspec.msgpack.encode([VIEWS])},
    "nothing known": {"x": "y"},
    "more than the contract can say": {"n": 2, "w": msgspec.msgpack.encode([["truck", "north", 1, 1, 2**63]])},
    "fewer than none": {"n": 2, "w": msgspec.msgpack.encode([["truck", "north", 1, 1, -1]])},
}


@pytest.mark.parametrize("entry", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_passed_over(
    store: Running, clean_store_url: str, entry: dict[str | bytes, int | str | bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """An entry that something else wrote is not taken for demand and holds nobody up, however many there are; the log
    says so."""
    tell(store, "p", 1, VIEWS)
    with Redis.from_url(clean_store_url) as raw:
        for _ in range(READ_AT_ONCE + 1):
            raw.xadd(keys.demand_log_key(), entry)
        raw.incr(keys.demand_keys("p")[1], READ_AT_ONCE + 1)
    tell(store, "p", 2, CARTS)
    first, *_ = told(store)
    (second,) = told(store, first.cursor)
    assert (first.wanted, second.wanted) == ((VIEWS,), (CARTS,))
    assert second.gap
    assert told(store, second.cursor) == ()
    assert "cannot be read" in caplog.text


def test_the_log_is_bounded_in_number(store: Running, clean_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more entries than are kept the latest stay."""
    monkeypatch.setattr(demand_module, "MOST_KEPT", 5)
    for number in range(1, 9):
        tell(store, "p", number, VIEWS)
    assert [one.cursor.rpartition("-")[2] for one in told(store)] == ["4", "5", "6", "7", "8"]


def test_the_log_is_bounded_in_time(store: Running, clean_store_url: str) -> None:
    """What was told longer ago than demand is kept goes with the next telling, though the log itself lives on."""
    day_ms, now = 86_400_000, time.time_ns() // 1_000_000
    log, number, _ = keys.demand_keys("p")
    with Redis.from_url(clean_store_url) as raw:
        for days in (30, 3, 2.01, 1.99, 1):
            raw.xadd(
                log, {"n": raw.incr(number), "w": msgspec.msgpack.encode([VIEWS])}, id=f"{now - int(days * day_ms)}-0"
            )
    tell(store, "p", 1, CARTS)
    assert [one.cursor.rpartition("-")[2] for one in told(store)] == ["4", "5", "6"]
