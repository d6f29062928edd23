"""Look at an artefact again before it serves: is it what it says, and do its arrays say what its estimators say.

Nothing in the artefact is trusted. The estimators' file may hold only the few types that training writes, checked in
its table of contents before anything is made from it; skops then checks again with `trusted=[]`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from models.artifacts import ESTIMATORS, Artifact, ArtifactRefused, Manifest, array_of, read_artifact, unpack

from .folding import EXACT, LARGEST_DIFFERENCE, Estimator, Estimators, both, largest_difference, probes
from .forest_checks import DTYPES, KINDS, TRUSTED, is_usable_forest
from .forests import Calibrated
from .libraries import refuse_other_libraries

_SCHEMA = "schema.json"
_ALLOWED = {
    ("builtins", "dict", "DictNode"),
    ("builtins", "list", "ListNode"),
    ("builtins", "str", "JsonNode"),
    ("builtins", "str", "TypeNode"),
    ("builtins", "tuple", "TupleNode"),
    ("numpy", "float64", "NdArrayNode"),
    ("numpy", "int32", "NdArrayNode"),
    ("numpy", "int64", "NdArrayNode"),
    ("numpy", "ndarray", "NdArrayNode"),
    ("sklearn.linear_model._logistic", "LogisticRegression", "ObjectNode"),
    ("sklearn.pipeline", "Pipeline", "ObjectNode"),
    ("sklearn.preprocessing._data", "StandardScaler", "ObjectNode"),
}

_FITTED: dict[type, Callable[[int, int], dict[str, tuple[int, ...]]]] = {
    StandardScaler: lambda columns, classes: {"mean_": (columns,), "scale_": (columns,)},
    LogisticRegression: lambda columns, classes: {
        "coef_": (_rows_of(classes), columns),
        "intercept_": (_rows_of(classes),),
        "classes_": (classes,),
    },
}


def _rows_of(classes: int) -> int:
    """Return how many rows of coefficients there are: of two classes one says all."""
    return 1 if classes == 2 else classes


@dataclass(frozen=True, slots=True)
class Verified:
    """A version that may serve, and how near arrays and estimators were on how many rows."""

    version: str
    rows: int
    largest_difference: float


def verify(folder: Path) -> Verified:
    """Check an artefact, estimators included; raise `ArtifactRefused` in words where it may not serve."""
    artifact = read_artifact(folder)
    manifest = artifact.manifest
    try:
        refuse_other_libraries(manifest.libraries)
        said, silent = estimators_of(artifact)
        rows = probes(both(said, silent), manifest.columns, manifest.seed + 1)  # not those of when it was made
        with threadpool_limits(1):
            difference = largest_difference(artifact.folded, said, silent, rows)
            exact = largest_difference(artifact.folded, _grown(said), _grown(silent), rows)
    except ArtifactRefused as refused:
        raise ArtifactRefused(f"{folder}: {refused}") from None
    except Exception as error:  # noqa: BLE001  estimators from elsewhere can fail in any way, and each is a refusal
        raise ArtifactRefused(f"{folder}: {ESTIMATORS} cannot be used ({type(error).__name__}: {error})") from None
    if not difference <= LARGEST_DIFFERENCE:
        raise ArtifactRefused(
            f"{folder}: arrays and estimators differ by {difference:.1e} in probability; "
            f"{LARGEST_DIFFERENCE:.0e} is allowed; train it again"
        )
    if not exact <= EXACT:
        raise ArtifactRefused(f"{folder}: trees and estimators differ by {exact:.1e} in probability; train it again")
    return Verified(manifest.version, len(rows), difference)


def _grown(estimators: Estimators) -> Estimators:
    return {action: one for action, one in estimators.items() if isinstance(one, Calibrated)}


def estimators_of(artifact: Artifact) -> tuple[Estimators, Estimators]:
    """Return the estimators of an artefact, said and silent, by action; refuse all that training does not write."""
    found = _loaded(artifact)
    forests = found.pop("forests", [])
    columns = len(artifact.manifest.columns)
    if not isinstance(forests, list) or not all(is_usable_forest(forest, columns) for forest in forests):
        raise ArtifactRefused(f"{ESTIMATORS} holds a forest that cannot be walked")
    sides: list[Estimators] = []
    for estimators, names in zip(found.values(), _names(artifact.manifest, found), strict=True):
        if not isinstance(estimators, dict) or set(estimators) != names:
            raise ArtifactRefused(f"{ESTIMATORS} holds other actions than the manifest lists")
        sides.append({action: _usable(one, action, columns, forests) for action, one in estimators.items()})
    return sides[0], sides[1]


def _loaded(artifact: Artifact) -> dict[str, Any]:
    grown = artifact.folded.boosted is not None
    refuse_strange_types(artifact.estimators, grown=grown)
    try:
        found = skops.io.loads(artifact.estimators, trusted=TRUSTED if grown else [])
    except Exception as error:  # noqa: BLE001  a foreign file can fail in any way, and every way is a refusal
        raise ArtifactRefused(f"{ESTIMATORS} cannot be loaded ({type(error).__name__}: {error})") from None
    wanted = ["said", "silent", "forests"] if grown else ["said", "silent"]
    if not isinstance(found, dict) or list(found) != wanted or not found["said"]:
        raise ArtifactRefused(f"{ESTIMATORS} does not hold what training writes")
    return found


def _usable(one: Any, action: str, columns: int, forests: list[Any]) -> Estimator:  # noqa: ANN401
    if is_usable(one, columns):
        return one
    if isinstance(one, dict) and one.keys() == {"forest", "logistic"}:
        place, logistic = one["forest"], one["logistic"]
        if type(place) is int and 0 <= place < len(forests) and _is_logistic(logistic):
            return Calibrated(forests[place], logistic)
    raise ArtifactRefused(f"{ESTIMATORS} holds something else than a fitted estimator for {action}")


def _is_logistic(logistic: object) -> bool:
    return type(logistic) is LogisticRegression and all(
        isinstance(found := getattr(logistic, name, None), np.ndarray) and found.shape == shape
        for name, shape in _FITTED[LogisticRegression](1, 2).items()
    )


def _names(manifest: Manifest, found: dict[str, Any]) -> Iterator[set[str]]:
    for side in found:
        yield set(manifest.actions if side == "said" else manifest.baselines)


def is_usable(estimator: Any, columns: int, classes: int = 2) -> bool:  # noqa: ANN401  it may be anything
    """Tell whether something is a fitted pipeline of these columns and classes, as training writes it."""
    if type(estimator) is not Pipeline:
        return False
    steps = [step for _, step in estimator.steps]
    if [type(step) for step in steps] != list(_FITTED):
        return False
    return all(
        isinstance(found := getattr(step, name, None), np.ndarray) and found.shape == shape
        for step, wanted in zip(steps, _FITTED.values(), strict=True)
        for name, shape in wanted(columns, classes).items()
    )


def refuse_strange_types(packed: bytes, *, grown: bool = False) -> None:
    """Raise `ArtifactRefused` unless a skops file holds only the few types that training writes, and forests if any."""
    members = unpack(packed, ESTIMATORS)
    for name, member in members.items():
        if name.endswith(".npy"):
            array_of(member, f"{name} of {ESTIMATORS}", DTYPES if grown else ())
    try:
        contents = json.loads(members.get(_SCHEMA, b""))
    except (ValueError, RecursionError) as error:
        raise ArtifactRefused(f"{ESTIMATORS} has no readable {_SCHEMA} ({error})") from None
    strange = {kind for kind in _kinds(contents) if kind not in (_ALLOWED | KINDS if grown else _ALLOWED)}
    if strange:
        names = ", ".join(sorted(f"{module}.{name}" for module, name, _ in strange))
        raise ArtifactRefused(f"{ESTIMATORS} holds types that training does not write: {names[:400]}")


def _kinds(contents: object) -> Iterator[tuple[str, str, str]]:
    """Yield module, class and loader of every node, without recursion."""
    waiting = [contents]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.keys() & {"__class__", "__module__", "__loader__"}:
                yield str(node.get("__module__")), str(node.get("__class__")), str(node.get("__loader__"))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
