"""What a person may ask of the store: all that is kept is told, and when it is erased nothing is left or comes back."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace
from redis import Redis

from models.states import packed, unpacked
from service.core.decision import Counter, Take
from service.core.memory import Contact, Give, Promised, Refusal
from service.core.records import ConsentRecord, EventFate, OutcomeRecord, OutcomeStatus
from service.core.rights import KeptReservation
from service.core.supplies import SupplyReport
from service.errors import CustomerErased, ErasureKeyMissing
from service.store import keys, rights
from service.store.remembered import mark_of
from service.store.settings import StoreRefused
from service.store.suppression import Suppression
from tests.service.shop import now_ms
from tests.store.everything import values_of
from tests.store.persons import KEY, NOW_MS, a_commit, fill, mentions, noted, opened


def his(url: str) -> dict[bytes, list[bytes]]:
    """Return all that stands in the store about Bob."""
    with Redis.from_url(url) as raw:
        return {key: list(values_of(raw, key)) for key in mentions(url, "bob")}


async def test_all_that_is_kept_is_told(clean_store_url: str) -> None:
    """Consent and its changes, fields of every purpose, uses of caps, event ids, decisions and outcomes."""
    async with opened(clean_store_url) as store:
        decision = await fill(store, "anna", "canary")
        await store.consents.set_consent("anna", ConsentRecord("none", (), 2 * NOW_MS, "letter"))
        kept = await store.rights.kept("anna")
        decisions = [one async for one in store.rights.decisions("anna", kept.log_end)]
        outcomes = [one async for one in store.rights.outcomes("anna", kept.out_end)]
    assert kept.consent is not None
    assert (kept.consent.level, kept.consent.source) == ("none", "letter")
    assert [change.source for change in kept.changes] == ["form canary", "phone canary", "letter"]
    assert set(kept.groups) == set("spf"), "withdrawing hides from use, not from the person"
    assert all(b"canary" in group for group in kept.groups.values())
    assert kept.counters == {"twice": (NOW_MS,)}
    assert (kept.event_ids, kept.erased_ms, dict(kept.remnants)) == (3, None, {})
    assert [one.entry and (one.entry.decision_id, one.entry.values) for one in decisions] == [
        (decision, ("seen canary",))
    ]
    assert decisions[0].committed is not None
    assert decisions[0].committed.chosen == (0,)
    assert [(one.decision_id, one.action, one.kind, one.at_ms, one.amount) for one in outcomes] == [
        (decision, "a", 3, NOW_MS, 9.5)
    ]


async def test_what_was_said_and_answered_is_told_and_erased(clean_store_url: str) -> None:
    """Refusals, promises, reserved contacts and the latest contact: all of it is in the export, and goes."""
    held = Counter("seen", 3, 1_000, hold_ms=60_000, on=1)
    async with opened(clean_store_url) as store:
        refused = a_commit("anna", "refused")
        kept_promise = Give("b", "story|g:care", NOW_MS + 1_000, b"facts")
        said = replace(a_commit("anna", "said"), candidates=((("b", (held,)),),), gives=(kept_promise,), channel="desk")
        for one in (refused, said):
            await store.customers.commit(one)
        await store.memory.remember("anna", refused.decision_id, "a", 4, NOW_MS, "care", ("service",), None)
        kept = await store.rights.kept("anna")
        erased = await store.rights.erase("anna")
        left = await store.rights.kept("anna")
    mark = bytes.fromhex(mark_of(refused.decision_id, "a"))
    assert kept.refusals == (Refusal("a", "care", ("service",), 4, NOW_MS, mark),)
    assert kept.promised == (Promised("story|g:care", "b", NOW_MS, NOW_MS + 1_000, said.decision_id, b"facts"),)
    waiting = KeptReservation("seen", NOW_MS, NOW_MS + 60_000, 1, bytes.fromhex(mark_of(said.decision_id, "b")))
    assert kept.reserved == (waiting,)
    assert kept.last == Contact("desk", NOW_MS, ("b",))
    assert (dict(kept.remnants), erased.remembered, left.remembered) == ({}, 4, 0)
    assert mentions(clean_store_url, "anna", said.decision_id, refused.decision_id) == []


async def test_a_memory_that_cannot_be_read_is_told_as_it_stands(clean_store_url: str) -> None:
    """What is remembered and cannot be read is shown as bytes, and erased like everything else."""
    async with opened(clean_store_url) as store:
        await store.customers.commit(a_commit("anna"))
        with Redis.from_url(clean_store_url) as raw:
            raw.hset(keys.context_key("anna"), mapping=dict.fromkeys("zvrh", b"\xc1canary"))
        kept = await store.rights.kept("anna")
        await store.rights.erase("anna")
    assert dict(kept.remnants) == dict.fromkeys("zvrh", b"\xc1canary")
    assert mentions(clean_store_url, "canary") == []


async def test_an_erasure_leaves_nothing_but_a_digest(clean_store_url: str) -> None:
    """No key and no value holds the id or anything that was written, and others keep all of theirs."""
    async with opened(clean_store_url) as store:
        decision = await fill(store, "anna", "canary")
        await fill(store, "bob", "his own")
        before = {
            key: list(values_of(Redis.from_url(clean_store_url), key)) for key in mentions(clean_store_url, "bob")
        }
        assert len(mentions(clean_store_url, "anna", "canary", decision)) == 8, "the check itself can fail"
        erased = await store.rights.erase("anna")
    assert mentions(clean_store_url, "anna", "canary", decision) == []
    assert his(clean_store_url) == before
    assert (erased.identities, erased.fields, erased.consents, erased.counters) == (("anna",), 3, 2, 1)
    assert (erased.event_ids, erased.decisions, erased.repeatable) == (3, 1, 1)
    assert (erased.outcomes, erased.outcome_records, erased.change_marks) == (1, 1, 1)
    digest = Suppression(KEY).digest("anna")
    with Redis.from_url(clean_store_url) as raw:
        assert raw.hgetall(keys.suppression_key(keys.bucket("anna"))) == {digest: b"%d" % erased.erased_ms}


async def test_erasing_again_changes_nothing(clean_store_url: str) -> None:
    """A repeated erasure finds nothing, keeps the moment, and works for somebody who was never known."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna", "canary")
        first = await store.rights.erase("anna")
        again = await store.rights.erase("anna")
        stranger = await store.rights.erase("nobody")
        kept = await store.rights.kept("anna")
    counted = {name: 0 for name in first.__struct_fields__ if name not in ("identities", "erased_ms")}
    assert again == replace(first, **counted)
    assert stranger == replace(again, identities=("nobody",), erased_ms=stranger.erased_ms)
    assert kept.erased_ms == first.erased_ms


