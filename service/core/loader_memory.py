"""Read the rules about what was said before: cool-offs after a refusal, consistency, and who is exempt from what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.context import FoldKind, Source
from models.documents import Problem
from models.records import Record
from models.shapes import Choice, Duration, Misfit, Reference
from models.trees import Leaf, Node
from service.core.loader_caps import DAY_MS, LONGEST_CAP_MS, MINUTE_MS, check_per
from service.core.loader_selectors import RuleReader
from service.core.rules import CONTACT_PERMISSION, Answered, CoolOff, Exemption, Per, Promise, Selector
from service.core.selection import mask

FOR_GOOD_MS = 36_500 * DAY_MS
"""How long answers count for a permanent cool-off: longer than anybody is a customer."""
LONGEST_REST_MS = LONGEST_CAP_MS  # what the store remembers of a customer
MOST_RESTS = 16

_RESTS = (Per.ACTION, Per.GROUP, Per.INTENT)
_PARTS = (Per.GROUP, Per.INTENT)
_FOR_ALL = ("consent", "supply", "stock", "switch")
_FOR = "write how long they rest, such as `for: [30d, 90d]`, or `permanent: true`"
_CHANGES = "write the list of fields whose change ends it, such as [past.plan], or [] where none does"


_CHANGE_BY_THEMSELVES = (FoldKind.SINCE, FoldKind.DECAY, FoldKind.RATE, FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM)


# ---------------------------------------------------------------------------------------------------------- cool-offs


def read_cool_off(reader: RuleReader, record: Record) -> CoolOff:
    """Read after which answers actions rest, and for how long."""
    head, about = reader.said(record), reader.selector(record, "about")
    after = record.values("after", Choice(Answered), required=True)
    rests, permanent = _rests(record), record.has("permanent") and record.flag("permanent")
    if record.has("for") and permanent:
        record.refuse("`permanent` rests for good, and `for` says when that ends; keep one of them", "for")
    elif not record.has("for") and not permanent:
        record.refuse(f"the {record.what} has no `for`, so it would never end; {_FOR}")
    forget_ms = FOR_GOOD_MS if permanent else _forget(record, rests)
    per = _per(record, _RESTS) if record.has("per") else (Per.ACTION,)
    check_per(reader, record, about, per, "about")
    rule = CoolOff(*head, about, after, rests, forget_ms, per, permanent, *reader.terms(record))
    record.rest_is_refused()
    return rule


def _rests(record: Record) -> tuple[int, ...]:
    """Return how long each rest is, in the order of the answers; later ones are never shorter."""
    node = record.node.nodes.get("for")
    nodes = (node,) if isinstance(node, Leaf) else record.items("for", _FOR, record.has("for"))
    rests = [_rest(record, one) for one in nodes]
    if len(rests) > MOST_RESTS:
        record.refuse(f"`for` has {len(rests)} times; write at most {MOST_RESTS}, the last holds for all others", "for")
    if all(rests) and rests != sorted(rests):
        record.refuse("`for` gets shorter with more answers; write no time shorter than the one before", "for")
    return tuple(rests)


def _rest(record: Record, node: Node) -> int:
    try:
        rest = Duration().read(node)
    except Misfit as misfit:
        record.problems.append(Problem(node.file, node.line, f"`for` {misfit}"))
        return 0
    if not MINUTE_MS <= rest <= LONGEST_REST_MS:
        message = "`for` is from 1m to 730d, as long as answers are remembered; write a time between"
        record.problems.append(Problem(node.file, node.line, message))
        return 0
    return rest


def _forget(record: Record, rests: Sequence[int]) -> int:
    """Return for how long an answer counts, which is never shorter than what it rests."""
    forget_ms = record.duration("forget", LONGEST_REST_MS)
    if forget_ms > LONGEST_REST_MS:
        record.refuse("`forget` is longer than answers are remembered; write 730d at the most", "forget")
    elif forget_ms and rests and forget_ms < max(rests):
        record.refuse("`forget` is shorter than `for`, which it would switch off; write a longer one", "forget")
    return forget_ms


def _per(record: Record, fitting: Sequence[Per]) -> tuple[Per, ...]:
    return tuple(Per(word) for word in record.values("per", Reference(fitting, "kind of part"), required=False))


# -------------------------------------------------------------------------------------------------------- consistency


def read_promise(reader: RuleReader, record: Record) -> Promise:
    """Read what is kept to once it was said, for how long, and what ends it before."""
    head, keep = reader.said(record), reader.selector(record, "keep")
    per = _per(record, _PARTS) if record.has("per") else ()
    check_per(reader, record, keep, per, "keep")
    if not record.has("for"):
        record.refuse(f"the {record.what} has no `for`, so it would never end; write how long, such as 7d")
    for_ms = record.duration("for") if record.has("for") else 0
    if for_ms and not MINUTE_MS <= for_ms <= LONGEST_REST_MS:
        record.refuse("`for` is from 1m to 730d; write a time between", "for")
    if not record.has("until_changes"):
        record.refuse(f"the {record.what} has no `until_changes`; {_CHANGES}")
    material = record.values("until_changes", _Material(reader), required=False)
    rule = Promise(*head, keep, for_ms, per, material, *reader.terms(record))
    record.rest_is_refused()
    return rule


@dataclass(frozen=True, slots=True)
class _Material:
    """A field whose change is a change of the customer's circumstances, and not of the hour or of the page."""

    reader: RuleReader
    wanted: str = "name fields that are kept of the customer"

    def read(self, node: Node) -> str:
        schema = self.reader.schema
        name = Reference([*schema.index, *self.reader.unread], "field").read(node)
        if name not in schema.index:
            return name
        found = schema.fields[schema.index[name]]
        if found.source not in (Source.EVENTS, Source.MODEL):
            raise Misfit(
                f"names `{name}`, which comes from the {found.source} and would change with every contact; "
                f"{self.wanted}"
            )
        if found.fold and found.fold.kind in _CHANGE_BY_THEMSELVES:
            raise Misfit(
                f"names `{name}`, which changes as time goes by, so that nothing would be kept to; "
                "name what changes with an event"
            )
        return name


