"""Write an artefact: into a temporary folder first, then under its version's name, all at once."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import skops.io

from models.artifacts import CARD, ESTIMATORS, FOLDED, MANIFEST, ArtifactRefused, Manifest, read_artifact, version_of
from models.cards import card_of
from models.propensity import Folded

from .errors import TrainingRefused
from .folding import Estimator, Estimators
from .forests import Calibrated

_ARRAYS = ("weights", "bias", "baseline_weights", "baseline_bias", "has_baseline")


def packed_arrays(folded: Folded) -> bytes:
    """Return the arrays as the bytes of an npz file; equal arrays give equal bytes, for numpy dates them all 1980."""
    stream = BytesIO()
    np.savez(stream, allow_pickle=False, **{name: np.ascontiguousarray(getattr(folded, name)) for name in _ARRAYS})
    return stream.getvalue()


def packed_part(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the arrays of an optional part, boosted.npz or values.npz, as bytes; equal arrays give equal bytes."""
    stream = BytesIO()
    np.savez(stream, allow_pickle=False, **{name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return stream.getvalue()


def packed_estimators(said: Estimators, silent: Estimators) -> bytes:
    """Return the estimators as the bytes of a skops file, which carry the time of day.

    A forest that several models share is written once, under `forests`; the models name its place there.
    """
    forests: list[Any] = []
    sides = {
        "said": {action: _written(one, forests) for action, one in said.items()},
        "silent": {action: _written(one, forests) for action, one in silent.items()},
    }
    packed: bytes = skops.io.dumps(sides | ({"forests": forests} if forests else {}))
    return packed


def _written(estimator: Estimator, forests: list[Any]) -> Any:  # noqa: ANN401  scikit-learn has no types
    if not isinstance(estimator, Calibrated):
        return estimator
    places = [place for place, forest in enumerate(forests) if forest is estimator.forest]
    if not places:
        forests.append(estimator.forest)
    return {"forest": places[0] if places else len(forests) - 1, "logistic": estimator.logistic}


def write_artifact(
    out: Path, draft: Manifest, arrays: bytes, estimators: bytes, more: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[Path, Manifest]:
    """Write an artefact to `out/name/version` and return that folder and the manifest with version and digests.

    `more` holds the files that format 2 allows beside the two, boosted.npz and values.npz; its card is written here. A
    version that is there already and holds together stays as it is: its contents are the same.
    """
    files = {FOLDED: arrays, ESTIMATORS: estimators, **more}
    if draft.format > 1:
        files[CARD] = card_of(msgspec.structs.replace(draft, files=dict.fromkeys(files, ""))).encode()
    manifest = msgspec.structs.replace(draft, files={name: sha256(file).hexdigest() for name, file in files.items()})
    manifest = msgspec.structs.replace(manifest, version=version_of(manifest))
    content = json.dumps(msgspec.to_builtins(manifest), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    home = out / draft.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        place = home / manifest.version.rpartition("@")[2]
        publish(place, {MANIFEST: content.encode(), **files}, read_artifact)
    except OSError as error:
        raise TrainingRefused(f"cannot write below {out} ({error.strerror}); choose another --out") from None
    return place, manifest


def publish(place: Path, contents: dict[str, bytes], read: Callable[[Path], object]) -> None:
    """Write the files of an artefact all at once, unless what is there can be read and so is the same."""
    if _holds_together(place, read):
        return
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place.parent))
    try:
        draft.chmod(0o755)
        for name, content in contents.items():
            (draft / name).write_bytes(content)
        shutil.rmtree(place, ignore_errors=True)  # what bears this version's name but does not hold together
        draft.rename(place)
    finally:
        with suppress(FileNotFoundError):
            shutil.rmtree(draft)


def _holds_together(place: Path, read: Callable[[Path], object]) -> bool:
    try:
        read(place)
    except ArtifactRefused:
        return False
    return True
