"""A trained model on disk: a folder that serving reads without trusting it and without scikit-learn.

`manifest.json` says what the model is, `folded.npz` holds the arrays that serve, `model.skops` the estimators they were
folded from. Serving never opens the last one; `python -m training verify` does, and compares.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from math import prod
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Any, Literal, Protocol
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import msgspec
import numpy as np
import numpy.typing as npt

from .features import FeatureSpace
from .propensity import Folded

MANIFEST, FOLDED, ESTIMATORS = "manifest.json", "folded.npz", "model.skops"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_LARGEST = {MANIFEST: 4 << 20, FOLDED: 128 << 20, ESTIMATORS: 256 << 20}  # bytes, packed and unpacked alike
_MOST_MEMBERS = 100_000
_KINDS = (np.dtype(np.bool_), np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.float64))
STEEPEST = 1e100
"""The largest number in an array: times the largest feature still a finite double, whatever the number of columns."""


class ArtifactRefused(Exception):
    """An artefact is not what it says it is, or not made for these features. Nothing of it was executed."""


class Rows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much data the model was made from, by kind of row, and the first and last moment decided (RFC 3339)."""

    events: int
    events_repeated: int
    decisions: int
    decisions_repeated: int
    decisions_unlabelled: int
    decisions_of_other_actions: int
    first: str
    last: str


class Parity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On how many rows arrays and estimators were compared when made, and the largest difference in probability."""

    rows: int
    largest_difference: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is, readable by people.

    `version` is the name and 12 digits of the SHA-256 over everything else in the manifest but the digest of
    `model.skops`: that file carries the time of day in its bytes, and the same inputs are to give the same version.
    """

    format: Literal[1]
    name: str
    version: str
    strategy: str
    features: tuple[str, ...]
    columns: tuple[str, ...]
    feature_hash: str
    actions: tuple[str, ...]
    baselines: tuple[str, ...]
    left_out: dict[str, str]
    rows: Rows
    seed: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    metrics: dict[str, Any]
    parity: Parity
    libraries: dict[str, str]
    files: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """An artefact that holds together: its files, digests, shapes and numbers agree with its manifest."""

    manifest: Manifest
    folded: Folded
    estimators: bytes


def load_folded(folder: Path, space: FeatureSpace) -> Folded:
    """Return the arrays of an artefact made for exactly these features; raise `ArtifactRefused` in words otherwise."""
    artifact = read_artifact(folder)
    if artifact.manifest.feature_hash != space.hash:
        raise ArtifactRefused(
            f"{folder}: made for other features ({', '.join(artifact.manifest.features)}) or for other declarations "
            f"of them than those of the strategy ({', '.join(space.features)}); train it again"
        )
    if artifact.folded.weights.shape[1] != len(space.columns):
        raise ArtifactRefused(f"{folder}: {FOLDED} has not one weight for each of the {len(space.columns)} columns")
    return artifact.folded


def read_artifact(folder: Path) -> Artifact:
    """Read an artefact and check everything that can be checked without running what it holds."""
    try:
        manifest = _manifest(folder)
        packed, estimators = (checked_file(folder, name, manifest.files) for name in (FOLDED, ESTIMATORS))
        unpack(estimators, ESTIMATORS)
        return Artifact(manifest, _folded(manifest, packed), estimators)
    except ArtifactRefused as refused:
        raise ArtifactRefused(f"{folder}: {refused}") from None


