"""One request's story over a real store: what is decided is committed, and what fails is safe."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis

from service.core import plan
from service.core.decision import Commit, Committed, Decision, Known, ReasonCode
from service.core.engine import Engine
from service.core.judge import Judge, Verdicts
from service.core.snapshot import Snapshot
from service.decide import Decider, Patience
from service.errors import AlreadyExists
from service.store import keys
from service.store.embedded import EmbeddedStore
from tests.service.world import NOW_MS, World, ask, no_exploration, world

DEADLINE_S = 10.0


def logged(url: str, customer: str) -> list[plan.Entry]:
    """Return the decisions of a customer's bucket as the log has them."""
    with Redis.from_url(url) as store:
        entries = store.xrange(keys.log_key(keys.bucket(customer)))
    return [plan.unpack(fields[b"e"]) for _, fields in entries]


def actions(decision: Decision) -> list[str]:
    """Return what is said, a placement; empty for a suppression."""
    return [answer.action for answer in decision.answers]


async def test_a_decision_is_answered_logged_and_counted(clean_store_url: str, tmp_path: Path) -> None:
    """Someone to whom anything may be sold gets the best offer; the log has it and the caps know it."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("ada")
        decision = await tact.decider.decide(ask("ada"), DEADLINE_S)
        assert actions(decision) == ["fibre-upgrade"] or actions(decision) == ["new-phone"]
        entry = logged(clean_store_url, "ada")[0]
        assert (entry.decision_id, entry.customer, entry.at_ms) == (decision.decision_id, "ada", NOW_MS)
        assert decision.answers[0].action in [c.action for c in entry.placements[0].candidates]
        known = await tact.store.customers.context("ada", 5.0)
        assert known.counters["two-offers-a-week"] == (NOW_MS,)


async def test_a_ticket_turns_selling_into_helping(clean_store_url: str, tmp_path: Path) -> None:
    """While a ticket is open nothing is sold and what helps is said instead; when it is closed, selling goes on."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("bo")
        await tact.happened("bo", "ticket.opened", NOW_MS - 5000, ticket="t2")
        helped = (await tact.decider.decide(ask("bo", explain=True), DEADLINE_S)).answers[0]
        assert helped.action in ("ticket-status", "apology")
        assert helped.reasons[0].code is ReasonCode.INSTEAD
        await tact.happened("bo", "ticket.closed", NOW_MS - 1000, ticket="t2")
        assert (await tact.decider.decide(ask("bo"), DEADLINE_S)).answers[0].kind == "offer"


async def test_caps_hold_over_channels(clean_store_url: str, tmp_path: Path) -> None:
    """Two offers a week are two, whichever channels they go out on; then the answer says which cap and until when."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("cy")
        kinds = []
        for channel, placement in (("web", "hero"), ("email", "body"), ("desk", "offer"), ("web", "hero")):
            answer = (await tact.decider.decide(ask("cy", channel, placement), DEADLINE_S)).answers[0]
            kinds.append(answer.kind == "offer")
        assert kinds == [True, True, False, False]
        last = (await tact.decider.decide(ask("cy", "web", "hero", explain=True), DEADLINE_S)).explanation
        assert last is not None
        vetoes = {fate.action: [reason.rule for reason in fate.vetoes] for fate in last.fates}
        assert "two-offers-a-week" in vetoes["fibre-upgrade"]


async def test_one_key_one_answer(clean_store_url: str, tmp_path: Path) -> None:
    """The same key gives the same answer and counts once, at the same time and later; for another request it fails."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("di")
        question = ask("di", "web", "greeting", "hero", key="k1")
        together = await asyncio.gather(*(tact.decider.decide(question, DEADLINE_S) for _ in range(20)))
        later = await tact.decider.decide(question, DEADLINE_S)
        assert all(decision == later for decision in together)
        assert len(logged(clean_store_url, "di")) == 1
        offers = sum(answer.kind == "offer" for answer in later.answers)
        assert offers
        assert len((await tact.store.customers.context("di", 5.0)).counters["two-offers-a-week"]) == offers
        with pytest.raises(AlreadyExists):
            await tact.decider.decide(ask("di", "web", "hero", key="k1"), DEADLINE_S)
        other = await tact.decider.decide(ask("di", "web", "greeting", "hero", key="k2"), DEADLINE_S)
        assert other.decision_id != later.decision_id


async def test_an_unknown_customer_is_greeted(clean_store_url: str, tmp_path: Path) -> None:
    """Somebody of whom nothing is known gets a greeting and no offer, and it is no error."""
    async with world(clean_store_url, tmp_path) as tact:
        decision = await tact.decider.decide(ask("nobody", "web", "greeting", explain=True), DEADLINE_S)
    assert actions(decision) == ["greet"]
    assert decision.answers[0].reasons[0].code is ReasonCode.SAFE_GREETING
    assert decision.explanation is not None
    vetoes = {fate.action: [reason.code for reason in fate.vetoes] for fate in decision.explanation.fates}
    assert ReasonCode.NO_CONSENT in vetoes["fibre-upgrade"]
    assert decision.explanation.fields == ()


async def test_a_store_that_dies_gives_the_safe_answer_in_time(tmp_path: Path) -> None:
    """When the store is gone, a safe greeting is answered within the deadline, flagged and recorded nowhere."""
    store = EmbeddedStore(tmp_path / "store")
    async with world(store.start(), tmp_path, Patience()) as tact:
        await tact.seller("ed")
        assert actions(await tact.decider.decide(ask("ed"), DEADLINE_S)) != [""]
        store.stop()
        started = time.monotonic()
        decision = await tact.decider.decide(ask("ed", "web", "greeting", "hero"), 0.5)
        assert time.monotonic() - started < 0.5
    assert actions(decision) == ["greet", ""]
    assert decision.decision_id == ""
    assert [reason.code for reason in decision.degraded] == [ReasonCode.STORE_UNAVAILABLE]


