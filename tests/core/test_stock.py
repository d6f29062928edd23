"""What is left decides who is offered what consumes it: unknown is none, short is for some, and both checks agree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.context import Scalar
from service.core import plan
from service.core.decision import Decision, Known, Reason, ReasonCode, Request, Take
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.stock import Stock, Stocks
from service.core.stockroom import UNGRANTED, among
from tests.core.committing import committed
from tests.service.shop import edited, write_shop

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
NORTH, SOUTH, GIFTS = ("phone", "north"), ("phone", "south"), ("gift", "hq")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Return an engine of the shop, which is throttled below 50 phones."""
    actions = edited("actions", "units: 1, hold: 10m", "units: 1, hold: 10m, throttle_below: 50")
    return Engine(load_strategy(write_shop(tmp_path_factory.mktemp("shop"), actions=actions)), None)


def stock(free: int, observed_ms: int = NOW_MS - 1_000, expires_ms: int = NOW_MS + HOUR_MS) -> Stock:
    """Return what is free, counted a second ago and for an hour."""
    return Stock(free, observed_ms, expires_ms)


def request(engine: Engine, place: str | None, customer: str = "ada") -> Request:
    """Ask for the hero of somebody who looks at a place."""
    index = engine.strategy.schema.index["present.place"]
    context: dict[int, Scalar] = {} if place is None else {index: place}
    return Request(customer, "web", ("hero",), context, explain=True)


def decided(engine: Engine, asked: Request, stocks: Stocks) -> tuple[Decision, plan.Entry]:
    """Decide without a store, as if every unit were granted."""
    known = Known(NOW_MS, None, (), {}, {})
    snapshot = engine.see(known, asked, stocks)
    judged = engine.judge(snapshot, known, asked)
    scores = engine.score(snapshot, judged, asked)
    entry = engine.arbitrate("0" * 26, asked, snapshot, judged, scores, (0.9,))
    checked = engine.check(entry, snapshot)
    assert checked.objections == ()
    explained = engine.explain(snapshot, judged, scores, asked)
    return engine.answer(committed(engine.commit(checked.entry, asked)), checked.entry, explained), checked.entry


def vetoes(decision: Decision, action: str) -> list[Reason]:
    """Return everything that forbids an action."""
    assert decision.explanation is not None
    return [reason for fate in decision.explanation.fates if fate.action == action for reason in fate.vetoes]


