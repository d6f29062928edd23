"""Load a strategy from its folder: every document is checked, and every problem is reported at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.context import ContextSchema
from models.documents import MOST_PROBLEMS, Documents, DocumentsRefused, Problem, read_folder
from models.outcomes import parse_outcomes
from models.predictions import parse_predictions
from models.records import Record, section_records
from models.schema import parse_context, unread_fields
from models.shapes import nearest
from models.trees import Items, Mapping, shown
from service.core.loader_actionable import read_actionable
from service.core.loader_actions import read_actions
from service.core.loader_attributes import read_attributes
from service.core.loader_caps import read_household
from service.core.loader_cost import problems_of_cost
from service.core.loader_exploration import read_adaptive, read_control, read_exploration
from service.core.loader_head import Head, read_channels, read_features, read_head, read_levels, read_ranks_by
from service.core.loader_invariants import read_invariants
from service.core.loader_rules import Rules, read_rules
from service.core.loader_selectors import RuleReader
from service.core.loader_supply import read_demand
from service.core.loader_triggers import read_triggers
from service.core.loader_wording import WordsReader
from service.core.strategy import Action, Channel, ConsentLevel, Strategy

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
    "journey",
    "language",
    "attributes",
    "household",
    "guardrails",
    "recovery",
    "quiet_hours",
    "eligibility",
    "applicability",
    "suitability",
    "caps",
    "weights",
    "cool_offs",
    "consistency",
    "exemptions",
    "invariants",
    "model",
    "demand",
    "predictions",
    "outcomes",
    "worth",
    "exploration",
    "control",
    "adaptive",
    "actionable",
    "triggers",
)


def load_strategy(folder: Path) -> Strategy:
    """Return the strategy that a folder's documents say. Raises DocumentsRefused with every problem."""
    return strategy_of(read_folder(folder))


def strategy_of(documents: Documents) -> Strategy:
    """Return the strategy that documents say. Raises DocumentsRefused with every problem."""
    problems = list(documents.problems)
    strategy = _strategy(documents, problems)
    problems += problems_of_cost(strategy) if not problems else []
    if problems:
        raise DocumentsRefused(problems)
    return strategy


def _strategy(documents: Documents, problems: list[Problem]) -> Strategy:
    _check_sections(documents, problems)
    schema = parse_context(documents, problems)
    levels = read_levels(section_records(documents, "consent", "consent level", problems))
    channels = read_channels(section_records(documents, "channels", "channel", problems))
    words = WordsReader.of(documents, schema, problems)
    attributes = read_attributes(documents, problems)
    sayable = section_records(documents, "actions", "action", problems)
    actions = read_actions(sayable, channels, schema, attributes, words)
    demand = read_demand(documents, schema, problems)
    parse_predictions(documents, schema, problems)  # for those who train and ask models; a mistake is one here, too
    parse_outcomes(documents, schema, problems)  # and for those who train
    unread = unread_fields(documents, schema)
    household = read_household(_only(documents, "household", problems), schema, unread)
    reader = RuleReader.of(documents, schema, actions, channels, attributes)
    rules = read_rules(documents, reader, problems)
    invariants = read_invariants(documents, reader, problems)
    head = read_head(_only(documents, "strategy", problems), actions, channels, rules.eligibility)
    model = _only(documents, "model", problems)
    features = read_features(model, schema, unread)
    joined = _joined(documents.digest, head, schema, levels, channels, actions, rules, features)
    joined = replace(joined, ranks_by=read_ranks_by(model), invariants=invariants)
    joined = _learning(joined, documents, unread, problems)
    joined = replace(joined, actionable=read_actionable(documents, schema, unread, problems))
    joined = replace(joined, triggers=read_triggers(documents, reader, problems))
    return replace(joined, demand=demand, language=words.language, attributes=attributes.read, household=household)


def _learning(strategy: Strategy, documents: Documents, unread: tuple[str, ...], problems: list[Problem]) -> Strategy:
    """Return the strategy with how it explores and learns between trainings."""
    adaptive = read_adaptive(_only(documents, "adaptive", problems), strategy.schema, unread)
    explores = _only(documents, "exploration", problems)
    exploration = read_exploration(explores, strategy.explore, any(documents.section("adaptive")))
    control = read_control(_only(documents, "control", problems), strategy.name)
    return replace(strategy, exploration=exploration, control=control, adaptive=adaptive)


def _joined(
    digest: str,
    head: Head,
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
        cool_offs=rules.cool_offs,
        promises=rules.promises,
        exemptions=rules.exemptions,
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
