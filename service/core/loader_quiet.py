"""Read the rules that are guardrails with a ready condition: quiet hours, and recovery after bad experiences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from models.clock import HOUR, NO_CLOCK, WEEKDAY
from models.context import FoldKind, ValueType
from models.records import Record
from models.shapes import Choice, Reference, Text
from service.core.loader_selectors import RuleReader
from service.core.rules import Condition, Guardrail, Kind

MOST_REACHED = 1_000_000

_HOURS = Text(
    "write two whole hours in quotes, the first from 00:00 to 23:00, the second from 00:00 to 24:00,"
    ' such as "21:00-08:00"',
    re.compile(r"([01][0-9]|2[0-3]):00 ?- ?([01][0-9]|2[0-4]):00"),
)
_ENDS = (FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM, FoldKind.RATE)


class Weekday(StrEnum):
    """The day on which quiet hours begin, in the order of the field `present.weekday`."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_DAYS = tuple(Weekday)


# -------------------------------------------------------------------------------------------------------- quiet hours


def read_quiet_hours(reader: RuleReader, record: Record) -> Guardrail:
    """Read between which hours of the customer's day, and on which weekdays, the selected actions are not said."""
    head, forbid = reader.said(record), reader.selector(record, "forbid")
    between = record.text("between", None, _HOURS)
    start, end = _hours(between) if between else (0, 0)
    days = tuple(1 + _DAYS.index(day) for day in record.values("weekdays", Choice(Weekday), record.has("weekdays")))
    if HOUR not in reader.schema.index:
        record.refuse(f"the hour {NO_CLOCK}", "between")
    if between and start == end % 24 and (end != 24 or not record.has("weekdays") or len(days) == len(_DAYS)):
        record.refuse("these hours never end; write a later or an earlier hour", "between")
    when = Condition(_quiet(start, end, days), record.node.file, record.node.line)
    instead = reader.instead(record, "forbid", forbid)
    # Of two whole days that follow each other, the first does not end with its last hour.
    lasting = end == 24 and start == 0 and any(day % 7 + 1 in days for day in days)
    quiet = None if lasting else (start, end)
    rule = Guardrail(*head, forbid, when, instead, *reader.terms(record), quiet=quiet)
    record.rest_is_refused()
    return rule


def _hours(between: str) -> tuple[int, int]:
    start, _, end = between.partition("-")
    return int(start.strip()[:2]), int(end.strip()[:2])


def _quiet(start: int, end: int, days: Sequence[int]) -> str:
    """Return the condition: hours that run past midnight belong to the day on which they begin."""
    if 0 < end < start:
        evening = f"{HOUR} >= {start}{_on(days)}"
        morning = f"{HOUR} < {end}{_on([day % 7 + 1 for day in days])}"
        return f"{evening} || {morning}"
    ends = "" if end in (0, 24) else f" && {HOUR} < {end}"
    return f"{HOUR} >= {start}{ends}{_on(days)}"


def _on(days: Sequence[int]) -> str:
    return f" && {WEEKDAY} in [{', '.join(map(str, sorted(days)))}]" if days else ""


# ----------------------------------------------------------------------------------------------------------- recovery


def read_recovery(reader: RuleReader, record: Record) -> Guardrail:
    """Read after how many bad experiences the selected actions are held back, and with which greeting then."""
    head, source = reader.said(record), _reached(reader, record)
    forbid = reader.selector(record, "forbid")
    before = len(record.problems)
    if not record.has("instead"):
        record.refuse(f"the {record.what} has no `instead`; name a greeting that asks for forgiveness")
    instead = reader.instead(record, "forbid", forbid)
    greets = instead and any(one.kind is Kind.GREETING for one in reader.meant(instead))
    if reader.actions and len(record.problems) == before and not greets:
        record.refuse("`instead` means no greeting; name one that asks for forgiveness", "instead")
    when = Condition(source, record.node.file, record.node.line)
    rule = Guardrail(*head, forbid, when, instead, *reader.terms(record))
    record.rest_is_refused()
    return rule


def _reached(reader: RuleReader, record: Record) -> str:
    """Return the condition that so many were counted, of which enough are forgotten in time."""
    schema = reader.schema
    name = record.text("count", None, Reference([*schema.index, *reader.unread], "field"))
    if name not in schema.index:
        record.allow("reaches")
        return ""
    found = schema.fields[schema.index[name]]
    if not found.fold or found.fold.kind not in _ENDS:
        wanted = f"name one whose fold is {', '.join(_ENDS[:-1])} or {_ENDS[-1]}"
        record.refuse(f"`{name}` is no count over a window, so recovery might never end; {wanted}", "count")
    elif found.max_age_ms is not None:
        why = "grows unknown, which forbids for good, so recovery would never end"
        record.refuse(f"`{name}` {why}; remove its `max_age`, for the window ends by itself", "count")
    if found.type is ValueType.INT:
        return f"{name} >= {record.whole('reaches', None, 1, MOST_REACHED)}"
    return f"{name} >= {record.number('reaches', None, 0.000001, MOST_REACHED)!r}"