async def test_what_was_erased_does_not_come_back(clean_store_url: str) -> None:
    """Events, decisions, outcomes and consents of before are refused, and later events until there is a consent."""
    async with opened(clean_store_url) as store:
        decision = await fill(store, "anna", "canary")
        erased = await store.rights.erase("anna")
        later = noted("canary later", at_ms=erased.erased_ms + 1)
        old_consent = ConsentRecord("full", (), erased.erased_ms, "canary")
        assert await store.events.fold("anna", [noted("canary"), later]) == (EventFate.ERASED, EventFate.ERASED)
        with pytest.raises(CustomerErased):
            await store.consents.set_consent("anna", old_consent)
        with pytest.raises(CustomerErased):
            await store.customers.commit(a_commit("anna", "new", "canary"))
        outcome = OutcomeRecord(decision, "a", 4, None, 0.0)
        assert await store.outcomes.record_outcome(outcome, 5.0) is OutcomeStatus.UNKNOWN_DECISION
        known = await store.customers.read("anna", decision)
    assert known.erased
    assert (known.level, known.groups, known.counters, known.decided) == (None, {}, {}, None)
    assert mentions(clean_store_url, "anna", "canary") == []


async def test_a_consent_that_was_dated_ahead_does_not_let_the_erased_in_again(clean_store_url: str) -> None:
    """The same call repeated later is refused for ever, under every id; one that is given later is a new one."""
    async with opened(clean_store_url) as store:
        ahead = ConsentRecord("full", (), now_ms() + 300, "replayed")
        await store.identities.link("visitor", "anna")
        for source in ("replayed", "replayed later"):
            await store.consents.set_consent("visitor", replace(ahead, source=source))
        await store.consents.set_consent("anna", ConsentRecord("full", (), 0, "meanwhile"))
        erased = await store.rights.erase("anna")
        assert erased.erased_ms == ahead.given_ms
        await asyncio.sleep(0.4)  # until the date has come, by which it would look like given since
        assert now_ms() > ahead.given_ms
        for one in ("anna", "visitor"):
            with pytest.raises(CustomerErased):
                await store.consents.set_consent(one, ahead)
        assert (await store.rights.erase("anna")).erased_ms == erased.erased_ms, "it stays the same moment"
        later = await store.consents.set_consent("anna", replace(ahead, given_ms=ahead.given_ms + 1))
        assert later.level == "full"


