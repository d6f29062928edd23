"""Decisions for a person, whichever id is asked about: the same answer, one set of caps, one consent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from service.core.decision import Commit, Committed, Decision, Known, ReasonCode
from service.core.explained import Explanation
from service.core.records import ConsentRecord
from service.decide import Decider, Patience
from service.errors import AlreadyExists
from service.store import keys
from service.store.people import People
from tests.service.test_decide import DEADLINE_S, actions, logged
from tests.service.world import DAY_MS, NOW_MS, World, ask, no_exploration, world


async def decide(tact: World, customer: str, *rest: str, key: str = "", explain: bool = False) -> Decision:
    """Decide once."""
    return await tact.decider.decide(ask(customer, *rest, key=key, explain=explain), DEADLINE_S)


def replaced(explanation: Explanation | None) -> Explanation:
    """Return an explanation without the uses of caps, of which the decision before it is one."""
    assert explanation is not None
    fates = tuple(
        structs.replace(fate, caps=tuple(structs.replace(cap, uses=0) for cap in fate.caps))
        for fate in explanation.fates
    )
    return structs.replace(explanation, fates=fates)


async def test_any_id_of_a_person_gets_the_persons_answer(clean_store_url: str, tmp_path: Path) -> None:
    """Asked about an alias or the person, Tact sees, ranks and logs the same person, down to the explanation."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.agreed("ida", "full", "email")
        await tact.happened("visitor", "ticket.opened", NOW_MS - 3 * DAY_MS, ticket="t1")
        await tact.happened("ida", "ticket.closed", NOW_MS - 2 * DAY_MS, ticket="t1")
        await tact.store.identities.link("visitor", "ida", 5.0)
        told = [await decide(tact, who, "web", "greeting", explain=True) for who in ("visitor", "ida")]
        assert told[0].answers == told[1].answers
        first, second = (replaced(one.explanation) for one in told)
        assert first == second
        assert [entry.customer for entry in logged(clean_store_url, "ida")] == ["ida", "ida"]
        assert all(one.decision_id[:3] == keys.bucket("ida") for one in told)


async def test_a_ticket_under_one_id_stops_selling_under_the_other(clean_store_url: str, tmp_path: Path) -> None:
    """A visitor's open ticket keeps the known customer from being sold to, until the link is undone."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("jo")
        await tact.happened("visitor", "ticket.opened", NOW_MS - 5000, ticket="t9")
        assert (await decide(tact, "jo")).answers[0].kind == "offer"
        await tact.store.identities.link("visitor", "jo", 5.0)
        for who in ("jo", "visitor"):
            assert (await decide(tact, who)).answers[0].kind != "offer"
        await tact.store.identities.unlink("visitor")
        assert (await decide(tact, "jo")).answers[0].kind == "offer"


async def test_caps_are_the_persons(clean_store_url: str, tmp_path: Path) -> None:
    """An offer that each of two ids had makes two for the person: a third is not made, under either id."""
    async with world(clean_store_url, tmp_path) as tact:
        for who in ("kim", "visitor"):
            await tact.seller(who)
            assert (await decide(tact, who)).answers[0].kind == "offer"
        await tact.store.identities.link("visitor", "kim", 5.0)
        for who in ("kim", "visitor"):
            answer = (await decide(tact, who)).answers[0]
            assert answer.kind != "offer"
        known = await tact.store.customers.context("visitor", 5.0)
        assert known.counters["two-offers-a-week"] == (NOW_MS, NOW_MS)


async def test_a_withdrawal_under_one_id_holds_for_all(clean_store_url: str, tmp_path: Path) -> None:
    """Whichever id a consent is withdrawn under, the next decision under any id knows it."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("lou")
        for visitor in ("v1", "v2"):
            await tact.store.identities.link(visitor, "lou", 5.0)
        await tact.store.consents.set_consent("v2", ConsentRecord("none", (), NOW_MS, "call"), 5.0)
        for who in ("lou", "v1", "v2"):
            decision = await decide(tact, who, explain=True)
            assert decision.answers[0].kind != "offer"
            assert decision.explanation is not None
            assert decision.explanation.level == "none"


