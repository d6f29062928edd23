"""Write an artefact: into a temporary folder first, then under its version's name, all at once."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import skops.io

from models.artifacts import ESTIMATORS, FOLDED, MANIFEST, ArtifactRefused, Manifest, read_artifact, version_of
from models.propensity import Folded

from .errors import TrainingRefused
from .folding import Estimators

_ARRAYS = ("weights", "bias", "baseline_weights", "baseline_bias", "has_baseline")


def packed_arrays(folded: Folded) -> bytes:
    """Return the arrays as the bytes of an npz file; equal arrays give equal bytes, for numpy dates them all 1980."""
    stream = BytesIO()
    np.savez(stream, allow_pickle=False, **{name: np.ascontiguousarray(getattr(folded, name)) for name in _ARRAYS})
    return stream.getvalue()


def packed_estimators(said: Estimators, silent: Estimators) -> bytes:
    """Return the estimators as the bytes of a skops file, which carry the time of day."""
    packed: bytes = skops.io.dumps({"said": dict(said), "silent": dict(silent)})
    return packed


def write_artifact(out: Path, draft: Manifest, arrays: bytes, estimators: bytes) -> tuple[Path, Manifest]:
    """Write an artefact to `out/name/version` and return that folder and the manifest with version and digests.

    A version that is there already and holds together stays as it is: its contents are the same.
    """
    files = {FOLDED: sha256(arrays).hexdigest(), ESTIMATORS: sha256(estimators).hexdigest()}
    manifest = msgspec.structs.replace(draft, files=files)
    manifest = msgspec.structs.replace(manifest, version=version_of(manifest))
    content = json.dumps(msgspec.to_builtins(manifest), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    home = out / draft.name
    try:
        home.mkdir(parents=True, exist_ok=True)
        place = home / manifest.version.rpartition("@")[2]
        publish(place, {MANIFEST: content.encode(), FOLDED: arrays, ESTIMATORS: estimators}, read_artifact)
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
