"""Read the cases of a strategy from its subfolder `cases`: every mistake is named with file, line and remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from models.documents import CASES, Documents, DocumentsRefused, Problem, read_folder
from models.records import Record, section_records
from models.shapes import NAME, Reference, Text, nearest
from models.trees import shown
from service.cases.before import read_off, read_replied, read_said
from service.cases.case import Case, Wanted
from service.cases.customers import Customers
from service.cases.due import DUE, read_happened
from service.cases.facts import Near
from service.cases.wanted import read_wanted, read_why_not
from service.core.strategy import Channel, Strategy
from service.core.triggers import Trigger

NOON_MS = 1_780_308_000_000
"""The moment of cases that name none: Monday, 1 June 2026, 10:00 UTC."""
SECTIONS = ("customers", "cases")
NOT_DUE = "not_due"
_HAPPENED = "write a list such as [{event: cart.updated, ago: 1h}]"

_SENTENCE = Text("write a sentence that says what should happen and why", longest=200)


def read_cases(folder: Path, strategy: Strategy) -> tuple[Case, ...]:
    """Return the cases of a strategy's folder in the order of its files; none where it has no subfolder `cases`.

    Raises DocumentsRefused with every problem.
    """
    home = folder / CASES
    if not home.is_dir():
        return ()
    try:
        documents = read_folder(home)
    except DocumentsRefused as refused:
        raise DocumentsRefused(_placed(problem, home) for problem in refused.problems) from None
    problems = list(documents.problems)
    _check_sections(documents, problems)
    customers = Customers(section_records(documents, "customers", "customer", problems), strategy)
    customers.check(NOON_MS)
    read = _reader(strategy, customers)
    cases = tuple(read(record) for record in section_records(documents, "cases", "case", problems))
    if problems:
        raise DocumentsRefused(_placed(problem, home) for problem in problems)
    return cases


def _placed(problem: Problem, home: Path) -> Problem:
    return problem if problem.file == str(home) else replace(problem, file=f"{CASES}/{problem.file}")


def _check_sections(documents: Documents, problems: list[Problem]) -> None:
    for root in documents.roots:
        for key, line in root.key_lines.items():
            if key not in SECTIONS:
                message = f"there is no section `{shown(key)}` of cases; {nearest(key, SECTIONS)}"
                problems.append(Problem(root.file, line, message))


def _reader(strategy: Strategy, customers: Customers) -> Callable[[Record], Case]:
    taken: dict[str, str] = {}
    channels = {channel.id: channel for channel in strategy.channels}

    def read(record: Record) -> Case:
        says = _says(record, taken)
        trigger = _trigger(record, strategy)
        channel: Channel | None = None
        placements: tuple[str, ...] = ()
        if trigger is not None:
            channel, placements = channels.get(trigger.channel), trigger.placements
        elif not (record.has(DUE) or record.has(NOT_DUE)):
            channel = channels.get(record.reference("on", list(channels), "channel"))
            placements = _placements(record, channel)
        now_ms = record.value("now", Near(NOON_MS), NOON_MS, NOON_MS)
        where = _Where(record, strategy, channel.id if channel else "", placements, now_ms, trigger)
        case = where.case(says, customers)
        record.rest_is_refused()
        return case

    return read


@dataclass(frozen=True, slots=True)
class _Where:
    """What a case asks where and when, and the record that the rest is read from."""

    record: Record
    strategy: Strategy
    channel: str
    placements: tuple[str, ...]
    now_ms: int
    trigger: Trigger | None = None

    def case(self, says: str, customers: Customers) -> Case:
        """Read who it is about, what went before, and what is wanted."""
        record, strategy = self.record, self.strategy
        said = read_said(record, strategy, self.channel, self.now_ms)
        not_due = record.has(NOT_DUE)
        return Case(
            says=says,
            file=f"{CASES}/{record.node.file}",
            line=record.node.line,
            customer=customers.of(record, self.now_ms),
            channel=self.channel,
            placements=self.placements,
            now_ms=self.now_ms,
            wanted=read_why_not(record) if not_due else self._wanted(),
            said=said,
            replied=read_replied(record, strategy),
            off=read_off(record, strategy),
            happened=read_happened(record, strategy, self.now_ms) if self.trigger else (),
            trigger=self.trigger.id if self.trigger else "",
            not_due=not_due,
        )

    def _wanted(self) -> Wanted:
        return read_wanted(self.record, self.strategy, self.channel, self.placements, self.now_ms)


def _trigger(record: Record, strategy: Strategy) -> Trigger | None:
    """Return the trigger that a case is about, which says where it is asked; None where a case is about none."""
    written = [key for key in (DUE, NOT_DUE) if record.has(key)]
    if len(written) > 1:
        record.refuse("`due` and `not_due` are both there; keep one of them", NOT_DUE)
        record.allow("gets", "not", "until", "words")
    if not written:
        return None
    known = {one.id: one for one in strategy.triggers}
    trigger = known.get(record.reference(written[0], list(known), "trigger"))
    if trigger is not None and not record.has("happened"):
        record.refuse(f"the case has no `happened`, and by nothing no trigger is due; {_HAPPENED}")
    if trigger is None:
        record.allow("happened", "because")
    return trigger


def _says(record: Record, taken: dict[str, str]) -> str:
    says = record.text("says", None, _SENTENCE)
    if says and says in taken:
        record.refuse(f"this sentence is that of the case {taken[says]}; each case says another thing", "says")
    taken.setdefault(says, f"{CASES}/{record.place}")
    return says


def _placements(record: Record, channel: Channel | None) -> tuple[str, ...]:
    """Return where it is asked: one placement or a list of them."""
    shape = Reference(channel.placements, f"placement of {channel.id}") if channel else NAME
    if record.leaf("at") is not None:
        return tuple(filter(None, (record.text("at", None, shape),)))
    if not record.has("at"):
        record.refuse(f"the case has no `at`; {shape.wanted}, or a list of several")
    return record.values("at", shape, required=record.has("at"))