async def test_a_key_is_one_key_for_the_person(clean_store_url: str, tmp_path: Path) -> None:
    """What was decided under an id and a key is answered under that key for every id, before and after the link."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("mo")
        before = await decide(tact, "visitor", key="k1")
        await tact.store.identities.link("visitor", "mo", 5.0)
        for who in ("visitor", "mo"):
            assert await decide(tact, who, key="k1") == before
        after = await decide(tact, "visitor", key="k2")
        assert after.decision_id == tact.store.customers.decision_id("mo", "k2", b"")
        assert await decide(tact, "mo", key="k2") == after
        with pytest.raises(AlreadyExists):
            await decide(tact, "mo", "web", "greeting", key="k1")
        assert len(logged(clean_store_url, "mo")) == 1


class LinksBeforeCommits:
    """A store in which somebody links, or unlinks, between a decision's read and its commit."""

    def __init__(self, people: People, *changes: tuple[str, str, str]) -> None:
        self._people = people
        self._changes = list(changes)
        self.tact: World | None = None
        self.commits = 0

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return self._people.decision_id(customer, idempotency_key, entropy)

    async def read(
        self, customer: str, decision_id: str | None, deadline_s: float | None = None, idempotency_key: str = ""
    ) -> Known:
        """Read."""
        return await self._people.read(customer, decision_id, deadline_s, idempotency_key)

    async def commit(self, commit: Commit, deadline_s: float | None = None) -> Committed:
        """Let the next change happen, then commit."""
        assert self.tact is not None
        self.commits += 1
        if self._changes:
            what, alias, customer = self._changes.pop(0)
            identities = self.tact.store.identities
            await (identities.link if what == "link" else identities.unlink)(alias, customer, 5.0)
        return await self._people.commit(commit, deadline_s)


async def test_a_link_under_way_is_decided_for_again(clean_store_url: str, tmp_path: Path) -> None:
    """Who becomes an alias, or stops being one, between read and commit gets the answer of who they are then."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("ned")
        await tact.seller("visitor")
        await tact.happened("ned", "ticket.opened", NOW_MS - 5000, ticket="t2")
        for changes, kind, owner in (
            ((("link", "visitor", "ned"),), "message", "ned"),
            ((("unlink", "visitor", ""),), "offer", "visitor"),
        ):
            store = LinksBeforeCommits(tact.store.customers, *changes)
            store.tact = tact
            decider = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
            decision = await decider.decide(ask("visitor"), DEADLINE_S)
            assert (decision.answers[0].kind, store.commits) == (kind, 2)
            assert decision.decision_id[:3] == keys.bucket(owner)
        assert [len(logged(clean_store_url, who)) for who in ("ned", "visitor")] == [1, 1]


async def test_who_changes_again_and_again_gets_the_safe_answer(clean_store_url: str, tmp_path: Path) -> None:
    """A decision is made anew once; when that is outrun too, the answer is the safe one and nothing is recorded."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("olga")
        store = LinksBeforeCommits(tact.store.customers, ("link", "visitor", "olga"), ("unlink", "visitor", ""))
        store.tact = tact
        decider = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
        decision = await decider.decide(ask("visitor", "web", "greeting"), DEADLINE_S)
        assert actions(decision) == ["greet"]
        assert [reason.code for reason in decision.degraded] == [ReasonCode.STORE_UNAVAILABLE]
        assert logged(clean_store_url, "visitor") == logged(clean_store_url, "olga") == []


async def test_links_and_decisions_at_the_same_time_keep_the_caps(clean_store_url: str, tmp_path: Path) -> None:
    """Two ids that are linked while both are decided for make the offers of two customers at most, and then none."""
    async with world(clean_store_url, tmp_path) as tact:
        for who in ("pia", "visitor"):
            await tact.seller(who)
        deciding = [decide(tact, who) for _ in range(20) for who in ("pia", "visitor")]
        done = await asyncio.gather(*deciding, tact.store.identities.link("visitor", "pia", 5.0))
        offers = [one for one in done if isinstance(one, Decision) and one.answers[0].kind == "offer"]
        assert 2 <= len(offers) <= 4
        known = await tact.store.customers.context("pia", 5.0)
        assert len(known.counters["two-offers-a-week"]) == len(offers)
        assert not any([(await decide(tact, who)).answers[0].kind == "offer" for who in ("pia", "visitor")])
