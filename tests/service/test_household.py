"""What one is told counts for all who live together: exactly, from all processes, and whoever dies in between."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter as Tally
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from models import folds
from service.app import start
from service.config import Settings, StorePlace
from service.core.decision import Commit, Committed, Decision, Known, Reason, ReasonCode, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.records import EventToFold
from service.core.strategy import Strategy
from service.core.supplies import SupplyReport
from service.core.validity import Issued
from service.decide import Decider, Patience
from service.errors import ConsentChanged, StoreError
from service.policy.household import Householding
from service.rpc.client import Ask, TactClient
from service.store.households import HouseholdStore
from service.store.retention import Retention
from service.store.store import Store
from service.supply.warehouse import Warehouse
from tests.service import shop
from tests.service.householder import (
    AT_MOST,
    HOME,
    HOUSEHOLDS,
    IN_FLIGHT,
    MEMBERS,
    ask,
    decider_of,
    member,
    moved_in,
    store_of,
)
from tests.service.world import DAY_MS, NOW_MS
from tests.store.patience import patient
from tests.strategies import edited, write_strategy

PROCESSES = 4
DECISIONS = int(os.environ.get("TACT_HOUSEHOLD_DECISIONS", "150"))
SMALL = {**HOME, "caps": HOME["caps"].replace(f"at_most: {AT_MOST}", "at_most: 2")}


@dataclass(frozen=True, slots=True)
class Street:
    """A store, and a strategy by which a household is offered two things a week."""

    strategy: Strategy
    store: Store

    def decider(self, granted_ms: int = 60_000) -> Decider:
        """Return another process, as it were."""
        return decider_of(self.store, self.strategy, granted_ms)

    async def lives(self, customer: str, household: str) -> None:
        """Let a customer live somewhere."""
        await moved_in(self.store, self.strategy, customer, household)


@asynccontextmanager
async def street(url: str, folder: Path) -> AsyncIterator[Street]:
    """Open a street."""
    strategy = load_strategy(write_strategy(folder / "strategy", **SMALL))
    connections = patient(url)
    try:
        yield Street(strategy, store_of(connections, strategy))
    finally:
        await connections.close()


def offered(decisions: Sequence[Decision]) -> int:
    """Return how many of the decisions sell."""
    assert all(decision.decision_id for decision in decisions), "none of them is a safe answer"
    return sum(decision.answers[0].kind == "offer" for decision in decisions)


def reason_of(decision: Decision) -> Reason:
    """Return why the only placement holds offers back by the cap."""
    return next(r for r in decision.answers[0].reasons if r.code is ReasonCode.CAP_REACHED)


# ---------------------------------------------------------------------------------------------------- who is counted


async def test_all_of_a_household_share_its_cap(clean_store_url: str, tmp_path: Path) -> None:
    """After two offers to one, or one each to two, nobody of the household is sold to; the neighbours are."""
    async with street(clean_store_url, tmp_path) as there:
        for customer, household in (("ada", "1"), ("ben", "1"), ("cleo", "1"), ("dan", "2")):
            await there.lives(customer, household)
        decider = there.decider()
        assert offered([await ask(decider, name) for name in ("ada", "ben", "cleo", "ada", "dan", "dan", "dan")]) == 4
        held = await ask(decider, "cleo")
        assert held.answers[0].kind == "message", "what is no offer may still be said"


async def test_the_answer_names_the_cap_and_when_it_frees(clean_store_url: str, tmp_path: Path) -> None:
    """Who is held back by what another was told hears which cap it is, and when it frees."""
    quiet = {**SMALL, "caps": SMALL["caps"].replace("{kinds: [offer]}", "{all: true}")}
    async with street(clean_store_url, tmp_path) as there:
        strategy = load_strategy(write_strategy(tmp_path / "quiet", **quiet))
        await there.lives("ada", "1")
        await there.lives("ben", "1")
        decider = decider_of(there.store, strategy)
        for _ in range(2):
            assert offered([await ask(decider, "ada")]) == 1
        held = await ask(decider, "ben")
        assert (held.answers[0].action, reason_of(held).rule) == ("", "offers-a-household")
        assert held.answers[0].until_ms == NOW_MS + 7 * DAY_MS


async def test_customers_without_a_known_household_have_the_cap_alone(clean_store_url: str, tmp_path: Path) -> None:
    """Where no household is known, or may be known, the cap holds for the customer alone."""
    async with street(clean_store_url, tmp_path) as there:
        await there.lives("ada", "")
        await there.lives("ben", "")
        decider = there.decider()
        assert offered([await ask(decider, name) for name in ("ada", "ada", "ada", "ben")]) == 3


async def test_what_a_customer_was_told_counts_once(clean_store_url: str, tmp_path: Path) -> None:
    """The same offer stands with the customer and with the household, and is one use of the cap."""
    async with street(clean_store_url, tmp_path) as there:
        await there.lives("ada", "1")
        decider = there.decider()
        assert offered([await ask(decider, "ada") for _ in range(3)]) == 2
        known = await there.store.customers.context("ada", 5.0)
        assert known.counters["offers-a-household"] == (NOW_MS, NOW_MS)
        uses = await there.store.households.uses("1", 5.0)
        assert (uses.times, uses.open) == ({"offers-a-household": (NOW_MS, NOW_MS)}, ())


async def test_a_service_counts_by_household(clean_store_url: str, tmp_path: Path) -> None:
    """A service as it is started keeps the caps of households."""
    folder = write_strategy(
        tmp_path / "strategy", **SMALL, strategy=edited("strategy", "explore: 0.05", "explore: 0.0")
    )
    running = await start(Settings(store=StorePlace.parse(clean_store_url), strategy=folder, port=0, store_wait_s=5.0))
    connections = patient(clean_store_url)
    try:
        store = store_of(connections, running.strategy)
        for name in ("ada", "ben"):
            await moved_in(store, running.strategy, name, "1", time.time_ns() // 1_000_000)
        async with TactClient(running.address, timeout_s=10.0) as client:
            answers = [await client.decide(Ask(name, "web", ("hero",))) for name in ("ada", "ben", "ada", "ben")]
        assert all(answer["decision_id"] for answer in answers)
        assert [answer["answers"][0]["offer"]["sells"] for answer in answers] == [True, True, False, False]
    finally:
        await connections.close()
        await running.stop()


# ------------------------------------------------------------------------------------------------------------- at once


async def test_who_decides_at_once_shares_the_cap_exactly(clean_store_url: str, tmp_path: Path) -> None:
    """Of ten members who are asked about at the same moment exactly two are sold to, and nothing stays granted."""
    async with street(clean_store_url, tmp_path) as there:
        members = [f"member-{n}" for n in range(10)]
        for name in members:
            await there.lives(name, "1")
        deciders = [there.decider(), there.decider()]
        decisions = await asyncio.gather(*(ask(deciders[n % 2], name) for n, name in enumerate(members)))
        assert offered(decisions) == 2
        uses = await HouseholdStore(there.store.calls, Retention(), 0).uses("1", 5.0)
        assert (len(uses.times["offers-a-household"]), uses.open) == (2, ())


async def test_who_comes_second_in_a_race_hears_which_cap_bound(clean_store_url: str, tmp_path: Path) -> None:
    """What was planned while there was room is held back at commit, by the household's cap and until that frees."""
    async with street(clean_store_url, tmp_path) as there:
        for name in ("ada", "ben"):
            await there.lives(name, "1")
        decider, engine = there.decider(), Engine(there.strategy, None)
        around, request = decider._store, Request("ben", "web", ("hero",), {}, as_of_ms=NOW_MS)
        known = await around.read("ben", None, 5.0)
        assert offered([await ask(decider, "ada") for _ in range(2)]) == 2
        snapshot = engine.see(known, request)
        judged = engine.judge(snapshot, known, request)
        scores = engine.score(snapshot, judged, request)
        decision_id = around.decision_id("ben", "", b"r" * 12)
        entry = engine.arbitrate(decision_id, request, snapshot, judged, scores, (0.99,))
        assert len(entry.placements[0].candidates) == 2
        committed = await around.commit(engine.commit(entry, request, known.now_ms), 5.0)
        held = engine.answer(committed, entry)
        assert committed.chosen == (-1,)
        assert (reason_of(held).rule, reason_of(held).until_ms) == ("offers-a-household", NOW_MS + 7 * DAY_MS)
        assert held.answers[0].until_ms == NOW_MS + 7 * DAY_MS