# --------------------------------------------------------------------------------------------------------- exemptions


def read_exemption(reader: RuleReader, record: Record, about: Mapping[str, Selector]) -> Exemption:
    """Read which actions are exempt from which of the rules, `about` which each says whom it means."""
    head, actions = reader.said(record), reader.selector(record, "actions")
    names = record.values("exempt_from", _Exempted(reader, about), required=True)
    for name in names:
        if reader.actions and not record.problems and not _exempts(reader, actions, name, about):
            wanted = "name a rule that holds for them, or remove it"
            record.refuse(f"none of these actions is bound by `{name}`, so it exempts nothing; {wanted}", "exempt_from")
    rule = Exemption(*head, actions, names, *reader.terms(record))
    record.rest_is_refused()
    return rule


def _exempts(reader: RuleReader, actions: Selector, name: str, about: Mapping[str, Selector]) -> bool:
    """Say whether there is a channel on which an action is both meant and bound."""
    for channel in reader.channels:
        if name == CONTACT_PERMISSION and not channel.permission:
            continue
        bound = about.get(name, Selector())
        both = mask(actions, reader.actions, channel.id) & mask(bound, reader.actions, channel.id)
        if any(both >> one.index & 1 for one in reader.actions if any(t.channel == channel.id for t in one.treatments)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Exempted:
    """A rule that actions can be exempt from."""

    reader: RuleReader
    about: Mapping[str, Selector]
    wanted: str = f"name guardrails, rules that permit, caps, cool-offs or promises, or {CONTACT_PERMISSION}"

    def read(self, node: Node) -> str:
        name = node.text if isinstance(node, Leaf) else ""
        if name in self.reader.taken and name not in self.about:
            raise Misfit(f"names `{name}`, which holds nothing back; {self.wanted}")
        if name in _FOR_ALL and name not in self.about:
            raise Misfit(f"names `{name}`, which holds for every action; remove it")
        return Reference([*self.about, CONTACT_PERMISSION], "rule").read(node)
