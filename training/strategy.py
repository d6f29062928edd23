"""What training needs of a strategy: its context declarations, the features of its models, and its actions' ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.context import ContextSchema
from models.documents import Documents, DocumentsRefused, Items, Leaf, Mapping, Node, read_folder
from models.features import FeatureRefused, FeatureSpace
from models.schema import parse_context

from .errors import TrainingRefused


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """The part of a strategy that models depend on. `digest` is the SHA-256 over all its documents."""

    name: str
    digest: str
    schema: ContextSchema
    space: FeatureSpace
    actions: tuple[str, ...]


def read_strategy(folder: Path) -> Declared:
    """Read a strategy's folder; raise `TrainingRefused` with every problem of its context declarations."""
    try:
        documents = read_folder(folder)
        problems = list(documents.problems)
        schema = parse_context(documents, problems)
        if problems:
            raise DocumentsRefused(problems)
        space = FeatureSpace.of(schema, _features(documents))
    except (DocumentsRefused, FeatureRefused) as refused:
        raise TrainingRefused(str(refused)) from None
    if not space.columns:
        raise TrainingRefused("the strategy names no features; add `model: {features: [...]}`")
    return Declared(strategy_name(documents), documents.digest, schema, space, _actions(documents))


def _features(documents: Documents) -> tuple[str, ...]:
    return tuple(
        feature.text
        for section in documents.section("model")
        for feature in _items(_value(section, "features"))
        if isinstance(feature, Leaf)
    )


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
