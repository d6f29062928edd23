"""Read what becomes due of itself: the section `triggers`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from models.clock import NO_CLOCK
from models.context import Attribute, ContextSchema, EventType, FoldKind, Purpose, ValueType
from models.documents import Documents, Problem
from models.records import Record, section_records
from models.schema_folds import NUMBERS, read_where
from models.shapes import Misfit, Number, Reference, Text, a, nearest
from models.trees import Mapping as Pairs
from models.trees import Node, shown
from service.core.loader_selectors import RuleReader
from service.core.rules import Selector
from service.core.strategy import Action
from service.core.triggers import DAY_MS, MOST_TIMES, Happening, Trigger, Wait

MOST_TRIGGERS = 64
LONGEST_GOOD_MS = 90 * DAY_MS
SHORTEST_GOOD_MS = 60_000
SHORTEST_LOOK_MS = 60_000
LONGEST_WAIT_MS = 730 * DAY_MS

_KEYS = (ValueType.STRING, ValueType.INT)
_MINUTE = Text('write a time of day in quotes, such as "09:00"', re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]"))
_EVENT = "write the name of an event, or {event: NAME, where: {ATTRIBUTE: VALUE}}"
_UNLESS = "write a list in brackets, and in it the names of events that end it, such as [cart.bought]"
_AFTER = "write after which event it is armed, such as `after: cart.updated`, or a `date` in a field"


def read_triggers(documents: Documents, reader: RuleReader, problems: list[Problem]) -> tuple[Trigger, ...]:
    """Return the triggers that could be read, each checked against events, fields, actions and channels."""
    records = section_records(documents, "triggers", "trigger", problems)
    for record in records[MOST_TRIGGERS:]:
        record.refuse(f"there are {len(records)} triggers; write at most {MOST_TRIGGERS}")
    return tuple(found for record in records if (found := _trigger(reader, record)))


def _trigger(reader: RuleReader, record: Record) -> Trigger | None:
    says = reader.said(record)
    after, date = _began(reader, record)
    event = reader.schema.events.get(after.event) if after else None
    per = _per(record, event)
    if after is not None:
        after = replace(after, key=per)
    unless = _unless(reader, record, after, per)
    times, within_ms = _times(record, date)
    wait = _wait(reader, record)
    of, channel, placements = _said(reader, record)
    when = reader.when(record, of_actions=False)
    purpose = record.choice("purpose", Purpose) if record.has("purpose") else Purpose.PERSONALIZATION
    good_for_ms, look_ms = _good_for(record)
    owner, valid = reader.terms(record)
    record.rest_is_refused()
    if after is None or purpose is None:
        return None
    return Trigger(
        *says, after, unless, wait, of, channel, placements, when, purpose, per, times, within_ms, date,
        good_for_ms, look_ms, owner, valid,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------ what begins and ends


def _began(reader: RuleReader, record: Record) -> tuple[Happening | None, str]:
    """Return what arms it, and the attribute that holds the date that it is about; empty for none."""
    if not record.has("after"):
        if record.has("date"):
            return _dated(reader, record)
        record.refuse(f"the {record.what} has no `after`; {_AFTER}")
        record.allow("per", "before")
        return None, ""
    after = _happening(reader, record.node.nodes["after"], "after", record.problems)
    event = reader.schema.events.get(after.event) if after else None
    if event is None or not record.has("date"):
        record.allow("date")
        return after, ""
    return after, _attribute(record, "date", event, (ValueType.TIMESTAMP,))


def _dated(reader: RuleReader, record: Record) -> tuple[Happening | None, str]:
    """Return the event and the attribute that a field with a moment holds the last of."""
    schema = reader.schema
    name = record.text("date", None, Reference([*schema.index, *reader.unread], "field"))
    if name not in schema.index:
        record.allow("per")
        return None, ""
    field = schema.fields[schema.index[name]]
    fold = field.fold
    if field.type is not ValueType.TIMESTAMP or fold is None or fold.kind is not FoldKind.LAST or not fold.attribute:
        wanted = "name a field of type timestamp whose fold is last, or write `after` and an attribute of that event"
        record.refuse(f"`{name}` holds no moment that an event told last; {wanted}", "date")
        record.allow("per")
        return None, ""
    return Happening(fold.event, fold.where), fold.attribute


def _happening(reader: RuleReader, node: Node, key: str, problems: list[Problem]) -> Happening | None:
    """Read an event by its name, or with what its attributes equal."""
    events = reader.schema.events
    if isinstance(node, Pairs):
        parts = Record(node, f"event under `{key}`", problems)
        event = events.get(parts.reference("event", list(events), "event"))
        where, at_least = read_where(parts, event), _at_least(parts, event)
        parts.rest_is_refused()
        return Happening(event.id, where, "", at_least) if event else None
    try:
        return Happening(Reference(list(events), "event", Text(_EVENT)).read(node))
    except Misfit as misfit:
        problems.append(Problem(node.file, node.line, f"`{key}` {misfit}"))
        return None


def _at_least(record: Record, event: EventType | None) -> tuple[tuple[str, float], ...]:
    """Return how much attributes must be at least, each of them a number of the event."""
    parts = record.record("at_least", "`at_least`", "")
    if parts is None or event is None:
        return ()
    known = [one.name for one in event.attributes if one.type in NUMBERS]
    found = []
    for name, node in parts.node.nodes.items():
        if name not in known:
            parts.refuse(f"`at_least` names `{shown(name)}`, no number of {event.id}; {nearest(name, known)}", name)
            continue
        try:
            found.append((name, Number().read(node)))
        except Misfit as misfit:
            parts.refuse(f"`{name}` {misfit}", name)
    return tuple(found)


def _per(record: Record, event: EventType | None) -> str:
    if not record.has("per") or event is None:
        return ""
    return _attribute(record, "per", event, _KEYS)


def _attribute(record: Record, key: str, event: EventType, types: tuple[ValueType, ...]) -> str:
    known = {one.name: one for one in event.attributes}
    name = record.reference(key, list(known), f"attribute of {event.id}")
    found = known.get(name)
    if found is not None and found.type not in types:
        record.refuse(f"`{name}` is {a(found.type)}; name one of type {' or '.join(types)}", key)
        return ""
    return name if found else ""


def _unless(reader: RuleReader, record: Record, after: Happening | None, per: str) -> tuple[Happening, ...]:
    found = []
    for node in record.items("unless", _UNLESS, required=record.has("unless")):
        end = _happening(reader, node, "unless", record.problems)
        if end is None:
            continue
        if after and end.event == after.event and _always(end, after):
            message = f"`{end.event}` arms it and ends it at once, so it would never be due; name another"
            record.problems.append(Problem(node.file, node.line, message))
        found.append(replace(end, key=_shared(reader.schema, end.event, per)))
    return tuple(found)


def _always(end: Happening, after: Happening) -> bool:
    """Tell whether whatever arms it ends it."""
    least = dict(after.at_least)
    return set(end.where) <= set(after.where) and all(least.get(name, low - 1) >= low for name, low in end.at_least)


def _shared(schema: ContextSchema, event: str, per: str) -> str:
    """Return the attribute by which an end names what it ends; empty where it ends all."""
    known: Mapping[str, Attribute] = {one.name: one for one in schema.events[event].attributes}
    return per if per in known else ""


# ------------------------------------------------------------------------------------------------------ how often, when


def _times(record: Record, date: str) -> tuple[int, int]:
    times = record.whole("times", 1, 1, MOST_TIMES)
    within_ms = record.duration("within") if record.has("within") else 0
    leaf = record.leaf("times")
    if within_ms and (leaf is None or leaf.text == "1"):
        record.refuse("`within` is about several times; write `times`, or remove it", "within")
    if date and times > 1:
        record.refuse("a date comes once; remove `times`, or `date`", "times")
    return times, within_ms


def _wait(reader: RuleReader, record: Record) -> Wait:
    """Return how long is waited: exactly, or until a minute of the customer's day, by days of their calendar."""
    before = record.duration("before") if record.has("before") else 0
    wait = record.duration("wait") if record.has("wait") else 0
    for key, long in (("before", before), ("wait", wait)):
        if long > LONGEST_WAIT_MS:
            record.refuse(f"nothing is known of anybody for that long; write `{key}: 730d` at the most", key)
    if before and wait:
        record.refuse("`before` and `wait` are both there; keep one of them", "before")
    if before and not record.has("date"):
        record.refuse("`before` is about a date, and there is none; write `date`, or `wait`", "before")
    span = -before if before else wait
    if not record.has("at"):
        return Wait(span)
    at = record.text("at", None, _MINUTE)
    if reader.schema.time_zone is None:
        record.refuse(f"the time of day {NO_CLOCK}", "at")
    if span % DAY_MS:
        key = "before" if before else "wait"
        record.refuse(f"with `at`, `{key}` counts days of the calendar; write whole days, such as 1d", key)
    return Wait(span, 60 * int(at[:2]) + int(at[3:]) if at else 0)