SHOP = {
    "household": "household: {field: past.household}\n",
    "events": shop.SECTIONS["events"] + "  - {id: home.moved, says: Moved., attributes: {household: string}}\n",
    "fields": shop.SECTIONS["fields"]
    + """\
  - id: past.household
    says: With whom they live.
    type: string
    purpose: service
    fold: {kind: last, event: home.moved, attribute: household}
""",
    "caps": """\
caps: [{id: a-phone-a-home, says: One phone a home., count: {ids: [phone]}, at_most: 1, within: 7d, by: household}]
""",
}


async def test_what_a_household_may_not_hear_holds_no_units(clean_store_url: str, tmp_path: Path) -> None:
    """Of four members at once one is offered the phone; the units that were held for the others are free again."""
    strategy, connections = load_strategy(shop.write_shop(tmp_path / "shop", **SHOP)), patient(clean_store_url)
    try:
        store = store_of(connections, strategy)
        observed_ms = shop.now_ms()
        await store.supply.report(SupplyReport("phone", "north", 10, observed_ms, observed_ms + DAY_MS), 5.0)
        for n in range(4):
            operations = folds.operations(strategy.schema, "home.moved", {"household": "1"})
            await store.events.fold(f"member-{n}", [EventToFold("moved", NOW_MS, operations)], 5.0)
        decisions = Householding.around(store.customers, store.households, store.issued, strategy)
        warehouse = Warehouse.of(
            strategy, decisions, store.outcomes, store.supply, store.demand, store.issued, "process"
        )
        decider = Decider(
            Engine(strategy, None), warehouse.decisions, os.urandom, shop.now_ms, Patience(most_s=20.0), warehouse.book
        )
        place = {strategy.schema.index["present.place"]: "north"}
        asked = [Request(f"member-{n}", "web", ("hero",), place) for n in range(4)]
        said = await asyncio.gather(*(decider.decide(one, 30.0) for one in asked))
        assert sum(decision.answers[0].action == "phone" for decision in said) == 1
        stock = await store.supply.stock("phone", "north", 5.0)
        assert stock is not None
        assert stock.free == 9
    finally:
        await connections.close()


