"""A queued e-mail goes out only if what it says may still be said: by the consent, the facts and the rules of now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from models.context import Scalar
from service.core.decision import ReasonCode, Request
from service.core.engine import Engine
from service.core.judge import Judge, Verdicts
from service.core.loader import load_strategy
from service.core.snapshot import Snapshot
from service.core.validity import Validity
from service.decide import NoBook
from service.errors import StoreError, UnknownDecision
from service.store import keys
from service.store.embedded import EmbeddedStore
from service.store.store import Store
from service.store.suppression import Suppression
from service.validate import Validator
from tests.service.world import DAY_MS, NOW_MS, World, ask, world
from tests.strategies import edited, write_strategy

DEADLINE_S = 10.0
WORRIED = (
    "guardrails:\n"
    "  - {id: not-in-a-bad-mood, says: Nobody is sold to in a bad mood., forbid: {kinds: [offer]},\n"
    "     when: present.sentiment < 0.0}\n"
)


def validator(tact: World) -> Validator:
    """Return a validator over a world."""
    return Validator(lambda: tact.decider.engine, tact.store.issued, tact.store.customers, tact.store.supply, NoBook())


async def queued(tact: World, customer: str, context: Mapping[int, Scalar] | None = None) -> str:
    """Decide on an e-mail that sells, and return the decision's id."""
    request = Request(customer, "email", ("body",), context or {}, False, "", "", NOW_MS)
    decision = await tact.decider.decide(request, DEADLINE_S)
    assert decision.answers[0].kind == "offer"
    return decision.decision_id


async def again(tact: World, decision_id: str, as_of_ms: int = NOW_MS) -> Validity:
    """Judge a decision again."""
    return await validator(tact).validate(decision_id, as_of_ms, DEADLINE_S)


def codes(validity: Validity) -> list[ReasonCode]:
    """Return the codes of what forbids the only placement."""
    (standing,) = validity.placements
    return [reason.code for reason in standing.reasons]


@asynccontextmanager
async def mailing(url: str, folder: Path, customer: str) -> AsyncIterator[tuple[World, str]]:
    """Open a world with an e-mail for a customer in the queue."""
    async with world(url, folder) as tact:
        await tact.seller(customer)
        yield tact, await queued(tact, customer)


async def test_what_changed_nothing_is_still_valid(clean_store_url: str, tmp_path: Path) -> None:
    """As long as nothing changed, the e-mail goes out; asking counts nothing and can be repeated."""
    async with mailing(clean_store_url, tmp_path, "ada") as (tact, decision_id):
        found = [await again(tact, decision_id) for _ in range(3)]
        assert found[0] == found[1] == found[2]
        assert codes(found[0]) == []
        assert found[0].placements[0].action in ("fibre-upgrade", "new-phone")
        assert (found[0].decided_ms, found[0].judged_ms) == (NOW_MS, NOW_MS)
        known = await tact.store.customers.context("ada", 5.0)
        assert known.counters["two-offers-a-week"] == (NOW_MS,)


async def test_a_withdrawn_consent_stops_what_was_decided(clean_store_url: str, tmp_path: Path) -> None:
    """Without consent to offers, or without permission for e-mail, it stays in the queue, and both reasons are told."""
    async with mailing(clean_store_url, tmp_path, "bo") as (tact, decision_id):
        await tact.agreed("bo", "full")
        assert codes(await again(tact, decision_id)) == [ReasonCode.NO_CONTACT_PERMISSION]
        await tact.agreed("bo", "none")
        assert codes(await again(tact, decision_id))[:2] == [ReasonCode.NO_CONSENT, ReasonCode.NO_CONTACT_PERMISSION]
        await tact.agreed("bo", "personal", "email")
        assert codes(await again(tact, decision_id)) == []


async def test_new_facts_stop_what_was_decided(clean_store_url: str, tmp_path: Path) -> None:
    """A ticket that was opened since forbids selling; when it is closed, the e-mail may go out again."""
    async with mailing(clean_store_url, tmp_path, "cy") as (tact, decision_id):
        await tact.happened("cy", "ticket.opened", NOW_MS - 5000, ticket="t2")
        (standing,) = (await again(tact, decision_id)).placements
        assert [(reason.code, reason.rule) for reason in standing.reasons] == [
            (ReasonCode.GUARDRAIL, "no-upsell-while-a-ticket-is-open")
        ]
        await tact.happened("cy", "ticket.closed", NOW_MS - 1000, ticket="t2")
        assert codes(await again(tact, decision_id)) == []


async def test_facts_grow_old_too(clean_store_url: str, tmp_path: Path) -> None:
    """What the e-mail rests on is unknown when it is too old at the moment of sending, and then does not permit."""
    async with mailing(clean_store_url, tmp_path, "di") as (tact, decision_id):
        later = await again(tact, decision_id, NOW_MS + 401 * DAY_MS)
        assert codes(later) == [ReasonCode.GUARDRAIL_UNKNOWN]
        assert later.judged_ms == NOW_MS + 401 * DAY_MS


async def test_a_used_up_cap_does_not_stop_what_used_it(clean_store_url: str, tmp_path: Path) -> None:
    """Two offers a week were made; neither is invalid for that."""
    async with mailing(clean_store_url, tmp_path, "ed") as (tact, decision_id):
        second = await queued(tact, "ed")
        assert (await tact.decider.decide(ask("ed", "email", "body"), DEADLINE_S)).answers[0].action != "new-phone"
        assert codes(await again(tact, decision_id)) == codes(await again(tact, second)) == []


