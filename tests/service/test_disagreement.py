"""Where the independent check disagrees with the judgement nothing is said, and both verdicts are told to operators."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from service.core.decision import ReasonCode
from service.core.engine import Engine
from service.core.judge import Judge
from service.core.plan import Objection
from service.decide import Decider, NoBook, Patience
from service.telemetry import Counts
from service.validate import Validator
from tests.service.test_decide import logged
from tests.service.world import NOW_MS, World, ask, no_exploration, world

DEADLINE_S = 10.0
RULE = "no-upsell-while-a-ticket-is-open"


def forgetful(tact: World) -> Engine:
    """Return an engine whose judgement lost the rule about tickets; its check has it."""
    engine = Engine(tact.engine.strategy, None)
    kept = tuple(rule for rule in tact.engine.strategy.guardrails if rule.id != RULE)
    engine._judge = Judge(replace(tact.engine.strategy, guardrails=kept))
    return engine


def decider(tact: World, engine: Engine, counts: Counts) -> Decider:
    """Return a decider with counts of its own."""
    return Decider(engine, tact.store.customers, no_exploration, lambda: NOW_MS, Patience(most_s=5.0), counts=counts)


async def test_a_rule_that_the_judgement_lost_sells_nothing_and_raises_the_alarm(
    clean_store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over an open ticket the answer is a suppression; metric, service log and decision log tell what each side said,
    and nobody's name.
    """
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("dora")
        await tact.happened("dora", "ticket.opened", NOW_MS - 5000, ticket="t2")
        counts = Counts()
        with caplog.at_level(logging.CRITICAL):
            decision = await decider(tact, forgetful(tact), counts).decide(ask("dora"), DEADLINE_S)
        (answer,) = decision.answers
        assert (answer.action, [reason.code for reason in answer.reasons]) == ("", [ReasonCode.CHECK_FAILED])
        (entry,) = logged(clean_store_url, "dora")
        assert entry.placements[0].candidates == ()
        assert entry.takes == ()
        assert entry.objections
        for one in entry.objections:
            assert one == Objection("hero", one.action, RULE, allowed=True, truth=False)
        assert counts.told()["check.disagreed"] == {RULE: len(entry.objections)}
        assert counts.told()["decisions"] == {"suppressed": 1}
        for one, record in zip(entry.objections, caplog.records, strict=True):
            said = record.getMessage()
            assert f"over rule {RULE} in decision {decision.decision_id} at hero" in said
            assert f"it forbids {one.action}, which the judgement allowed, to which that rule does not hold" in said
            assert "dora" not in said
        known = await tact.store.customers.context("dora", 5.0)
        assert known.counters == {}, "what was not said is not counted"


async def test_where_both_agree_there_is_no_alarm(
    clean_store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A decision of a sound engine counts as said or suppressed, and if nothing is trained as one without a model."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("enid")
        counts = Counts()
        with caplog.at_level(logging.CRITICAL):
            await decider(tact, tact.engine, counts).decide(ask("enid"), DEADLINE_S)
            await tact.happened("enid", "ticket.opened", NOW_MS - 5000, ticket="t2")
            await decider(tact, tact.engine, counts).decide(ask("enid"), DEADLINE_S)
        told = {name: told for name, told in counts.told().items() if told}
        assert told == {"decisions": {"said": 2}, "degraded": {"no_model": 2}, "rungs": {"rules_and_priors": 2}}
        assert not caplog.records
        assert all(entry.objections == () for entry in logged(clean_store_url, "enid"))


async def test_a_queued_message_over_which_they_disagree_is_held_back_and_counted(
    clean_store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was decided before a ticket was opened must not go out, though the judgement lost the rule; that counts."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.seller("fay")
        decision = await decider(tact, tact.engine, Counts()).decide(ask("fay", "email", "body"), DEADLINE_S)
        assert decision.answers[0].kind == "offer"
        await tact.happened("fay", "ticket.opened", NOW_MS - 5000, ticket="t2")
        counts, engine, store = Counts(), forgetful(tact), tact.store
        validator = Validator(lambda: engine, store.issued, store.customers, store.supply, NoBook(), counts)
        with caplog.at_level(logging.CRITICAL):
            validity = await validator.validate(decision.decision_id, NOW_MS, DEADLINE_S)
        assert [reason.code for reason in validity.placements[0].reasons] == [ReasonCode.CHECK_FAILED]
        assert counts.told()["check.disagreed"] == {RULE: 1}
        assert RULE in caplog.text


async def test_what_binds_at_commit_is_counted_by_its_cap(clean_store_url: str, tmp_path: Path) -> None:
    """Of two decisions made from one look at the customer the second does not fit; its cap is counted, by its id."""
    caps = "caps:\n  - {id: one-offer, says: One offer a week., count: {kinds: [offer]}, at_most: 1, within: 7d}\n"
    async with world(clean_store_url, tmp_path, caps=caps) as tact:
        await tact.seller("gus")
        counts = Counts()
        known = await tact.store.customers.context("gus", 5.0)
        await decider(tact, tact.engine, counts).decide(ask("gus"), DEADLINE_S)

        class Stale:
            """Gives out what was read before the first decision, and commits for real."""

            decision_id = staticmethod(tact.store.customers.decision_id)
            commit = staticmethod(tact.store.customers.commit)

            async def read(self, *asked: object) -> object:
                return known

        stale = Decider(tact.engine, Stale(), no_exploration, lambda: NOW_MS, Patience(most_s=5.0), counts=counts)  # type: ignore[arg-type]  # a double of a store
        answer = (await stale.decide(ask("gus"), DEADLINE_S)).answers[0]
        assert answer.kind != "offer"
        assert set(counts.told()["caps.bound"]) == {"one-offer"}