async def test_who_comes_back_at_once_is_taken_in_whatever_was_dated_ahead(clean_store_url: str) -> None:
    """A consent that is given now, without a moment of its own, is a new one also before that date has come."""
    async with opened(clean_store_url) as store:
        await store.consents.set_consent("anna", ConsentRecord("full", (), now_ms() + 200_000, "ahead"))
        await store.rights.erase("anna")
        agreed = await store.consents.set_consent("anna", ConsentRecord("full", (), 0, "new start"))
        assert agreed.source == "new start"
        assert (await store.rights.kept("anna")).remnants == {}


async def test_a_new_consent_lets_a_person_in_again(clean_store_url: str) -> None:
    """Who agrees to something after the erasure is known from then on, but nothing from before it."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna", "canary")
        erased = await store.rights.erase("anna")
        agreed = ConsentRecord("full", (), erased.erased_ms + 1, "new start")
        await store.consents.set_consent("anna", agreed)
        fates = await store.events.fold(
            "anna", [noted("canary", at_ms=erased.erased_ms), noted("new", at_ms=erased.erased_ms + 1)]
        )
        assert fates == (EventFate.ERASED, EventFate.STORED)
        known = await store.customers.context("anna")
        assert not known.erased
        with pytest.raises(CustomerErased):  # it was read before the erasure
            await store.customers.commit(a_commit("anna", "old", "canary", read_ms=erased.erased_ms))
        await store.customers.commit(a_commit("anna", "new", "new", read_ms=erased.erased_ms + 1))
        assert mentions(clean_store_url, "canary") == []
        second = await store.rights.erase("anna")
    assert second.erased_ms > erased.erased_ms
    assert (second.fields, second.decisions) == (1, 1)
    assert mentions(clean_store_url, "anna", "new start") == []


async def test_without_a_key_nobody_is_erased(clean_store_url: str) -> None:
    """An erasure that could not keep a person out is refused, and leaves everything."""
    async with opened(clean_store_url, None) as store:
        await fill(store, "anna", "canary")
        with pytest.raises(ErasureKeyMissing):
            await store.rights.erase("anna")
        assert (await store.rights.kept("anna")).event_ids == 3


async def test_another_key_is_noticed(clean_store_url: str) -> None:
    """A process with another key, or with none, must not serve a store from which somebody was erased."""
    async with opened(clean_store_url) as store:
        await store.rights.check_key()
        await store.rights.erase("anna")
        await store.rights.check_key()
    for key in (None, b"quite another key, also long enough"):
        async with opened(clean_store_url, key) as store:
            with pytest.raises(StoreRefused, match="erasure key"):
                await store.rights.check_key()
            with pytest.raises(ErasureKeyMissing):
                await store.rights.erase("bob")


async def test_all_identities_of_a_person_are_erased(clean_store_url: str) -> None:
    """Whichever id is named, the person and all linked ids go, with what was recorded under each and the links."""
    for named in ("anna", "visitor-1", "visitor-2"):
        with Redis.from_url(clean_store_url) as raw:
            raw.flushdb()
        async with opened(clean_store_url) as store:
            await fill(store, "anna", "canary")
            for alias in ("visitor-1", "visitor-2"):
                await fill(store, alias, f"canary {alias}")
                assert await store.identities.link(alias, "anna")
            erased = await store.rights.erase(named)
            assert all([(await store.customers.context(one)).erased for one in ("anna", "visitor-1", "visitor-2")])
        assert sorted(erased.identities) == ["anna", "visitor-1", "visitor-2"]
        assert (erased.links, erased.decisions, erased.outcomes, erased.event_ids) == (2, 3, 3, 9)
        assert mentions(clean_store_url, "anna", "visitor", "canary") == []


async def test_long_streams_are_looked_through_in_pages(clean_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many decisions a bucket has, all of the person are found and none of anybody else."""
    monkeypatch.setattr(rights, "PAGE", 7)
    other = next(name for n in range(9_999) if keys.bucket(name := f"c{n}") == keys.bucket("anna"))
    async with opened(clean_store_url) as store:
        for n in range(40):
            customer = "anna" if n % 3 else other
            commit = a_commit(customer, f"k{n}")
            await store.customers.commit(commit)
            await store.outcomes.record_outcome(OutcomeRecord(commit.decision_id, "a", 3, NOW_MS, 1.0), 5.0)
        kept = await store.rights.kept("anna")
        assert len([one async for one in store.rights.decisions("anna", kept.log_end)]) == 26
        assert len([one async for one in store.rights.outcomes("anna", kept.out_end)]) == 2
        erased = await store.rights.erase("anna")
        left = await store.rights.kept(other)
        assert len([one async for one in store.rights.decisions(other, left.log_end)]) == 14
    assert (erased.decisions, erased.repeatable, erased.outcomes) == (26, 26, 2)
    assert mentions(clean_store_url, "anna") == []


