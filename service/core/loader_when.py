"""Read moments, and from when until when a rule is in force."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from models.records import Record
from models.shapes import Misfit, described
from models.trees import Leaf, Node
from service.core.cel.check import LONGEST
from service.core.rules import ALWAYS, Condition, Valid

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?([Zz]|[+-]\d{2}:\d{2})")
_FIRST, _END = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, in milliseconds since 1970: a date, which begins at midnight in UTC, or a time with its zone."""

    wanted: str = "write a date such as 2026-12-01, or a moment with its zone such as 2026-12-01T08:00:00+01:00"

    def read(self, node: Node) -> int:
        """See models.shapes.Shape."""
        at = _moment(node.text.strip()) if isinstance(node, Leaf) else None
        if at is None:
            raise Misfit(f"is {described(node)}; {self.wanted}")
        if not _FIRST <= at < _END:
            raise Misfit(f"is {described(node)}; write a moment from 2000 on and before 2100")
        return round(at.timestamp() * 1000)


def _moment(text: str) -> datetime | None:
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return datetime.fromisoformat(text.upper().replace("Z", "+00:00")) if _MOMENT.fullmatch(text) else None
    except ValueError:
        return None


def within(record: Record, when: Condition, valid: Valid) -> Condition:
    """Return a condition that holds only while a rule is in force."""
    bounds = [(">=", valid.from_ms), ("<", valid.until_ms)]
    terms = [f"now {sign} timestamp('{_told(bound)}')" for sign, bound in bounds if bound is not None]
    if not terms:
        return when
    # The bracket closes on a line of its own, for a condition may end in a comment.
    source = " && ".join([*terms, *([f"({when.source}\n)"] if when.source else [])])
    if len(source) > LONGEST:
        record.refuse("`when` is too long beside `from` and `until`; split it into two rules", "when")
    return replace(when, source=source)


def _told(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def read_valid(record: Record) -> Valid:
    """Return when a rule is in force; a rule that would never be is refused."""
    start = record.value("from", Moment(), None, None) if record.has("from") else None
    end = record.value("until", Moment(), None, None) if record.has("until") else None
    if start is None and end is None:
        return ALWAYS
    if start is not None and end is not None and end <= start:
        record.refuse("`until` is not after `from`, so the rule is never in force; write a later `until`", "until")
    return Valid(start, end)
