"""What events arm and cancel comes to the same in whatever order they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.context import Scalar
from service.core.rules import Condition, Selector
from service.core.triggers import (
    ALL,
    DAY_MS,
    LONGEST_KEY,
    NO_CHANGES,
    NOTHING_BEGUN,
    Arm,
    Arming,
    Cancel,
    Cell,
    Happening,
    Moment,
    Trigger,
    Wait,
    armed,
    changed,
    merged,
)
from tests.profile import cases

HOUR = 3_600_000


def trigger(after: Happening, *unless: Happening, **terms: Any) -> Trigger:  # noqa: ANN401 - any term
    """Return a trigger, with these terms where they are not usual."""
    when, of = Condition("", "triggers.yaml", 1), Selector(ids=("finish-cart",))
    usual = Trigger("cart-left", "A cart.", after, unless, Wait(HOUR), of, "email", ("body",), when, per=after.key)
    return replace(usual, **terms)


CART = trigger(Happening("cart.updated", key="cart"), Happening("cart.bought", key="cart"), Happening("left"))
THRICE = trigger(Happening("viewed", where=(("topic", "phone"),)), Happening("bought"), times=3, within_ms=10)
DATED = trigger(Happening("reported"), Happening("notice"), date="ends", wait=Wait(-HOUR))


@dataclass(frozen=True)
class Told:
    """An event as it is told: its type, when it happened, and its attributes."""

    event: str
    at_ms: int
    attributes: tuple[tuple[str, Scalar], ...] = ()


def come_to(of: Trigger, told: Sequence[Told]) -> dict[str, Cell]:
    """Return the cells that events come to, in the order in which they are told."""
    arming, cells = Arming((of,)), dict[str, Cell]()
    for one in told:
        for change in arming.changes(one.event, dict(one.attributes), one.at_ms):
            cells[change.key] = changed(cells.get(change.key, NOTHING_BEGUN), change)
    return cells


def moments(of: Trigger, cells: dict[str, Cell]) -> dict[str, Moment]:
    """Return what is armed, by its key."""
    arm = Arm(of.id, "", 0, 0, of.wait.earliest_ms, of.times, of.within_ms)
    of_all = cells.get(ALL, NOTHING_BEGUN)
    found = {key: armed(of.id, key, cell, arm, of_all) for key, cell in cells.items()}
    return {key: moment for key, moment in found.items() if moment}


# ------------------------------------------------------------------------------------------- what one event does


def test_an_event_that_begins_arms_and_one_that_ends_cancels_under_its_key() -> None:
    """A cart that is changed is asked about an hour later; one that is bought is not."""
    arming = Arming((CART,))
    assert arming.changes("cart.updated", {"cart": "c-1"}, 5) == (
        Arm("cart-left", "c-1", 5, 5, HOUR, good_for_ms=DAY_MS),
    )
    assert arming.changes("cart.bought", {"cart": "c-1"}, 6) == (Cancel("cart-left", "c-1", 6),)


def test_an_end_that_does_not_tell_its_key_ends_all() -> None:
    """An event without the attribute, and one that has none of the name, end every cart."""
    arming = Arming((CART,))
    assert arming.changes("cart.bought", {}, 6) == (Cancel("cart-left", ALL, 6),)
    assert arming.changes("left", {}, 6) == (Cancel("cart-left", ALL, 6),)


def test_a_beginning_without_its_key_or_its_date_arms_nothing() -> None:
    """Nobody could tell what it is about, or when it is due."""
    assert Arming((CART,)).changes("cart.updated", {}, 5) == ()
    assert Arming((DATED,)).changes("reported", {}, 5) == ()
    assert Arming((DATED,)).changes("reported", {"ends": 900}, 5) == (
        Arm("cart-left", "", 5, 900, -HOUR, good_for_ms=DAY_MS),
    )


def test_an_event_of_no_trigger_costs_one_look() -> None:
    """What nobody waits for makes nothing, not even an empty tuple of its own."""
    assert Arming((CART, THRICE)).changes("page.closed", {"cart": "c-1"}, 5) is NO_CHANGES


@pytest.mark.parametrize(
    ("attributes", "is_one"),
    [
        ({"topic": "phone", "minutes": 2.0}, True),
        ({"topic": "phone", "minutes": 1.9}, False),
        ({"topic": "phone"}, False),
        ({"topic": "phone", "minutes": "9"}, False),
        ({"topic": "tv", "minutes": 2.0}, False),
    ],
)
def test_what_attributes_must_equal_and_be_at_least(attributes: dict[str, Scalar], is_one: bool) -> None:
    """Both must hold; what is not told is not enough."""
    happening = Happening("viewed", (("topic", "phone"),), "", (("minutes", 2.0),))
    assert happening.is_one(attributes) is is_one


@pytest.mark.parametrize(("value", "key"), [(17, "17"), ("ä" * 32, "ä" * 32)])
def test_a_key_is_the_text_of_its_attribute(value: Scalar, key: str) -> None:
    """Numbers are keys as well, and 64 bytes are kept as they are."""
    (arm,) = Arming((CART,)).changes("cart.updated", {"cart": value}, 5)
    assert arm.key == key


def test_a_long_key_is_known_by_its_digest() -> None:
    """What is longer than a key may be is another key for another text, and as short as any."""
    texts = ("ä" * 33, "ä" * 33 + "b")
    keys = [Arming((CART,)).changes("cart.updated", {"cart": text}, 5)[0].key for text in texts]
    assert [len(key) for key in keys] == [LONGEST_KEY] * 2
    assert keys[0] != keys[1]


# ------------------------------------------------------------------------------------------------ what they come to


def test_what_ended_at_the_moment_at_which_it_began_has_ended() -> None:
    """Of two events of one moment the end counts, in either order."""
    events = [Told("cart.updated", 5, (("cart", "c"),)), Told("cart.bought", 5, (("cart", "c"),))]
    assert moments(CART, come_to(CART, events)) == {}
    assert moments(CART, come_to(CART, events[::-1])) == {}


def test_what_begins_again_after_its_end_is_armed_again() -> None:
    """A cart that is filled after it was bought is another one to ask about."""
    events = [
        Told(name, at, (("cart", "c"),)) for name, at in (("cart.updated", 1), ("cart.bought", 2), ("cart.updated", 3))
    ]
    assert moments(CART, come_to(CART, events)) == {"c": Moment("cart-left", "c", 3, 3, 3 + HOUR)}


def test_what_was_dealt_with_is_armed_only_by_something_newer() -> None:
    """A late event of before the e-mail sends no second one; a new change of the cart does."""
    arm = Arm("cart-left", "c", 0, 0, HOUR)
    dealt = Cell((), 0, 10)
    assert armed("cart-left", "c", changed(dealt, Arm("cart-left", "c", 9, 9, HOUR)), arm) is None
    assert armed("cart-left", "c", changed(dealt, Arm("cart-left", "c", 11, 11, HOUR)), arm) is not None


def test_three_times_within_a_span_is_the_newest_three() -> None:
    """Three views are enough when the newest of them lie close together, from the last of them on."""
    close = [Told("viewed", at, (("topic", "phone"),)) for at in (1, 20, 25, 30)]
    assert moments(THRICE, come_to(THRICE, close)) == {"": Moment("cart-left", "", 30, 30, 30 + HOUR)}
    assert moments(THRICE, come_to(THRICE, close[:3])) == {}


def test_the_date_that_was_told_last_counts() -> None:
    """What is due is counted from the newest date, whichever is heard of last."""
    events = [Told("reported", 2, (("ends", 9_000),)), Told("reported", 1, (("ends", 5_000),))]
    for told in (events, events[::-1]):
        assert moments(DATED, come_to(DATED, told)) == {"": Moment("cart-left", "", 2, 9_000, 9_000 - HOUR)}


TOLD = st.lists(
    st.builds(
        Told,
        st.sampled_from(["cart.updated", "cart.bought", "left", "viewed", "bought", "reported", "notice"]),
        st.integers(1, 40),
        st.tuples(
            st.tuples(st.just("cart"), st.sampled_from(["c-1", "c-2"])),
            st.tuples(st.just("topic"), st.sampled_from(["phone", "tv"])),
            st.tuples(st.just("ends"), st.integers(100, 105)),
        ),
    ),
    max_size=14,
)


@settings(max_examples=cases(150, 20_000), deadline=None)
@given(of=st.sampled_from([CART, THRICE, DATED]), told=TOLD, data=st.data())
def test_the_order_of_arrival_changes_nothing(of: Trigger, told: list[Told], data: st.DataObject) -> None:
    """The same events come to the same cells and moments in any order, late ends and late beginnings included."""
    shuffled = data.draw(st.permutations(told))
    assert come_to(of, shuffled) == come_to(of, told)
    assert moments(of, come_to(of, shuffled)) == moments(of, come_to(of, told))


@settings(max_examples=cases(150, 20_000), deadline=None)
@given(of=st.sampled_from([CART, THRICE, DATED]), told=TOLD)
def test_it_comes_to_what_the_words_of_the_guide_say(of: Trigger, told: list[Told]) -> None:
    """Read from all events at once, by their times alone: the same is armed, since when, and counted from when."""
    found = {key: (one.since_ms, one.base_ms) for key, one in moments(of, come_to(of, told)).items()}
    assert found == by_the_words(of, told)


def by_the_words(of: Trigger, told: Sequence[Told]) -> dict[str, tuple[int, int]]:
    """Return what is armed, as the guide says it: nothing is shared with what is tested but what an event is."""
    found = {}
    for key in {dict(one.attributes)["cart"] for one in told} if of.per else {""}:
        mine = [one for one in told if one.event != of.after.event or not of.per or dict(one.attributes)["cart"] == key]
        begun = [one for one in mine if one.event == of.after.event and of.after.is_one(dict(one.attributes))]
        ends = [
            one.at_ms
            for one in mine
            for end in of.unless
            if one.event == end.event and (not end.key or dict(one.attributes)["cart"] == key)
        ]
        since_end = [one for one in begun if one.at_ms > max(ends, default=0)]
        dates = [(one.at_ms, cast(int, dict(one.attributes)[of.date]) if of.date else one.at_ms) for one in since_end]
        newest = sorted(dates, reverse=True)[: of.times]
        close = not of.within_ms or (bool(newest) and newest[0][0] - newest[-1][0] <= of.within_ms)
        if len(newest) == of.times and close:
            found[str(key)] = newest[0]
    return found


@settings(max_examples=cases(100, 5_000), deadline=None)
@given(of=st.sampled_from([CART, THRICE, DATED]), one=TOLD, other=TOLD)
def test_two_identities_of_a_person_come_to_what_one_would(of: Trigger, one: list[Told], other: list[Told]) -> None:
    """When ids are linked, what was armed under both is as if all of it had come in under one."""
    apart, together = (come_to(of, one), come_to(of, other)), come_to(of, [*one, *other])
    both = {
        key: merged(apart[0].get(key, NOTHING_BEGUN), apart[1].get(key, NOTHING_BEGUN), of.times)
        for key in {*apart[0], *apart[1]}
    }
    assert both == together


# -------------------------------------------------------------------------------------------------- how long is waited


@pytest.mark.parametrize(
    ("wait", "earliest_ms"),
    [
        (Wait(HOUR), HOUR),
        (Wait(-DAY_MS), -DAY_MS),
        (Wait(0, 600), 0),
        (Wait(DAY_MS, 600), 8 * HOUR),
        (Wait(7 * DAY_MS, 0), 6 * DAY_MS - 2 * HOUR),
        (Wait(-DAY_MS, 600), -2 * DAY_MS + 8 * HOUR),
    ],
)
def test_it_is_looked_at_when_it_could_be_due_anywhere(wait: Wait, earliest_ms: int) -> None:
    """The exact moment needs the customer's clock; before the earliest one nobody needs to look."""
    assert wait.earliest_ms == earliest_ms
