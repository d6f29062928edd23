"""RightsService end to end: real gRPC and a real store; what a person is told, and how they are forgotten."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from models.states import packed
from service.core.decision import Commit, Committed
from service.core.engine import Engine
from service.core.records import ConsentRecord
from service.decide import Decider
from service.errors import StoreError
from service.rpc.client import Answer, Ask, CallFailed, Event, Outcome, TactClient
from service.rpc.plain import Plain
from service.store import keys
from service.store.store import Store
from service.store.suppression import Suppression
from tests.rpc.world import NO_KEY, NOW_MS, Alone, Untouched, edge_of, serving, store_at, strategy

DAY_MS = 86_400_000
KEYED = Suppression(b"a key of the tests, long enough to be one")
WEB = ("greeting", "hero")


@dataclass(frozen=True, slots=True)
class World:
    """A client of a real service, and the store behind it."""

    client: TactClient
    store: Store


@asynccontextmanager
async def world(url: str, suppression: Suppression = KEYED) -> AsyncIterator[World]:
    """Serve decisions and rights over a real store."""
    async with store_at(url, suppression) as store:
        decider = Decider(Engine(strategy(), None), store.customers, os.urandom, lambda: NOW_MS)
        async with serving(edge_of(decider, store)) as target, TactClient(target) as client:
            yield World(client, store)


async def everything(client: TactClient, customer: str) -> dict[str, list[Answer]]:
    """Return an export, by the kinds of its items."""
    found: dict[str, list[Answer]] = {}
    async for kind, item in client.rights.export(customer):
        found.setdefault(kind, []).append(item)
    return found


async def live(client: TactClient, customer: str) -> Answer:
    """Let a customer agree, open a ticket, be decided for and accept; return the decision."""
    await client.set_consent(customer, "full", ("email",), given_at=NOW_MS - DAY_MS, source="web form")
    bought: dict[str, Plain] = {"amount": 12.5, "product": "phone x"}
    events = [
        Event("1", customer, "ticket.opened", NOW_MS - 3 * DAY_MS, {"ticket": "t-77"}),
        Event("2", customer, "ticket.closed", NOW_MS - 2 * DAY_MS, {"ticket": "t-77"}),
        Event("3", customer, "purchase", NOW_MS - DAY_MS, bought),
    ]
    assert {result["status"] for result in (await client.record_events(events))["results"]} == {"stored"}
    answer = await client.decide(Ask(customer, "web", WEB, {"present.sentiment": 0.5}, idempotency_key="k"))
    said = next(filter(None, (one.get("greeting") or one.get("offer") for one in answer["answers"])))
    action = said["action_id"]
    await client.record_outcomes([Outcome(answer["decision_id"], action, "clicked", amount=1.5)])
    return answer


async def test_a_person_is_told_everything_whatever_they_consent_to(clean_store_url: str) -> None:
    """After a withdrawal nothing is used any more, and all of it is still told: with value, source, times and state."""
    async with world(clean_store_url) as at:
        decision = await live(at.client, "anna")
        await at.client.set_consent("anna", "none", (), given_at=NOW_MS - 1, source="letter")
        told = await everything(at.client, "anna")
    assert [consent["consent"]["source"] for consent in told["consent"]] == ["web form", "letter", "letter"]
    assert [consent["holds"] for consent in told["consent"]] == [False, False, True]
    fields = {field["field_id"]: field for field in told["field"]}
    tickets = fields["past.open_tickets"]
    assert (tickets["purpose"], tickets["value"], tickets["source"]) == ("service", 0, "events")
    assert '"t-77"' in tickets["kept_json"], "what was closed is still kept, and so it is told"
    assert fields["past.recent_products"]["value"] == ["phone x"]
    assert {field["purpose"] for field in told["field"]} == {"service", "personalization", "profiling"}
    assert told["decision"][0]["decision"] == {**decision, "request_id": ""}
    facts = {fact["field_id"]: fact["value"] for fact in told["decision"][0]["facts"]}
    assert (facts["present.sentiment"], facts["past.spend"]) == (0.5, 12.5)
    assert told["decision"][0]["choices"][0]["candidates"]
    outcome = told["outcome"][0]["outcome"]
    assert (outcome["decision_id"], outcome["kind"], outcome["amount"]) == (decision["decision_id"], "clicked", 1.5)
    assert told["identity"] == [
        {"customer_id": "anna", "canonical": True, "remembered_event_ids": 3, "predictions_due": False}
    ]
    assert told["end"][0]["items"] == sum(len(items) for kind, items in told.items() if kind != "end")


async def test_of_somebody_unknown_there_is_nothing_to_tell(clean_store_url: str) -> None:
    """An export of an id that nobody has heard of is complete, and empty, and leaves no trace."""
    async with world(clean_store_url) as at:
        told = await everything(at.client, "nobody")
    assert set(told) == {"identity", "end"}
    with Redis.from_url(clean_store_url) as raw:
        assert raw.keys() == []


async def test_fields_and_decisions_of_another_strategy_are_told_as_well(clean_store_url: str) -> None:
    """What the strategy no longer knows belongs to the person all the same: by its key, its place, and its values."""
    async with world(clean_store_url) as at:
        await live(at.client, "anna")
        with Redis.from_url(clean_store_url) as raw:
            log = keys.log_key(keys.bucket("anna"))
            ((_, logged),) = raw.xrange(log)
            raw.xadd(log, {**logged, b"e": logged[b"e"].replace(strategy().version.encode(), b"older@3f9a0c11d2e4")})
            raw.hset(keys.context_key("anna"), "s", packed({0x7000: [NOW_MS, "lost"]}))
        told = await everything(at.client, "anna")
    lost = next(field for field in told["field"] if field["purpose"] == "service")
    assert (lost["field_id"], lost["source"], lost["field_key"]) == ("", "unspecified", 0x7000)
    assert "lost" in lost["kept_json"]
    assert "value" not in lost
    older = told["decision"][1]
    assert older["decision"]["versions"]["strategy"] == "older@3f9a0c11d2e4"
    assert {fact["field_id"] for fact in older["facts"]} == {""}
    assert [fact["value"] for fact in older["facts"]] == [fact["value"] for fact in told["decision"][0]["facts"]]


async def test_who_was_erased_is_decided_for_safely_and_nothing_is_written(clean_store_url: str) -> None:
    """The answer is the safe greeting with its reason, it has no decision id, and the export tells since when."""
    async with world(clean_store_url) as at:
        decision = await live(at.client, "anna")
        erased = await at.client.rights.erase("anna")
        assert (erased["fields"], erased["decisions"], erased["outcomes"]) == (len(erased_fields()), 1, 1)
        for key in ("k", "another", ""):
            answer = await at.client.decide(Ask("anna", "web", WEB, idempotency_key=key))
            assert answer["decision_id"] == ""
            assert [reason["code"] for reason in answer["degraded_reasons"]] == ["customer_erased"]
            assert "greeting" in answer["answers"][0]
        result = await at.client.record_events(
            [Event("9", "anna", "purchase", NOW_MS, {"amount": 1.0, "product": "x"})]
        )
        assert result["results"][0]["status"] == "refused"
        assert result["results"][0]["violations"][0]["field"] == "customer_id"
        with pytest.raises(CallFailed, match="FAILED_PRECONDITION: The customer was erased"):
            await at.client.set_consent("anna", "full", given_at="2020-01-01T00:00:00Z")
        told = await everything(at.client, "anna")
        assert told["identity"][0]["erased_at"] == erased["erased_at"]
        assert set(told) == {"identity", "end"}
    with Redis.from_url(clean_store_url) as raw:
        assert not [key for key in raw.scan_iter() if b"anna" in key or decision["decision_id"].encode() in key]


class ErasedBetween:
    """A decision store in which everybody is erased between the read and the commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.decision_id = store.customers.decision_id
        self.read = store.customers.read

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Erase the customer, then try to commit."""
        await self._store.rights.erase(commit.customer)
        return await self._store.customers.commit(commit, deadline_s)


async def test_a_decision_that_an_erasure_overtakes_says_nothing_of_the_person(clean_store_url: str) -> None:
    """What was read before the erasure is not used after it: the answer is the safe one, and nothing is logged."""
    async with store_at(clean_store_url, KEYED) as store:
        await store.consents.set_consent("anna", ConsentRecord("full", (), NOW_MS, ""), 5.0)
        decider = Decider(Engine(strategy(), None), ErasedBetween(store), os.urandom, lambda: NOW_MS)
        async with serving(edge_of(decider, store)) as target, TactClient(target) as client:
            answer = await client.decide(Ask("anna", "web", WEB))
    assert (answer["decision_id"], answer["degraded"]) == ("", True)
    assert [reason["code"] for reason in answer["degraded_reasons"]] == ["customer_erased"]
    with Redis.from_url(clean_store_url) as raw:
        assert set(raw.scan_iter()) == {keys.suppression_key(keys.bucket("anna")), keys.erasure_key()}


def erased_fields() -> list[str]:
    """Return the fields that `live` gives a value."""
    events = {"ticket.opened", "ticket.closed", "purchase"}
    folds = [field.fold for field in strategy().schema.fields if field.fold is not None]
    return [fold.event for fold in folds if fold.event in events and not fold.where and fold.attribute != "paid_at"]


async def test_without_a_key_the_refusal_says_what_to_do(clean_store_url: str) -> None:
    """An erasure that would not hold is refused with the setting that is missing."""
    async with world(clean_store_url, NO_KEY) as at:
        await live(at.client, "anna")
        with pytest.raises(CallFailed, match=r"FAILED_PRECONDITION: .*--erasure-key-file"):
            await at.client.rights.erase("anna")
        assert (await everything(at.client, "anna"))["decision"]


@pytest.mark.parametrize("customer", ["", " ", "x" * 129, "a\x00b", "\u202eanna"])
async def test_a_bad_id_is_refused_by_its_path(customer: str) -> None:
    """Neither call touches the store for an id that cannot be one."""
    async with serving(edge_of(stores=Alone(Untouched()))) as target, TactClient(target) as client:
        for call in (everything(client, customer), client.rights.erase(customer)):
            with pytest.raises(CallFailed) as refused:
                await call
            assert (refused.value.code, refused.value.violations[0].field) == ("INVALID_ARGUMENT", "customer_id")


class Gone:
    """A store that is away."""

    async def person(self, customer: str, deadline_s: float | None) -> None:
        """Fail."""
        raise StoreError("it is away")

    erase = person

    async def erased(self, customers: object, deadline_s: float | None) -> None:
        """Fail."""
        raise StoreError("it is away")


async def test_a_store_that_is_away_is_unavailable() -> None:
    """Neither call pretends that nothing is kept when the store cannot be read."""
    async with serving(edge_of(stores=Alone(Gone()))) as target, TactClient(target) as client:
        for call in (everything(client, "anna"), client.rights.erase("anna")):
            with pytest.raises(CallFailed, match="UNAVAILABLE: The store"):
                await call


async def test_an_export_without_its_end_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that ends before the service has said that this is all is an error."""

    async def cut(*given: object) -> AsyncIterator[object]:
        return
        yield

    monkeypatch.setattr("service.rpc.rights.Rights.export_customer", cut)
    async with serving(edge_of()) as target, TactClient(target) as client:
        with pytest.raises(CallFailed, match="begin again"):
            await everything(client, "anna")


async def test_a_rewrite_is_started_where_it_is_asked_for(clean_store_url: str, tmp_path: Path) -> None:
    """The store begins to write its append-only file anew only when the caller wants it."""
    async with world(clean_store_url) as at:
        assert not (await at.client.rights.erase("anna"))["rewrite_started"]
        assert (await at.client.rights.erase("anna", rewrite=True))["rewrite_started"]
