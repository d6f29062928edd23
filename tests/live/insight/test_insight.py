"""Journeys and insight of a service that runs: what happened, was said and came of it is told, to who may know it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.rpc.access.who import Role
from service.rpc.client import CallFailed, TactClient
from tests.edge.access.world import everybody, token_of
from tests.live.insight.world import came, decided, happened, now_ms, served, who

DAY_MS = 86_400_000
KINDS = ("event", "decision", "outcome", "consent")
HELPED = "no-selling-while-a-ticket-is-open"


def rows(answer: dict[str, Any], name: str, key: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a part of an answer by their name."""
    return {row[key]: row for row in answer[name]}


async def test_what_is_done_is_seen_at_once(clean_store_url: str) -> None:
    """Two customers, one with an open ticket: each number of the funnel, the rules, the outcomes and the data."""
    async with served(clean_store_url) as address, TactClient(address) as tact:
        for name in ("anna", "ben"):
            await tact.set_consent(name, "full", ("email",))
        await happened(tact, "anna", "ticket.opened", ticket="t1", topic="network")
        before = await tact.insight.now()
        assert (before["basis"]["decisions"], before["basis"]["complete"]) == (0, True)
        said = [await decided(tact, name) for name in ("anna", "ben", "anna")]
        decision, placed = said[0]
        await came(tact, decision, placed["greeting"], "shown")
        await came(tact, decision, placed["greeting"], "accepted")
        seen = await soon(tact, decisions=3, outcomes=2)
    basis = seen["basis"]
    assert (basis["judged"], basis["buckets"], basis["all_buckets"], basis["unreadable"]) == (3, 1024, 1024, 0)
    assert sum(step["decisions"] for step in seen["steps"]) == 3
    rule = rows(seen, "rules", "rule_id")[HELPED]
    assert (rule["kind"], rule["decisions"], sum(rule["decisions_by_step"])) == ("guardrail", 3, 3)
    greeted = rows(seen, "actions", "action_id")[placed["greeting"]]
    assert (greeted["considered"], greeted["shown"], greeted["accepted"]) == (3, 1, 1)
    assert greeted["eligible"] >= greeted["scored"] >= greeted["ranked"] >= greeted["won"] >= 2
    sold = rows(seen, "actions", "action_id")["fibre-upgrade"]
    assert {HELPED} <= {held["rule_id"] for held in sold["held_back"]}
    assert (sold["considered"], sold["eligible"], sold["won"]) == (3, 0, 0)
    (version,) = seen["versions"]
    assert (version["decisions"], version["in_force"]) == (3, True)
    tickets = rows(seen, "data", "field_id")["past.open_tickets"]
    assert (tickets["known"], tickets["unknown"]) == (2, 1)
    assert "mean" not in tickets, "of so few it would tell what somebody's value is"


async def soon(tact: TactClient, *, decisions: int, outcomes: int) -> dict[str, Any]:
    """Return insight once it has counted so much: an answer is given again within a second."""
    async with asyncio.timeout(10.0):
        while True:
            seen = await tact.insight.now()
            if (seen["basis"]["decisions"], seen["basis"]["outcomes"]) == (decisions, outcomes):
                return seen
            await asyncio.sleep(0.1)


async def test_a_journey_is_told_as_far_as_the_consent_of_now_allows(clean_store_url: str) -> None:
    """Events, decisions, outcomes and consents, the newest first; a withdrawal hides events, and says which types."""
    async with served(clean_store_url) as address, TactClient(address) as tact:
        await tact.set_consent("anna", "full", ("email",))
        await happened(tact, "anna", "ticket.opened", ticket="t1", topic="network")
        await happened(tact, "anna", "email.opened")
        decision, placed = await decided(tact, "anna")
        await came(tact, decision, placed["greeting"], "never")
        whole = await tact.journeys.of("anna")
        kinds = [next(kind for kind in KINDS if kind in one) for one in whole["entries"]]
        assert sorted(kinds) == ["consent", "decision", "event", "event", "outcome"]
        assert kinds[:2] == ["outcome", "decision"]
        outcome, made = whole["entries"][0], whole["entries"][1]["decision"]
        assert (outcome["moment_of_truth"], outcome["outcome"]["kind"]) == (True, "never")
        assert {one["placement"]: one["action_id"] for one in made["placements"]} == placed
        opened = next(one for one in whole["entries"] if one.get("event", {}).get("type") == "ticket.opened")
        assert HELPED in opened["guardrail_ids"]
        assert (opened["moment_of_truth"], opened["event"]["stage"], opened["event"]["data"]) == (
            True, "needing-help", "told",
        )  # fmt: skip
        paged, token = [], ""
        while True:
            page = await tact.journeys.of("anna", limit=2, page_token=token)
            paged += page["entries"]
            token = page["next_page_token"]
            if not token:
                break
        assert sorted(map(str, paged)) == sorted(map(str, whole["entries"]))
        await tact.set_consent("anna", "service")
        told = await tact.journeys.of("anna")
        types = [one["event"]["type"] for one in told["entries"] if "event" in one]
        assert types == ["ticket.opened"]
        assert "email.opened" in told["hidden_event_types"]
        await tact.set_consent("anna", "none")
        assert [one for one in (await tact.journeys.of("anna"))["entries"] if "event" in one] == []


