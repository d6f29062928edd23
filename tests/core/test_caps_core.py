"""Contact caps as the core reads them: what uses which counter, what binds and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clock import clock_fields
from models.context import ContextSchema, TimeZone
from service.core.caps import CapTable
from service.core.decision import ReasonCode, Request
from service.core.engine import Engine
from service.core.rules import Cap, Counts, Exemption, Kind, Per, Selector, Valid
from service.core.strategy import Action, Strategy
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.remembering import Person, said
from tests.core.test_promises import HOUR_MS, action, known, plan_of, strategy
from tests.core.worlds import CHANNELS, strategies

DAY_MS = 24 * HOUR_MS
HERO = ("web", "hero")
BOTH = (HERO, ("email", "body"))


def offers(*names: str, **changes: object) -> tuple[Action, ...]:
    """Return offers that are the dearer, the earlier they are named."""
    worth = range(len(names), 0, -1)
    made = enumerate(zip(names, worth, strict=True), 1)
    return tuple(action(i, name, *BOTH, kind=Kind.OFFER, value=10.0 * value, **changes) for i, (name, value) in made)


def keys(rules: Strategy, index: int, channel: str = "web", placement: str = "hero") -> list[str]:
    """Return the keys of what an action uses."""
    return [counter.key for counter in CapTable(rules).counters(channel, placement, index, NOW_MS)]


PARTS: dict[tuple[Per, ...], list[str]] = {
    (): ["cap"],
    (Per.ACTION,): ["cap|a:phone"],
    (Per.GROUP,): ["cap|g:phones"],
    (Per.INTENT,): ["cap|i:cross_sell", "cap|i:upsell"],
    (Per.GROUP, Per.INTENT): ["cap|g:phones|i:cross_sell", "cap|g:phones|i:upsell"],
    (Per.INTENT, Per.CHANNEL): ["cap|c:web|i:cross_sell", "cap|c:web|i:upsell"],
    (Per.PLACEMENT, Per.GROUP, Per.CHANNEL): ["cap|c:web|p:hero|g:phones"],
    (Per.ACTION, Per.GROUP): ["cap|a:phone"],
}


@pytest.mark.parametrize("per", PARTS, ids=lambda per: "+".join(per) or "customer")
def test_contacts_are_counted_for_what_the_cap_says(per: tuple[Per, ...]) -> None:
    """Each part has a counter of its own, and an action with several intents uses the counter of each."""
    (phone,) = offers("phone", group="phones", intents=("upsell", "cross_sell"))
    rules = strategy(phone, caps=(Cap("cap", "", Selector(ids=("phone",)), 1, HOUR_MS, per),))
    assert sorted(keys(rules, 1)) == PARTS[per]
    assert keys(rules, 0) == []


def test_what_has_no_intent_is_counted_all_the_same() -> None:
    """A cap for each intent that means actions without any counts them together, so that none is without limit."""
    rules = strategy(*offers("a", "b", intents=()), caps=(Cap("cap", "", Selector(), 1, HOUR_MS, (Per.INTENT,)),))
    assert keys(rules, 1) == keys(rules, 2) == ["cap|i:"]


@settings(max_examples=30, deadline=None)
@given(strategies())
def test_no_two_caps_share_a_counter(rules: Strategy) -> None:
    """Counters of different caps never have the same key, and every key begins with the id of its cap."""
    caps = tuple(replace(cap, id=f"cap-{'x' * i}", per=cap.per) for i, cap in enumerate(rules.caps * 2))
    table = CapTable(replace(rules, caps=caps))
    for one in CHANNELS:
        for placement in one.placements:
            for index in range(len(rules.actions)):
                used = [counter.key for counter in table.counters(one.id, placement, index, NOW_MS)]
                assert len(set(used)) == len(used)
                assert {key.partition("|")[0] for key in used} <= {cap.id for cap in caps}


def test_other_numbers_keep_the_counts() -> None:
    """A cap that allows less, or by the day, counts on where it was: its key says nothing of its numbers."""
    cap = Cap("cap", "", Selector(), 3, HOUR_MS, (Per.GROUP,))
    less = replace(cap, at_most=1, within_ms=DAY_MS, daily=True, counts=Counts.SHOWN, hold_ms=60_000)
    assert keys(strategy(*offers("a"), caps=(cap,)), 1) == keys(strategy(*offers("a"), caps=(less,)), 1)


@pytest.mark.parametrize(("counts", "on"), [(Counts.DECIDED, 0), (Counts.SHOWN, 1), (Counts.CLICKED, 2)])
def test_a_cap_of_what_was_shown_only_reserves(counts: Counts, on: int) -> None:
    """The counter tells the store for how long to hold the use and which outcome makes it one."""
    hold_ms = 1_800_000 if on else 0
    cap = Cap("cap", "", Selector(), 1, DAY_MS, counts=counts, hold_ms=hold_ms)
    (counter,) = CapTable(strategy(caps=(cap,))).counters("web", "hero", 0, NOW_MS)
    assert (counter.hold_ms, counter.on) == (hold_ms, on)


def test_a_household_counts_apart() -> None:
    """What counts for the household is no counter of the customer."""
    caps = (Cap("mine", "", Selector(), 1, HOUR_MS), Cap("ours", "", Selector(), 1, HOUR_MS, household=True))
    table = CapTable(strategy(caps=caps))
    assert [one.key for one in table.counters("web", "hero", 0, NOW_MS)] == ["mine"]
    assert [one.key for one in table.household_counters("web", "hero", 0, NOW_MS)] == ["ours"]
    assert table.reason("ours", NOW_MS).rule == "ours"


# -------------------------------------------------------------------------------------------------- validity, exemption


@pytest.mark.parametrize(
    ("valid", "binds"),
    [
        (Valid(None, None), True),
        (Valid(NOW_MS, None), True),
        (Valid(NOW_MS + 1, None), False),
        (Valid(None, NOW_MS), False),
        (Valid(None, NOW_MS + 1), True),
        (Valid(NOW_MS - 2, NOW_MS - 1), False),
    ],
    ids=["always", "from-now", "from-later", "until-now", "until-later", "over"],
)
def test_a_cap_that_is_not_in_force_neither_binds_nor_counts(valid: Valid, binds: bool) -> None:
    """It is there from its first moment on and before its last, and otherwise as good as not written."""
    table = CapTable(strategy(caps=(Cap("cap", "", Selector(), 1, HOUR_MS, valid=valid),)))
    assert bool(table.used_up("web", "hero", {"cap": (NOW_MS,)}, NOW_MS)) is binds
    assert bool(table.counters("web", "hero", 0, NOW_MS)) is binds


def test_exactly_the_exempted_are_exempt_from_exactly_the_named_caps() -> None:
    """A legal notice neither uses nor minds the cap it is exempt from; the other cap and the other offer do."""
    caps = (Cap("often", "", Selector(), 1, HOUR_MS), Cap("seldom", "", Selector(), 1, HOUR_MS))
    exempt = Exemption("legal", "", Selector(ids=("notice",)), ("often",))
    rules = strategy(*offers("notice", "offer"), caps=caps, exemptions=(exempt,))
    assert keys(rules, 1) == ["seldom"]
    assert keys(rules, 2) == ["often", "seldom"]
    ask = Request("x", "web", ("hero",), {})
    assert plan_of(Engine(rules, None), ask, known(counters={"often": (NOW_MS,)})) == (("notice",),)
    assert plan_of(Engine(rules, None), ask, known(counters={"seldom": (NOW_MS,)})) == ((),)


def test_an_exemption_ends() -> None:
    """From the moment on at which it ends, the action is capped like any other, under counts that went on."""
    exempt = Exemption("legal", "", Selector(ids=("notice",)), ("cap",), valid=Valid(None, NOW_MS))
    rules = strategy(*offers("notice"), caps=(Cap("cap", "", Selector(), 1, HOUR_MS),), exemptions=(exempt,))
    table = CapTable(rules)
    assert table.counters("web", "hero", 1, NOW_MS - 1) == ()
    assert [counter.key for counter in table.counters("web", "hero", 1, NOW_MS)] == ["cap"]


# ------------------------------------------------------------------------------------------------------- what is said


def test_the_answer_names_the_cap_that_bound_and_when_it_frees() -> None:
    """The reason of a used up cap tells the moment, as the suppression and the explanation do."""
    cap = Cap("cap", "Twice an hour.", Selector(), 2, HOUR_MS)
    person = Person()
    engine = Engine(strategy(*offers("a"), caps=(cap,)), None)
    person.uses["cap"] = (NOW_MS - 50 * 60_000, NOW_MS - 10 * 60_000)
    decision = person.ask(engine)
    (answer,) = decision.answers
    frees_ms = NOW_MS + 10 * 60_000
    assert (answer.held_back, answer.until_ms) == ("a", frees_ms)
    assert [(r.code, r.rule, r.until_ms) for r in answer.reasons] == [(ReasonCode.CAP_REACHED, "cap", frees_ms)]
    assert decision.explanation is not None
    assert all(fate.vetoes[-1].until_ms == frees_ms for fate in decision.explanation.fates)
    assert said(person.ask(engine, at_ms=frees_ms)) == ["a"]


def test_a_used_up_cap_asks_for_something_else() -> None:
    """While it binds, what it names comes first, whatever brings more, and the answer says which cap asked for it."""
    cap = Cap("cap", "Enough of a.", Selector(ids=("a",)), 1, HOUR_MS, instead=Selector(ids=("c",)))
    engine = Engine(strategy(*offers("a", "b", "c"), caps=(cap,)), None)
    person = Person()
    assert said(person.ask(engine)) == ["a"]
    (answer,) = person.ask(engine, at_ms=NOW_MS + 1).answers
    assert answer.action == "c"
    assert [(r.code, r.rule, r.until_ms) for r in answer.reasons[:1]] == [(ReasonCode.INSTEAD, "cap", NOW_MS + HOUR_MS)]
    assert said(person.ask(engine, at_ms=NOW_MS + HOUR_MS)) == ["a"]


# -------------------------------------------------------------------------------------------------------- calendar day

ZONES = ("Europe/Berlin", "America/Santiago", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Apia", "America/Havana")
ZONED = ContextSchema.of((), (*SCHEMA.fields, *clock_fields()), TimeZone("present.reason", ""))
ZONE = ZONED.index["present.reason"]


def daily(at_most: int = 1) -> CapTable:
    """Return a cap by the calendar day where the customer is, which `present.reason` tells."""
    cap = Cap("cap", "", Selector(), at_most, 25 * HOUR_MS, daily=True)
    return CapTable(strategy(schema=ZONED, caps=(cap,)))


def values(zone: str | None) -> list[str | None]:
    """Return what is known of somebody in a zone."""
    found: list[str | None] = [None] * len(ZONED.fields)
    found[ZONE] = zone
    return found


def at(text: str) -> int:
    """Return a moment (ms) in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


