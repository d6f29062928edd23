"""A trained predictor on disk: a folder like that of a propensity model, which is read without trusting it.

`manifest.json` says what the predictor is, `folded.npz` holds the arrays that say the predictions, and `model.skops`,
where there is an estimator, what they were folded from. Only `python -m training verify` opens the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from models.artifacts import (
    ESTIMATORS,
    FOLDED,
    MANIFEST,
    NAME,
    STEEPEST,
    ArtifactRefused,
    Parity,
    array_of,
    checked_file,
    plain_file,
    unpack,
    version_of,
)
from models.context import ContextSchema
from models.predictions import Prediction, PredictionKind
from models.predictors import Affinity, Linear, Predictor, bound, meaning

MOST_ITEMS = 2_000


class PredictorRows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a predictor was made from: events of how many customers, moments looked at, and the time they span."""

    events: int
    customers: int
    moments: int
    first: str
    last: str


class PredictorManifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a predictor is, readable by people.

    `version` is the name and 12 digits of the SHA-256 over everything else but the digest of `model.skops`, as for
    propensity models. `labels` are the classes of a linear model or the items of an affinity, in the arrays' order.
    """

    format: Literal[1]
    predicts: PredictionKind
    name: str
    version: str
    strategy: str
    field: str
    features: tuple[str, ...]
    columns: tuple[str, ...]
    meaning: str
    labels: tuple[str, ...]
    rows: PredictorRows
    seed: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    metrics: dict[str, Any]
    parity: Parity | None
    libraries: dict[str, str]
    files: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class PredictorArtifact:
    """A predictor whose files, digests, shapes and numbers agree with its manifest; `estimator` may be empty."""

    manifest: PredictorManifest
    model: Linear | Affinity
    estimator: bytes


def load_predictor(folder: Path, schema: ContextSchema, predictions: Mapping[str, Prediction]) -> Predictor:
    """Return the predictor of an artefact that was made for these declarations; raise `ArtifactRefused` in words."""
    artifact = read_predictor(folder)
    manifest = artifact.manifest
    prediction = predictions.get(manifest.field)
    if prediction is None:
        known = ", ".join(predictions) or "none"
        raise ArtifactRefused(f"{folder}: predicts {manifest.field}; the strategy's predictions are {known}")
    if manifest.predicts is not prediction.kind or manifest.meaning != meaning(schema, prediction):
        raise ArtifactRefused(
            f"{folder}: was made for another prediction of {manifest.field}, or for other declarations of its "
            "features; train it again"
        )
    predictor = bound(artifact.model, prediction, manifest.version, schema)
    _check_against(predictor, manifest, schema, folder)
    return predictor


def _check_against(predictor: Predictor, manifest: PredictorManifest, schema: ContextSchema, folder: Path) -> None:
    """See that nothing can come out that the field does not allow, however the manifest was forged."""
    values = schema.fields[schema.index[manifest.field]].bounds.values
    if manifest.predicts is PredictionKind.NEXT and not set(manifest.labels) <= set(values):
        raise ArtifactRefused(f"{folder}: says other texts than the `values` of {manifest.field}")
    try:
        predictor.value([None] * len(schema.fields), 0)
    except ValueError:
        raise ArtifactRefused(f"{folder}: {FOLDED} has not one weight for each column of its features") from None


def is_predictor(folder: Path) -> bool:
    """Tell whether a folder claims to hold a predictor, and not a propensity model."""
    try:
        facts = msgspec.json.decode(plain_file(folder, MANIFEST))
    except (ArtifactRefused, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # whoever reads it says what is wrong, and with which folder
    return isinstance(facts, dict) and "predicts" in facts


def read_predictor(folder: Path) -> PredictorArtifact:
    """Read an artefact and check everything that can be checked without running what it holds."""
    try:
        manifest = _manifest(folder)
        packed = checked_file(folder, FOLDED, manifest.files)
        estimator = checked_file(folder, ESTIMATORS, manifest.files) if ESTIMATORS in manifest.files else b""
        if estimator:
            unpack(estimator, ESTIMATORS)
        return PredictorArtifact(manifest, _model(manifest, packed), estimator)
    except ArtifactRefused as refused:
        raise ArtifactRefused(f"{folder}: {refused}") from None


def _manifest(folder: Path) -> PredictorManifest:
    try:
        manifest = msgspec.json.decode(plain_file(folder, MANIFEST), type=PredictorManifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactRefused(f"{MANIFEST} cannot be read ({error})") from None
    if not NAME.fullmatch(manifest.name):
        raise ArtifactRefused(f"{MANIFEST} bears a name that is not of lower-case letters, digits, dots and dashes")
    linear = manifest.predicts is not PredictionKind.BOUGHT_WITH
    if manifest.files.keys() != ({FOLDED, ESTIMATORS} if linear else {FOLDED}):
        raise ArtifactRefused(f"{MANIFEST} must list {FOLDED}, and {ESTIMATORS} where there is an estimator")
    if len(set(manifest.labels)) < len(manifest.labels) or not 2 <= len(manifest.labels) <= MOST_ITEMS:
        raise ArtifactRefused(f"{MANIFEST} lists a label twice, fewer than 2 or more than {MOST_ITEMS:,}")
    if manifest.predicts is PredictionKind.CHANCE and len(manifest.labels) > 2:
        raise ArtifactRefused(f"{MANIFEST} lists more than two labels for a chance")
    if manifest.version != version_of(manifest):
        raise ArtifactRefused(f"{MANIFEST} was changed: its contents do not give the version that it bears")
    return manifest


def _model(manifest: PredictorManifest, packed: bytes) -> Linear | Affinity:
    count = len(manifest.labels)
    if manifest.predicts is PredictionKind.BOUGHT_WITH:
        arrays = _arrays(packed, {"likeness": (count, count)})
        if (arrays["likeness"] < 0.0).any() or arrays["likeness"].diagonal().any():
            raise ArtifactRefused(f"{FOLDED} has a likeness below zero, or of an item with itself")
        return Affinity(manifest.labels, arrays["likeness"])
    arrays = _arrays(packed, {"weights": (count, len(manifest.columns)), "bias": (count,)})
    return Linear(manifest.labels, arrays["weights"], arrays["bias"])


def _arrays(packed: bytes, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    members = unpack(packed, FOLDED)
    if members.keys() != {f"{name}.npy" for name in shapes}:
        raise ArtifactRefused(f"{FOLDED} must hold exactly {', '.join(sorted(shapes))}")
    arrays = {name: array_of(members[f"{name}.npy"], f"{name} of {FOLDED}") for name in shapes}
    for name, array in arrays.items():
        if array.shape != shapes[name] or array.dtype != np.float64:
            raise ArtifactRefused(f"{name} of {FOLDED} has another shape or kind than {MANIFEST} says")
        if not (np.abs(array) <= STEEPEST).all():  # false for NaN, too
            raise ArtifactRefused(f"{FOLDED} has {name} that are not finite numbers")
    return arrays