def _good_for(record: Record) -> tuple[int, int]:
    good_for = record.duration("good_for", DAY_MS)
    look = record.duration("look_again") if record.has("look_again") else 0
    if good_for > LONGEST_GOOD_MS:
        record.refuse("nobody remembers for what this was; write `good_for: 90d` at the most", "good_for")
    if good_for < SHORTEST_GOOD_MS:
        record.refuse("it would be too late before anybody hears of it; write a minute (1m) at least", "good_for")
    if look and look < SHORTEST_LOOK_MS:
        record.refuse("`look_again` is too often; write a minute (1m) at least", "look_again")
    if look and look >= good_for:
        record.refuse("`look_again` comes only when it is no longer good; write less than `good_for`", "look_again")
    if look and not record.has("when"):
        record.refuse("`look_again` is about a condition; write `when`, or remove it", "look_again")
    return good_for, look


# ------------------------------------------------------------------------------------------------------------ what for


def _said(reader: RuleReader, record: Record) -> tuple[Selector, str, tuple[str, ...]]:
    """Return what it is for: actions with words at every one of the placements of a channel."""
    of = reader.selector(record, "for") if record.has("for") else _nothing(record)
    channel = record.reference("channel", reader.known["channels"], "channel")
    known = next((one.placements for one in reader.channels if one.id == channel), ())
    shape = Reference(known, f"placement of {channel}") if known else Text()
    placements = record.values("placements", shape, required=True)
    if not known or not record.has("for"):
        return of, channel, placements
    if of.channels:
        record.refuse("`channel` says where it is said; remove `channels` from `for`", "for")
    for placement in placements:
        if not any(_fits(action, channel, placement) for action in reader.meant(of)):
            record.refuse(f"no action of `for` has words for {placement} of {channel}; add a treatment", "for")
    return of, channel, placements


def _nothing(record: Record) -> Selector:
    record.refuse(f"the {record.what} has no `for`; write what may be said then, such as {{ids: [finish-cart]}}")
    return Selector()


def _fits(action: Action, channel: str, placement: str) -> bool:
    return any(one.channel == channel and one.placement == placement for one in action.treatments)
