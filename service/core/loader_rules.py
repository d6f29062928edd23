"""Read the rules of a strategy: who is meant, when it holds, and what then follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from models.context import ContextSchema
from models.documents import Documents, Problem
from models.records import Record, section_records
from models.schema import unread_fields
from models.shapes import NAME, Reference, Shape
from models.trees import Leaf
from service.core.cel import ConditionRefused, check_condition
from service.core.check import reading
from service.core.rules import Cap, Condition, Eligibility, Guardrail, Kind, Per, Selector, Weight
from service.core.selection import bits, mask
from service.core.strategy import Action

T = TypeVar("T")

MOST_COUNTED = 1_000_000
LONGEST_CAP_MS = 730 * 86_400_000  # what the store remembers of a customer
HIGHEST_FACTOR = 1e6

_SECOND_READING = (
    "the independent check cannot read this; write it without comments, hexadecimal numbers, raw or triple-quoted "
    "texts, escapes other than \\n \\t \\r and a quote or backslash, and names that begin with a dot"
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
class Rules:
    """All rules of a strategy, each kind in the order of the documents."""

    guardrails: tuple[Guardrail, ...]
    eligibility: tuple[Eligibility, ...]
    caps: tuple[Cap, ...]
    weights: tuple[Weight, ...]


def read_rules(
    documents: Documents,
    schema: ContextSchema,
    actions: tuple[Action, ...],
    channels: Sequence[str],
    problems: list[Problem],
) -> Rules:
    """Return the rules that could be read, each checked against the actions, channels and fields that there are."""
    reader = _Reader.of(documents, schema, actions, channels)

    def read(section: str, what: str, one: Callable[[Record], T]) -> tuple[T, ...]:
        return tuple(one(record) for record in section_records(documents, section, what, problems))

    return Rules(
        read("guardrails", "guardrail", reader.guardrail),
        read("eligibility", "eligibility rule", reader.eligibility),
        read("caps", "cap", reader.cap),
        read("weights", "weight", reader.weight),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads rules; reasons name a rule by its id alone, so ids are taken across all kinds of rules."""

    schema: ContextSchema
    actions: tuple[Action, ...]
    known: dict[str, tuple[str, ...]]
    unread: tuple[str, ...]
    taken: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, documents: Documents, schema: ContextSchema, actions: tuple[Action, ...], channels: Sequence[str]
    ) -> _Reader:
        """Collect what selectors may refer to."""
        known = {
            "ids": _distinct(action.id for action in actions),
            "kinds": tuple(Kind),
            "intents": _distinct(intent for action in actions for intent in action.intents),
            "groups": _distinct(action.group for action in actions),
            "tags": _distinct(tag for action in actions for tag in action.tags),
            "channels": _distinct(channels),
        }
        return cls(schema, actions, known, unread_fields(documents, schema))

    def guardrail(self, record: Record) -> Guardrail:
        """Read a rule that forbids."""
        instead = self._selector(record, "instead") if record.has("instead") else None
        rule = Guardrail(*self._head(record), self._selector(record, "forbid"), self._when(record), instead)
        record.rest_is_refused()
        return rule

    def eligibility(self, record: Record) -> Eligibility:
        """Read a rule that permits."""
        rule = Eligibility(*self._head(record), self._selector(record, "permit"), self._when(record))
        if not record.has("when"):
            record.refuse("the eligibility rule has no `when`; write the condition under which it permits")
        record.rest_is_refused()
        return rule

    def cap(self, record: Record) -> Cap:
        """Read a contact cap."""
        head, count = self._head(record), self._selector(record, "count")
        at_most, within = record.whole("at_most", None, 1, MOST_COUNTED), record.duration("within")
        if within > LONGEST_CAP_MS:
            record.refuse("is longer than contacts are remembered; write 730d at the most", "within")
        rule = Cap(*head, count, at_most, within, record.choices("per", Per))
        record.rest_is_refused()
        return rule

    def weight(self, record: Record) -> Weight:
        """Read a rule that weighs."""
        head, boost = self._head(record), self._selector(record, "boost")
        rule = Weight(*head, boost, record.number("factor", None, 0.0, HIGHEST_FACTOR), self._when(record))
        record.rest_is_refused()
        return rule

    def _head(self, record: Record) -> tuple[str, str]:
        return record.id(self.taken), record.text("says")

    # ------------------------------------------------------------------------------------------------- selectors

    def _selector(self, record: Record, key: str) -> Selector:
        parts = record.record(key, f"`{key}` selector", _SELECTOR)
        if parts is None:
            return Selector()
        before = len(record.problems)
        selector = self._parts(parts)
        self._check_all(parts)
        parts.rest_is_refused()
        if self.actions and len(record.problems) == before and not self._meets(selector):
            record.refuse(f"no action is meant by `{key}`; change the selector, or remove the rule", key)
        return selector

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

    def _meets(self, selector: Selector) -> bool:
        """Say whether there is an action that the selector means on one of its channels."""
        anywhere = replace(selector, channels=())
        channels = set(selector.channels)
        return any(
            not channels or not channels.isdisjoint(treatment.channel for treatment in self.actions[index].treatments)
            for index in bits(mask(anywhere, self.actions, ""))
        )

    # ------------------------------------------------------------------------------------------------ conditions

    def _when(self, record: Record) -> Condition:
        if not record.has("when"):
            return Condition("", record.node.file, record.node.line)
        text, leaf = record.text("when"), record.leaf("when")
        if not text or leaf is None:
            return Condition("", record.node.file, record.node.line)
        if not any(name in text for name in self.unread):
            self._check(record, leaf)
        return Condition(text, leaf.file, leaf.line)

    def _check(self, record: Record, leaf: Leaf) -> None:
        try:
            check_condition(leaf.text.rstrip(), self.schema)
            reading(leaf.text.rstrip(), dict(self.schema.index))
        except ConditionRefused as refused:
            line = leaf.line_of(refused.line, refused.column)
            record.problems.append(Problem(leaf.file, line, f"`when`: {refused.message}"))
        except ValueError:
            record.problems.append(Problem(leaf.file, leaf.line, f"`when`: {_SECOND_READING}"))


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))
