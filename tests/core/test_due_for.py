"""What a trigger made due is about what the trigger is for; everything that forbids forbids it all the same."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from service.core.again import again
from service.core.arbitrate import NO_EXPLORATION
from service.core.customer_words import CUSTOMERS
from service.core.decision import Known, ReasonCode, Request
from service.core.due_for import NOT_DUE, DueFor
from service.core.engine import Engine
from service.core.plan import SEEN_NOTHING, Entry, pack, unpack
from service.core.selection import bits
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from tests.core.telling_triggers import triggered

NOW_MS = 1_796_083_200_000


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return the small strategy with triggers."""
    return triggered(tmp_path_factory.mktemp("triggered"))


@pytest.fixture(scope="module")
def engine(strategy: Strategy) -> Engine:
    """Return what decides by its priors."""
    return Engine(strategy, None)


def decided(engine: Engine, trigger: str, open_tickets: int = 0, channel: str = "email") -> Entry:
    """Return the plan of a decision for somebody who agreed to everything and permits e-mail."""
    strategy = engine.strategy
    values = [None] * len(strategy.schema.fields)
    values[strategy.schema.index["past.open_tickets"]] = open_tickets  # type: ignore[call-overload]  # a fact
    snapshot = Snapshot(tuple(values), {}, NOW_MS, strategy.levels[-1], permitted=True)
    placements = {one.id: one.placements for one in strategy.channels}[channel]
    request = Request("anna", channel, placements, {}, trigger=trigger)
    known = Known(NOW_MS, "full", (channel,), {}, {})
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    entry = engine.arbitrate("d" * 26, request, snapshot, judged, scores, (NO_EXPLORATION,) * len(placements))
    return engine.check(entry, snapshot, judged.verdicts.vetoes).entry


def said(entry: Entry) -> list[str]:
    """Return the candidates of the last placement."""
    return [one.action for one in entry.placements[-1].candidates]


def test_only_what_it_is_for_is_said(engine: Engine) -> None:
    """Who asks gets the best there is; what is due is about what became due, though it is worth less."""
    assert said(decided(engine, "")) == ["fibre-upgrade", "new-phone"]
    assert said(decided(engine, "before-it-is-paid")) == ["fibre-upgrade"]
    assert said(decided(engine, "ticket-closed", open_tickets=1)) == ["ticket-status"]


def test_what_forbids_forbids_what_is_due_and_is_the_reason(engine: Engine) -> None:
    """A guardrail holds an offer back that is due, and is told before what was not meant."""
    suppressed = decided(engine, "before-it-is-paid", open_tickets=1).placements[-1].suppression
    assert suppressed is not None
    codes = [reason.code for reason in suppressed.reasons]
    assert codes[0] is ReasonCode.GUARDRAIL
    assert suppressed.held_back == "fibre-upgrade"


def test_what_no_trigger_of_the_strategy_made_due_says_nothing(engine: Engine) -> None:
    """An unknown trigger is for nothing, so nobody hears of anything by mistake."""
    entry = decided(engine, "unheard-of")
    assert all(not placed.candidates for placed in entry.placements)


def test_the_others_are_held_back_for_that_reason(strategy: Strategy) -> None:
    """A trigger is for its selection on its channel; the veto is over all others."""
    other = DueFor(strategy).other("bought-thrice")
    held = {strategy.actions[index].id for index in bits(other.mask)}
    assert held == {"greet", "greet-gold", "ticket-status", "apology"}
    assert other.reason is NOT_DUE


def test_what_was_due_is_logged_and_made_again_to_the_byte(engine: Engine) -> None:
    """The log says which trigger it was, and by that the decision comes out the same; without it, it would not."""
    entry = unpack(pack(decided(engine, "before-it-is-paid")))
    assert entry.seen is not None
    assert entry.seen.trigger == "before-it-is-paid"
    assert pack(again(engine, entry).entry) == pack(entry)
    forgotten = replace(entry, seen=replace(entry.seen, trigger=""))
    assert pack(again(engine, forgotten).entry) != pack(forgotten)


def test_who_asks_is_logged_as_before(engine: Engine) -> None:
    """A decision that somebody asked for tells of no trigger."""
    assert decided(engine, "").seen is SEEN_NOTHING


def test_one_key_is_not_used_for_two_triggers(engine: Engine) -> None:
    """Under one idempotency key another trigger is another request; without one the digest is what it was."""
    plain = Request("anna", "email", ("body",), {}, idempotency_key="k")
    asked = [replace(plain, trigger=name) for name in ("", "ticket-closed", "before-it-is-paid")]
    assert len({engine.digest(one) for one in asked}) == 3
    assert engine.digest(plain).hex() == "08c03635d91d43e6"  # as it was before there were triggers


def test_a_customer_is_told_nothing_of_triggers() -> None:
    """What is not due has words for customers, too, which name no rule."""
    assert CUSTOMERS[ReasonCode.NOT_DUE] == "It was time for something else."
