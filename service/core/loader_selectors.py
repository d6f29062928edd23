"""Read what all rules have in common: id and sentence, owner and validity, selectors of actions, conditions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from models.context import ContextSchema
from models.documents import Documents, Problem
from models.records import Record
from models.schema import unread_fields
from models.shapes import NAME, Reference, Shape, Text
from models.trees import Leaf, Mapping
from service.core.cel import ConditionRefused, check_condition
from service.core.cel.attributes import PREFIX
from service.core.check import reading
from service.core.loader_attributes import Attributes
from service.core.loader_when import read_valid, within
from service.core.rules import CONTACT_PERMISSION, Condition, Kind, Selector, Valid
from service.core.selection import bits, mask
from service.core.strategy import Action, ActionAttribute, Channel

OWNER = Text("write who answers for the rule, in at most 128 characters", longest=128)

_SECOND_READING = (
    "the independent check cannot read this; write it without comments, hexadecimal numbers, raw or triple-quoted "
    "texts, escapes other than \\n \\t \\r and a quote or backslash, names that begin with a dot, and comparisons of "
    "comparisons without brackets"
)
_SELECTOR = "write a selector such as {intents: [upsell]}, or {all: true}"
_PARTS = {
    "ids": "action",
    "kinds": "kind",
    "intents": "intent of an action",
    "groups": "group of an action",
    "tags": "tag of an action",
    "channels": "channel",
}


@dataclass(frozen=True, slots=True)
class RuleReader:
    """Reads the parts of rules; reasons name a rule by its id alone, so ids are taken across all kinds of rules."""

    schema: ContextSchema
    actions: tuple[Action, ...]
    channels: tuple[Channel, ...]
    attributes: tuple[ActionAttribute, ...]
    known: dict[str, tuple[str, ...]]
    unread: tuple[str, ...]
    taken: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        documents: Documents,
        schema: ContextSchema,
        actions: tuple[Action, ...],
        channels: tuple[Channel, ...],
        attributes: Attributes,
    ) -> RuleReader:
        """Collect what selectors and conditions may refer to."""
        known = {
            "ids": _distinct(action.id for action in actions),
            "kinds": tuple(Kind),
            "intents": _distinct(intent for action in actions for intent in action.intents),
            "groups": _distinct(action.group for action in actions),
            "tags": _distinct(tag for action in actions for tag in action.tags),
            "channels": _distinct(channel.id for channel in channels),
        }
        unread = (*unread_fields(documents, schema), *(f"{PREFIX}{name}" for name in attributes.unread))
        return cls(schema, actions, channels, attributes.read, known, unread)

    def said(self, record: Record) -> tuple[str, str]:
        """Return id and sentence."""
        rule_id = record.id(self.taken)
        if rule_id == CONTACT_PERMISSION:
            record.refuse(f"`{rule_id}` is what exemptions call the permission to contact; write another id", "id")
        return rule_id, record.text("says")

    def terms(self, record: Record) -> tuple[str, Valid]:
        """Return the owner and when the rule is in force."""
        return record.text("owner", "", OWNER), read_valid(record)

    # ------------------------------------------------------------------------------------------------- selectors

    def selector(self, record: Record, key: str) -> Selector:
        """Return which actions are meant, of which there is one at least."""
        parts = record.record(key, f"`{key}` selector", _SELECTOR)
        if parts is None:
            return Selector()
        before = len(record.problems)
        selector = self._parts(parts)
        self._check_all(parts)
        parts.rest_is_refused()
        if self.actions and len(record.problems) == before and not self.meant(selector):
            record.refuse(f"no action is meant by `{key}`; change the selector, or remove the rule", key)
        return selector

    def instead(self, record: Record, key: str, held_back: Selector) -> Selector | None:
        """Return what is preferred while the rule holds back what `key` names; something else must be among it."""
        if not record.has("instead"):
            return None
        before = len(record.problems)
        instead = self.selector(record, "instead")
        fine = self.actions and len(record.problems) == before and _was_read(record, key, held_back)
        if fine and {one.id for one in self.meant(instead)} <= {one.id for one in self.meant(held_back)}:
            record.refuse(f"`instead` names only what `{key}` holds back; name something that may be said", "instead")
        return instead

    def meant(self, selector: Selector) -> tuple[Action, ...]:
        """Return the actions that a selector means on one of their channels."""
        found = (self.actions[index] for index in bits(mask(replace(selector, channels=()), self.actions, "")))
        channels = set(selector.channels)
        return tuple(one for one in found if not channels or channels & {t.channel for t in one.treatments})

    def _parts(self, record: Record) -> Selector:
        # Without actions, which is a problem of its own, nobody can tell what is known.
        shapes: dict[str, Shape[str]] = {
            key: Reference(self.known[key], what) if self.actions else NAME for key, what in _PARTS.items()
        }
        names = {key: record.values(key, shape, required=record.has(key)) for key, shape in shapes.items()}
        kinds = tuple(Kind(kind) for kind in names.pop("kinds") if kind in set(Kind))
        return Selector(kinds=kinds, **names)

    def _check_all(self, record: Record) -> None:
        others = [key for key in _PARTS if key in record.node.nodes]
        if record.has("all") and (not record.flag("all") or others):
            record.refuse("`all` stands alone and is true; remove it or write {all: true}", "all")
        elif not record.node.nodes:
            record.refuse(f"the {record.what} is empty; {_SELECTOR}")

    # ------------------------------------------------------------------------------------------------ conditions

    def when(self, record: Record, of_actions: bool = True, forbids: bool = False) -> Condition:
        """Return the condition; without `of_actions` it may not ask what the action is like.

        Where it `forbids`, the independent check reads it as well.
        """
        if not record.has("when"):
            return always(record)
        text, leaf = record.text("when"), record.leaf("when")
        if not text or leaf is None:
            return always(record)
        if not any(name in text for name in self.unread):
            self._check(record, leaf, self.attributes if of_actions else None, forbids)
        return Condition(text, leaf.file, leaf.line)

    def in_force(self, record: Record, when: Condition, valid: Valid) -> Condition:
        """Return a condition that was read, so that it holds only while its rule is in force."""
        before = len(record.problems)
        found = within(record, when, valid)
        leaf = record.leaf("when") if record.has("when") else None
        composed = found is not when and leaf is not None and len(record.problems) == before
        if composed and leaf is not None and not any(name in when.source for name in self.unread):
            self._check_composed(record, leaf, found.source, when.source)
        return found

    def _check_composed(self, record: Record, leaf: Leaf, source: str, alone: str) -> None:
        """Refuse what can be read alone, and not beside the moments of its validity."""
        try:
            check_condition(source, self.schema)
        except ConditionRefused as refused:
            if _reads(alone, self.schema):
                message = f"`when` cannot be read beside `from` and `until`: {refused.message}"
                record.problems.append(Problem(leaf.file, leaf.line, message))

    def _check(self, record: Record, leaf: Leaf, attributes: tuple[ActionAttribute, ...] | None, forbids: bool) -> None:
        try:
            check_condition(leaf.text.rstrip(), self.schema, attributes)
            if forbids:
                reading(leaf.text.rstrip(), self.schema.index)
        except ConditionRefused as refused:
            line = leaf.line_of(refused.line, refused.column)
            record.problems.append(Problem(leaf.file, line, f"`when`: {refused.message}"))
        except ValueError:
            record.problems.append(Problem(leaf.file, leaf.line, f"`when`: {_SECOND_READING}"))


def _reads(source: str, schema: ContextSchema) -> bool:
    try:
        check_condition(source, schema)
    except ConditionRefused:
        return False
    return True


def _was_read(record: Record, key: str, selector: Selector) -> bool:
    """Say whether a selector is what is written, for one with problems may seem to mean everything."""
    node = record.node.nodes.get(key)
    return selector != Selector() or (isinstance(node, Mapping) and "all" in node.nodes)


def always(record: Record) -> Condition:
    """Return the condition that always holds, at the place of a rule."""
    return Condition("", record.node.file, record.node.line)


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))
