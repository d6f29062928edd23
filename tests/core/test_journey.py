"""A journey in pages: each step is told once, in whatever pieces the store gives it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from models.context import Purpose
from service.core.journey import Source, Step, moments_of_truth, page_of, purposes_of_events
from service.core.records import Happened
from tests.rpc.world import strategy

STEPS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=25)


def steps_of(moments: Sequence[tuple[int, int]], kind: str) -> list[Step]:
    """Return steps that happened and arrived at these moments, each with a name of its own."""
    return [
        Step(at, arrived, "anna", Happened(f"{kind}.{number}", Purpose.SERVICE, at, arrived))
        for number, (at, arrived) in enumerate(moments)
    ]


def given_out(steps: Sequence[Step], before_ms: int, most: int) -> Source:
    """Give out the steps before a moment as the store does: the last ones, and since when these are all."""
    older = sorted(
        (one for one in steps if not before_ms or one.arrived_ms < before_ms), key=lambda one: one.arrived_ms
    )
    if len(older) <= most:
        return Source(tuple(older))
    return Source(tuple(older[-most:]), older[-most].arrived_ms + 1)


@given(first=STEPS, second=STEPS, whole=STEPS, limit=st.integers(1, 8), most=st.integers(32, 40))
def test_pages_tell_each_step_once(
    first: list[tuple[int, int]], second: list[tuple[int, int]], whole: list[tuple[int, int]], limit: int, most: int
) -> None:
    """All pages together are all steps of all sources, none twice, and each page is in the order of what happened."""
    parts = [steps_of(moments, kind) for moments, kind in ((first, "a"), (second, "b"))]
    kept, told, before_ms = steps_of(whole, "c"), list[Step](), 0
    for _ in range(200):
        sources = [given_out(part, before_ms, most) for part in parts]
        sources.append(Source(tuple(one for one in kept if not before_ms or one.arrived_ms < before_ms)))
        page = page_of(sources, limit)
        assert list(page.steps) == sorted(page.steps, key=lambda one: (one.at_ms, one.arrived_ms), reverse=True)
        told += page.steps
        before_ms = page.next_ms
        if not before_ms:
            break
    assert not before_ms, "the pages end"
    names = [one.what.type for one in told if isinstance(one.what, Happened)]
    every = [*parts[0], *parts[1], *kept]
    assert sorted(names) == sorted(one.what.type for one in every if isinstance(one.what, Happened))


@given(moments=st.lists(st.integers(1, 60), min_size=1, max_size=40, unique=True), limit=st.integers(1, 5))
def test_nothing_is_told_of_a_time_that_a_source_may_lack(moments: list[int], limit: int) -> None:
    """A source that was cut off holds the others back to where it is whole, and then goes on from there."""
    steps, whole_from_ms = steps_of([(at, at) for at in moments], "a"), max(moments) // 2
    seen = Source(tuple(one for one in steps if one.arrived_ms >= whole_from_ms), whole_from_ms)
    page = page_of([seen, Source(tuple(steps))], limit)
    assert all(one.arrived_ms >= whole_from_ms for one in page.steps)
    assert page.next_ms >= whole_from_ms


def test_an_event_is_told_under_the_least_purpose_of_its_fields() -> None:
    """An event that feeds fields of several purposes is told to who may know any of them; one that feeds none never."""
    schema = strategy().schema
    told, order = purposes_of_events(schema), list(Purpose)
    assert purposes_of_events(replace(schema, fields=schema.fields[::-1])) == told, "in whatever order they stand"
    for event in schema.events:
        folds = [field for field in schema.fields if field.fold and event in (field.fold.event, field.fold.closed_by)]
        assert told.get(event) == (min((field.purpose for field in folds), key=order.index) if folds else None)
    assert set(told.values()) == {Purpose.SERVICE, Purpose.PERSONALIZATION}


def test_moments_of_truth_are_the_events_that_guardrails_look_at() -> None:
    """What opens and what closes a ticket decides what may be said; what was bought only what is worth saying."""
    found = moments_of_truth(strategy())
    assert found["ticket.opened"] == found["ticket.closed"] != ()
    assert "purchase" not in found