async def test_what_cannot_be_read_is_told_and_erased_as_well(clean_store_url: str) -> None:
    """Bytes that somebody else wrote stand in the export as they are, and do not stop an erasure."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna", "canary")
        with Redis.from_url(clean_store_url) as raw:
            raw.hset(keys.context_key("anna"), mapping={"s": b"\xc1canary", "k": b"\xc1", "zz": "canary", "c": b"\xc1"})
            raw.xadd(keys.log_key(keys.bucket("anna")), {"i": "anna", "e": b"\xc1canary"})
        kept = await store.rights.kept("anna")
        decisions = [one async for one in store.rights.decisions("anna", kept.log_end)]
        assert dict(kept.remnants) == {"s": b"\xc1canary", "k": b"\xc1", "zz": b"canary", "c": b"\xc1"}
        assert [one.raw for one in decisions if one.entry is None] == [b"\xc1canary"]
        await store.rights.erase("anna")
    assert mentions(clean_store_url, "anna", "canary") == []


async def test_what_a_decision_holds_is_given_back(clean_store_url: str) -> None:
    """Units that were held for somebody who is erased are free for others at once; what was accepted stays taken."""
    take = Take("a", "truck", "berlin", 2, 900_000)
    async with opened(clean_store_url) as store:
        await store.supply.report(SupplyReport("truck", "berlin", 5, NOW_MS, 4 * NOW_MS))
        held, accepted = (a_commit("anna", key, "seen", 2 * NOW_MS, take) for key in ("held", "accepted"))
        for commit in (held, accepted):
            assert (await store.supply.grant(take, commit.decision_id))[0]
            await store.customers.commit(commit)
        await store.supply.accept(take, accepted.decision_id, None)
        assert (await store.rights.erase("anna")).holds == 1
        stock = await store.supply.stock("truck", "berlin")
        assert stock is not None
        assert stock.free == 3
    assert mentions(clean_store_url, "anna") == []


async def test_one_state_that_cannot_be_read_hides_no_other(clean_store_url: str) -> None:
    """The group stands in the export as it is, beside those of its fields that can be read."""
    group = packed({1: [NOW_MS, "readable"], 2: [NOW_MS]}).replace(b"\x91\x00", b"\x91\x63")  # no fold has this tag
    async with opened(clean_store_url) as store:
        await fill(store, "anna", "any")
        with Redis.from_url(clean_store_url) as raw:
            raw.hset(keys.context_key("anna"), "s", group)
        kept = await store.rights.kept("anna")
    assert dict(kept.remnants) == {"s": group}
    assert unpacked(kept.groups["s"]) == {1: [NOW_MS, "readable"]}
