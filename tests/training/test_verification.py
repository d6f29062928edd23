"""Claims about `verify`: estimators from elsewhere are never trusted, and arrays must say what they say."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from models.artifacts import ESTIMATORS, FOLDED, ArtifactRefused
from tests.models.forgery import artifact, npz, restamp, zipped
from training.folding import folded
from training.packing import packed_arrays, packed_estimators
from training.verification import verify

Poison = Callable[[Path], object]


def fitted(seed: int, columns: int = 2, classes: int = 2) -> Pipeline:
    """Fit a pipeline on random rows."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(60, columns)), rng.permutation(60) % classes
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)


SAID, SILENT = {"fibre": fitted(1), "phone": fitted(2)}, {"phone": fitted(3)}
ARRAYS = folded(SAID, SILENT, 2, "")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an honest artefact with real estimators, which tests copy."""
    folder = artifact(tmp_path_factory.mktemp("made") / "small")
    (folder / FOLDED).write_bytes(packed_arrays(ARRAYS))
    (folder / ESTIMATORS).write_bytes(packed_estimators(SAID, SILENT))
    restamp(folder)
    return folder


@pytest.fixture
def honest(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the honest artefact."""
    return Path(shutil.copytree(made, tmp_path / "small"))


def test_an_honest_artefact_may_serve(honest: Path) -> None:
    """Arrays and estimators agree to the last digits on hundreds of rows, edges included."""
    verified = verify(honest)
    assert verified.version.startswith("small@")
    assert verified.rows > 256
    assert verified.largest_difference <= 1e-12


def estimators_of(content: bytes) -> Poison:
    """Put other estimators in, with everything stamped anew."""

    def poison(folder: Path) -> None:
        (folder / ESTIMATORS).write_bytes(content)
        restamp(folder)

    return poison


def holding(found: object) -> Poison:
    """Put these estimators in, written by skops itself."""
    return estimators_of(skops.io.dumps(found))


def said(estimator: object) -> Poison:
    """Put this in place of one estimator."""
    return holding({"said": {"fibre": SAID["fibre"], "phone": estimator}, "silent": SILENT})


def shifted(folder: Path) -> None:
    """Shift one weight by a little more than what is allowed."""
    weights = ARRAYS.weights.copy()
    weights[1, 0] += 1e-4
    arrays = {name: getattr(ARRAYS, name) for name in ("bias", "baseline_weights", "baseline_bias", "has_baseline")}
    (folder / FOLDED).write_bytes(npz(weights=weights, **arrays))
    restamp(folder)


