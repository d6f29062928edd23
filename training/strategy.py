"""What training needs of a strategy: its context declarations, the features of its models, and its actions' ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.context import ContextSchema
from models.documents import Documents, DocumentsRefused, Items, Leaf, Mapping, Node, read_folder
from models.features import FeatureRefused, FeatureSpace
from models.outcomes import Outcomes, parse_outcomes
from models.schema import parse_context
from models.values import RanksBy

from .errors import TrainingRefused


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """The part of a strategy that models depend on. `digest` is the SHA-256 over all its documents; `outcomes` say what
    models predict and what decisions earn, and know each action's kinds of names and money. `ranks_by` says whether
    models of worth are learned, too.
    """

    name: str
    digest: str
    schema: ContextSchema
    space: FeatureSpace
    actions: tuple[str, ...]
    outcomes: Outcomes
    ranks_by: RanksBy = RanksBy.FORMULA


def read_strategy(folder: Path) -> Declared:
    """Read a strategy's folder; raise `TrainingRefused` with every problem of its context declarations."""
    try:
        documents = read_folder(folder)
        problems = list(documents.problems)
        schema = parse_context(documents, problems)
        outcomes = parse_outcomes(documents, schema, problems)
        if problems:
            raise DocumentsRefused(problems)
        space = FeatureSpace.of(schema, _features(documents))
    except (DocumentsRefused, FeatureRefused) as refused:
        raise TrainingRefused(str(refused)) from None
    if not space.columns:
        raise TrainingRefused("the strategy names no features; add `model: {features: [...]}`")
    names, ranks_by = _actions(documents), _ranks_by(documents)
    return Declared(strategy_name(documents), documents.digest, schema, space, names, outcomes, ranks_by)


def _features(documents: Documents) -> tuple[str, ...]:
    return tuple(
        feature.text
        for section in documents.section("model")
        for feature in _items(_value(section, "features"))
        if isinstance(feature, Leaf)
    )


def _ranks_by(documents: Documents) -> RanksBy:
    named = (_value(section, "ranks_by") for section in documents.section("model"))
    told = [found.text for found in named if isinstance(found, Leaf) and found.text in tuple(RanksBy)]
    return RanksBy(told[0]) if told else RanksBy.FORMULA


def _actions(documents: Documents) -> tuple[str, ...]:
    ids = (_value(action, "id") for section in documents.section("actions") for action in _items(section))
    return tuple(sorted({found.text for found in ids if isinstance(found, Leaf)}))


def strategy_name(documents: Documents) -> str:
    """Return the name that a strategy gives itself, or that of its folder."""
    names = (_value(section, "name") for section in documents.section("strategy"))
    return next((name.text for name in names if isinstance(name, Leaf)), documents.name)


def _value(node: Node, key: str) -> Node | None:
    return node.nodes.get(key) if isinstance(node, Mapping) else None


def _items(node: Node | None) -> tuple[Node, ...]:
    return node.nodes if isinstance(node, Items) else ()
