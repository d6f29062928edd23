"""Look at a predictor again before it is asked: is it what it says, and do its arrays say what its estimator says."""

from __future__ import annotations

from pathlib import Path

import skops.io
from sklearn.pipeline import Pipeline

from models.artifacts import ESTIMATORS, ArtifactRefused
from models.predictor_artifacts import PredictorArtifact, read_predictor
from models.predictors import Affinity

from ..folding import LARGEST_DIFFERENCE
from ..libraries import refuse_other_libraries
from ..verification import Verified, is_usable, refuse_strange_types
from .proof import difference_of, probes


def verify_predictor(folder: Path) -> Verified:
    """Check a predictor, its estimator included; raise `ArtifactRefused` in words where it may not be asked."""
    artifact = read_predictor(folder)
    if isinstance(artifact.model, Affinity):
        return Verified(artifact.manifest.version, 0, 0.0)  # what is bought together has no estimator to compare with
    columns, seed = artifact.manifest.columns, artifact.manifest.seed + 1  # other rows than when it was made
    try:
        refuse_other_libraries(artifact.manifest.libraries)
        estimator = _estimator(artifact)
        rows = probes(estimator, columns, seed)
        difference = difference_of(artifact.model, estimator, rows)
    except ArtifactRefused as refused:
        raise ArtifactRefused(f"{folder}: {refused}") from None
    except Exception as error:  # noqa: BLE001  estimators from elsewhere can fail in any way, and each is a refusal
        raise ArtifactRefused(f"{folder}: {ESTIMATORS} cannot be used ({type(error).__name__}: {error})") from None
    if not difference <= LARGEST_DIFFERENCE:
        raise ArtifactRefused(
            f"{folder}: arrays and estimator differ by {difference:.1e} in probability; "
            f"{LARGEST_DIFFERENCE:.0e} is allowed; train it again"
        )
    return Verified(artifact.manifest.version, len(rows), difference)


def _estimator(artifact: PredictorArtifact) -> Pipeline:
    refuse_strange_types(artifact.estimator)
    try:
        found = skops.io.loads(artifact.estimator, trusted=[])
    except Exception as error:  # noqa: BLE001  a foreign file can fail in any way, and every way is a refusal
        raise ArtifactRefused(f"{ESTIMATORS} cannot be loaded ({type(error).__name__}: {error})") from None
    if not isinstance(found, dict) or found.keys() != {"estimator"}:
        raise ArtifactRefused(f"{ESTIMATORS} does not hold what training writes")
    if not is_usable(found["estimator"], len(artifact.manifest.columns), len(artifact.manifest.labels)):
        raise ArtifactRefused(f"{ESTIMATORS} holds something else than a fitted estimator of the labels")
    return found["estimator"]
