"""A trained model on disk: a folder that serving reads without trusting it and without scikit-learn.

`manifest.json` says what the model is, `folded.npz` holds the arrays that serve, `model.skops` the estimators they were
folded from. Serving never opens the last one; `python -m training verify` does, and compares. Of format 2 there may
also be `boosted.npz` (trees), `values.npz` (models of worth) and `card.md` (what the model is for, for people).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np

from .boosted import boosted_of
from .features import FeatureSpace
from .packed import (
    BOOSTED,
    CARD,
    ESTIMATORS,
    FILES,
    FOLDED,
    MANIFEST,
    STEEPEST,
    VALUES,
    ArtifactRefused,
    Shape,
    array_of,
    arrays_of,
    checked_file,
    plain_file,
    refuse_unless_shaped,
    unpack,
)
from .propensity import Folded
from .told_rows import Rows, check_rows
from .values import values_of

__all__ = [
    "BOOSTED",
    "CARD",
    "ESTIMATORS",
    "FILES",
    "FOLDED",
    "MANIFEST",
    "NAME",
    "STEEPEST",
    "VALUES",
    "VERSION",
    "Artifact",
    "ArtifactRefused",
    "Manifest",
    "Parity",
    "Rows",
    "Served",
    "array_of",
    "checked_file",
    "load_folded",
    "load_served",
    "plain_file",
    "read_artifact",
    "read_manifest",
    "unpack",
    "version_of",
]

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}@[0-9a-f]{12}")

_NEEDED = {FOLDED, ESTIMATORS}
_OPTIONAL = {BOOSTED, VALUES, CARD}
_OF_FORMAT_2 = ("of", "outcome", "influenced", "worth", "valued", "learning", "warnings", "fairness")


class Parity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On how many rows arrays and estimators were compared when made, and the largest difference in probability."""

    rows: int
    largest_difference: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a model is, readable by people.

    `version` is the name and 12 digits of the SHA-256 over everything else in the manifest but the digest of
    `model.skops`: that file carries the time of day in its bytes, and the same inputs are to give the same version.

    Only format 2 has what stands behind `files`. What holds by default is left out, so versions of format 1 stand:
    - `kind` and `of`: whether it was trained from data, or is another version recalibrated, and which.
    - `outcome` and `influenced`: what the probabilities are of, by the strategy's name of it, and whether it counts
      only where the action had an influence; empty: `accepted`.
    - `worth`: what each outcome counts in the models of worth, in the strategy's currency.
    - `valued`: the actions that `values.npz` has models of worth of, in their order.
    - `learning`: how each action's model was chosen, and from what a cold one borrows; in the words of the trainer.
    - `warnings`: what the trainer found suspicious in the data, such as leaks, a sentence each.
    - `fairness`: a table for people by the field that divides it, see `models/cards.py`.
    """

    format: Literal[1, 2]
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
    kind: Literal["trained", "recalibrated"] = "trained"
    of: str = ""
    outcome: str = ""
    influenced: bool = False
    worth: dict[str, float] = {}
    valued: tuple[str, ...] = ()
    learning: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    fairness: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """An artefact that holds together: its files, digests, shapes and numbers agree with its manifest."""

    manifest: Manifest
    folded: Folded
    estimators: bytes
    card: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """The arrays that decide, and by name the files of the artefact, but for the estimators."""

    folded: Folded
    files: Mapping[str, bytes]


def load_folded(folder: Path, space: FeatureSpace) -> Folded:
    """Return the arrays of an artefact made for exactly these features; raise `ArtifactRefused` in words otherwise."""
    return load_served(folder, space).folded


def load_served(folder: Path, space: FeatureSpace, *, archived: bool = False) -> Served:
    """Return the same with the files that it was read from.

    One that is `archived` lacks the estimators, by which nothing is decided, and which its version leaves out.
    """
    manifest, files = _read(folder, frozenset({ESTIMATORS}) if archived else frozenset())
    if manifest.feature_hash != space.hash:
        raise ArtifactRefused(
            f"{folder}: made for other features ({', '.join(manifest.features)}) or for other declarations "
            f"of them than those of the strategy ({', '.join(space.features)}); train it again"
        )
    try:
        folded = _folded(manifest, files)
    except ArtifactRefused as refused:
        raise ArtifactRefused(f"{folder}: {refused}") from None
    if folded.weights.shape[1] != len(space.columns):
        raise ArtifactRefused(f"{folder}: {FOLDED} has not one weight for each of the {len(space.columns)} columns")
    deciding = {name: content for name, content in files.items() if name != ESTIMATORS}
    return Served(folded, {MANIFEST: msgspec.json.encode(manifest), **deciding})


def read_artifact(folder: Path) -> Artifact:
    """Read an artefact and check everything that can be checked without running what it holds."""
    manifest, files = _read(folder)
    try:
        return Artifact(manifest, _folded(manifest, files), files[ESTIMATORS], _text(files.get(CARD, b"")))
    except ArtifactRefused as refused:
        raise ArtifactRefused(f"{folder}: {refused}") from None


def _read(folder: Path, without: frozenset[str] = frozenset()) -> tuple[Manifest, dict[str, bytes]]:
    """Read the manifest and the files that it lists, `without` some."""
    place = Path(os.path.realpath(folder))  # all files are of one version, whatever becomes champion meanwhile
    try:
        manifest = read_manifest(place)
        files = {name: checked_file(place, name, manifest.files) for name in sorted(manifest.files.keys() - without)}
        if ESTIMATORS not in without:
            unpack(files[ESTIMATORS], ESTIMATORS)
        _text(files.get(CARD, b""))
    except ArtifactRefused as refused:
        raise ArtifactRefused(f"{folder}: {refused}") from None
    return manifest, files


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
    facts["files"] = {name: digest for name, digest in manifest.files.items() if name != ESTIMATORS}
    digest = sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return f"{manifest.name}@{digest[:12]}"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest alone and see that it bears the version that its contents give."""
    try:
        manifest = msgspec.json.decode(plain_file(folder, MANIFEST), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArtifactRefused(f"{MANIFEST} cannot be read ({error})") from None
    if not NAME.fullmatch(manifest.name):
        raise ArtifactRefused(f"{MANIFEST} bears a name that is not of lower-case letters, digits, dots and dashes")
    _check_files(manifest)
    if len(set(manifest.actions)) < len(manifest.actions) or not set(manifest.baselines) <= set(manifest.actions):
        raise ArtifactRefused(f"{MANIFEST} lists an action twice or a baseline of an action that it does not list")
    check_rows(manifest.rows)
    try:
        version = version_of(manifest)
    except (RecursionError, ValueError) as error:  # depth and surrogates that reading allows and writing does not
        raise ArtifactRefused(f"{MANIFEST} cannot be read ({type(error).__name__})") from None
    if manifest.version != version:
        raise ArtifactRefused(f"{MANIFEST} was changed: its contents do not give the version that it bears")
    return manifest


def _check_files(manifest: Manifest) -> None:
    """See that a manifest lists the files, and says the things, that belong to its format and kind."""
    optional = _OPTIONAL if manifest.format > 1 else set()
    if not _NEEDED <= manifest.files.keys() <= _NEEDED | optional:
        also = f", and of {', '.join(sorted(optional))} what there is" if optional else ""
        raise ArtifactRefused(f"{MANIFEST} must list exactly {FOLDED} and {ESTIMATORS}{also}")
    if manifest.format == 1 and any(getattr(manifest, name) for name in _OF_FORMAT_2):
        raise ArtifactRefused(f"{MANIFEST} is of format 1 and says what only format 2 can say")
    if (manifest.kind == "recalibrated") != bool(manifest.of) or (manifest.of and not VERSION.fullmatch(manifest.of)):
        raise ArtifactRefused(f"{MANIFEST} must say `of` which version, as in name@0123456789ab, if it is recalibrated")


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ArtifactRefused(f"{CARD} is no text ({error})") from None


def _folded(manifest: Manifest, files: Mapping[str, bytes]) -> Folded:
    count, columns = len(manifest.actions), len(manifest.columns)
    floats, flags = np.float64, np.bool_
    arrays: dict[str, Any] = dict(arrays_of(files[FOLDED], FOLDED))
    shapes: dict[str, Shape] = {"weights": ((count, columns), floats), "bias": ((count,), floats)}
    shapes |= {"baseline_weights": ((count, columns), floats), "baseline_bias": ((count,), floats)}
    refuse_unless_shaped(arrays, FOLDED, {**shapes, "has_baseline": ((count,), flags)})
    if arrays["has_baseline"].tolist() != [action in manifest.baselines for action in manifest.actions]:
        raise ArtifactRefused(f"{FOLDED} has other baselines than {MANIFEST}")
    more = {name.partition(".")[0]: _part(name, manifest, files[name]) for name in (BOOSTED, VALUES) if name in files}
    return Folded(manifest.version, manifest.feature_hash, manifest.actions, **arrays, **more)


def _part(name: str, manifest: Manifest, packed: bytes) -> Any:  # noqa: ANN401  trees or models of worth
    """Return what an optional file holds; its reader raises `ArtifactRefused` where the arrays do not hold together."""
    arrays, columns = arrays_of(packed, name), len(manifest.columns)
    if name == BOOSTED:
        return boosted_of(arrays, len(manifest.actions), columns)
    return values_of(arrays, manifest.valued, columns)
