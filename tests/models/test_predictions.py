"""Claims about what a strategy says of its predictions: what may be said, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.context import FoldKind, Source, Tense
from models.documents import DocumentsRefused, read_folder
from models.predictions import Prediction, PredictionKind, parse_predictions
from models.schema import load_context, parse_context
from service.core.loader import load_strategy
from tests.predicting import DAY_MS, FIELDS, PREDICTIONS, write_predicting
from tests.strategies import SECTIONS


def predictions_of(folder: Path) -> tuple[Prediction, ...]:
    """Return the predictions that a folder declares; raise `DocumentsRefused` with all problems."""
    documents = read_folder(folder)
    problems = list(documents.problems)
    found = parse_predictions(documents, parse_context(documents, problems), problems)
    if problems:
        raise DocumentsRefused(problems)
    return found


def test_predictions_are_read_as_they_are_written(tmp_path: Path) -> None:
    """Each kind is read with what it asks of the future, and a strategy with all of them loads."""
    folder = write_predicting(tmp_path)
    churn, reason, also = predictions_of(folder)
    assert (churn.kind, churn.event, churn.within_ms, churn.once) == (
        PredictionKind.CHANCE,
        "notice",
        30 * DAY_MS,
        True,
    )
    assert churn.features == ("past.minutes", "past.called_about")
    assert (reason.kind, reason.attribute, reason.once) == (PredictionKind.NEXT, "reason", False)
    assert (also.kind, also.basket, also.keep) == (PredictionKind.BOUGHT_WITH, "past.bought", 2)
    assert load_strategy(folder).schema.index["predicted.churn"]


def test_what_models_write_is_a_field_of_the_third_tense(tmp_path: Path) -> None:
    """Such a field is kept for the customer, comes from a model, and has the bounds that it declares."""
    schema = load_context(write_predicting(tmp_path))
    field = schema.fields[schema.index["predicted.churn"]]
    assert (field.source, field.tense) == (Source.MODEL, Tense.PREDICTED)
    assert field.fold is not None
    assert field.fold.kind is FoldKind.MODEL
    assert (field.bounds.low, field.bounds.high, field.max_age_ms) == (0.0, 1.0, 30 * DAY_MS)
    assert schema.fields[schema.index["past.minutes"]].source is Source.EVENTS


BAD = {
    "no such field": ("field: predicted.churn", "field: predicted.chrun", "did you mean `predicted.churn`?"),
    "a field twice": ("field: predicted.reason, kind: next", "field: predicted.churn, kind: next", "is predicted by"),
    "a field of events": (
        "field: predicted.churn",
        "field: past.minutes",
        "comes from events; give it `source: model`",
    ),
    "another type": (
        "kind: chance",
        "kind: next, attribute: reason",
        "gives string, and `predicted.churn` is a double",
    ),
    "no such kind": ("kind: chance", "kind: likely", "write chance, next or bought_with"),
    "no such event": ("event: notice", "event: notcie", "did you mean `notice`?"),
    "no such attribute": ("attribute: reason", "attribute: topic", "which is no known attribute of called"),
    "no horizon": ("within: 30d, ", "", "has no `within`"),
    "no features": ("[past.minutes, past.called_about]", "[]", "`features` is an empty list"),
    "a request's field": ("[past.minutes,", "[present.sentiment,", "which comes from request; name fields that are"),
    "another prediction": ("[past.minutes,", "[predicted.visits,", "which comes from model; name fields that are"),
    "a list": ("[past.minutes,", "[past.bought,", "a list of texts, which no model can see"),
    "a basket that lists nothing": ("basket: past.bought", "basket: past.minutes", "which lists nothing; name a field"),
    "too many kept": ("keep: 2", "keep: 65", "from 1 to 64"),
    "a key of another kind": ("keep: 2", "within: 3d", "has no key `within`"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_wrong_prediction_is_refused_with_what_would_be_right(tmp_path: Path, what: str) -> None:
    """Training and serving refuse the same mistakes, with file, line and what would be right."""
    old, new, words = BAD[what]
    assert PREDICTIONS.count(old) == 1
    folder = write_predicting(tmp_path, predictions=PREDICTIONS.replace(old, new))
    for load in (predictions_of, load_strategy):
        with pytest.raises(DocumentsRefused) as refused:
            load(folder)
        assert any(words in problem.message for problem in refused.value.problems), str(refused.value)
        assert {problem.file for problem in refused.value.problems} == {"predictions.yaml"}


@pytest.mark.parametrize(
    ("name", "source"), [("predicted.reason", "past.called_about"), ("predicted.also", "past.bought")]
)
def test_a_prediction_tells_nothing_that_the_consent_hides(tmp_path: Path, name: str, source: str) -> None:
    """Whoever withdraws personalization must not be known by a prediction for service that was made of it."""
    line = next(line for line in FIELDS.splitlines() if name in line)
    assert FIELDS.count(line) == 1
    told = FIELDS[FIELDS.index(line) :].replace("purpose: profiling", "purpose: service", 1)
    fields = FIELDS[: FIELDS.index(line)] + told
    folder = write_predicting(tmp_path, fields=SECTIONS["fields"] + fields)
    for load in (predictions_of, load_strategy):
        with pytest.raises(DocumentsRefused) as refused:
            load(folder)
        (problem,) = refused.value.problems
        assert problem.file == "predictions.yaml"
        assert f"`{source}`, which is for personalization, and the consent level `service` allows" in problem.message


def test_what_models_write_is_no_feature_of_the_propensity_models(tmp_path: Path) -> None:
    """They learn from the past, in which the scores of today did not exist."""
    model = "model:\n  features: [predicted.churn]\n"
    with pytest.raises(DocumentsRefused, match=r"`predicted\.churn`, which models write"):
        load_strategy(write_predicting(tmp_path, model=model))


def test_the_values_that_can_come_must_be_declared(tmp_path: Path) -> None:
    """A reason that can happen but that the predicted field does not know is a mistake of the strategy."""
    fields = FIELDS.replace(
        "says: Will call about., type: string, values: [billing, network, moving]",
        "says: Will call about., type: string, values: [billing, network]",
    )
    with pytest.raises(DocumentsRefused, match=r"the `values` of `predicted\.reason` lack `moving`"):
        load_strategy(write_predicting(tmp_path, fields=SECTIONS["fields"] + fields))


FIELDS_REFUSED = {
    "another tense": ("id: predicted.loyal", "id: past.loyal", "models write only what is; call it predicted"),
    "a fold, too": ("source: model}", "source: model, fold: {kind: count, event: visit}}", "both `fold` and `source`"),
    "a fold of the kind": (
        "source: model}",
        "fold: {kind: model, event: visit}}",
        "write `source: model` in place of `fold`",
    ),
}


@pytest.mark.parametrize("what", FIELDS_REFUSED)
def test_only_predicted_fields_are_written_by_models(tmp_path: Path, what: str) -> None:
    """What happened cannot be written by a model, and events cannot fold into what a model writes."""
    old, new, words = FIELDS_REFUSED[what]
    changed = FIELDS.replace(old, new, 1)
    assert changed != FIELDS
    with pytest.raises(DocumentsRefused) as refused:
        load_strategy(write_predicting(tmp_path, fields=SECTIONS["fields"] + changed, predictions=None))
    assert any(words in problem.message for problem in refused.value.problems), str(refused.value)
