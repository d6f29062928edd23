"""Cases of what becomes due: read with care, decided as the service would, and wrong where it comes out otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.documents import DocumentsRefused
from service.cases.case import Happened
from service.cases.reader import read_cases
from service.cases.runner import Runner
from service.cases.verdict import verdict_on
from service.core.loader import load_strategy
from tests.core.telling_triggers import write_triggers

CUSTOMER = """\
customers:
  - {id: closed, says: Whose ticket was closed., consent: full, permits: [email], facts: {past.worst_score: 9}}
"""
CASE = """\
cases:
  - says: On the next day we ask.
    customer: closed
    now: 2026-06-02T10:00:00+02:00
    happened: [{event: ticket.closed, ago: 11h, with: {ticket: t-1}}]
    facts: {past.open_tickets: 1}
    due: ticket-closed
    gets: ticket-status
"""


def wrong(folder: Path, *edits: tuple[str, str]) -> list[str]:
    """Return what is wrong with the case after these edits."""
    home, text = write_triggers(folder), CASE
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (home / "cases").mkdir(exist_ok=True)
    (home / "cases" / "due.yaml").write_text(CUSTOMER + text, encoding="utf-8")
    strategy = load_strategy(home)
    (case,) = read_cases(home, strategy)
    return list(verdict_on(case, Runner(strategy), strategy).wrong)


def refused(folder: Path, *edits: tuple[str, str]) -> list[str]:
    """Return the problems of the case after these edits."""
    with pytest.raises(DocumentsRefused) as caught:
        wrong(folder, *edits)
    return [problem.message for problem in caught.value.problems]


def test_a_case_of_what_is_due_is_read_with_what_happened(tmp_path: Path) -> None:
    """The trigger says where it is asked; what happened keeps the order in which it is written."""
    assert wrong(tmp_path) == []
    (case,) = read_cases(tmp_path, load_strategy(tmp_path))
    assert (case.channel, case.placements, case.trigger, case.not_due) == ("email", ("body",), "ticket-closed", False)
    assert case.happened == (Happened("ticket.closed", 39_600_000, {"ticket": "t-1"}),)


NOT_DUE = ("    due: ticket-closed\n    gets: ticket-status\n", "    not_due: ticket-closed\n    because: early\n")


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([("ago: 11h", "ago: 10m")], "ticket-closed is not due: early"),
        ([("{ticket: t-1}}]", "{ticket: t-1}}, {event: survey.answered}]")], "ticket-closed is not due: not-armed"),
        ([("gets: ticket-status", "gets: nothing")], "at body: wanted nothing, got ticket-status"),
        (
            [("due: ticket-closed\n    gets: ticket-status", "not_due: ticket-closed")],
            "ticket-closed is due, and must not be",
        ),
        ([NOT_DUE, ("ago: 11h", "ago: 4d")], "ticket-closed: wanted the reason early, got expired"),
    ],
)
def test_a_case_that_comes_out_otherwise_is_wrong_and_says_so(
    tmp_path: Path, edits: list[tuple[str, str]], says: str
) -> None:
    """It was to be due and is not, or the other way round, or for another reason, or something else is said then."""
    assert wrong(tmp_path, *edits) == [says]


@pytest.mark.parametrize(("ago", "why"), [("10m", "early"), ("4d", "expired")])
def test_a_case_of_what_is_not_due_names_why(tmp_path: Path, ago: str, why: str) -> None:
    """Nothing is decided then, so there is nothing else to want."""
    because = (NOT_DUE[0], NOT_DUE[1].replace("early", why))
    assert wrong(tmp_path, because, ("ago: 11h", f"ago: {ago}")) == []


def test_what_is_held_back_when_it_is_due_is_held_back_for_its_reason(tmp_path: Path) -> None:
    """What the trigger is not for is held back because it is not due."""
    edit = ("gets: ticket-status", "not: [new-phone]\n    because: not-due")
    assert wrong(tmp_path, edit) == []


HAPPENED = "[{event: ticket.closed, ago: 11h, with: {ticket: t-1}}]"
MISTAKES = [
    ("due: ticket-closed", "due: ticket-close", "`due` names `ticket-close`, which is no known trigger; did you mean"),
    ("due: ticket-closed", "due: ticket-closed\n    on: email", "a case has no key `on`; "),
    ("    due:", "    not_due: ticket-closed\n    due:", "`due` and `not_due` are both there; keep one of them"),
    ("event: ticket.closed", "event: ticket.close", "`event` names `ticket.close`, which is no known event; did you"),
    ("{ticket: t-1}", "{tickets: t-1}", "ticket.closed has no attribute `tickets`; did you mean `ticket`?"),
    (HAPPENED, "[]", "`happened` is an empty list; write a list, each event after a dash"),
    (f"    happened: {HAPPENED}\n", "", "the case has no `happened`, and by nothing no trigger is due; "),
    (NOT_DUE[0], NOT_DUE[1].replace("early", "late"), "`because` names `late`, which is no known reason for which it"),
    ("ago: 11h", "ago: 11 hours", "`ago` is `11 hours`; "),
]


@pytest.mark.parametrize(("old", "new", "says"), MISTAKES, ids=[says for _, _, says in MISTAKES])
def test_a_mistake_in_a_case_is_named_with_what_would_be_right(tmp_path: Path, old: str, new: str, says: str) -> None:
    """One problem for one mistake."""
    (message, *rest) = refused(tmp_path, (old, new))
    assert not rest
    assert message.startswith(says), message
