"""A trigger of which nothing ever comes is found, with where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.core.loader import load_strategy
from service.proving.finding import FindingKind, Gravity
from service.proving.findings import findings
from tests.core.telling_triggers import edited_trigger, write_triggers

WHEN = "when: past.worst_score > 3"
DATE = "date: past.paid_at"
ODD = {
    "it is due only where what it is for is forbidden": (
        (DATE, f"{DATE}\n    when: past.open_tickets > 0"), "paid-a-year-ago", "held back", 31,
    ),
    "its condition never holds": (
        (WHEN, f"{WHEN} && past.worst_score < 2"), "ticket-closed", "nobody", 11,
    ),
    "what it is for needs a ticket and it is due without one": (
        (WHEN, "when: past.open_tickets == 0"), "ticket-closed", "held back", 11,
    ),
}  # fmt: skip


def found_in(folder: Path, old: str, new: str) -> list[tuple[tuple[str, ...], Gravity, str, int]]:
    """Return which triggers nothing comes of, how grave that is, what is said of each and its line."""
    found = findings(load_strategy(write_triggers(folder, edited_trigger(old, new))))
    return [(one.about, one.gravity, one.says, one.line) for one in found if one.kind is FindingKind.NEVER_SENT]


@pytest.mark.parametrize("what", ODD)
def test_a_trigger_of_which_nothing_comes_is_found(what: str, tmp_path: Path) -> None:
    """The sentence names it and says whether it is never due, or always held back."""
    edit, name, says, line = ODD[what]
    ((about, gravity, said, at),) = found_in(tmp_path, *edit)
    assert (about, gravity, at) == ((name,), Gravity.MISTAKE, line)
    assert f"`{name}`" in said
    assert says in said


def test_triggers_that_send_are_not_found(tmp_path: Path) -> None:
    """Where somebody is due and may hear of it, nothing is said."""
    assert found_in(tmp_path, WHEN, WHEN) == []
