"""Read what a strategy promises of itself: the section `invariants`."""

from __future__ import annotations

from models.documents import Documents, Problem
from models.records import Record, section_records
from models.shapes import Choice, Reference
from service.core.cel import ConditionRefused, check_condition
from service.core.invariants import AtMost, Ends, Form, Invariant, Named, Never, Rests, Written
from service.core.loader_caps import MOST_COUNTED, window
from service.core.loader_selectors import RuleReader, always
from service.core.rules import Answered, Condition, Counts

ENDS = "suppressions end"
PERMITS = "permits"
_WANTED = (
    "write `never:` with a condition over `action`, or with "
    + ", ".join(f"`{form}`" for form in Form)
    + f"; or `always: {ENDS}`; or `at_most:`; or `rests:`"
)
_KINDS = ("never", "always", "at_most", "rests")


def read_invariants(documents: Documents, reader: RuleReader, problems: list[Problem]) -> tuple[Invariant, ...]:
    """Return the promises that could be read, each checked against the actions, channels and fields that there are."""
    records = section_records(documents, "invariants", "invariant", problems)
    return tuple(found for record in records if (found := _invariant(reader, record)))


def _invariant(reader: RuleReader, record: Record) -> Invariant | None:
    head, (owner, valid) = reader.said(record), reader.terms(record)
    written = Written(*head, owner, valid, record.node.file, record.node.line)
    kinds = [kind for kind in _KINDS if record.has(kind)]
    if len(kinds) != 1:
        many = f"has {' and '.join(f'`{kind}`' for kind in kinds)}" if kinds else "promises nothing"
        record.refuse(f"the invariant {many}; {_WANTED}")
        record.allow(*record.node.nodes)
        return None
    found = _READ[kinds[0]](reader, record, written)
    record.rest_is_refused()
    return found


# ---------------------------------------------------------------------------------------------------- what is not said


def _never(reader: RuleReader, record: Record, written: Written) -> Invariant:
    leaf = record.leaf("never")
    form = leaf.text.strip() if leaf is not None else ""
    channels = record.values("on", Reference(reader.known["channels"], "channel"), record.has("on"))
    if form in set(Form):
        but = reader.selector(record, "except") if record.has("except") else None
        return Named(written, Form(form), channels, but)
    never = _condition(reader, record, "never", of_actions=True)
    when = _condition(reader, record, "while", of_actions=False)
    return Never(written, never, when, channels, _unknown_permits(record))


def _unknown_permits(record: Record) -> bool:
    if not record.has("unknown"):
        return False
    if record.text("unknown") != PERMITS:
        wanted = f"write `unknown: {PERMITS}`, or remove it: then what is not known holds back"
        record.refuse(f"`unknown` says what follows where something is not known; {wanted}", "unknown")
    return True


def _condition(reader: RuleReader, record: Record, key: str, *, of_actions: bool) -> Condition:
    """Return a condition; a missing one always holds."""
    if not record.has(key):
        return always(record)
    text, leaf = record.text(key), record.leaf(key)
    if not text or leaf is None:
        return always(record)
    if any(name in text for name in reader.unread):  # which has a problem of its own
        return Condition(text, leaf.file, leaf.line)
    try:
        check_condition(leaf.text.rstrip(), reader.schema, reader.attributes if of_actions else None)
    except ConditionRefused as refused:
        line = leaf.line_of(refused.line, refused.column)
        record.problems.append(Problem(leaf.file, line, f"`{key}`: {refused.message}"))
    return Condition(text, leaf.file, leaf.line)


# ------------------------------------------------------------------------------------------------- what ends and rests


def _always(reader: RuleReader, record: Record, written: Written) -> Invariant:
    if record.text("always") != ENDS:
        record.refuse(f"`always` can promise that {ENDS}; write `always: {ENDS}`", "always")
    but = record.values("except", Reference(tuple(reader.taken), "rule"), record.has("except"))
    return Ends(written, but)


def _at_most(reader: RuleReader, record: Record, written: Written) -> Invariant:
    at_most, count = record.whole("at_most", None, 0, MOST_COUNTED), reader.selector(record, "of")
    within_ms, daily = window(reader, record)
    counts = record.choice("counts", Counts) if record.has("counts") else None
    return AtMost(written, count, at_most, within_ms, daily, counts or Counts.DECIDED)


def _rests(reader: RuleReader, record: Record, written: Written) -> Invariant:
    about = reader.selector(record, "rests")
    after = record.values("after", Choice(Answered), required=True)
    for_good = record.has("permanent") and record.flag("permanent")
    if record.has("for") is for_good:
        record.refuse("write for how long: `for: 30d`, or `permanent: true`, and not both", "for")
    for_ms = record.duration("for", 0) if record.has("for") else 0
    return Rests(written, about, after, None if for_good else for_ms)


_READ = {"never": _never, "always": _always, "at_most": _at_most, "rests": _rests}
