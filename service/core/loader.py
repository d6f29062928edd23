"""Load a strategy from its folder: every document is checked, and every problem is reported at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from models.clock import BUILT_IN, NO_CLOCK
from models.context import ContextSchema, Purpose, Source, ValueType
from models.documents import MOST_PROBLEMS, Documents, DocumentsRefused, Problem, read_folder
from models.predictions import parse_predictions
from models.records import Record, section_records
from models.schema import parse_context, unread_fields
from models.shapes import NAME, Misfit, Reference, Text, nearest
from models.trees import Items, Leaf, Mapping, Node, shown
from service.core.loader_rules import Rules, read_rules
from service.core.loader_supply import read_consumes, read_demand
from service.core.rules import Eligibility, Kind
from service.core.selection import mask
from service.core.strategy import Action, Channel, ConsentLevel, Strategy, Treatment

REQUIRED = {
    "strategy": "write `strategy:` with name, says, currency and safe_greeting",
    "consent": "write `consent:` and under it a list of levels, the lowest first",
    "channels": "write `channels:` and under it a list of channels with their placements",
    "actions": "write `actions:` and under it a list of what can be said",
}
OPTIONAL = (
    "events",
    "fields",
    "time_zone",
    "guardrails",
    "eligibility",
    "caps",
    "weights",
    "model",
    "demand",
    "predictions",
)
MOST_EXPLORED = 0.5
MOST_MONEY = 1e9
SILENCE = "nothing"

_CURRENCY = Text("write three capital letters, such as EUR", re.compile(r"[A-Z]{3}"))


def load_strategy(folder: Path) -> Strategy:
    """Return the strategy that a folder's documents say. Raises DocumentsRefused with every problem."""
    documents = read_folder(folder)
    problems = list(documents.problems)
    strategy = _strategy(documents, problems)
    if problems:
        raise DocumentsRefused(problems)
    return strategy


def _strategy(documents: Documents, problems: list[Problem]) -> Strategy:
    _check_sections(documents, problems)
    schema = parse_context(documents, problems)
    levels = _levels(section_records(documents, "consent", "consent level", problems))
    channels = _channels(section_records(documents, "channels", "channel", problems))
    actions = _actions(section_records(documents, "actions", "action", problems), channels, schema)
    demand = read_demand(documents, schema, problems)
    parse_predictions(documents, schema, problems)  # for those who train and ask models; a mistake is one here, too
    rules = read_rules(documents, schema, actions, [channel.id for channel in channels], problems)
    head = _head(_only(documents, "strategy", problems), actions, channels, rules.eligibility)
    features = _features(_only(documents, "model", problems), schema, unread_fields(documents, schema))
    joined = _joined(documents.digest, head, schema, levels, channels, actions, rules, features)
    return replace(joined, demand=demand)


def _joined(
    digest: str,
    head: _Head,
    schema: ContextSchema,
    levels: tuple[ConsentLevel, ...],
    channels: tuple[Channel, ...],
    actions: tuple[Action, ...],
    rules: Rules,
    features: tuple[str, ...],
) -> Strategy:
    return Strategy(
        name=head.name,
        version=f"{head.name}@{digest[:12]}",
        says=head.says,
        currency=head.currency,
        schema=schema,
        levels=levels,
        channels=channels,
        actions=actions,
        guardrails=rules.guardrails,
        eligibility=rules.eligibility,
        caps=rules.caps,
        weights=rules.weights,
        safe_greeting=head.safe_greeting,
        explore=head.explore,
        features=features,
    )


# ---------------------------------------------------------------------------------------------------------- sections


def _check_sections(documents: Documents, problems: list[Problem]) -> None:
    known = (*REQUIRED, *OPTIONAL)
    for root in documents.roots:
        for key, line in root.key_lines.items():
            if key not in known and len(problems) < MOST_PROBLEMS:
                problems.append(Problem(root.file, line, f"there is no section `{shown(key)}`; {nearest(key, known)}"))
    there = {key for root in documents.roots for key in root.nodes}
    first = documents.roots[0].file
    problems += [Problem(first, 1, f"no document has `{key}`; {REQUIRED[key]}") for key in REQUIRED if key not in there]
    for key in REQUIRED:
        nodes = list(documents.section(key))
        if nodes and all(isinstance(node, Items) and not node.nodes for node in nodes):
            problems.append(Problem(nodes[0].file, nodes[0].line, f"the section `{key}` is empty; {REQUIRED[key]}"))


def _only(documents: Documents, key: str, problems: list[Problem]) -> Record | None:
    """Return the one mapping of a section that cannot be spread over documents."""
    nodes = list(documents.section(key))
    for node in nodes[1:]:
        message = f"the section `{key}` stands in {nodes[0].file}:{nodes[0].line} already; keep one of them"
        problems.append(Problem(node.file, node.line, message))
    if nodes and not isinstance(nodes[0], Mapping):
        message = f"the section `{key}` is not a mapping; write `key: value` pairs under it"
        problems.append(Problem(nodes[0].file, nodes[0].line, message))
    return Record(nodes[0], key, problems) if nodes and isinstance(nodes[0], Mapping) else None


@dataclass(frozen=True, slots=True)
class _Head:
    name: str = ""
    says: str = ""
    currency: str = ""
    safe_greeting: str = ""
    explore: float = 0.0