def members() -> dict[str, bytes]:
    """Return the members of the honest estimators' file."""
    with zipfile.ZipFile(io.BytesIO(packed_estimators(SAID, SILENT))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_schema(change: Callable[[str], str]) -> Poison:
    """Change the table of contents."""
    packed = members()
    text = change(packed["schema.json"].decode())
    assert text != packed["schema.json"].decode()
    return estimators_of(zipped(packed | {"schema.json": text.encode()}))


def huge_array() -> Poison:
    """Let one array claim a size that no memory has."""
    packed = members()
    name = next(name for name in packed if name.endswith(".npy"))
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    return estimators_of(zipped(packed | {name: b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header}))


UNFITTED = make_pipeline(StandardScaler(), LogisticRegression())

POISONS: dict[str, tuple[Poison, str]] = {
    "arrays that are a little off": (shifted, "differ by"),
    "a pickle": (estimators_of(pickle.dumps(SAID)), "not a zip file"),
    "a pickle in a zip": (estimators_of(zipped({"schema.json": pickle.dumps(SAID)})), "no readable schema.json"),
    "no table of contents": (estimators_of(zipped({"a.npy": members().popitem()[1]})), "schema.json|header"),
    "a nested table of contents": (estimators_of(zipped({"schema.json": b"[" * 99999})), "no readable schema.json"),
    "an empty table of contents": (estimators_of(zipped({"schema.json": b"{}"})), "cannot be loaded"),
    "a table of contents of another kind": (estimators_of(zipped({"schema.json": b"7"})), "cannot be loaded"),
    "a missing array": (with_schema(lambda text: text.replace(".npy", "x.npy", 1)), "cannot be loaded"),
    "a function": (with_schema(lambda text: text.replace('"Pipeline"', '"system"', 1)), "sklearn.pipeline.system"),
    "another module": (with_schema(lambda text: text.replace("sklearn.pipeline", "os", 1)), "os.Pipeline"),
    "another loader": (with_schema(lambda text: text.replace("DictNode", "FunctionNode", 1)), "types that training"),
    "an array beyond memory": (huge_array(), "fit its header"),
    "a function of numpy": (said(make_pipeline(FunctionTransformer(np.log), LogisticRegression())), "numpy|Function"),
    "an estimator of another kind": (said(make_pipeline(StandardScaler(), SGDClassifier())), "SGDClassifier"),
    "a pipeline the other way round": (said(Pipeline([("l", LogisticRegression())])), "something else than a fitted"),
    "a pipeline never fitted": (said(UNFITTED), "something else than a fitted"),
    "a text for an estimator": (said("phone"), "something else than a fitted"),
    "another number of columns": (said(fitted(1, columns=3)), "something else than a fitted"),
    "three outcomes": (said(fitted(1, classes=3)), "something else than a fitted|fit its header"),
    "an action too few": (holding({"said": {"phone": SAID["phone"]}, "silent": SILENT}), "other actions"),
    "a baseline too many": (holding({"said": SAID, "silent": SAID}), "other actions"),
    "no estimators": (holding({"said": {}, "silent": {}}), "does not hold what training writes"),
    "a list of estimators": (holding([SAID, SILENT]), "does not hold what training writes"),
    "estimators of other actions": (
        holding({"said": {"fibre": SAID["phone"], "phone": SAID["fibre"]}, "silent": SILENT}),
        "differ by",
    ),
}


@pytest.mark.parametrize("what", POISONS)
def test_poisoned_estimators_are_refused_in_words(honest: Path, what: str) -> None:
    """Whatever is wrong with the estimators, the version may not serve, and the reason is named."""
    poison, words = POISONS[what]
    poison(honest)
    with pytest.raises(ArtifactRefused, match=words) as refused:
        verify(honest)
    assert str(honest) in str(refused.value)


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_is_never_run(honest: Path, tmp_path: Path) -> None:
    """A pickle that bears the name of the estimators does nothing but be refused."""
    song = tmp_path / "the-canary-sang"
    content = pickle.dumps(Canary(song))
    estimators_of(content)(honest)
    with pytest.raises(ArtifactRefused):
        verify(honest)
    assert not song.exists()
    pickle.loads(content)  # noqa: S301  the point is that this one would run
    assert song.exists(), "the canary cannot sing, so its silence proved nothing"


def call_of(folder: Path) -> bytes:
    """Return a table of contents that makes skops call `os.mkdir` when it trusts it."""
    text = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(str(folder))}
    arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": [text]}
    attributes = {
        "__class__": "dict",
        "__module__": "builtins",
        "__loader__": "DictNode",
        "content": {},
        "key_types": {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []},
    }
    call = {"__class__": "mkdir", "__module__": "os", "__loader__": "ReduceNode"}
    call |= {"content": {"reduce": arguments, "attrs": attributes}}  # type: ignore[dict-item]  # the format nests
    return zipped({"schema.json": json.dumps({**call, "__id__": 1, "protocol": 2}).encode()})


def test_code_in_a_table_of_contents_is_never_run(honest: Path, tmp_path: Path) -> None:
    """A table of contents that names a function to call is refused before skops sees it."""
    song = tmp_path / "the-canary-sang"
    estimators_of(call_of(song))(honest)
    with pytest.raises(ArtifactRefused, match=r"os\.mkdir"):
        verify(honest)
    assert not song.exists()


def test_whatever_bytes_a_forger_stamps_the_answer_is_a_refusal(honest: Path) -> None:
    """Estimators damaged at random and stamped anew are refused, or still say what the arrays say; nothing else."""
    packed = members()
    rng = random.Random(13)
    refused = 0
    for _ in range(250):
        name = rng.choice(["schema.json", *packed])
        damaged = bytearray(packed[name])
        for place in [rng.randrange(len(damaged)) for _ in range(rng.randint(1, 12))]:
            damaged[place] = rng.randrange(256)
        estimators_of(zipped(packed | {name: bytes(damaged)}))(honest)
        try:
            assert verify(honest).largest_difference <= 1e-5
        except ArtifactRefused:
            refused += 1
    assert refused > 100