class Meanwhile:
    """A store in which something happens, a few times, after a customer is read and before it is decided."""

    def __init__(self, tact: World, happening: Callable[[], Awaitable[None]], times: int) -> None:
        self._store = tact.store.customers
        self._happening = happening
        self._times = times

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return self._store.decision_id(customer, idempotency_key, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Read, and let it happen."""
        known = await self._store.read(customer, decision_id, deadline_s, idempotency_key)
        if self._times:
            self._times -= 1
            await self._happening()
        return known

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Commit."""
        return await self._store.commit(commit, deadline_s)


@pytest.mark.parametrize(("changes", "committed"), [(["none"], ["none"]), (["none", "service"], [])])
async def test_a_consent_that_is_withdrawn_while_it_is_decided_counts(
    clean_store_url: str, tmp_path: Path, changes: list[str], committed: list[str]
) -> None:
    """What was decided under the old consent is not committed: it is decided again, once, and else answered safely."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("jan")
        levels = iter(changes)
        store = Meanwhile(tact, lambda: tact.agreed("jan", next(levels)), len(changes))
        decider = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
        decision = await decider.decide(ask("jan"), DEADLINE_S)
    assert decision.answers[0].kind != "offer"
    assert [entry.level for entry in logged(clean_store_url, "jan")] == committed
    assert bool(decision.decision_id) is bool(committed)
    is_safe = ReasonCode.STORE_UNAVAILABLE in [reason.code for reason in decision.degraded]
    assert is_safe is not bool(committed)


async def test_a_decision_is_made_by_the_engine_that_it_began_with(clean_store_url: str, tmp_path: Path) -> None:
    """One that takes its place while the store is waited for has no part in it: neither its rules nor its words."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("jan")
        strategy = tact.engine.strategy
        others = tuple(
            replace(one, treatments=tuple(replace(said, text="Of the next version.") for said in one.treatments))
            for one in strategy.actions
        )
        following = Engine(replace(strategy, version="small@next", actions=others), None)

        async def reloaded() -> None:
            decider.engine = following

        store = Meanwhile(tact, reloaded, 1)
        decider = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
        first, second = [await decider.decide(ask("jan", "web", "greeting"), DEADLINE_S) for _ in range(2)]
    assert (first.strategy, second.strategy) == (strategy.version, "small@next")
    assert first.answers[0].text != second.answers[0].text == "Of the next version."


async def test_no_time_left_means_nothing_is_read(clean_store_url: str, tmp_path: Path) -> None:
    """A call that arrives with its deadline gone is answered safely and costs the store nothing."""
    async with world(clean_store_url, tmp_path) as tact:
        decision = await tact.decider.decide(ask("flo", "web", "greeting"), 0.001)
        assert [reason.code for reason in decision.degraded] == [ReasonCode.DEADLINE_TOO_SHORT]
        assert logged(clean_store_url, "flo") == []


async def test_a_broken_compiler_is_caught_by_the_check(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the compiled rules let an upsell pass that the plain rules forbid, it is withheld and an alarm is raised."""
    judge = Judge.judge

    def careless(self: Judge, snapshot: Snapshot, channel: str) -> Verdicts:
        found = judge(self, snapshot, channel)
        return Verdicts((), 0, 0, None, found.truths)

    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("gil")
        await tact.happened("gil", "ticket.opened", NOW_MS - 5000, ticket="t2")
        monkeypatch.setattr(Judge, "judge", careless)
        decision = await tact.decider.decide(ask("gil"), DEADLINE_S)
    assert [answer.action for answer in decision.answers] == [""]
    assert decision.answers[0].reasons[0].code is ReasonCode.CHECK_FAILED
    assert decision.answers[0].reasons[0].rule == "no-upsell-while-a-ticket-is-open"
    assert "gil" not in caplog.text
    assert any(record.levelname == "CRITICAL" for record in caplog.records)


async def test_a_race_for_the_last_contact_has_one_winner(clean_store_url: str, tmp_path: Path) -> None:
    """Many decisions at once for one customer never exceed the cap, and the losers say which cap bound."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("hal")
        decisions = await asyncio.gather(*(tact.decider.decide(ask("hal"), DEADLINE_S) for _ in range(30)))
    offers = [d for d in decisions if d.answers[0].kind == "offer"]
    assert len(offers) == 2
    bound = [d.answers[0] for d in decisions if not d.answers[0].action]
    assert bound
    assert all(answer.until_ms is not None for answer in bound)
    assert all(answer.reasons[0].rule == "two-offers-a-week" for answer in bound)


async def test_a_store_that_hangs_costs_a_share_of_the_deadline(tmp_path: Path) -> None:
    """While the store does not answer, the safe answer comes well before the caller's deadline."""
    store = EmbeddedStore(tmp_path / "store")
    async with world(store.start(), tmp_path, Patience(share=0.4, most_s=10.0)) as tact:
        await tact.seller("ivy")
        os.kill(store.processes[1], signal.SIGSTOP)
        try:
            started = time.monotonic()
            decision = await tact.decider.decide(ask("ivy", "web", "greeting"), 1.0)
            took_s = time.monotonic() - started
        finally:
            os.kill(store.processes[1], signal.SIGCONT)
    store.stop()
    assert 0.3 < took_s < 0.7
    assert [reason.code for reason in decision.degraded] == [ReasonCode.STORE_UNAVAILABLE]
