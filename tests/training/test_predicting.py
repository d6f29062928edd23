"""Claims about `python -m training predict`: it finds a known truth, never looks ahead, and asks only who agreed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st

from models.artifacts import ESTIMATORS, FOLDED, MANIFEST, ArtifactRefused
from models.context import ContextSchema, Scalar
from models.predictions import Prediction
from models.predictor_artifacts import load_predictor
from models.predictors import Linear, Predictor
from models.schema import load_context
from tests.models.forgery import npz
from tests.models.test_predictions import predictions_of
from tests.models.test_predictors import read_manifest, stamped
from tests.predicting import (
    DAY_MS,
    HOUR_MS,
    PREDICTIONS,
    REASONS,
    SHOPPERS,
    START_MS,
    history,
    write_history,
    write_predicting,
)
from tests.training.test_command import Done, started, training
from tests.training.world import write_lines
from training.predicting.fit import Order, predict
from training.predicting.history import HAPPENS, Bought, History, moments_of
from training.predicting.likely import fit_likely, folded
from training.predicting.together import affinity
from training.predicting.verification import verify_predictor
from training.progress import progress
from training.rows import EventRow

FIELDS = ("predicted.churn", "predicted.reason", "predicted.also")


class Trained:
    """What was trained from one history: predictors and manifests by field."""

    def __init__(self, folder: Path, report: dict[str, Any]) -> None:
        self.strategy = folder / "strategy"
        self.schema = load_context(self.strategy)
        self.predictions = {one.field: one for one in predictions_of(self.strategy)}
        self.manifests = {one["field"]: one for one in report["predictors"]}
        self.places = {field: Path(one["artifact"]) for field, one in self.manifests.items()}

    def predictor(self, field: str) -> Predictor:
        """Return the predictor of a field as serving loads it."""
        return load_predictor(self.places[field], self.schema, self.predictions)

    def says(self, field: str, **known: Scalar) -> Scalar | None:
        """Return what is said of a customer of whom this is known."""
        values: list[Scalar | None] = [None] * len(self.schema.fields)
        for name, value in known.items():
            values[self.schema.index[f"past.{name}"]] = value
        return self.predictor(field).value(values, START_MS)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the arguments that name a strategy and a history."""
    folder = tmp_path_factory.mktemp("predicting")
    write_predicting(folder / "strategy")
    return [f"--strategy={folder / 'strategy'}", f"--events={write_history(folder, 7, customers=500)}"]


@pytest.fixture(scope="module")
def trained(inputs: list[str]) -> Trained:
    """Return what was trained from all of the history."""
    folder = Path(inputs[0].partition("=")[2]).parent
    done = training("predict", *inputs, f"--out={folder / 'models'}", "--json")
    assert done.code == 0, done.err
    return Trained(folder, done.report)


def test_a_known_chance_is_found(trained: Trained) -> None:
    """Who looked for long is likelier to leave, and on rows never seen the chances rank and are true on average."""
    said = {minutes: cast(float, trained.says("predicted.churn", minutes=minutes)) for minutes in (1.0, 5.0, 9.0)}
    assert said[1.0] < said[5.0] < said[9.0]
    assert said[9.0] - said[1.0] > 0.3
    metrics = trained.manifests["predicted.churn"]["metrics"]
    assert metrics["auc"] > 0.7
    assert metrics["log_loss"] < 0.9 * metrics["log_loss_of_the_rate"]
    assert metrics["calibration_error"] < 0.13  # a true one has about 0.07 on so few rows


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_calibrated(classes: int) -> None:
    """With enough rows the probabilities of two classes and of three are true, and the arrays say the same."""
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(8_000, 3))
    truth = Linear(("a", "b", "c")[:classes], rng.normal(size=(classes, 3)), rng.normal(size=classes))
    chances = truth.probabilities(x)
    labels = [truth.classes[rng.choice(classes, p=chance)] for chance in chances]
    likely = fit_likely(x, labels, truth.classes, (), 0)
    assert likely.metrics["calibration_error"] < 0.04
    assert np.abs(folded(likely).probabilities(x) - chances).mean() < 0.02
    assert np.abs(folded(likely).probabilities(x) - likely.estimator.predict_proba(x)).max() < 1e-12