def _head(
    record: Record | None,
    actions: tuple[Action, ...],
    channels: tuple[Channel, ...],
    eligibility: tuple[Eligibility, ...],
) -> _Head:
    if record is None:
        return _Head()
    ids = [action.id for action in actions if action.id]
    head = _Head(
        record.text("name", None, NAME),
        record.text("says"),
        record.text("currency", None, _CURRENCY),
        record.text("safe_greeting", None, Reference(ids, "action") if ids else NAME),
        record.number("explore", 0.0, 0.0, MOST_EXPLORED),
    )
    for action in actions:
        if head.safe_greeting and action.id == head.safe_greeting:
            _check_safe_greeting(record, action, actions, channels, eligibility)
    record.rest_is_refused()
    return head


def _check_safe_greeting(
    record: Record,
    greeting: Action,
    actions: tuple[Action, ...],
    channels: tuple[Channel, ...],
    eligibility: tuple[Eligibility, ...],
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
    for rule in eligibility if not record.problems else ():  # a rule with a mistake may seem to be about anything
        if any(mask(rule.permit, actions, channel.id) >> greeting.index & 1 for channel in channels):
            wanted = "it is said when nothing is known, so name a greeting that no eligibility rule is about"
            record.refuse(f"`{name}` is only for some, by `{rule.id}`; {wanted}", "safe_greeting")


def _levels(records: Sequence[Record]) -> tuple[ConsentLevel, ...]:
    taken: dict[str, str] = {}
    levels = []
    for record in records:
        level = ConsentLevel(record.id(taken), record.text("says"), record.choices("purposes", Purpose, required=True))
        record.rest_is_refused()
        levels.append(level)
    return tuple(levels)


def _channels(records: Sequence[Record]) -> tuple[Channel, ...]:
    taken: dict[str, str] = {}
    channels = []
    for record in records:
        placements = record.texts("placements", required=True)
        channels.append(Channel(record.id(taken), placements, record.flag("permission", False)))
        record.rest_is_refused()
    return tuple(channels)


def _features(record: Record | None, schema: ContextSchema, unread: tuple[str, ...]) -> tuple[str, ...]:
    if record is None:
        return ()
    features = record.values("features", _Feature(schema, unread), required=True)
    record.rest_is_refused()
    return features


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
        bounds = field.bounds
        if bounds.type is ValueType.STRINGS:
            raise Misfit(f"names `{name}`, a list of texts, which no model can see; name a field of another type")
        if bounds.type is ValueType.STRING and not bounds.values:
            raise Misfit(f"names `{name}`, whose texts are not known; give the field `values`")
        return name


# ----------------------------------------------------------------------------------------------------------- actions


def _actions(records: Sequence[Record], channels: tuple[Channel, ...], schema: ContextSchema) -> tuple[Action, ...]:
    taken: dict[str, str] = {}
    return tuple(_action(index, record, taken, channels, schema) for index, record in enumerate(records))


def _action(
    index: int, record: Record, taken: dict[str, str], channels: tuple[Channel, ...], schema: ContextSchema
) -> Action:
    action = Action(
        index=index,
        id=record.id(taken),
        kind=record.choice("kind", Kind) or Kind.MESSAGE,
        intents=record.texts("intents"),
        group=record.text("group", "", NAME),
        tags=record.texts("tags"),
        says=record.text("says"),
        treatments=_treatments(record, channels),
        value=record.number("value", 0.0, 0.0, MOST_MONEY),
        reward=record.number("reward", 0.0, 0.0, MOST_MONEY),
        cost=record.number("cost", 0.0, 0.0, MOST_MONEY),
        lever=record.number("lever", 1.0, 0.0, 1e6),
        propensity=record.number("propensity", None, 0.0, 1.0),
        consumes=read_consumes(record, schema),
    )
    if action.kind is Kind.OFFER and not record.has("intents"):
        record.refuse("an offer says what it is for; give it intents, such as [upsell], so that rules can name it")
    if action.id == SILENCE:
        record.refuse(f"`{SILENCE}` is the name of saying nothing; give the action another id", "id")
    record.rest_is_refused()
    return action


def _treatments(record: Record, channels: tuple[Channel, ...]) -> tuple[Treatment, ...]:
    known = {channel.id: channel for channel in channels if channel.id}
    wanted = "write a list of treatments, each with channel, placements and text"
    found: dict[tuple[str, str], Treatment] = {}
    for treatment in record.records("treatments", "treatment", wanted):
        for one in _treatment(treatment, known):
            place = (one.channel, one.placement)
            if place in found:
                treatment.refuse(
                    f"there are words for {one.channel}/{one.placement} already; keep one treatment of them"
                )
            found.setdefault(place, one)
    return tuple(found.values())


def _treatment(record: Record, channels: dict[str, Channel]) -> tuple[Treatment, ...]:
    channel = channels.get(record.reference("channel", list(channels), "channel"))
    text = record.text("text")
    what = f"placement of {channel.id}" if channel else ""
    shape = Reference(channel.placements, what) if channel and channel.placements else NAME
    placements = record.values("placements", shape, required=True)
    record.rest_is_refused()
    return tuple(Treatment(channel.id, placement, text) for placement in placements) if channel else ()