async def test_what_was_said_because_of_what_is_hidden_is_not_told(clean_store_url: str) -> None:
    """Once the consent is withdrawn, neither the action nor its words, nor what came of it, give the ticket away."""
    async with served(clean_store_url) as address, TactClient(address) as tact:
        await tact.set_consent("anna", "full", ("email",))
        await happened(tact, "anna", "ticket.opened", ticket="t1", topic="network")
        decision, placed = await decided(tact, "anna")
        said = sorted(filter(None, placed.values()))
        assert said
        await came(tact, decision, said[0], "accepted")
        before = str(await tact.journeys.of("anna"))
        assert all(f"'{action}'" in before for action in said)
        assert "'hidden': True" not in before
        await tact.set_consent("anna", "none")
        for limit in (1, 50):  # an outcome is told before its decision is on the page, too
            told: list[dict[str, Any]] = []
            token = ""
            while True:
                page = await tact.journeys.of("anna", limit, token)
                told, token = told + page["entries"], page["next_page_token"]
                if not token:
                    break
            (outcome,) = (one["outcome"] for one in told if "outcome" in one)
            assert (outcome["hidden"], outcome["action_id"], outcome["amount"]) == (True, "", 0.0)
            (made,) = (one["decision"] for one in told if "decision" in one)
            where = [one for one in made["placements"] if placed[one["placement"]]]
            assert [(one["hidden"], one["action_id"], one["says"]) for one in where] == [(True, "", "")] * len(where)
            assert not any(action in str(told) for action in said)
        fresh, now_said = await decided(tact, "anna")
        entries = (await tact.journeys.of("anna"))["entries"]
        (made,) = (one["decision"] for one in entries if one.get("decision", {}).get("decision_id") == fresh)
        assert {one["placement"]: one["action_id"] for one in made["placements"]} == now_said


async def test_who_was_erased_is_counted_no_more(clean_store_url: str) -> None:
    """What was counted of them is forgotten in windows that were read before, too; the others are counted still."""
    async with served(clean_store_url, erasure_key=b"k" * 32) as address, TactClient(address) as tact:
        for name in ("anna", "anna", "ben"):
            await decided(tact, name)
        await soon(tact, decisions=3, outcomes=0)
        await tact.rights.erase("anna")
        seen = await soon(tact, decisions=1, outcomes=0)
        assert seen["basis"]["complete"]


async def test_customers_are_found_by_their_ids(clean_store_url: str) -> None:
    """By a whole id however short, by a beginning of 3 characters, through an alias; nobody twice, nobody erased."""
    async with served(clean_store_url) as address, TactClient(address) as tact:
        for name in ("an", "anna-1", "anna-2", "ben-1"):
            await tact.set_consent(name, "full")
        await happened(tact, "anna-session", "page.viewed", topic="tv", minutes=1.0)
        await tact.identities.link("anna-session", "anna-2")
        assert [one["customer_id"] for one in (await tact.journeys.search("an"))["customers"]] == ["an"]
        found = (await tact.journeys.search("anna"))["customers"]
        assert [(one["customer_id"], one["matched_id"]) for one in found] == [
            ("anna-1", "anna-1"), ("anna-2", "anna-2"),
        ]  # fmt: skip
        assert found[1]["linked_ids"] == ["anna-session"]
        (through,) = (await tact.journeys.search("anna-s"))["customers"]
        assert (through["customer_id"], through["matched_id"]) == ("anna-2", "anna-session")
        first = await tact.journeys.search("anna", limit=1)
        assert ([one["customer_id"] for one in first["customers"]], first["more"]) == (["anna-1"], True)
        for bad in ("", "a\nb"):
            with pytest.raises(CallFailed, match="query"):
                await tact.journeys.search(bad)


async def test_only_who_may_is_told(clean_store_url: str, tmp_path: Path) -> None:
    """Journeys for desks and privacy officers, insight for strategists; a caller with one customer gets neither."""
    callers = tmp_path / "callers.yaml"
    callers.write_text(everybody().partition("issuers:")[0])
    may = {
        "search": {Role.DESKTOP, Role.PRIVACY_OFFICER},
        "journey": {Role.DESKTOP, Role.PRIVACY_OFFICER},
        "strategy": {Role.DESKTOP, Role.STRATEGIST},
        "insight": {Role.STRATEGIST},
    }
    async with served(clean_store_url, callers) as address:
        for role in Role:
            token = tmp_path / role
            token.write_text(token_of(role))
            token.chmod(0o600)
            async with TactClient(address, secured=who(token)) as tact:
                calls = {
                    "search": tact.journeys.search("customer-1"),
                    "journey": tact.journeys.of("customer-1"),
                    "strategy": tact.insight.strategy(),
                    "insight": tact.insight.now(),
                }
                for name, call in calls.items():
                    if role in may[name]:
                        told = await call
                        if name == "strategy":
                            deep = role is Role.STRATEGIST
                            assert any(rule["condition"] for rule in told["rules"]) is deep
                            for part in ("fields", "at_most", "within_seconds", "factor"):
                                assert any(rule[part] for rule in told["rules"]) is deep, part
                            assert any(action["value"] for action in told["actions"]) is deep
                    else:
                        with pytest.raises(CallFailed) as refused:
                            await call
                        assert refused.value.code == "PERMISSION_DENIED", (role, name)


async def test_a_question_that_cannot_be_answered_is_refused_in_words(clean_store_url: str) -> None:
    """Windows that are too long or lie in the future, steps that there are not, limits and page tokens of others."""
    async with served(clean_store_url) as address, TactClient(address) as tact:
        bad = ((now_ms() + 60_000, 0, "since"), (now_ms() - 40 * DAY_MS, 0, "31 days"), (None, 7, "step"))
        for since, step, why in bad:
            with pytest.raises(CallFailed, match=why):
                await tact.insight.now(since, step)
        for limit, token, why in ((-1, "", "limit"), (201, "", "limit"), (0, "x", "page_token")):
            with pytest.raises(CallFailed, match=why):
                await tact.journeys.of("anna", limit, token)
        month = await tact.insight.now(now_ms() - 30 * DAY_MS, 5)
        assert len(month["steps"]) <= 200
        assert month["step_minutes"] == 360