async def test_a_new_strategy_takes_back_what_it_no_longer_offers(clean_store_url: str, tmp_path: Path) -> None:
    """Under a strategy without the offer the e-mail stays in the queue, and the answer names the strategy of now."""
    async with mailing(clean_store_url, tmp_path, "flo") as (tact, decision_id):
        said = (await again(tact, decision_id)).placements[0].action
        renamed = edited("actions", f"id: {said}", "id: something-else")
        rules = load_strategy(write_strategy(tmp_path / "later", actions=renamed))
        tact.decider.engine = Engine(rules, None)
        found = await again(tact, decision_id)
        assert codes(found) == [ReasonCode.NO_LONGER_OFFERED]
        assert found.strategy == rules.version


async def test_what_came_with_the_request_counts_as_it_did(clean_store_url: str, tmp_path: Path) -> None:
    """A mood that was told with the request still permits; under another strategy it is unknown, and forbids."""
    async with world(clean_store_url, tmp_path) as tact:
        rules = load_strategy(write_strategy(tmp_path / "moody", guardrails=WORRIED))
        tact.decider.engine = Engine(rules, None)
        await tact.seller("gil")
        decision_id = await queued(tact, "gil", {rules.schema.index["present.sentiment"]: 0.5})
        assert codes(await again(tact, decision_id)) == []
        changed = load_strategy(write_strategy(tmp_path / "changed", guardrails=WORRIED, caps=None))
        tact.decider.engine = Engine(changed, None)
        assert codes(await again(tact, decision_id)) == [ReasonCode.GUARDRAIL_UNKNOWN]


async def test_what_came_with_the_request_is_not_read_without_consent(clean_store_url: str, tmp_path: Path) -> None:
    """When the consent that allowed a value of the request is withdrawn, the value stays in the store."""
    async with world(clean_store_url, tmp_path) as tact:
        fields = edited(
            "fields", "The mood., type: double, purpose: service", "The mood., type: double, purpose: profiling"
        )
        rules = load_strategy(write_strategy(tmp_path / "private", guardrails=WORRIED, fields=fields))
        tact.decider.engine = Engine(rules, None)
        await tact.seller("hal")
        decision_id = await queued(tact, "hal", {rules.schema.index["present.sentiment"]: 0.5})
        assert codes(await again(tact, decision_id)) == []
        await tact.agreed("hal", "personal", "email")
        assert codes(await again(tact, decision_id)) == [ReasonCode.GUARDRAIL_UNKNOWN]


@pytest.fixture
def raw(clean_store_url: str) -> Iterator[Redis]:
    """Return the store, by a client of another kind."""
    with Redis.from_url(clean_store_url) as store:
        yield store


async def test_an_unknown_decision_is_an_error(clean_store_url: str, tmp_path: Path, raw: Redis) -> None:
    """A decision that was never made, or is older than decisions are kept, cannot be validated."""
    async with mailing(clean_store_url, tmp_path, "ivy") as (tact, decision_id):
        with pytest.raises(UnknownDecision):
            await again(tact, keys.fresh_decision_id("ivy", b"x" * 12))
        raw.delete(keys.decision_key(decision_id))
        with pytest.raises(UnknownDecision):
            await again(tact, decision_id)


async def test_nothing_is_said_to_who_was_erased(clean_store_url: str, tmp_path: Path, raw: Redis) -> None:
    """While an erasure is under way, and as long as the decision is still found, the answer names it."""
    async with mailing(clean_store_url, tmp_path, "ian") as (tact, decision_id):
        suppression = Suppression(b"k" * 32)
        levels = {level.id: "".join(p.group for p in level.purposes) for level in tact.engine.strategy.levels}
        store = Store.over(tact.connections, levels, "none", suppression=suppression)
        raw.hset(keys.suppression_key(keys.bucket("ian")), suppression.digest("ian"), NOW_MS)
        raw.delete(keys.context_key("ian"))
        judge = Validator(lambda: tact.decider.engine, store.issued, store.customers, store.supply, NoBook())
        assert codes(await judge.validate(decision_id, None, DEADLINE_S)) == [ReasonCode.CUSTOMER_ERASED]


async def test_a_store_that_fails_validates_nothing(tmp_path: Path) -> None:
    """While the store is gone the answer is an error, never that the e-mail may go out."""
    store = EmbeddedStore(tmp_path / "store")
    async with mailing(store.start(), tmp_path, "jo") as (tact, decision_id):
        store.stop()
        with pytest.raises(StoreError):
            await validator(tact).validate(decision_id, NOW_MS, 0.5)


async def test_an_alarm_is_raised_where_the_check_disagrees(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the compiled rules let pass what the plain rules forbid, it is not said, and nobody's name is logged."""
    judge = Judge.judge

    def careless(self: Judge, snapshot: Snapshot, channel: str) -> Verdicts:
        return Verdicts((), 0, 0, None, judge(self, snapshot, channel).truths)

    async with mailing(clean_store_url, tmp_path, "kim") as (tact, decision_id):
        await tact.happened("kim", "ticket.opened", NOW_MS - 5000, ticket="t2")
        monkeypatch.setattr(Judge, "judge", careless)
        assert codes(await again(tact, decision_id)) == [ReasonCode.CHECK_FAILED]
    assert "no-upsell-while-a-ticket-is-open" in caplog.text
    assert "kim" not in caplog.text
