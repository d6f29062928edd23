"""What is told of groups: surely under-served ones and no others, and nobody in a group of a few."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from service.simulating.segments import OTHERS
from service.simulating.spread import Spread
from service.simulating.tally import Tally
from service.simulating.telling import document, in_words
from tests.service.simulating.world import BEGINS_MS

FIELDS, GROUPS = 20, 3
ABOUT = {"strategy": "a@1", "before": "a@1", "model": "m@2", "before_model": "", "currency": "EUR"}


def told_of(people: list[tuple[tuple[str, ...], bool]]) -> dict[str, Any]:
    """Return what is told of customers, each in one group by each field and with or without offers."""
    tally = Tally()
    for groups, served in people:
        tally.add("people", (), 1, 1, served, 0)
        tally.add("decisions", (), 1)
        numbers = (2, 1, 0, 0, 2, 2 * served)
        tally.add("channel", ("web",), *numbers)
        for field, group in enumerate(groups):
            tally.add("people_group", (f"f{field}", group), 1, not served, 0)
            tally.add("group", (f"f{field}", group), *numbers)
    fields = [f"f{field}" for field in range(len(people[0][0]))]
    return document(tally, Spread((), first_ms=BEGINS_MS, last_ms=BEGINS_MS), fields, ABOUT)


def people(dice: Random, many: int, worse: float = 0.0) -> list[tuple[tuple[str, ...], bool]]:
    """Return customers whose groups have nothing to do with their offers, but for one group of the first field."""
    found = []
    for _ in range(many):
        groups = tuple(str(dice.randrange(GROUPS)) for _ in range(FIELDS))
        found.append((groups, dice.random() > 0.3 + worse * (groups[0] == "0")))
    return found


def test_chance_alone_names_hardly_ever_a_group() -> None:
    """Where no group differs, at most one simulation in twenty names any, however many groups are compared."""
    dice, runs = Random(11), 60
    told = [told_of(people(dice, 240)) for _ in range(runs)]
    assert sum(bool(one["underserved_where"]) for one in told) <= runs // 10
    assert all(one["underserved_tried"] == FIELDS * GROUPS for one in told)


def test_a_group_is_compared_with_everybody_else() -> None:
    """A group that gets less is found and told beside the rest without it, and how many groups were compared."""
    told = told_of(people(Random(5), 600, worse=0.4))
    (worst,) = told["underserved_where"]
    own = [served for groups, served in people(Random(5), 600, worse=0.4) if groups[0] == "0"]
    rest = [served for groups, served in people(Random(5), 600, worse=0.4) if groups[0] != "0"]
    assert (worst["field"], worst["group"], worst["customers"]) == ("f0", "0", len(own))
    assert worst["rest"] == pytest.approx(rest.count(False) / len(rest))
    assert worst["share"] == pytest.approx(own.count(False) / len(own))
    told |= {"value": {"refusal": "so"}, "notes": [], "underserved_because": []}
    assert any("1 of 60 groups that were compared" in line for line in in_words(told))


def test_nobody_is_told_of_a_group_of_a_few() -> None:
    """Groups of fewer than 10 customers are told together as others; no row is lost."""
    told = told_of([((str(number // 9 if number < 18 else 2),), True) for number in range(40)])
    assert {one["group"]: one["rows"] for one in told["groups"]["f0"]} == {OTHERS: 36, "2": 44}


def test_rows_and_decisions_are_told_apart() -> None:
    """A decision about two placements is one decision and two rows; the models are named where only they differ."""
    told = told_of([(("a",), True)] * 7) | {"value": {"refusal": "so"}, "notes": []}
    first = next(in_words(told))
    assert first.startswith("14 rows of 7 decisions about 7 customers")
    assert "a@1 with m@2 instead of priors says something else in 7 (50.0%)" in first