class Away:
    """Decisions that cannot be read."""

    async def issued(self, decision_id: str, deadline_s: float) -> Issued | None:
        """Fail."""
        raise StoreError("away")


async def test_as_long_as_nobody_can_say_what_became_of_a_use_it_counts(clean_store_url: str, tmp_path: Path) -> None:
    """When decisions cannot be read, uses in doubt count on, and everything else is decided as ever."""
    async with street(clean_store_url, tmp_path) as there:
        for name in ("ada", "ben"):
            await there.lives(name, "1")
        await ask(failing(there, StoreError("gone")), "ada")
        decider, households = there.decider(), HouseholdStore(there.store.calls, Retention(), 0)
        decider._store = Householding.around(there.store.customers, households, Away(), there.strategy)
        assert offered([await ask(decider, "ben") for _ in range(3)]) == 1


class Failing:
    """A store of decisions that refuses commits, or loses the reply to those that it made."""

    def __init__(self, decisions: Store, fault: Exception, commits: bool) -> None:
        self._decisions = decisions.customers
        self._fault = fault
        self._commits = commits

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return self._decisions.decision_id(customer, idempotency_key, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Read as ever."""
        return await self._decisions.read(customer, decision_id, deadline_s, idempotency_key)

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Commit or not, and fail."""
        if self._commits:
            await self._decisions.commit(commit, deadline_s)
        raise self._fault


def failing(there: Street, fault: Exception, commits: bool = False) -> Decider:
    """Return a process whose commits fail."""
    around = Householding.around(
        Failing(there.store, fault, commits), there.store.households, there.store.issued, there.strategy
    )
    decider = there.decider()
    decider._store = around
    return decider


async def test_a_refused_commit_uses_nothing(clean_store_url: str, tmp_path: Path) -> None:
    """When the store refuses a commit, for another consent holds by now, the household gets its use back at once."""
    async with street(clean_store_url, tmp_path) as there:
        await there.lives("ada", "1")
        await ask(failing(there, ConsentChanged("replaced")), "ada")
        assert (await there.store.households.uses("1", 5.0)).times == {}


@pytest.mark.parametrize(("commits", "left"), [(False, 2), (True, 1)], ids=["not-committed", "committed"])
async def test_a_process_that_dies_before_or_after_its_commit_neither_breaks_the_cap_nor_loses_any_of_it(
    commits: bool, left: int, clean_store_url: str, tmp_path: Path
) -> None:
    """A use of which nobody knows whether it was said counts for a minute; then it counts if it was said."""
    async with street(clean_store_url, tmp_path) as there:
        for name in ("ada", "ben"):
            await there.lives(name, "1")
        died = await ask(failing(there, StoreError("gone"), commits), "ada")
        assert not died.decision_id
        assert len((await there.store.households.uses("1", 5.0)).times["offers-a-household"]) == 1
        a_minute_later = there.decider(granted_ms=0)
        assert offered([await ask(a_minute_later, "ben") for _ in range(3)]) == left
        uses = await HouseholdStore(there.store.calls, Retention(), 0).uses("1", 5.0)
        assert (len(uses.times["offers-a-household"]), uses.open) == (2, ())


async def test_within_the_minute_a_use_that_may_come_to_nothing_counts(clean_store_url: str, tmp_path: Path) -> None:
    """What was granted and not committed yet holds the others back: never is more said than the cap allows."""
    async with street(clean_store_url, tmp_path) as there:
        for name in ("ada", "ben"):
            await there.lives(name, "1")
        await ask(failing(there, StoreError("gone")), "ada")
        assert offered([await ask(there.decider(), "ben") for _ in range(3)]) == 1


# ----------------------------------------------------------------------------------------------------- many processes


def said_in(url: str) -> Tally[str]:
    """Return by household how many offers the decision log says were made: what counts in the end."""
    found: Tally[str] = Tally()
    with Redis.from_url(url) as store:
        for log in store.scan_iter("tact:{*}:log"):
            for _, entry in store.xrange(log):
                said = entry[b"a"].decode().split("\x1f")
                household = entry[b"i"].decode().rpartition("-")[0]
                found[household] += len({"fibre-upgrade", "new-phone"}.intersection(said))
    return found


async def started(url: str, folder: Path, seed: int) -> asyncio.subprocess.Process:
    """Start a process and wait until it decides."""
    told = "-m", "tests.service.householder", url, str(folder), str(seed), str(DECISIONS if seed else 100 * DECISIONS)
    process = await asyncio.create_subprocess_exec(sys.executable, *told, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    await process.stdout.readline()
    return process


async def test_four_processes_of_which_one_is_killed_use_a_cap_to_the_last_and_no_further(
    clean_store_url: str, tmp_path: Path
) -> None:
    """Over all processes no household is offered more than its cap, and after kill -9 of one nothing of it is lost."""
    folder = write_strategy(tmp_path / "strategy", **HOME)
    strategy, connections = load_strategy(folder), patient(clean_store_url)
    try:
        store = store_of(connections, strategy)
        for household in range(HOUSEHOLDS):
            for number in range(MEMBERS):
                await moved_in(store, strategy, member(household, number), f"home-{household}")
        processes = await asyncio.gather(*(started(clean_store_url, folder, seed) for seed in range(PROCESSES)))
        for _ in range(DECISIONS // IN_FLIGHT // 4):
            assert processes[0].stdout
            await processes[0].stdout.readline()
        processes[0].send_signal(signal.SIGKILL)
        assert [await process.wait() for process in processes] == [-signal.SIGKILL, 0, 0, 0]
        assert max(said_in(clean_store_url).values()) <= AT_MOST
        a_minute_later = decider_of(store, strategy, granted_ms=0)
        for household in range(HOUSEHOLDS):
            while offered([await ask(a_minute_later, member(household, n)) for n in range(MEMBERS)]):
                pass
        assert said_in(clean_store_url) == {f"home-{household}": AT_MOST for household in range(HOUSEHOLDS)}
    finally:
        await connections.close()
