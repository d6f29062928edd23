"""What is said and what comes of it is counted at once with the commit and the outcome, each once, on real stores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf, nan
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis import Redis

from service.core import plan
from service.core.adapting import Counted
from service.core.decision import Commit, Committed, Counter, Counting
from service.core.plan import Entry
from service.core.records import OutcomeRecord, OutcomeStatus
from service.store import keys
from service.store.calls import Calls
from service.store.connection import Argument, StoreReplied
from service.store.counts import CountStore
from service.store.store import Store
from tests.folding import DETERMINISTIC
from tests.store.patience import patient
from tests.store.running import LEVELS, Running, running

HISTORIES = int(os.environ.get("TACT_COUNT_HISTORIES", "20"))
HOUR_MS = 3_600_000
NOW_MS = 500_000 * HOUR_MS
ACCEPTED, CLICKED, REFUSED = 3, 2, 4
TERMS = Counting("shop|m@1", ACCEPTED, HOUR_MS, 10 * HOUR_MS, (("phone", "gold", 0.25), ("plan", "gold", 0.5)))
_numbers = count()


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


@pytest.fixture
def scope() -> str:
    """Return a scope in which nothing was counted yet."""
    return f"shop-{next(_numbers)}|m@1"


@dataclass(frozen=True, slots=True)
class Told:
    """A decision and what was committed."""

    decision: str
    committed: Committed


def commit(store: Running, scope: str, at_ms: int = NOW_MS, customer: str = "", says: str = "phone") -> Told:
    """Commit one action under a decision id of its own, at a moment."""
    customer = customer or f"counted-{next(_numbers)}"
    decision = keys.repeatable_decision_id(customer, f"{next(_numbers)}")
    return Told(decision, _committed(store, scope, decision, customer, at_ms, says))


def _committed(store: Running, scope: str, decision: str, customer: str, at_ms: int, says: str) -> Committed:
    entry = plan.pack(Entry(decision, customer, "web", at_ms, "shop@1", "", "full", (), None, (), (), (), ()))
    told = Commit(customer, decision, b"digest", at_ms, entry, (((says, ()),),), counting=replace(TERMS, scope=scope))
    return store.wait(store.store.customers.commit(told))


def came(store: Running, told: Told, at_ms: int | None = None, kind: int = ACCEPTED, says: str = "phone") -> None:
    """Record an outcome."""
    record = OutcomeRecord(told.decision, says, kind, at_ms, 0.0)
    assert store.wait(store.store.recorder.record_outcome(record)) is OutcomeStatus.STORED


def counted(store: Running, scope: str, at_ms: int) -> dict[tuple[str, str], Counted]:
    """Return what was counted by a moment."""
    return dict(store.wait(store.store.counts.counted(scope, at_ms)))


def test_what_is_said_is_expected_and_what_came_is_counted(store: Running, scope: str) -> None:
    """Two decisions of which one was accepted: said twice, with the outcomes that were expected, came once."""
    first, _ = commit(store, scope), commit(store, scope)
    came(store, first, NOW_MS + 60_000)
    sums = counted(store, scope, NOW_MS + 2 * HOUR_MS)
    kept = 2 ** (-2 / 10)
    assert sums.keys() == {("phone", "gold")}
    assert msgspec.structs.astuple(sums["phone", "gold"]) == pytest.approx((2 * kept, 0.5 * kept, kept))


def test_a_decision_counts_only_when_its_outcomes_have_had_their_time(store: Running, scope: str) -> None:
    """Until then neither what was said nor what came counts, so that fresh decisions do not look like failures."""
    came(store, commit(store, scope), NOW_MS)
    assert counted(store, scope, NOW_MS) == {}
    assert counted(store, scope, NOW_MS + 2 * HOUR_MS - 1) == {}
    assert counted(store, scope, NOW_MS + 2 * HOUR_MS)


def test_what_is_repeated_counts_once(store: Running, scope: str) -> None:
    """A commit under the same id and an outcome that is told again change no count."""
    told = commit(store, scope, customer=(customer := f"counted-{next(_numbers)}"))
    assert _committed(store, scope, told.decision, customer, NOW_MS, "phone").repeated
    record = OutcomeRecord(told.decision, "phone", ACCEPTED, NOW_MS + 5, 0.0)
    statuses = [store.wait(store.store.recorder.record_outcome(record)) for _ in range(3)]
    assert statuses == [OutcomeStatus.STORED, OutcomeStatus.REPEATED, OutcomeStatus.REPEATED]
    one = counted(store, scope, NOW_MS + 2 * HOUR_MS)["phone", "gold"]
    assert one.came / one.said == pytest.approx(1.0)
    assert one.expected / one.said == pytest.approx(0.25)


def test_only_the_kind_that_is_meant_counts_and_only_in_time(store: Running, scope: str) -> None:
    """A click, a refusal and what came after the window are kept as outcomes and count nothing here."""
    for kind in (CLICKED, REFUSED):
        came(store, commit(store, scope), NOW_MS + 5, kind)
    came(store, commit(store, scope), NOW_MS + HOUR_MS + 1)
    came(store, commit(store, scope), NOW_MS + HOUR_MS)
    one = counted(store, scope, NOW_MS + 3 * HOUR_MS)["phone", "gold"]
    assert one.came / one.said == pytest.approx(1 / 4)


def test_what_was_not_said_is_not_counted(store: Running, scope: str) -> None:
    """A candidate that a cap binds at commit was never said, so nothing is expected of it."""
    customer = f"counted-{next(_numbers)}"
    decision = keys.repeatable_decision_id(customer, "bound")
    entry = plan.pack(Entry(decision, customer, "web", NOW_MS, "shop@1", "", "full", (), None, (), (), (), ()))
    candidates = ((("phone", (Counter("cap", 0, HOUR_MS),)), ("plan", ())),)
    told = Commit(customer, decision, b"", NOW_MS, entry, candidates, counting=replace(TERMS, scope=scope))
    assert store.wait(store.store.customers.commit(told)).chosen == (1,)
    assert counted(store, scope, NOW_MS + 2 * HOUR_MS).keys() == {("plan", "gold")}


def test_scopes_have_nothing_to_do_with_each_other(store: Running, scope: str) -> None:
    """Another model, or other terms, begin anew; a scope that begins like another is another."""
    commit(store, scope)
    commit(store, f"{scope}2")
    assert counted(store, scope, NOW_MS + 2 * HOUR_MS)["phone", "gold"].said == pytest.approx(2 ** (-2 / 10))


_moments = st.integers(0, 6 * HOUR_MS)
_steps = st.lists(st.tuples(st.just("said"), _moments) | st.tuples(st.just("came"), _moments), min_size=1, max_size=25)


@settings(DETERMINISTIC, max_examples=HISTORIES)
@given(steps=_steps, look=st.integers(0, 12 * HOUR_MS))
def test_the_counts_are_those_of_a_plain_reckoning(store: Running, steps: list[tuple[str, int]], look: int) -> None:
    """Whatever comes in whatever order, also by clocks that go back: each decision weighs by the age of its hour, once
    two hours have begun after it; and so does what came of it in time.
    """
    scope, customer = f"shop-{next(_numbers)}|m@1", f"counted-{next(_numbers)}"
    told: list[tuple[Told, int]] = []
    hits: set[int] = set()
    answered: set[int] = set()
    for step, at in steps:
        last = len(told) - 1
        if step == "said":
            told.append((commit(store, scope, NOW_MS + at, customer), at))
        elif told and last not in answered:
            came(store, told[last][0], NOW_MS + at)
            answered.add(last)
            hits |= {last} if at - told[last][1] <= HOUR_MS else set()
    latest = max((at // HOUR_MS for _, at in told), default=0)
    seen = max(look // HOUR_MS, latest)
    old = {n: 2.0 ** (-(seen - at // HOUR_MS) / 10) for n, (_, at) in enumerate(told) if seen - at // HOUR_MS >= 2}
    wanted = sum(old.values()), sum(0.25 * weight for weight in old.values()), sum(old[n] for n in hits & old.keys())
    found = counted(store, scope, NOW_MS + look).get(("phone", "gold"), Counted())
    assert msgspec.structs.astuple(found) == pytest.approx(wanted, abs=1e-9)


def test_each_hour_weighs_by_its_own_age(store: Running, scope: str) -> None:
    """Decisions of four hours in a row, of one customer: seen two hours later each counts by its own age."""
    for hour in range(4):
        commit(store, scope, NOW_MS + hour * HOUR_MS, "one-hour-after-another")
    for seen in (2, 3, 5, 9):
        said = counted(store, scope, NOW_MS + seen * HOUR_MS)["phone", "gold"].said
        latest = max(seen, 3)
        wanted = sum(2 ** (-(latest - hour) / 10) for hour in range(4) if latest - hour >= 2)
        assert said == pytest.approx(wanted)


SUMS = [0, 0, 0]
DAYS = 24
UNREADABLE = {
    "no msgpack": b"junk",
    "a half-life of nothing": [1, 0, 0, SUMS, SUMS, SUMS],
    "too few": [1, 2, 3],
    "sums of words": [NOW_MS // HOUR_MS, HOUR_MS, 10 * HOUR_MS, ["a", 0, 0], SUMS, SUMS],
    "sums of lists": [NOW_MS // HOUR_MS, HOUR_MS, 10 * HOUR_MS, SUMS, [0, [1], 0], SUMS],
    "sums of nothing": [NOW_MS // HOUR_MS, HOUR_MS, 10 * HOUR_MS, SUMS, SUMS, [0, 0, None]],
    "sums by name": [NOW_MS // HOUR_MS, HOUR_MS, 10 * HOUR_MS, {"1": 1, "2": 1, "3": 1}, SUMS, SUMS],
    "no number": [NOW_MS // HOUR_MS, HOUR_MS, 10 * HOUR_MS, [nan, 0, 0], SUMS, SUMS],
    "a period that is no number": [nan, HOUR_MS, 10 * HOUR_MS, SUMS, SUMS, SUMS],
    "without end": [NOW_MS // HOUR_MS, HOUR_MS, 10 * HOUR_MS, SUMS, [0, 0, inf], SUMS],
    "an endless half-life": [NOW_MS // HOUR_MS, HOUR_MS, inf, SUMS, SUMS, SUMS],
    "less than nothing": [NOW_MS // HOUR_MS, HOUR_MS, 10 * HOUR_MS, SUMS, SUMS, [-5, 0, 0]],
    "other terms": [NOW_MS // HOUR_MS // 2, 2 * HOUR_MS, 10 * HOUR_MS, SUMS, SUMS, SUMS],
    "far ahead of all clocks": [NOW_MS // HOUR_MS + 3 * DAYS, HOUR_MS, 10 * HOUR_MS, SUMS, SUMS, SUMS],
}


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_counts_that_cannot_be_read_begin_anew_and_hold_nobody_up(
    store: Running, store_url: str, scope: str, bad: object
) -> None:
    """What somebody else wrote into a count fails no commit, no outcome and no reading, and is counted over."""
    told = commit(store, scope)
    place, field = keys.counts_key(told.decision[:3]), f"{scope}\x1fphone\x1fgold"
    with Redis.from_url(store_url) as raw:
        assert raw.hexists(place, field)
        raw.hset(place, field, bad if isinstance(bad, bytes) else msgspec.msgpack.encode(bad))
        assert counted(store, scope, NOW_MS + 2 * HOUR_MS) == {}
        came(store, told, NOW_MS + 1)
        came(store, _again(store, scope, told), NOW_MS + 1)
        one = counted(store, scope, NOW_MS + 2 * HOUR_MS)["phone", "gold"]
    assert (one.came / one.said, one.expected / one.said) == pytest.approx((2.0, 0.25))


def test_a_key_that_holds_something_else_is_counted_over(store: Running, store_url: str, scope: str) -> None:
    """A key of another type fails nothing, and goes with the next decision or outcome of its bucket."""
    told = commit(store, scope)
    place = keys.counts_key(told.decision[:3])
    with Redis.from_url(store_url) as raw:
        for late in (False, True):
            raw.delete(place)
            raw.set(place, "a string")
            assert counted(store, scope, NOW_MS + 2 * HOUR_MS) == {}
            if not late:
                told = _again(store, scope, told)
            came(store, told, NOW_MS + late)
            told = _again(store, scope, told)
            one = counted(store, scope, NOW_MS + 2 * HOUR_MS)["phone", "gold"]
            assert one.came / one.said == pytest.approx(1.0 if late else 0.5)


def test_an_outcome_whose_counting_fails_is_stored(store: Running, store_url: str, scope: str) -> None:
    """Where the log has nonsense of what is counted, the outcome is stored once and answered as stored."""
    told = commit(store, scope)
    with Redis.from_url(store_url) as raw:
        log = keys.log_key(told.decision[:3])
        place, fields = next((at, f) for at, f in raw.xrange(log) if told.decision.encode() in f[b"e"])
        assert b"q" in fields
        raw.delete(log)
        raw.xadd(log, {**fields, b"q": msgspec.msgpack.encode([ACCEPTED, "soon", [], {}, 7])}, id=place)
    came(store, told, NOW_MS + 1)
    record = OutcomeRecord(told.decision, "phone", ACCEPTED, NOW_MS + 1, 0.0)
    assert store.wait(store.store.recorder.record_outcome(record)) is OutcomeStatus.REPEATED


async def test_a_bucket_that_is_not_told_stops_no_other(clean_store_url: str) -> None:
    """Where the store answers an error about one bucket, all others count; about all, that is raised."""

    class Failing(Calls):
        """Calls that some buckets answer with an error."""

        failing: frozenset[bytes] = frozenset()

        async def function(
            self,
            name: str,
            keys: Sequence[bytes],
            arguments: Sequence[Argument],
            *,
            about: bytes,
            length: int,
            deadline_s: float | None,
            confirmed: bool = False,
        ) -> list[Any]:
            """Call a function, or one that refuses such arguments."""
            called = "commit" if keys[0] in self.failing else name
            return await super().function(
                called, keys, arguments, about=about, length=length, deadline_s=deadline_s, confirmed=confirmed
            )

    async with patient(clean_store_url, size=4) as connections:
        one = Store.over(connections, LEVELS, "none")
        await one.calls.load_functions()
        calls = Failing(connections)
        for customer in ("anna", "bea"):
            decision = keys.repeatable_decision_id(customer, "k")
            entry = plan.pack(Entry(decision, customer, "web", NOW_MS, "shop@1", "", "full", (), None, (), (), (), ()))
            await one.customers.commit(
                Commit(customer, decision, b"", NOW_MS, entry, ((("phone", ()),),), counting=TERMS), 30.0
            )
        calls.failing = frozenset((keys.counts_key(keys.bucket("bea")),))
        sums = (await CountStore(calls).counted(TERMS.scope, NOW_MS + 2 * HOUR_MS, 30.0))["phone", "gold"]
        assert sums.said == pytest.approx(2 ** (-2 / 10))
        calls.failing = frozenset(keys.counts_key(f"{number:03x}") for number in range(keys.BUCKETS))
        with pytest.raises(StoreReplied):
            await CountStore(calls).counted(TERMS.scope, NOW_MS + 2 * HOUR_MS, 30.0)


def _again(store: Running, scope: str, told: Told) -> Told:
    """Commit another decision in the same bucket."""
    bucket = told.decision[:3]
    names = (f"counted-{next(_numbers)}" for _ in iter(int, 1))
    return commit(store, scope, customer=next(name for name in names if keys.bucket(name) == bucket))


@pytest.mark.parametrize(("hours", "left"), [(150, 2), (161, 2), (163, 1)])
def test_a_count_is_kept_for_sixteen_half_lives(
    store: Running, store_url: str, scope: str, hours: int, left: int
) -> None:
    """As long as anything worth counting is left of it, a count stays; after that it goes with the next new one."""
    told = commit(store, scope)
    commit(store, f"{scope}-new", NOW_MS + hours * HOUR_MS, _same_bucket(told))
    with Redis.from_url(store_url) as raw:
        fields = [name for name in raw.hkeys(keys.counts_key(told.decision[:3])) if name.startswith(scope.encode())]
    assert len(fields) == left


def test_counts_of_which_nothing_is_left_are_forgotten(store: Running, store_url: str, scope: str) -> None:
    """When something new is counted in a bucket, what was counted half a hundred half-lives ago goes."""
    told = commit(store, scope)
    later = NOW_MS + 200 * HOUR_MS
    again = keys.bucket(customer := _same_bucket(told))
    commit(store, f"{scope}-new", later, customer)
    with Redis.from_url(store_url) as raw:
        fields = [name for name in raw.hkeys(keys.counts_key(again)) if name.startswith(scope.encode())]
    assert fields == [f"{scope}-new\x1fphone\x1fgold".encode()]


def _same_bucket(told: Told) -> str:
    names = (f"counted-{next(_numbers)}" for _ in iter(int, 1))
    return next(name for name in names if keys.bucket(name) == told.decision[:3])


def test_counts_name_nobody_and_survive_an_erasure(store: Running, store_url: str, scope: str) -> None:
    """Neither the customer nor the decision stands in a count."""
    told = commit(store, scope, customer=(customer := f"Anna-{next(_numbers)}"))
    with Redis.from_url(store_url) as raw:
        held = b" ".join(part for pair in raw.hgetall(keys.counts_key(told.decision[:3])).items() for part in pair)
    assert customer.encode() not in held
    assert told.decision.encode() not in held


async def test_many_at_once_lose_no_count(clean_store_url: str) -> None:
    """Of 400 decisions and outcomes that race over several connections every one is counted."""
    async with patient(clean_store_url, size=4) as connections:
        one = Store.over(connections, LEVELS, "none")
        await one.calls.load_functions()

        async def said(number: int) -> None:
            customer = f"crowd-{number}"
            decision = keys.repeatable_decision_id(customer, "k")
            entry = plan.pack(Entry(decision, customer, "web", NOW_MS, "shop@1", "", "full", (), None, (), (), (), ()))
            await one.customers.commit(
                Commit(customer, decision, b"", NOW_MS, entry, ((("phone", ()),),), counting=TERMS), 30.0
            )
            if number % 4 == 0:
                await one.recorder.record_outcome(OutcomeRecord(decision, "phone", ACCEPTED, NOW_MS, 0.0), 30.0)

        await asyncio.gather(*(said(number) for number in range(400)))
        sums = (await CountStore(one.calls).counted(TERMS.scope, NOW_MS + 2 * HOUR_MS, 30.0))["phone", "gold"]
    kept = 2 ** (-2 / 10)
    assert msgspec.structs.astuple(sums) == pytest.approx((400 * kept, 100 * kept, 100 * kept))


def test_a_commit_that_is_refused_counts_nothing(store: Running, scope: str) -> None:
    """Where the customer was erased since the read, nothing is written, and nothing is counted."""
    told = commit(store, scope)
    customer = _same_bucket(told)
    decision = keys.repeatable_decision_id(customer, "late")
    entry = plan.pack(Entry(decision, customer, "web", NOW_MS, "shop@1", "", "full", (), None, (), (), (), ()))
    late = Commit(customer, decision, b"", NOW_MS, entry, ((("phone", ()),),), counting=replace(TERMS, scope=scope))
    with pytest.raises(Exception, match="nobody waits"):
        store.wait(store.store.customers.commit(replace(late, not_after_ms=1)))
    assert counted(store, scope, NOW_MS + 2 * HOUR_MS)["phone", "gold"].said == pytest.approx(2 ** (-2 / 10))
