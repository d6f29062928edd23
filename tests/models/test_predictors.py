"""Claims about predictors as arrays: what they say, and that a forged artefact says nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifacts import ESTIMATORS, FOLDED, MANIFEST, ArtifactRefused, version_of
from models.context import ContextSchema, Field, Scalar, ValueType
from models.predictions import Prediction, PredictionKind
from models.predictor_artifacts import (
    PredictorManifest,
    PredictorRows,
    is_predictor,
    load_predictor,
    read_predictor,
)
from models.predictors import Affinity, Linear, bound, meaning
from models.schema import load_context
from tests.models.forgery import npz, zipped
from tests.models.test_predictions import predictions_of
from tests.predicting import write_predicting

CHURN, REASON, ALSO = "predicted.churn", "predicted.reason", "predicted.also"
LINEAR = {"weights": np.array([[0.0] * 6, [0.4, 0.0, 0.1, 0.2, 0.3, 0.0]]), "bias": np.array([0.0, -2.0])}
Declared = tuple[ContextSchema, dict[str, Prediction]]


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declared:
    """Return the schema and the predictions by field."""
    folder = write_predicting(tmp_path_factory.mktemp("strategy"))
    return load_context(folder), {one.field: one for one in predictions_of(folder)}


def values_of(schema: ContextSchema, **known: Scalar) -> list[Scalar | None]:
    """Return one value a field of the schema; `minutes` is `past.minutes`."""
    values: list[Scalar | None] = [None] * len(schema.fields)
    for name, value in known.items():
        values[schema.index[f"past.{name}"]] = value
    return values


def test_a_chance_is_the_probability_of_the_second_class(declared: Declared) -> None:
    """The logistic function of the features, an unknown one included."""
    schema, predictions = declared
    predictor = bound(Linear(("stays", "happens"), **LINEAR), predictions[CHURN], "churn@1", schema)
    said = predictor.value(values_of(schema, minutes=5.0, called_about="moving"), 0)
    assert said == pytest.approx(1.0 / (1.0 + np.exp(-(0.4 * 5.0 + 0.3 - 2.0))))
    assert predictor.value(values_of(schema), 0) == pytest.approx(1.0 / (1.0 + np.exp(2.0)))


def test_a_class_is_the_likeliest_and_the_first_of_equals(declared: Declared) -> None:
    """What is most likely is said by its name; where all are equal the first, always the same."""
    schema, predictions = declared
    weights = np.zeros((3, 6))
    weights[1, 0] = 1.0
    predictor = bound(Linear(("billing", "moving", "network"), weights, np.zeros(3)), predictions[REASON], "v", schema)
    assert predictor.value(values_of(schema, called_about="billing"), 0) == "moving"
    assert predictor.value(values_of(schema, called_about="network"), 0) == "billing"


@given(st.lists(st.floats(-1e12, 1e12), min_size=6, max_size=6), st.integers(0, 2**32 - 1))
def test_probabilities_never_overflow(row: list[float], seed: int) -> None:
    """Whatever a customer did, each class has a probability and together they are 1."""
    rng = np.random.default_rng(seed)
    model = Linear(("a", "b", "c"), rng.normal(size=(3, 6)) * 1e90, rng.normal(size=3))
    shares = model.probabilities(np.array(row))
    assert shares.sum() == pytest.approx(1.0)
    assert (shares >= 0.0).all()


def test_what_goes_with_a_basket_is_not_in_it(declared: Declared) -> None:
    """Likeness to all that is in the basket adds up; what is in it, and what is like nothing in it, is not named."""
    schema, predictions = declared
    likeness = np.array([[0, 0.5, 0.2, 0], [0.5, 0, 0.4, 0], [0.2, 0.4, 0, 0], [0, 0, 0, 0]])
    predictor = bound(Affinity(("case", "charger", "phone", "tv"), likeness), predictions[ALSO], "v", schema)
    assert predictor.value(values_of(schema, bought=("case",)), 0) == ("charger", "phone")
    assert predictor.value(values_of(schema, bought=("charger", "case", "charger")), 0) == ("phone",)
    assert predictor.value(values_of(schema, bought=("sofa",)), 0) == ()
    assert predictor.value(values_of(schema), 0) is None  # of an unknown basket nothing is said


# ------------------------------------------------------------------------------------------------------ artefacts


@pytest.fixture
def honest(declared: Declared, tmp_path: Path) -> Path:
    """Return an honest artefact of a chance; its estimators are empty, which only `verify` looks at."""
    schema, predictions = declared
    draft = PredictorManifest(
        format=1,
        predicts=PredictionKind.CHANCE,
        name="small-churn",
        version="",
        strategy="",
        field=CHURN,
        features=predictions[CHURN].features,
        columns=("past.minutes", "past.minutes?", "a", "b", "c", "d"),
        meaning=meaning(schema, predictions[CHURN]),
        labels=("stays", "happens"),
        rows=PredictorRows(events=1, customers=1, moments=1, first="", last=""),
        seed=0,
        metrics={},
        parity=None,
        libraries={},
        files={FOLDED: "", ESTIMATORS: ""},
    )
    folder = tmp_path / "small-churn"
    folder.mkdir()
    (folder / FOLDED).write_bytes(npz(**LINEAR))
    (folder / ESTIMATORS).write_bytes(zipped({"schema.json": b"{}"}))
    return stamped(folder, draft)


def stamped(folder: Path, manifest: PredictorManifest) -> Path:
    """Write a manifest that fits the files, as a forger who knows the format would."""
    files = {name: sha256((folder / name).read_bytes()).hexdigest() for name in manifest.files}
    manifest = msgspec.structs.replace(manifest, files=files)
    manifest = msgspec.structs.replace(manifest, version=version_of(manifest))
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return folder


def changed(**facts: object) -> Callable[[Path], object]:
    """Change facts of the manifest and stamp it anew."""
    return lambda folder: stamped(folder, msgspec.structs.replace(read_manifest(folder), **facts))


def arrays(**members: object) -> Callable[[Path], object]:
    """Put other arrays in and stamp them."""

    def forge(folder: Path) -> object:
        (folder / FOLDED).write_bytes(npz(**members))
        return stamped(folder, read_manifest(folder))

    return forge


def read_manifest(folder: Path) -> PredictorManifest:
    """Return the manifest as it is."""
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=PredictorManifest)


def test_an_honest_artefact_says_what_its_arrays_say(honest: Path, declared: Declared) -> None:
    """It loads, knows what it is, and bears the version that its contents give."""
    predictor = load_predictor(honest, *declared)
    assert predictor.version.startswith("small-churn@")
    assert predictor.value([None] * len(declared[0].fields), 0) == pytest.approx(1.0 / (1.0 + np.exp(2.0)))
    assert is_predictor(honest)


REDECLARED: dict[str, tuple[str, str, Callable[[Any], Field]]] = {
    "the values that can be said": (REASON, REASON, lambda f: replace(f, bounds=replace(f.bounds, values=("moving",)))),
    "the type": (CHURN, CHURN, lambda f: replace(f, type=ValueType.INT)),
    "the age of a basket": (ALSO, "past.bought", lambda f: replace(f, max_age_ms=1_000)),
    "the fold of a basket": (ALSO, "past.bought", lambda f: replace(f, fold=replace(f.fold, keep=9))),
    "the fold of a feature": (CHURN, "past.minutes", lambda f: replace(f, fold=replace(f.fold, attribute="other"))),
}


@pytest.mark.parametrize("what", REDECLARED)
def test_a_model_means_the_declarations_it_was_made_for(declared: Declared, what: str) -> None:
    """Whatever it depends on is a part of its meaning, and nothing else: after a change of that it is not asked."""
    schema, predictions = declared
    name, changing, change = REDECLARED[what]
    fields = tuple(change(field) if field.id == changing else field for field in schema.fields)
    other = replace(schema, fields=fields)
    for field, prediction in predictions.items():
        same = meaning(schema, prediction) == meaning(other, prediction)
        assert same == (field != name and changing not in prediction.seen), field


FORGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "an edited manifest": (
        lambda f: (f / MANIFEST).write_text((f / MANIFEST).read_text().replace('"seed":0', '"seed":1')),
        "was changed",
    ),
    "an edited array": (lambda f: (f / FOLDED).write_bytes(npz(**LINEAR | {"bias": np.ones(2)})), "was changed"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "cannot be read"),
    "a nested manifest": (lambda f: (f / MANIFEST).write_bytes(b"[" * 99_999), "cannot be read"),
    "another name": (changed(name="../up"), "bears a name"),
    "a label twice": (changed(labels=("stays", "stays")), "lists a label twice"),
    "one label": (changed(labels=("stays",)), "fewer than 2"),
    "three labels for a chance": (changed(labels=("a", "b", "c")), "more than two labels"),
    "another kind": (changed(predicts=PredictionKind.NEXT), "for another prediction"),
    "no estimators": (changed(files={FOLDED: ""}), "must list"),
    "another meaning": (changed(meaning="0" * 64), "train it again"),
    "another field": (changed(field="predicted.loyal"), "the strategy's predictions are"),
    "too few weights": (arrays(weights=np.zeros((2, 5)), bias=np.zeros(2)), "another shape"),
    "too few columns": (
        lambda f: (changed(columns=("a",))(f), arrays(weights=np.zeros((2, 1)), bias=np.zeros(2))(f)),
        "one weight for each column",
    ),
    "numbers of another kind": (arrays(weights=np.zeros((2, 6), np.int64), bias=np.zeros(2)), "another shape or kind"),
    "no number": (arrays(weights=np.full((2, 6), np.nan), bias=np.zeros(2)), "not finite"),
    "an endless number": (arrays(weights=np.full((2, 6), np.inf), bias=np.zeros(2)), "not finite"),
    "another array": (arrays(weights=np.zeros((2, 6))), "must hold exactly bias.npy|must hold exactly"),
    "a pickle": (arrays(weights=np.array([object()]), bias=np.zeros(2)), "size or a kind|unreadable header"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_artefact_is_refused_in_words(honest: Path, declared: Declared, what: str) -> None:
    """Whatever is wrong with an artefact, it is not asked, and the reason and the folder are named."""
    forge, words = FORGED[what]
    forge(honest)
    with pytest.raises(ArtifactRefused, match=words) as refused:
        load_predictor(honest, *declared)
    assert str(honest) in str(refused.value)


def test_an_affinity_below_zero_or_with_itself_is_refused(honest: Path, tmp_path: Path) -> None:
    """Arrays of what is bought together are looked at as hard as weights."""
    for likeness in (np.array([[0.0, -0.1], [-0.1, 0.0]]), np.array([[0.5, 0.1], [0.1, 0.0]])):
        folder = Path(shutil.copytree(honest, tmp_path / "also", dirs_exist_ok=True))
        (folder / FOLDED).write_bytes(npz(likeness=likeness))
        stamped(
            folder,
            msgspec.structs.replace(
                read_manifest(folder), predicts=PredictionKind.BOUGHT_WITH, labels=("a", "b"), files={FOLDED: ""}
            ),
        )
        with pytest.raises(ArtifactRefused, match="likeness below zero, or of an item with itself"):
            read_predictor(folder)


def test_a_propensity_model_is_no_predictor(tmp_path: Path) -> None:
    """Folders of other kinds, and of nothing, are told apart without reading more than the manifest."""
    (tmp_path / MANIFEST).write_text(json.dumps({"format": 1, "actions": []}))
    assert not is_predictor(tmp_path)
    (tmp_path / MANIFEST).write_text("[]")
    assert not is_predictor(tmp_path)
