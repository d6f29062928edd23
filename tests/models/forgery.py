"""Make small honest artefacts, and stamp changed ones anew as a forger who knows the format would."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.artifacts import ESTIMATORS, FILES, FOLDED, MANIFEST, Manifest, Parity, Rows, version_of
from models.context import Attribute, ContextSchema, Field, Purpose, ValueType
from models.features import FeatureSpace

_VISITS = Field(
    "past.visits", ValueType.INT, Purpose.SERVICE, "", None, None, Attribute("past.visits", ValueType.INT), 0
)
SPACE = FeatureSpace.of(ContextSchema.of((), (_VISITS,)), ("past.visits",))
ACTIONS = ("fibre", "phone")
_ROWS = Rows(
    events=1,
    events_repeated=0,
    decisions=1,
    decisions_repeated=0,
    decisions_unlabelled=0,
    decisions_of_other_actions=0,
    first="2026-11-01T00:00:00.000+00:00",
    last="2026-11-02T00:00:00.000+00:00",
)


def arrays() -> dict[str, Any]:
    """Return the arrays of an honest model of two actions, the second with a baseline."""
    return {
        "weights": np.array([[0.1, 0.2], [0.3, 0.4]]),
        "bias": np.array([-1.0, -2.0]),
        "baseline_weights": np.array([[0.0, 0.0], [0.5, 0.6]]),
        "baseline_bias": np.array([0.0, -3.0]),
        "has_baseline": np.array([False, True]),
    }


def npz(**members: Any) -> bytes:  # noqa: ANN401  forgers put in anything
    """Return arrays as an npz file; objects are pickled into it, as a forger would."""
    stream = BytesIO()
    np.savez(stream, **members)
    return stream.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip file with these members."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def artifact(folder: Path) -> Path:
    """Write an honest artefact and return its folder; its estimators are a stand-in, which serving never opens."""
    folder.mkdir(parents=True)
    (folder / FOLDED).write_bytes(npz(**arrays()))
    (folder / ESTIMATORS).write_bytes(zipped({"schema.json": b"{}"}))
    manifest = Manifest(
        format=1,
        name="small",
        version="",
        strategy="0" * 64,
        features=SPACE.features,
        columns=SPACE.columns,
        feature_hash=SPACE.hash,
        actions=ACTIONS,
        baselines=("phone",),
        left_out={},
        rows=_ROWS,
        seed=0,
        metrics={},
        parity=Parity(rows=1, largest_difference=0.0),
        libraries={name: version(name) for name in ("numpy", "scikit-learn", "skops")},
        files={},
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    restamp(folder)
    return folder


def restamp(folder: Path, **facts: Any) -> None:  # noqa: ANN401  forgers write anything
    """Change facts of the manifest, then make digests and version right again, as long as they can be."""
    path = folder / MANIFEST
    plain = json.loads(path.read_bytes()) | facts
    there = sorted(name for name in FILES - {MANIFEST} if (folder / name).exists())
    plain["files"] = {name: sha256((folder / name).read_bytes()).hexdigest() for name in there}
    with suppress(msgspec.ValidationError):  # a manifest of another shape has no version
        plain["version"] = version_of(msgspec.convert(plain, Manifest))
    path.write_text(json.dumps(plain))


def edit(folder: Path, **facts: Any) -> None:  # noqa: ANN401  forgers write anything
    """Change facts of the manifest and leave version and digests as they are."""
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_bytes()) | facts))