DAYS = {
    "winter": ("Europe/Berlin", "2026-01-15T12:00", "2026-01-14T23:00", "2026-01-15T23:00"),
    "just-after-midnight": ("Europe/Berlin", "2026-01-14T23:00", "2026-01-14T23:00", "2026-01-15T23:00"),
    "just-before-midnight": ("Europe/Berlin", "2026-01-14T22:59", "2026-01-13T23:00", "2026-01-14T23:00"),
    "23-hours": ("Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
    "25-hours": ("Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
    "no-midnight": ("Africa/Cairo", "2024-04-26T12:00", "2024-04-25T22:00", "2024-04-26T21:00"),
    "two-midnights": ("America/Havana", "2024-11-03T12:00", "2024-11-03T04:00", "2024-11-04T05:00"),
}


@pytest.mark.parametrize("case", DAYS)
def test_a_day_is_that_of_the_customer(case: str) -> None:
    """It begins at midnight there and lasts until the next, however long that is; the commit gets both moments."""
    zone, now, begins, ends = DAYS[case]
    table = daily()
    day = table.day(values(zone), at(now))
    assert day == (at(begins), at(ends))
    (counter,) = table.counters("web", "hero", 0, at(now), day)
    assert (counter.since_ms, counter.frees_ms) == day


def test_a_day_counts_from_midnight_and_frees_at_midnight() -> None:
    """What was said before midnight does not count, what was said at midnight does, whatever hour it is."""
    table, now = daily(), at("2026-01-15T22:59")
    day = table.day(values("Europe/Berlin"), now)
    assert day is not None
    assert table.used_up("web", "hero", {"cap": (day[0] - 1,)}, now, day) == []
    ((_, frees_ms),) = table.used_up("web", "hero", {"cap": (day[0],)}, now, day)
    assert frees_ms == day[1] == now + 60_000


@pytest.mark.parametrize("zone", [None, "Mars/Olympus"])
def test_where_it_is_not_known_which_day_it_is_25_hours_count(zone: str | None) -> None:
    """Without a zone, or in none that there is, no calendar day is shorter than what is counted instead."""
    table = daily()
    day = table.day(values(zone), NOW_MS)
    assert day is None
    assert table.used_up("web", "hero", {"cap": (NOW_MS - 25 * HOUR_MS,)}, NOW_MS, day) == []
    ((_, frees_ms),) = table.used_up("web", "hero", {"cap": (NOW_MS - 24 * HOUR_MS,)}, NOW_MS, day)
    assert frees_ms == NOW_MS + HOUR_MS
    (counter,) = table.counters("web", "hero", 0, NOW_MS, day)
    assert (counter.since_ms, counter.within_ms) == (0, 25 * HOUR_MS)


@given(st.sampled_from(ZONES), st.integers(at("2011-01-01T00:00"), at("2035-01-01T00:00")))
def test_days_follow_one_another(zone: str, now_ms: int) -> None:
    """Every moment is in its day, the day after begins where it ends, and no day is longer than 25 hours.

    What was told before of other moments changes nothing.
    """
    table = daily()
    days = [table.day(values(zone), now_ms)]
    for _ in range(3):
        assert days[-1] is not None
        days.append(table.day(values(zone), days[-1][1]))
    assert days[0] is not None
    assert days[0][0] <= now_ms < days[0][1]
    assert table.day(values(zone), now_ms) == daily().day(values(zone), now_ms) == days[0]
    for before, after in pairwise(days):
        assert before is not None
        assert after is not None
        assert before[1] == after[0]
        assert 0 < after[1] - after[0] <= 25 * HOUR_MS


def test_a_cap_holds_back_no_longer_than_it_is_in_force() -> None:
    """Where the cap is over before its oldest use leaves the window, or before midnight, that is when it frees."""
    now = at("2026-01-15T12:00")
    rolling = Cap("cap", "", Selector(), 1, 25 * HOUR_MS, valid=Valid(None, now + HOUR_MS))
    for cap in (rolling, replace(rolling, daily=True)):
        table = CapTable(strategy(schema=ZONED, caps=(cap,)))
        day = table.day(values("Europe/Berlin"), now)
        ((_, frees_ms),) = table.used_up("web", "hero", {"cap": (now - 1,)}, now, day)
        assert frees_ms == now + HOUR_MS