def test_a_known_next_reason_is_found(trained: Trained) -> None:
    """Who called about one thing is likely to call about it again; better than naming the commonest."""
    for reason in REASONS:
        assert trained.says("predicted.reason", called_about=reason, minutes=5.0) == reason
    metrics = trained.manifests["predicted.reason"]["metrics"]
    assert metrics["right"] > metrics["right_of_the_commonest"] + 0.2
    assert metrics["calibration_error"] < 0.05


def test_known_shoppers_are_found(trained: Trained) -> None:
    """What goes with a phone is what the other buyers of phones have, and not a sofa."""
    for likes in SHOPPERS:
        for product in likes:
            assert set(trained.says("predicted.also", bought=(product,)) or ()) == set(likes) - {product}  # type: ignore[arg-type]  # texts
    metrics = trained.manifests["predicted.also"]["metrics"]
    assert metrics["hits"] > metrics["hits_of_the_commonest"] + 0.2


def test_what_was_made_is_verified_and_is_the_same_again(trained: Trained, inputs: list[str], tmp_path: Path) -> None:
    """Each version holds together with its estimator; equal inputs and seeds give equal versions."""
    for field in FIELDS:
        verified = verify_predictor(trained.places[field])
        assert verified.version == trained.manifests[field]["version"]
        assert verified.largest_difference < 1e-12
        assert ESTIMATORS in trained.manifests[field]["files"] or field == "predicted.also"
    again = training("predict", *inputs, f"--out={tmp_path}", "--json").report["predictors"]
    assert {one["version"] for one in again} == {one["version"] for one in trained.manifests.values()}
    other = training("predict", *inputs, f"--out={tmp_path}", "--seed=2", "--fields=predicted.churn", "--json").report
    assert [one["field"] for one in other["predictors"]] == ["predicted.churn"]
    assert other["predictors"][0]["version"] != trained.manifests["predicted.churn"]["version"]


def test_the_order_of_rows_and_repeated_ones_change_nothing(
    trained: Trained, inputs: list[str], tmp_path: Path
) -> None:
    """A history that is shuffled, with rows twice, gives the same versions."""
    path = Path(inputs[1].partition("=")[2])
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    write_lines(tmp_path / "events.jsonl", [*reversed(rows), *rows[::3]])
    words = [inputs[0], f"--events={tmp_path / 'events.jsonl'}", f"--out={tmp_path}", "--fields=predicted.churn"]
    done = training("predict", *words, "--json")
    assert [one["version"] for one in done.report["predictors"]] == [trained.manifests["predicted.churn"]["version"]]


def test_only_those_who_agreed_are_learned_from(inputs: list[str], tmp_path: Path) -> None:
    """With a file of consents, who does not allow profiling (any more) is as if never there."""
    names = sorted({row["customer_id"] for row in history(7, customers=500)})
    full, withdrawn = names[:350], names[350:]
    consents = [{"customer_id": name, "level": "full", "given_at": START_MS} for name in names]
    consents += [{"customer_id": name, "level": "personal", "given_at": START_MS + 1} for name in withdrawn]
    write_lines(tmp_path / "consents.jsonl", consents)
    kept = [row for row in history(7, customers=500) if row["customer_id"] in full]
    write_lines(tmp_path / "kept.jsonl", kept)
    common = [inputs[0], f"--out={tmp_path}", "--fields=predicted.also,predicted.churn", "--json"]
    versions = [
        [one["version"] for one in training("predict", *common, *words).report["predictors"]]
        for words in ([inputs[1], f"--consents={tmp_path / 'consents.jsonl'}"], [f"--events={tmp_path / 'kept.jsonl'}"])
    ]
    assert versions[0] == versions[1]


