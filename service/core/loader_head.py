"""Read what a strategy is called and can say to anyone, who agreed to what, where things are said, what models see."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.clock import BUILT_IN, NO_CLOCK
from models.context import ContextSchema, Purpose, Source, ValueType
from models.records import Record
from models.shapes import NAME, Misfit, Reference, Text
from models.trees import Leaf, Node
from models.values import RanksBy
from service.core.rules import Eligibility, Kind
from service.core.selection import mask
from service.core.strategy import Action, Channel, ConsentLevel

MOST_EXPLORED = 0.5

_ASKED_FOR = (Purpose.PERSONALIZATION, Purpose.PROFILING)
"""The purposes that nobody agrees to by saying nothing."""

_CURRENCY = Text("write three capital letters, such as EUR", re.compile(r"[A-Z]{3}"))


@dataclass(frozen=True, slots=True)
class Head:
    """What the section `strategy` says."""

    name: str = ""
    says: str = ""
    currency: str = ""
    safe_greeting: str = ""
    explore: float = 0.0


def read_head(
    record: Record | None,
    actions: tuple[Action, ...],
    channels: tuple[Channel, ...],
    permitting: tuple[Eligibility, ...],
) -> Head:
    """Return the head; its safe greeting is one that none of the `permitting` rules is about."""
    if record is None:
        return Head()
    ids = [action.id for action in actions if action.id]
    head = Head(
        record.text("name", None, NAME),
        record.text("says"),
        record.text("currency", None, _CURRENCY),
        record.text("safe_greeting", None, Reference(ids, "action") if ids else NAME),
        record.number("explore", 0.0, 0.0, MOST_EXPLORED),
    )
    for action in actions:
        if head.safe_greeting and action.id == head.safe_greeting:
            _check_safe_greeting(record, action, actions, channels, permitting)
    record.rest_is_refused()
    return head


def _check_safe_greeting(
    record: Record,
    greeting: Action,
    actions: tuple[Action, ...],
    channels: tuple[Channel, ...],
    permitting: tuple[Eligibility, ...],
) -> None:
    """See that the safe greeting can be said to anyone, on every channel, when nothing is known."""
    name = greeting.id
    if greeting.kind is not Kind.GREETING:
        record.refuse(f"`{name}` is of kind {greeting.kind}; name an action of kind greeting", "safe_greeting")
    if greeting.consumes:
        record.refuse(f"`{name}` consumes something, and may not be had; name a greeting without", "safe_greeting")
    reached = {treatment.channel for treatment in greeting.treatments}
    mute = [channel.id for channel in channels if channel.id and channel.id not in reached]
    if mute:
        record.refuse(f"`{name}` has no words for channel {mute[0]}; give it a treatment there", "safe_greeting")
    for rule in permitting if not record.problems else ():  # a rule with a mistake may seem to be about anything
        if any(mask(rule.permit, actions, channel.id) >> greeting.index & 1 for channel in channels):
            wanted = f"it is said when nothing is known, so name a greeting that no {rule.layer} rule is about"
            record.refuse(f"`{name}` is only for some, by `{rule.id}`; {wanted}", "safe_greeting")


def read_levels(records: Sequence[Record]) -> tuple[ConsentLevel, ...]:
    """Return the consent levels, the lowest first, which is that of customers whom nobody asked."""
    taken: dict[str, str] = {}
    levels = list[ConsentLevel]()
    for record in records:
        level = ConsentLevel(record.id(taken), record.text("says"), record.choices("purposes", Purpose, required=True))
        if not levels and (unasked := [purpose for purpose in level.purposes if purpose in _ASKED_FOR]):
            why = f"`purposes` has `{unasked[0]}`, and the first level is that of customers whom nobody asked"
            record.refuse(f"{why}; write [service] or [] here, and this level further down", "purposes")
        record.rest_is_refused()
        levels.append(level)
    return tuple(levels)


def read_channels(records: Sequence[Record]) -> tuple[Channel, ...]:
    """Return the channels with their placements."""
    taken: dict[str, str] = {}
    channels = []
    for record in records:
        placements = record.texts("placements", required=True)
        channels.append(Channel(record.id(taken), placements, record.flag("permission", False)))
        record.rest_is_refused()
    return tuple(channels)


def read_features(record: Record | None, schema: ContextSchema, unread: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fields that models see."""
    if record is None:
        return ()
    features = record.values("features", _Feature(schema, unread), required=True)
    record.allow("outcome", "influenced", "ranks_by")  # models/outcomes.py and `read_ranks_by` read them
    record.rest_is_refused()
    return features


def read_ranks_by(record: Record | None) -> RanksBy:
    """Return by what the strategy ranks."""
    found = record.choice("ranks_by", RanksBy) if record and record.has("ranks_by") else None
    return found or RanksBy.FORMULA


@dataclass(frozen=True, slots=True)
class _Feature:
    """A field that a model can see: `unread` fields have problems of their own and are taken as they are."""

    schema: ContextSchema
    unread: tuple[str, ...]
    wanted: str = "name fields that a model can see"

    def read(self, node: Node) -> str:
        if isinstance(node, Leaf) and node.text in set(BUILT_IN) - {*self.schema.index, *self.unread}:
            raise Misfit(f"names `{node.text}`, which {NO_CLOCK}")
        name = Reference([*self.schema.index, *self.unread], "field").read(node)
        if name in self.unread:
            return name
        field = self.schema.fields[self.schema.index[name]]
        if field.source is Source.MODEL:
            raise Misfit(f"names `{name}`, which models write; the past that is learned from does not have it")
        if field.source is Source.MEMORY:
            raise Misfit(f"names `{name}`, which the past that is learned from does not tell; take it out")
        bounds = field.bounds
        if bounds.type is ValueType.STRINGS:
            raise Misfit(f"names `{name}`, a list of texts, which no model can see; name a field of another type")
        if bounds.type is ValueType.STRING and not bounds.values:
            raise Misfit(f"names `{name}`, whose texts are not known; give the field `values`")
        return name