@pytest.mark.parametrize(
    ("stocks", "why"),
    [
        ({}, "nothing was read"),
        ({NORTH: None}, "nothing was reported"),
        ({SOUTH: stock(100)}, "it is there, but elsewhere"),
        ({NORTH: stock(0)}, "none is left"),
        ({NORTH: stock(100, expires_ms=NOW_MS)}, "the report has ended"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_there_is_not_offered(engine: Engine, stocks: Stocks, why: str) -> None:
    """An action that consumes what is not known to be there is out of stock, whatever the reason."""
    decision, _ = decided(engine, request(engine, "north"), stocks)
    assert decision.answers[0].action == "hello", why
    (reason,) = vetoes(decision, "phone")
    assert (reason.code, reason.fields) == (ReasonCode.OUT_OF_STOCK, ("present.left",))


def test_what_is_there_is_offered_and_taken(engine: Engine) -> None:
    """With enough of it the offer is made, and the log entry says what it takes."""
    decision, entry = decided(engine, request(engine, "north"), {NORTH: stock(50)})
    assert decision.answers[0].action == "phone"
    assert entry.takes == (Take("phone", "phone", "north", 1, 600_000),)
    assert plan.unpack(plan.pack(entry)).takes == entry.takes


def test_a_place_that_is_not_known_has_nothing(engine: Engine) -> None:
    """Where the customer does not say where they look, nothing can be there."""
    decision, entry = decided(engine, request(engine, None), {NORTH: stock(50), ("phone", ""): stock(50)})
    assert [reason.code for reason in vetoes(decision, "phone")] == [ReasonCode.OUT_OF_STOCK]
    assert entry.takes == ()


def test_too_few_units_are_none(engine: Engine) -> None:
    """Who needs two units is not helped by one."""
    for free, codes in ((1, [ReasonCode.OUT_OF_STOCK]), (2, [])):
        decision, _ = decided(engine, request(engine, "north"), {GIFTS: stock(free)})
        assert [reason.code for reason in vetoes(decision, "gift")] == codes


def test_an_old_count_is_unknown(engine: Engine) -> None:
    """A count that is older than the field allows is as good as none, though the report still holds."""
    for age_ms, codes in ((HOUR_MS, []), (HOUR_MS + 1, [ReasonCode.OUT_OF_STOCK])):
        decision, _ = decided(engine, request(engine, "north"), {GIFTS: stock(9, observed_ms=NOW_MS - age_ms)})
        assert [reason.code for reason in vetoes(decision, "gift")] == codes


def test_the_explanation_tells_what_was_left_and_how_old_that_is(engine: Engine) -> None:
    """The fields of the supply are among those that were seen, with the age of the count."""
    decision, entry = decided(engine, request(engine, "north"), {NORTH: stock(70, observed_ms=NOW_MS - 90_000)})
    assert decision.explanation is not None
    seen = {field.field: (field.value, field.age_ms) for field in decision.explanation.fields}
    assert seen["present.left"] == (70, 90_000)
    assert seen["present.gifts"] == (None, None)
    assert entry.values[engine.strategy.schema.index["present.left"]] == 70


def test_what_is_short_is_for_some_customers_always_the_same(engine: Engine) -> None:
    """With 20 left of 50, two customers in five are offered it; with 5, one in ten, all of them among the former."""
    customers = [f"customer-{n}" for n in range(1_000)]

    def offered(free: int) -> set[str]:
        found = set()
        for customer in customers:
            decision, _ = decided(engine, request(engine, "north", customer), {NORTH: stock(free)})
            codes = [reason.code for reason in vetoes(decision, "phone")]
            assert codes in ([], [ReasonCode.SHORT_SUPPLY])
            found |= set() if codes else {customer}
        return found

    few, some = offered(5), offered(20)
    assert 60 < len(few) < 140
    assert 340 < len(some) < 460
    assert few < some
    assert offered(20) == some
    assert len(offered(50)) == len(customers)


def test_other_places_throttle_other_customers() -> None:
    """Who is left out at one place is not left out everywhere."""
    left_out = [{n for n in range(200) if not among(0.5, f"c{n}", shelf)} for shelf in (NORTH, SOUTH)]
    assert left_out[0] != left_out[1]


@given(share=st.floats(0, 1), less=st.floats(0, 1), customer=st.text(max_size=9))
def test_who_gets_the_rest_got_some_before(share: float, less: float, customer: str) -> None:
    """Whoever is among a share is among every larger one; of nothing nobody gets any."""
    assert among(share * less, customer, NORTH) <= among(share, customer, NORTH)
    assert not among(0.0, customer, NORTH)


def test_the_second_check_knows_the_stock(engine: Engine) -> None:
    """When the compiled judgement lets pass what is not there, the independent check objects, with its own reading."""
    known, asked = Known(NOW_MS, None, (), {}, {}), request(engine, "north")
    full = engine.see(known, asked, {NORTH: stock(60)})
    judged = engine.judge(full, known, asked)
    entry = engine.arbitrate("0" * 26, asked, full, judged, engine.score(full, judged, asked), (0.9,))
    for empty in ({}, {NORTH: stock(0)}):
        checked = engine.check(entry, engine.see(known, asked, empty))
        assert checked.objections == ("stock",)
        suppression = checked.entry.placements[0].suppression
        assert suppression is not None
        assert suppression.reasons[0].code is ReasonCode.CHECK_FAILED


def test_what_was_not_granted_is_out_of_stock_until_nobody_knows_when(engine: Engine) -> None:
    """When all that could be said was not granted, the answer says so, and names no moment at which that ends."""
    _, entry = decided(engine, request(engine, "north"), {NORTH: stock(60)})
    answer = engine.answer(committed(engine.commit(entry, request(engine, "north")), bound=UNGRANTED), entry).answers[0]
    assert (answer.action, answer.held_back, answer.until_ms) == ("", "phone", None)
    assert [reason.code for reason in answer.reasons] == [ReasonCode.OUT_OF_STOCK]


def test_without_consent_to_service_nothing_is_known_of_the_supply(tmp_path: Path) -> None:
    """The fields of the supply have a purpose like all others: without it they are unknown."""
    consent = "consent:\n  - {id: none, says: Nothing., purposes: []}\n"
    engine = Engine(load_strategy(write_shop(tmp_path, consent=consent)), None)
    asked = request(engine, "north")
    snapshot = engine.see(Known(NOW_MS, None, (), {}, {}), asked, {NORTH: stock(60)})
    assert snapshot.values[engine.strategy.schema.index["present.left"]] is None
    assert engine.unlisted(snapshot, {}) == ()


def test_what_the_book_does_not_list_is_named(engine: Engine) -> None:
    """Items and places that a snapshot needs and nobody has read are named once, the unreported ones not again."""
    known = Known(NOW_MS, None, (), {}, {})
    snapshot = engine.see(known, request(engine, "north"), {})
    assert engine.unlisted(snapshot, {}) == (NORTH, GIFTS)
    assert engine.unlisted(snapshot, {NORTH: None}) == (GIFTS,)
    assert engine.unlisted(engine.see(known, request(engine, None), {}), {GIFTS: stock(1)}) == ()