class Versioned(Protocol):
    """What a version is made from: a name, the digests of the files, and everything else in the manifest."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def files(self) -> dict[str, str]:
        """The digest of each file."""


def version_of(manifest: Versioned) -> str:
    """Return the version that a manifest with these contents must bear."""
    facts = msgspec.to_builtins(manifest)
    del facts["version"]
    facts["files"] = {FOLDED: manifest.files.get(FOLDED)}
    digest = sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return f"{manifest.name}@{digest[:12]}"


def unpack(packed: bytes, name: str) -> dict[str, bytes]:
    """Return the members of a zip file in memory, after checking names and sizes before anything is unpacked."""
    try:
        with ZipFile(BytesIO(packed)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS or sum(member.file_size for member in members) > _LARGEST[name]:
                raise ArtifactRefused(f"{name} unpacks to more than {_LARGEST[name] >> 20} MB")
            plain = {member.filename for member in members if re.fullmatch(r"[\w.-]+", member.filename)}
            if len(plain) < len(members) or any(member.startswith(".") for member in plain):
                raise ArtifactRefused(f"{name} holds members with names that are not plain, or twice the same")
            if any(member.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for member in members):
                raise ArtifactRefused(f"{name} is packed in a way that is neither stored nor deflated")
            return {member.filename: archive.read(member) for member in members}
    except (BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError, zlib.error) as error:
        raise ArtifactRefused(f"{name} is not a zip file of the expected kind ({error})") from None


def _manifest(folder: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(plain_file(folder, MANIFEST), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactRefused(f"{MANIFEST} cannot be read ({error})") from None
    if not NAME.fullmatch(manifest.name):
        raise ArtifactRefused(f"{MANIFEST} bears a name that is not of lower-case letters, digits, dots and dashes")
    if manifest.files.keys() != {FOLDED, ESTIMATORS}:
        raise ArtifactRefused(f"{MANIFEST} must list exactly {FOLDED} and {ESTIMATORS}")
    if len(set(manifest.actions)) < len(manifest.actions) or not set(manifest.baselines) <= set(manifest.actions):
        raise ArtifactRefused(f"{MANIFEST} lists an action twice or a baseline of an action that it does not list")
    if manifest.version != version_of(manifest):
        raise ArtifactRefused(f"{MANIFEST} was changed: its contents do not give the version that it bears")
    return manifest


def plain_file(folder: Path, name: str) -> bytes:
    """Read a file that is a plain file in this very folder and no larger than its kind may be."""
    try:
        about = (folder / name).lstat()
        if not S_ISREG(about.st_mode):
            raise ArtifactRefused(f"{name} is not a plain file")
        with (folder / name).open("rb") as file:
            content = file.read(_LARGEST[name] + 1)
    except OSError as error:
        raise ArtifactRefused(f"{name} cannot be read ({error.strerror}); name the folder of one version") from None
    if len(content) > _LARGEST[name]:
        raise ArtifactRefused(f"{name} is larger than {_LARGEST[name] >> 20} MB")
    return content


def checked_file(folder: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """Read a plain file whose SHA-256 must be the listed one."""
    content = plain_file(folder, name)
    if sha256(content).hexdigest() != digests[name]:
        raise ArtifactRefused(f"{name} was changed: its SHA-256 is not the one in {MANIFEST}")
    return content


def _folded(manifest: Manifest, packed: bytes) -> Folded:
    count, columns = len(manifest.actions), len(manifest.columns)
    shapes = {"weights": (count, columns), "bias": (count,), "has_baseline": (count,)}
    shapes |= {"baseline_weights": (count, columns), "baseline_bias": (count,)}
    members = unpack(packed, FOLDED)
    if members.keys() != {f"{name}.npy" for name in shapes}:
        raise ArtifactRefused(f"{FOLDED} must hold exactly {', '.join(sorted(shapes))}")
    arrays = {name: _array(name, members[f"{name}.npy"], shape) for name, shape in shapes.items()}
    has_baseline = arrays.pop("has_baseline")
    if has_baseline.tolist() != [action in manifest.baselines for action in manifest.actions]:
        raise ArtifactRefused(f"{FOLDED} has other baselines than {MANIFEST}")
    for name, array in arrays.items():
        if not (np.abs(array) <= STEEPEST).all():  # false for NaN, too
            raise ArtifactRefused(f"{FOLDED} has {name} that are not finite numbers")
    return Folded(manifest.version, manifest.feature_hash, manifest.actions, has_baseline=has_baseline, **arrays)


def _array(name: str, member: bytes, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    array = array_of(member, f"{name} of {FOLDED}")
    if array.shape != shape or array.dtype != (np.bool_ if name == "has_baseline" else np.float64):
        raise ArtifactRefused(f"{name} of {FOLDED} has another shape or kind than {MANIFEST} says: {shape} wanted")
    return array


def array_of(member: bytes, what: str) -> npt.NDArray[Any]:
    """Read an array of numbers or truths; nothing is allocated or interpreted before its header fits its size."""
    stream = BytesIO(member)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("another version of the format")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ArtifactRefused(f"{what} has an unreadable header ({error})") from None
    if fortran or dtype not in _KINDS or len(member) - stream.tell() != dtype.itemsize * prod(shape):
        raise ArtifactRefused(f"{what} has a size or a kind of number that does not fit its header")
    flat = np.frombuffer(member, np.uint8, offset=stream.tell())
    if dtype == np.bool_ and (flat > 1).any():
        raise ArtifactRefused(f"{what} has bytes that are neither true nor false")
    return flat.view(dtype).reshape(shape)
