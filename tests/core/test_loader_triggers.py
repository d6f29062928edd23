"""What becomes due of itself is read from the documents, and every mistake is named with what would be right."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.context import Purpose
from models.documents import DocumentsRefused
from service.core.loader import load_strategy
from service.core.loader_triggers import MOST_TRIGGERS
from service.core.rules import Condition, Kind, Selector, Valid
from service.core.strategy import Strategy
from service.core.triggers import DAY_MS, Happening, Trigger, Wait
from tests.core.telling_triggers import TRIGGERS, edited_trigger, triggered, write_triggers
from tests.project.tree import ROOT
from tests.strategies import SECTIONS

HOUR_MS = 3_600_000
BAD: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "bad_strategies" / "triggers" / "triggers.yaml").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return the small strategy with triggers."""
    return triggered(tmp_path_factory.mktemp("triggered"))


def test_something_that_happened_and_something_that_did_not(strategy: Strategy) -> None:
    """Each end names what it ends where its event has the attribute, and else it ends all; days are the calendar's."""
    assert strategy.triggers[0] == Trigger(
        "ticket-closed",
        "On the day after a ticket was closed we ask how it went.",
        Happening("ticket.closed", (), "ticket"),
        (Happening("ticket.opened", (), "ticket"), Happening("survey.answered")),
        Wait(DAY_MS, 600),
        Selector(ids=("ticket-status",)),
        "email",
        ("body",),
        Condition("past.worst_score > 3", "triggers.yaml", 11),
        Purpose.SERVICE,
        "ticket",
        good_for_ms=12 * HOUR_MS,
        look_again_ms=HOUR_MS,
        owner="care",
    )


def test_something_that_happened_several_times(strategy: Strategy) -> None:
    """What attributes equal and are at least is read, and so is how often, within what, and from when until when."""
    thrice = strategy.triggers[1]
    after = Happening("purchase", (("category", "phone"),), "", (("amount", 100.0), ("pieces", 2.0)))
    assert (thrice.after, thrice.unless) == (after, (Happening("purchase", (("category", "tv"),)),))
    assert (thrice.times, thrice.within_ms, thrice.wait) == (3, 7 * DAY_MS, Wait(0))
    assert (thrice.of, thrice.placements) == (Selector(kinds=(Kind.OFFER,)), ("greeting", "hero"))
    assert (thrice.valid, thrice.when.source) == (Valid(1_767_225_600_000, 1_798_761_600_000), "")
    assert (thrice.purpose, thrice.good_for_ms, thrice.look_again_ms) == (Purpose.PERSONALIZATION, DAY_MS, 0)


def test_a_date_in_a_field_and_one_of_an_event(strategy: Strategy) -> None:
    """A field's date comes from the event that it folds; an attribute may hold one for each of several things."""
    field, event = strategy.triggers[2:]
    assert (field.after, field.date, field.per) == (Happening("purchase"), "paid_at", "")
    assert field.wait == Wait(365 * DAY_MS)
    assert event.after == Happening("purchase", (("category", "internet"),), "product")
    assert (event.date, event.per, event.wait) == ("paid_at", "product", Wait(-DAY_MS, 1110))


def test_what_arms_it_may_end_it_where_attributes_differ(tmp_path: Path) -> None:
    """An event that ends with more of an attribute than arms is another one."""
    text = edited_trigger("{event: purchase, where: {category: tv}}", "{event: purchase, at_least: {amount: 500}}")
    (_, thrice, *_) = load_strategy(write_triggers(tmp_path, text)).triggers
    assert thrice.unless == (Happening("purchase", (), "", (("amount", 500.0),)),)


def test_a_strategy_without_triggers_has_none(tmp_path: Path) -> None:
    """The section is optional, and an empty one is none."""
    assert load_strategy(write_triggers(tmp_path / "one", "triggers: []\n")).triggers == ()


def test_triggers_change_the_version_and_nothing_that_is_decided_when_asked(tmp_path: Path, strategy: Strategy) -> None:
    """What becomes due is a part of the version; all else is read as it was."""
    plain = load_strategy(write_triggers(tmp_path, "triggers: []\n"))
    assert plain.version != strategy.version
    assert replace(strategy, triggers=(), version="") == replace(plain, version="")


@pytest.mark.parametrize("guide", ["triggers.md", "strategies.md"])
def test_what_the_guides_show_is_what_the_demo_has(guide: str) -> None:
    """The examples can be copied: each is a trigger of the demo, word for word but for who answers for it."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\ntriggers:\n(.*?)```", text, re.DOTALL)
    shown = [yaml.safe_load(block)[0] for block in blocks]
    demo = yaml.safe_load((ROOT / "strategies" / "demo" / "triggers.yaml").read_text(encoding="utf-8"))["triggers"]
    assert shown
    for one in shown:
        (found,) = (each for each in demo if each["id"] == one["id"])
        assert one.items() <= found.items()
        assert found.keys() - one.keys() <= {"owner", "good_for"}


def test_the_guide_tells_every_key_of_a_trigger() -> None:
    """The table of the guide has all keys that a trigger may have, but for its name and its sentence."""
    text = (ROOT / "docs" / "triggers.md").read_text(encoding="utf-8")
    told = {key for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    read = {key for at in (0, 1, 2, 3) for key in yaml.safe_load(TRIGGERS)["triggers"][at]}
    assert read - {"id", "says"} <= told


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["claim"])
def test_a_mistake_is_named_with_what_would_be_right(case: dict[str, Any], tmp_path: Path) -> None:
    """File, line, what is wrong and what to write; and nothing else is complained of."""
    changes = {"time_zone": None} if case.get("without_zone") else {}
    folder = write_triggers(tmp_path, edited_trigger(case["instead_of"], case["write"]), **changes)
    with pytest.raises(DocumentsRefused) as caught:
        load_strategy(folder)
    lines = [str(problem) for problem in caught.value.problems]
    assert len(lines) == len(case["refused"]), lines
    for line, wanted in zip(lines, case["refused"], strict=True):
        assert line.startswith(wanted), (line, wanted)


def test_triggers_are_bounded_in_number(tmp_path: Path) -> None:
    """One too many is refused where it stands."""
    head, _, one = TRIGGERS.partition("\n")
    each = one[: one.index("  - id: bought-thrice")]
    many = "".join(each.replace("ticket-closed\n", f"closed-{at}\n") for at in range(MOST_TRIGGERS + 1))
    with pytest.raises(DocumentsRefused) as caught:
        load_strategy(write_triggers(tmp_path, f"{head}\n{many}"))
    (problem,) = caught.value.problems
    assert problem.message == f"there are {MOST_TRIGGERS + 1} triggers; write at most {MOST_TRIGGERS}"
    assert problem.line == 2 + MOST_TRIGGERS * each.count("\n")


def test_what_conditions_of_triggers_cost_is_bounded_with_the_others(tmp_path: Path) -> None:
    """A condition that is asked when it is due costs what it costs in a rule."""
    note = "  - {id: present.note, says: A note., type: string, purpose: service, source: request}\n"
    costly = " || ".join(f"present.note.contains(present.note + '{at}')" for at in range(12))
    text = edited_trigger("past.worst_score > 3", f'"{costly}"')
    with pytest.raises(DocumentsRefused) as caught:
        load_strategy(write_triggers(tmp_path, text, fields=SECTIONS["fields"] + note))
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("triggers.yaml", 11)
    assert "`ticket-closed` costs most" in problem.message
