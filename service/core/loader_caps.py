"""Read how often is too often: contact caps, and which field names a customer's household."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from models.clock import HOUR, NO_CLOCK
from models.context import ContextSchema, Purpose, Source, ValueType
from models.records import Record
from models.shapes import Duration, Misfit, Reference, described
from models.trees import Leaf, Node
from service.core.loader_selectors import RuleReader
from service.core.rules import Cap, Counts, Per, Selector

MOST_COUNTED = 1_000_000
MOST_OF_A_HOUSEHOLD = 1_000  # all of them are looked at each time
MINUTE_MS = 60_000
DAY_MS = 86_400_000
LONGEST_CAP_MS = 730 * DAY_MS  # what the store remembers of a customer
LONGEST_CALENDAR_DAY_MS = 25 * 3_600_000  # the one on which summer time ends
LONGEST_HOLD_MS = 7 * DAY_MS
HALF_AN_HOUR_MS = 30 * MINUTE_MS

_DAY = "day"


class By(StrEnum):
    """Whose contacts are counted together."""

    CUSTOMER = "customer"
    HOUSEHOLD = "household"


@dataclass(frozen=True, slots=True)
class Within:
    """The window of a cap in milliseconds, or the calendar day, which reads as 0."""

    duration: Duration = field(default_factory=Duration)

    @property
    def wanted(self) -> str:
        """See models.shapes.Shape."""
        return f"{self.duration.wanted}, or `day`"

    def read(self, node: Node) -> int:
        """See models.shapes.Shape."""
        if isinstance(node, Leaf) and node.text == _DAY:
            return 0
        try:
            return self.duration.read(node)
        except Misfit:
            raise Misfit(f"is {described(node)}; {self.wanted}") from None


def read_cap(reader: RuleReader, record: Record, households: bool) -> Cap:
    """Read a contact cap; `households` says whether a document tells which field names a household."""
    head, count = reader.said(record), reader.selector(record, "count")
    at_most, within_ms, daily = record.whole("at_most", None, 1, MOST_COUNTED), *window(reader, record)
    per = record.choices("per", Per)
    check_per(reader, record, count, per, "count")
    counts = record.choice("counts", Counts) if record.has("counts") else Counts.DECIDED
    hold_ms = _hold(record, counts, within_ms)
    by_household = record.has("by") and record.choice("by", By) is By.HOUSEHOLD
    if by_household and not households:
        wanted = "write the section `household: {field: past.household}`"
        record.refuse(f"no document says which field names a household; {wanted}", "by")
    if by_household and at_most > MOST_OF_A_HOUSEHOLD:
        record.refuse(f"a household is counted up to {MOST_OF_A_HOUSEHOLD:,}; write a smaller `at_most`", "at_most")
    if by_household and counts not in (None, Counts.DECIDED):
        wanted = "remove `counts`, or write `by: customer`"
        record.refuse(f"what a household is told counts when it is decided; {wanted}", "counts")
    instead, terms = reader.instead(record, "count", count), reader.terms(record)
    record.rest_is_refused()
    counted = counts or Counts.DECIDED
    return Cap(*head, count, at_most, within_ms, per, daily, counted, hold_ms, by_household, instead, *terms)


def window(reader: RuleReader, record: Record) -> tuple[int, bool]:
    """Return the window and whether it is the customer's day."""
    leaf, before = record.leaf("within"), len(record.problems)
    length_ms = record.value("within", Within(), None, 0)
    if leaf and leaf.text == _DAY:
        if HOUR not in reader.schema.index:
            record.refuse(f"`{_DAY}` {NO_CLOCK}", "within")
        return LONGEST_CALENDAR_DAY_MS, True
    if len(record.problems) == before and length_ms < MINUTE_MS:
        record.refuse("`within` is shorter than a minute; write 1m at the least", "within")
    if length_ms > LONGEST_CAP_MS:
        record.refuse("is longer than contacts are remembered; write 730d at the most", "within")
    return length_ms, False


def _hold(record: Record, counts: Counts | None, within_ms: int) -> int:
    """Return for how long a decision reserves a use that only counts when it is shown or clicked."""
    if counts is Counts.DECIDED:
        if record.has("hold"):
            record.refuse("what was decided counts at once; remove `hold`, or write `counts: shown`", "hold")
        return 0
    hold_ms = record.duration("hold", min(HALF_AN_HOUR_MS, within_ms or HALF_AN_HOUR_MS))
    if hold_ms and not MINUTE_MS <= hold_ms <= LONGEST_HOLD_MS:
        record.refuse("`hold` is from 1m to 7d; write a time between", "hold")
    elif within_ms and hold_ms > within_ms:
        record.refuse("`hold` is longer than `within`, which it would switch off; write a shorter one", "hold")
    return hold_ms


def check_per(reader: RuleReader, record: Record, selector: Selector, per: Sequence[Per], key: str) -> None:
    """Refuse to tell groups or intents apart where a selected action has none: all such would count as one."""
    for action in reader.meant(selector) if reader.actions else ():
        has = {Per.GROUP: bool(action.group), Per.INTENT: bool(action.intents)}
        lacking = [one for one in per if not has.get(one, True)]
        if lacking:
            wanted = f"give it one, or leave it out of `{key}`"
            record.refuse(f"`{action.id}` has no {lacking[0]}, by which `per` tells actions apart; {wanted}", "per")
            return


# ---------------------------------------------------------------------------------------------------------- household


def read_household(record: Record | None, schema: ContextSchema, unread: Sequence[str]) -> str:
    """Return the field that names a customer's household; empty where there is none."""
    if record is None:
        return ""
    name = record.text("field", None, Reference([*schema.index, *unread], "field"))
    record.rest_is_refused()
    if name in schema.index:
        found = schema.fields[schema.index[name]]
        if found.type is not ValueType.STRING:
            record.refuse(f"`{name}` is of type {found.type}; name a field of type string", "field")
        elif found.source is not Source.EVENTS:
            record.refuse(f"`{name}` is not kept; name a field that is the `last` value of an event", "field")
        elif found.purpose is not Purpose.SERVICE:
            wanted = "a cap must not depend on consent, so name a field of purpose service"
            record.refuse(f"`{name}` is for {found.purpose}; {wanted}", "field")
        elif found.max_age_ms is not None:
            record.refuse(f"`{name}` grows too old, and the caps would end with it; remove its `max_age`", "field")
    return name