def test_the_command_runs_by_itself(inputs: list[str], tmp_path: Path) -> None:
    """As users run it: words on stdout, nothing but progress on stderr, and `verify` takes several."""
    done = started("predict", *inputs, f"--out={tmp_path}", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "predicts predicted.churn and is in" in done.out
    assert "calibration error" in done.out
    places = sorted(str(path.parent) for path in tmp_path.glob("*/*/manifest.json"))
    verified = training("verify", *places, "--json")
    assert [one["artifact"] for one in verified.report["verified"]] == places


def refused(*arguments: str) -> Done:
    """Run a command that must be refused."""
    done = training("predict", *arguments, "--json")
    assert done.code == 1
    return done


def test_what_cannot_be_learned_is_said_in_words(inputs: list[str], tmp_path: Path) -> None:
    """Too few rows, no events, no file, a strategy without predictions, a field that is not predicted: all in words."""
    few = write_history(tmp_path, 1, customers=5)
    out = f"--out={tmp_path / 'models'}"
    assert "too little to learn from" in refused(inputs[0], f"--events={few}", out).err
    (tmp_path / "none.jsonl").write_text("")
    assert "no events to learn from" in refused(inputs[0], f"--events={tmp_path / 'none.jsonl'}", out).err
    assert "cannot be read" in refused(inputs[0], f"--events={tmp_path / 'nowhere.jsonl'}", out).err
    assert "is not predicted by this strategy" in refused(*inputs, "--fields=past.minutes", out).err
    plain = write_predicting(tmp_path / "plain", predictions=None)
    assert "names no predictions" in refused(f"--strategy={plain}", inputs[1], out).err
    assert not (tmp_path / "models").exists()


def test_one_prediction_without_rows_does_not_hold_up_the_others(inputs: list[str], tmp_path: Path) -> None:
    """Where only one field can be learned it is, and it is said why the others are not."""
    rows = [row for row in history(7, customers=500) if row["type"] == "called"]
    write_lines(tmp_path / "events.jsonl", rows)
    done = training("predict", inputs[0], f"--events={tmp_path / 'events.jsonl'}", f"--out={tmp_path}", "--json")
    assert [one["field"] for one in done.report["predictors"]] == ["predicted.reason"]
    assert set(done.report["left_out"]) == {"predicted.churn", "predicted.also"}


# ------------------------------------------------------------------------------------------------------- the history


def event(customer: str, number: int, at_ms: int, kind: str, **attributes: Scalar) -> EventRow:
    """Return an event."""
    return EventRow(f"{customer}-{number}", customer, kind, at_ms, attributes)


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> tuple[ContextSchema, dict[str, Prediction]]:
    """Return the schema and the predictions by field."""
    folder = write_predicting(tmp_path_factory.mktemp("strategy"))
    return load_context(folder), {one.field: one for one in predictions_of(folder)}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_moments_are_asked_when_their_answer_is_known(
    declared: tuple[ContextSchema, dict[str, Prediction]], seed: int
) -> None:
    """Each moment follows an event, ends before the history does, and its label is what then happened in time."""
    rows = [
        event(row["customer_id"], i, row["occurred_at"], row["type"], **row["attributes"])
        for i, row in enumerate(history(seed, customers=8))
    ]
    whole = History.of(rows)
    for field in ("predicted.churn", "predicted.reason"):
        prediction = declared[1][field]
        for moment in moments_of(whole, prediction, seed):
            own = whole.events[moment.customer]
            assert any(one.at_ms + 1 == moment.at_ms for one in own)
            assert moment.at_ms + prediction.within_ms <= whole.end_ms + 1
            coming = [one for one in own if moment.at_ms <= one.at_ms < moment.at_ms + prediction.within_ms]
            answers = [one for one in coming if one.type == prediction.event]
            if field == "predicted.churn":
                assert moment.label == HAPPENS[bool(answers)]
                assert not any(one.type == "notice" and one.at_ms < moment.at_ms for one in own)
            else:
                assert moment.label == answers[0].attributes["reason"]


def test_moments_before_the_history_is_whole_are_not_asked(
    declared: tuple[ContextSchema, dict[str, Prediction]], tmp_path: Path
) -> None:
    """With `history: 60d` nothing is learned from times of which events are missing."""
    prediction = predictions_of(
        write_predicting(tmp_path, predictions=PREDICTIONS.replace("within: 30d,", "within: 30d, history: 60d,"))
    )[0]
    whole = History.of(event("c", day, START_MS + day * DAY_MS, "visit", minutes=1.0) for day in range(100))
    found = {(moment.at_ms - START_MS) // DAY_MS for moment in moments_of(whole, prediction, 0)}
    assert found
    assert min(found) >= 99 - 60
    assert max(found) < 99 - 30 + 1


def test_what_is_bought_together_needs_more_than_a_few(declared: tuple[ContextSchema, dict[str, Prediction]]) -> None:
    """Four customers who have two things say nothing about these, five do: the cosine of who has them."""

    def rows(together: int) -> list[Bought]:
        both = [Bought(f"b{n}", n, item, ()) for n in range(together) for item in ("pan", "pot")]
        return both + [Bought(f"s{n}", n, item, ()) for n in range(20) for item in ("sofa", "lamp")]

    assert affinity(rows(4)).likeness[1:3, 1:3].sum() == 0.0
    likeness = affinity([*rows(5), *(Bought(f"p{n}", n, "pan", ()) for n in range(15))]).likeness
    assert likeness[1, 2] == pytest.approx(5 / np.sqrt(20 * 5))
    assert likeness[0, 3] == pytest.approx(1.0)
    assert (likeness == likeness.T).all()


# ------------------------------------------------------------------------------------------------------ verification


def poisoned(trained: Trained, tmp_path: Path, name: str, content: bytes) -> Path:
    """Return a copy of the chance with one file replaced and everything stamped anew."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in (FOLDED, ESTIMATORS, MANIFEST):
        (folder / file).write_bytes((trained.places["predicted.churn"] / file).read_bytes())
    (folder / name).write_bytes(content)
    return stamped(folder, read_manifest(folder))


def test_arrays_that_say_something_else_are_refused(trained: Trained, tmp_path: Path) -> None:
    """Arrays with a true manifest that differ from their estimator are not asked."""
    with np.load(trained.places["predicted.churn"] / FOLDED) as arrays:
        content = npz(weights=arrays["weights"], bias=arrays["bias"] + np.array([0.0, 0.01]))
    with pytest.raises(ArtifactRefused, match="differ by"):
        verify_predictor(poisoned(trained, tmp_path, FOLDED, content))


@pytest.mark.parametrize("held", ["a text", {"estimator": "a text"}, {"estimator": {}}, {"other": 1}])
def test_strange_estimators_are_refused(trained: Trained, tmp_path: Path, held: object) -> None:
    """Whatever stands in the estimator's file, the version is refused in words and nothing of it runs."""
    with pytest.raises(ArtifactRefused):
        verify_predictor(poisoned(trained, tmp_path, ESTIMATORS, skops.io.dumps(held)))


def test_the_estimator_of_another_prediction_is_refused(trained: Trained, tmp_path: Path) -> None:
    """An estimator of three classes cannot stand behind a chance."""
    other = (trained.places["predicted.reason"] / ESTIMATORS).read_bytes()
    with pytest.raises(ArtifactRefused, match="something else than a fitted estimator of the labels"):
        verify_predictor(poisoned(trained, tmp_path, ESTIMATORS, other))


def test_a_history_of_many_moments_is_bounded(declared: tuple[ContextSchema, dict[str, Prediction]]) -> None:
    """However much happened to a customer, it is looked at only so often, and no customer counts more than others."""
    rows = [event("busy", n, START_MS + n * HOUR_MS, "visit", minutes=1.0) for n in range(2_000)]
    rows += [event("calm", n, START_MS + n * DAY_MS, "visit", minutes=1.0) for n in range(3)]
    counts = Counter(moment.customer for moment in moments_of(History.of(rows), declared[1]["predicted.churn"], 0))
    assert counts == {"busy": 6, "calm": 3}


def test_a_predictor_that_cannot_be_written_is_said(inputs: list[str], tmp_path: Path) -> None:
    """A folder in which nothing can be written is named, with what to do."""
    (tmp_path / "file").write_text("")
    done = refused(*inputs, f"--out={tmp_path / 'file'}", "--fields=predicted.also")
    assert "choose another --out" in done.err


def test_predicting_is_a_function_too(inputs: list[str], tmp_path: Path) -> None:
    """What the command does is one call, which returns places and manifests."""
    strategy, events = (Path(word.partition("=")[2]) for word in inputs)
    with progress() as bars:
        made, left_out = predict(Order(strategy, events, None, tmp_path, ("predicted.also",), 0), bars)
    assert [one.manifest.field for one in made] == ["predicted.also"]
    assert left_out == {}
