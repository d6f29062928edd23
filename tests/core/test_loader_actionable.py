"""What a strategy calls actionable is read as it is written; what can become of a fact follows from it."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from models.context import Scalar
from models.documents import DocumentsRefused
from service.core.actionable import ACTIONABLE, MOST_STEPS, WAIT_MS, Actionable, Fact
from service.core.atoms import RuleBook
from service.core.loader import load_strategy
from tests.project.tree import ROOT
from tests.strategies import edited, write_strategy

DAY_MS = 86_400_000


def read(folder: Path, *entries: str) -> Actionable:
    """Return what the small strategy calls actionable with these entries."""
    text = "\n".join(["actionable:", *(f"- {{{entry}}}" for entry in entries)])
    return load_strategy(write_strategy(folder, actionable=text)).actionable


def test_a_strategy_that_says_nothing_leaves_waiting_consent_and_permission(tmp_path: Path) -> None:
    """They need no line, and no fact is actionable that nobody wrote down."""
    strategy = load_strategy(write_strategy(tmp_path))
    assert strategy.actionable == ACTIONABLE == Actionable((), WAIT_MS, consent=True, permission=True)


def test_facts_are_read_with_their_steps_and_bounds(tmp_path: Path) -> None:
    """What is counted never falls below none, and a field's own bounds hold where no others are written."""
    found = read(
        tmp_path,
        "field: past.open_tickets, says: A ticket is closed., add: -1",
        "field: present.sentiment, says: The mood gets better., add: 0.5",
        "field: present.cart_value, says: More is put in., add: 10.0, at_most: 90.0",
        "field: past.tier, says: The tier changes., set: [gold, silver]",
        "field: present.waiting, says: The wait is over., set: [false]",
    )
    assert found.facts == (
        Fact("past.open_tickets", "A ticket is closed.", (), -1, 0.0, None),
        Fact("present.sentiment", "The mood gets better.", (), 0.5, -1.0, 1.0),
        Fact("present.cart_value", "More is put in.", (), 10.0, 0.0, 90.0),
        Fact("past.tier", "The tier changes.", ("gold", "silver")),
        Fact("present.waiting", "The wait is over.", (False,)),
    )
    assert (found.wait_ms, found.consent, found.permission) == (WAIT_MS, True, True)


def test_what_needs_no_line_can_be_ruled_out(tmp_path: Path) -> None:
    """And one may say how long one may wait."""
    assert read(tmp_path / "a", "wait: false", "consent: false", "permission: false") == Actionable((), 0, False, False)
    assert read(tmp_path / "b", "wait: 40d").wait_ms == 40 * DAY_MS


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ("told: sensitive", "is sensitive, and nobody is told what would come of changing it"),
        ("max_age: 30d", ""),
    ],
    ids=["sensitive", "plain"],
)
def test_nobody_is_told_what_would_come_of_changing_what_is_sensitive(tmp_path: Path, declared: str, why: str) -> None:
    """Such as a loss in the family: that there is a field of it may not become advice."""
    fields = edited("fields", "  - id: past.open_tickets\n", f"  - id: past.open_tickets\n    {declared}\n")
    fields = fields.replace("    max_age: 400d\n", "", 1)
    text = "actionable: [{field: past.open_tickets, says: A ticket is closed., add: -1}]"
    folder = write_strategy(tmp_path, fields=fields, actionable=text)
    if not why:
        assert load_strategy(folder).actionable.facts
        return
    with pytest.raises(DocumentsRefused, match=why):
        load_strategy(folder)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("present.hour", "is told by the clock, and whoever waits changes it"),
        ("present.minutes_since_last", "tells of the contact before, and whoever waits changes it"),
        ("predicted.churn", "is what a model makes of other fields; name those"),
        ("predicted.mood", "is a prediction, and nobody changes what is likely"),
    ],
)
def test_what_follows_from_other_facts_is_not_set(tmp_path: Path, name: str, why: str) -> None:
    """Clock, memory and models tell of the rest, and nobody turns them by hand."""
    fields = edited("fields", "fields:\n", "fields:\n" + PREDICTED)
    folder = write_strategy(
        tmp_path,
        fields=fields,
        time_zone="time_zone: {default: Europe/Berlin}",
        actionable=f"actionable: [{{field: {name}, says: It is changed., add: 1}}]",
    )
    with pytest.raises(DocumentsRefused, match=why):
        load_strategy(folder)


PREDICTED = """\
  - {id: predicted.churn, says: The notice., type: double, low: 0, high: 1, purpose: profiling, source: model}
  - {id: predicted.mood, says: The mood to come., type: double, purpose: service, source: request, low: -1, high: 1}
"""


@pytest.mark.parametrize(
    ("fact", "value", "reached"),
    [
        (Fact("f", "", (), -1, 0.0), 3, [(1, 2), (2, 1), (3, 0)]),
        (Fact("f", "", (), -1, 0.0), 0, []),
        (Fact("f", "", (), -1, 0.0), None, []),
        (Fact("f", "", (), 2.5, None, 6.0), 0.5, [(1, 3.0), (2, 5.5)]),
        (Fact("f", "", (), 1), (1 << 63) - 2, [(1, (1 << 63) - 1)]),
        (Fact("f", "", (), 1.0), 1e300, []),
        (Fact("f", "", ("a", "b")), "a", [(1, "b")]),
        (Fact("f", "", ("a", "b")), None, [(1, "a"), (1, "b")]),
        (Fact("f", "", (False,)), False, []),
        (Fact("f", "", (), 1), True, []),
    ],
    ids=["down", "at the bound", "unknown", "up", "64 bits", "too small a step", "others", "any", "it is", "no number"],
)
def test_what_a_fact_can_become(fact: Fact, value: Scalar | None, reached: list[tuple[int, Scalar]]) -> None:
    """Whole steps within the bounds, the fewest first; of what is unknown only what it can be made."""
    assert list(fact.reachable(value)) == reached


def test_no_fact_is_followed_without_end() -> None:
    """A fact without a bound is looked at for so many steps and no further."""
    assert len(list(Fact("f", "", (), 1).reachable(0))) == MOST_STEPS


def test_the_example_of_the_guide_loads(tmp_path: Path) -> None:
    """What docs/counterfactual.md shows can be written as it stands, beside the demo."""
    text = (ROOT / "docs" / "counterfactual.md").read_text(encoding="utf-8")
    folder = copytree(ROOT / "strategies" / "demo", tmp_path / "demo")
    (folder / "actionable.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    found = load_strategy(folder).actionable
    assert [fact.field for fact in found.facts] == [
        "past.open_tickets",
        "past.flights_this_year",
        "past.survey_verdict",
    ]
    assert (found.wait_ms, found.permission) == (60 * DAY_MS, False)


@pytest.mark.parametrize("name", ["demo", "bank", "starbucks"])
def test_the_strategies_to_copy_say_what_is_actionable(name: str) -> None:
    """Each has facts that somebody can bring about, with a sentence for it, and some decision depends on each."""
    strategy = load_strategy(ROOT / "strategies" / name)
    facts, book = strategy.actionable.facts, RuleBook(strategy)
    assert facts
    assert all(fact.says.endswith(".") for fact in facts)
    read = {name for channel in strategy.channels for name in book.about(channel.id, -1).read}
    assert {fact.field for fact in facts} <= read | set(strategy.features)
