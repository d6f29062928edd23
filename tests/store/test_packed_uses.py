"""Cap uses that are kept in a long row are changed in their places, and count as if all of them were taken apart."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import count

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from service.core.decision import Commit, Committed, Counter
from service.store import keys
from service.store.connection import StoreReplied
from tests.folding import DETERMINISTIC
from tests.store.plain_caps import Candidates, Room, Use
from tests.store.running import Running, running

HISTORIES = int(os.environ.get("TACT_PACKED_HISTORIES", "60"))
LONG, SKEW_MS, WINDOW_MS = 256, 60_000, 3_600_000
NOW_MS = 1_790_000_000_000
Uses = Mapping[str, list[int]]
_numbers = count()

# Names within names, short and long ones, and one that cannot be looked for: each can be mistaken for another.
NAMES = (
    "seldom-the-same|a:offer-1", "seldom-the-same|a:offer-10", "the-same|a:offer-1", "too-seldom-the-same|a:offer-1",
    "few-offers|c:web|a:an-offer-of-more-than-32-letters", "few-offers|c:web", "few-offers", "few", "größter",
    *(f"cap-{number}|g:phones" for number in range(12)),
)  # fmt: skip


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


@pytest.fixture(scope="module")
def raw(store_url: str) -> Iterator[Redis]:
    """Return the store without Tact."""
    with Redis.from_url(store_url) as one:
        yield one


def customer_with(raw: Redis, packed: bytes) -> str:
    """Return a new customer with these cap uses."""
    customer = f"packed-{next(_numbers)}"
    raw.hset(keys.context_key(customer), mapping={"i": customer, "k": packed})
    return customer


def commit(store: Running, customer: str, candidates: Candidates) -> Committed:
    """Commit a decision of its own."""
    decision = keys.repeatable_decision_id(customer, f"{next(_numbers)}")
    return store.wait(store.store.customers.commit(Commit(customer, decision, b"", NOW_MS, b"entry", candidates)))


def kept(raw: Redis, customer: str) -> bytes:
    """Return the cap uses as they are kept."""
    packed = raw.hget(keys.context_key(customer), "k")
    assert isinstance(packed, bytes)
    return packed


def after(uses: Uses, used: list[str]) -> dict[str, list[int]]:
    """Return what is kept after these counters were used once more, in the same order."""
    changed = {key: list(times) for key, times in uses.items()}
    for key in used:
        oldest, times = NOW_MS - WINDOW_MS - SKEW_MS, changed.get(key, [])
        later = [time for time in times if time > oldest] if times and times[0] <= oldest else times
        changed[key] = sorted([*later, NOW_MS])
    return changed


ages = st.integers(-SKEW_MS, 2 * WINDOW_MS) | st.integers(0, 2**40)
times = st.lists(ages.map(lambda age: NOW_MS - age), max_size=20).map(sorted)
uses_kept = st.dictionaries(st.sampled_from(NAMES), times, min_size=9)
counters = st.builds(Counter, st.sampled_from(NAMES), st.integers(0, 12), st.just(WINDOW_MS))
ranked = st.lists(st.tuples(st.sampled_from("abcdef"), st.lists(counters, max_size=3, unique_by=lambda one: one.key)))
placements = st.lists(
    ranked.map(lambda some: tuple((name, tuple(used)) for name, used in some)), min_size=1, max_size=3
)


@settings(DETERMINISTIC, max_examples=HISTORIES)
@given(uses_kept, placements.map(tuple))
def test_a_commit_changes_the_counters_that_it_uses_and_no_other(
    store: Running, raw: Redis, uses: dict[str, list[int]], candidates: Candidates
) -> None:
    """Whatever is kept: what fits is what the plain rule says, and then all is kept as before but for what was used."""
    customer = customer_with(raw, msgspec.msgpack.encode(uses))
    room = Room()
    for key, known in uses.items():
        room.uses[key] = [Use(time) for time in known]
    committed = commit(store, customer, candidates)
    assert (committed.chosen, committed.bound) == room.take(NOW_MS, candidates)
    said = [placed[rank] for placed, rank in zip(candidates, committed.chosen, strict=True) if rank >= 0]
    expected = after(uses, [one.key for _, used in said for one in used])
    found = msgspec.msgpack.decode(kept(raw, customer), type=dict[str, list[int]])
    assert found == expected


@pytest.mark.parametrize("size", [14, 15, 16, 17])
def test_one_counter_more_is_counted_at_the_beginning(store: Running, raw: Redis, size: int) -> None:
    """The number of counters, which is written in one byte up to 15 and then in three, is right after a new one."""
    uses = {f"cap-number-{number:02d}": [NOW_MS - 1] * 3 for number in range(size)}
    customer = customer_with(raw, msgspec.msgpack.encode(uses))
    commit(store, customer, ((("a", (Counter("cap-of-another-name", 1, WINDOW_MS),)),),))
    found = msgspec.msgpack.decode(kept(raw, customer), type=dict[str, list[int]])
    assert found == uses | {"cap-of-another-name": [NOW_MS]}


def test_a_time_that_spells_a_short_name_is_no_counter(store: Running, raw: Redis) -> None:
    """The bytes of a moment can be those of a name of three letters with its head; it is not found there."""
    uses = {f"cap-{number}|g:phones": [int.from_bytes(b"\x00\x00\x01\xa0\xa3few")] for number in range(20)}
    customer = customer_with(raw, msgspec.msgpack.encode(uses))
    assert commit(store, customer, ((("a", (Counter("few", 1, WINDOW_MS),)),),)).chosen == (0,)
    assert msgspec.msgpack.decode(kept(raw, customer)) == uses | {"few": [NOW_MS]}


@pytest.mark.parametrize("place", [0, 7, -1])
def test_other_counters_keep_their_very_bytes(store: Running, raw: Redis, place: int) -> None:
    """Before and behind the counter that is used, first, last or another, all stands as it stood."""
    uses = {name: [NOW_MS - 5, NOW_MS - 4] for name in NAMES if name.isascii()}
    packed, used = msgspec.msgpack.encode(uses), [name for name in uses if len(name) > 8][place]
    customer = customer_with(raw, packed)
    commit(store, customer, ((("a", (Counter(used, 9, WINDOW_MS),)),),))
    before, behind = packed.split(msgspec.msgpack.encode(used) + msgspec.msgpack.encode(uses[used]))
    more = msgspec.msgpack.encode(used) + msgspec.msgpack.encode([*uses[used], NOW_MS])
    assert kept(raw, customer) == before + more + behind


@pytest.mark.parametrize(
    "broken", [b"\xc1" * LONG, b"[" * LONG, b"\x91" + b"\xc0" * LONG, b"\x81\xb0few-offers|c:web\xc1" + b"x" * LONG]
)
def test_uses_that_are_no_row_are_an_error(store: Running, raw: Redis, broken: bytes) -> None:
    """Where what is kept cannot be read no cap is known to hold, so nothing is said."""
    customer = customer_with(raw, broken)
    with pytest.raises(StoreReplied) as refused:
        commit(store, customer, ((("a", (Counter("few-offers|c:web", 9, WINDOW_MS),)),),))
    assert refused.value.prefix == "CORRUPT"
    assert kept(raw, customer) == broken
