"""What the training of predictions needs of a strategy: its context, its predictions and its consent levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.context import ContextSchema
from models.documents import DocumentsRefused, read_folder
from models.predictions import Prediction, parse_predictions, purposes_of
from models.schema import parse_context

from ..errors import TrainingRefused
from ..strategy import strategy_name


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """The part of a strategy that predictors depend on. `digest` is the SHA-256 over all its documents.

    `purposes` maps each consent level to what it allows.
    """

    name: str
    digest: str
    schema: ContextSchema
    predictions: tuple[Prediction, ...]
    purposes: Mapping[str, frozenset[str]]


def read_declared(folder: Path) -> Declared:
    """Read a strategy's folder; raise `TrainingRefused` with every problem of its context and its predictions."""
    try:
        documents = read_folder(folder)
        problems = list(documents.problems)
        schema = parse_context(documents, problems)
        predictions = parse_predictions(documents, schema, problems)
        if problems:
            raise DocumentsRefused(problems)
    except DocumentsRefused as refused:
        raise TrainingRefused(str(refused)) from None
    if not predictions:
        raise TrainingRefused("the strategy names no predictions; add a section `predictions:`")
    return Declared(strategy_name(documents), documents.digest, schema, predictions, purposes_of(documents))
