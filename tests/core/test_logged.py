"""What the log says was said, and how probably, is what the commit did with the plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decision_table import NOTHING, Policy
from service.core.decision import Answer, Committed
from service.core.logged import chances_at, is_place, policy_of, said_at
from service.core.plan import Candidate, Odds, PlacementPlan

SUPPRESSED = Answer("hero", "", "", "", (), 0.0, 0.0, ())


def plan(*chances: float, odds: dict[str, float] | None = None, suppressed: bool = False) -> PlacementPlan:
    """Return a placement with candidates a, b … of these probabilities."""
    candidates = tuple(Candidate(chr(97 + i), 0.5, None, 1.0, chance, False) for i, chance in enumerate(chances))
    told = tuple(Odds(action, chance, chance) for action, chance in (odds or {}).items())
    policy = Policy.SOFTMAX if odds else ""
    return PlacementPlan("hero", candidates, 2, False, SUPPRESSED if suppressed else None, policy, told)


def chosen(rank: int) -> Committed:
    """Return a commit that took the candidate of this rank; -1 for none."""
    return Committed(b"", b"", (rank,), (), False)


@pytest.mark.parametrize(
    ("placed", "rank", "action", "probability"),
    [
        (plan(1.0), 0, "a", 1.0),
        (plan(0.95, 0.05), 0, "a", 0.95),
        (plan(0.05, 0.95), 1, "b", 1.0),
        (plan(1.0, 0.0), 1, "b", 1.0),
        (plan(0.9, 0.0), -1, "", 0.9),
        (plan(), -1, "", 1.0),
        (plan(suppressed=True), -1, "", 1.0),
        (plan(odds={NOTHING: 0.2, "a": 0.8}, suppressed=True), -1, "", 0.2),
        (plan(0.3, odds={"a": 0.25, "b": 0.5, NOTHING: 0.25}), 0, "a", 0.25),
        (plan(0.3, 0.4, odds={"a": 0.25, "b": 0.5, NOTHING: 0.25}), 1, "b", 0.75),
        (plan(0.3, 0.4, odds={"a": 0.25, "b": 0.5, NOTHING: 0.25}), -1, "", 1.0),
    ],
    ids=[
        "the only one", "the best", "in the stead of one that is held back", "in the stead of the best", "none fits",
        "nothing planned", "suppressed", "nothing was drawn", "over all groups", "in its stead over all groups",
        "none fits over all groups",
    ],
)  # fmt: skip
def test_what_was_said_has_its_probability(placed: PlacementPlan, rank: int, action: str, probability: float) -> None:
    """The probability is that of every first choice that would have led to what was said in the end."""
    said = said_at(placed, 0, chosen(rank))
    assert said.action == action
    assert said.probability == pytest.approx(probability)


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6), st.integers(-1, 5))
def test_it_is_a_probability(weights: list[float], rank: int) -> None:
    """Whatever was drawn and held back, it is above 0, at most 1, and no less than that of the choice itself."""
    total = sum(weights)
    placed = plan(*(weight / total for weight in weights))
    said = said_at(placed, 0, chosen(min(rank, len(weights) - 1)))
    assert 0.0 < said.probability <= 1.0
    assert said.probability >= chances_at(placed).get(said.action, 0.0)


def test_the_policy_has_a_name() -> None:
    """What was logged before policies had names is greedy where nothing was left to chance."""
    assert policy_of(plan(1.0, 0.0)) == Policy.GREEDY
    assert policy_of(plan(0.95, 0.05)) == Policy.EPSILON_GREEDY
    assert policy_of(plan(0.5, odds={"a": 1.0})) == Policy.SOFTMAX


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("0-0", True),
        ("1790000000000-12", True),
        ("", False),
        ("1", False),
        ("01-0", False),
        ("-1-0", False),
        ("1-1-1", False),
        ("1-\u0661", False),
    ],
)
def test_places_have_a_form(text: str, holds: bool) -> None:
    """A place in a stream is a moment and a number, and nothing else is sent to the store."""
    assert is_place(text) is holds
