"""The ladder: which rung what is missing puts a decision on, and what holds on the lowest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from models import states
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.again import again
from service.core.decision import Known, Reason, ReasonCode, Request
from service.core.engine import Engine
from service.core.ladder import MODEL_FAILED, ModelFailed, with_missing
from service.core.loader import load_strategy
from service.core.plan import Entry
from service.core.rungs import RUNG_OF, RUNGS, Rung, rung_of
from tact.v1 import decision_pb2 as pb
from tests.strategies import SECTIONS, edited, write_strategy

NOW_MS = 1_770_000_000_000
DAY_MS = 86_400_000
STALE = Reason(ReasonCode.SCORES_STALE, "Stale.")
NO_MODEL = Reason(ReasonCode.NO_MODEL, "None.")
GONE = Reason(ReasonCode.STORE_UNAVAILABLE, "Gone.")
FORBIDS = """\
guardrails:
  - id: no-small-talk
    says: Who is angry is not greeted as if nothing were.
    forbid: {kinds: [greeting]}
    when: present.sentiment < -0.5
"""


@pytest.mark.parametrize(
    ("missing", "rung"),
    [
        ((), Rung.FULL),
        ((STALE,), Rung.STALE_SCORES),
        ((NO_MODEL,), Rung.RULES_AND_PRIORS),
        ((MODEL_FAILED, STALE), Rung.RULES_AND_PRIORS),
        ((STALE, GONE), Rung.REQUEST_ONLY),
        ((Reason(ReasonCode.GUARDRAIL, "Whatever else."),), Rung.REQUEST_ONLY),
    ],
)
def test_the_lowest_rung_counts(missing: tuple[Reason, ...], rung: Rung) -> None:
    """Whatever is missing, the answer says the lowest rung; what nobody foresaw counts as the lowest of all."""
    assert rung_of(missing) is rung


def test_the_rungs_are_those_of_the_contract() -> None:
    """Numbers and names are those that callers and metrics know."""
    assert {rung.value: f"RUNG_{name.upper()}" for rung, name in zip(Rung, RUNGS, strict=True)} == {
        value.number: value.name for value in pb.Rung.DESCRIPTOR.values if value.number
    }
    assert set(RUNG_OF.values()) == set(Rung) - {Rung.FULL}


def known() -> Known:
    """Return somebody to whom anything may be offered, of whom nothing else is known."""
    return Known(NOW_MS, "full", ("email",), {}, {})


def request() -> Request:
    """Ask for somebody on the web."""
    return Request("ada", "web", ("greeting", "hero"), {})


def models(engine: Engine, weight: float) -> Folded:
    """Return a model for every action of the strategy, whose weights are all of this size."""
    strategy = engine.strategy
    names = tuple(action.id for action in strategy.actions)
    columns = len(FeatureSpace.of(strategy.schema, strategy.features).columns)
    weights, bias = np.full((len(names), columns), weight), np.full(len(names), weight)
    nothing = np.zeros((len(names), columns)), np.zeros(len(names)), np.zeros(len(names), dtype=bool)
    return Folded("m@000000000000", "", names, weights, bias, *nothing)


def decided(engine: Engine, missing: tuple[Reason, ...] = ()) -> Entry:
    """Plan one decision with an engine."""
    snapshot = engine.see(known(), request())
    judged = engine.judge(snapshot, known(), request())
    scores = engine.score(snapshot, judged, request())
    return engine.arbitrate("0ab" + "2" * 23, request(), snapshot, judged, scores, (0.9, 0.9), missing)


def test_a_model_that_computes_no_number_is_not_believed(tmp_path: Path) -> None:
    """What is not a number raises, and the same strategy decides by its priors, under the same rules."""
    plain = Engine(load_strategy(write_strategy(tmp_path)), None)
    engine = Engine(plain.strategy, models(plain, float("nan")))
    with pytest.raises(ModelFailed):
        decided(engine)
    entry, by_priors = decided(engine.by_priors), decided(plain)
    assert entry.placements == by_priors.placements
    assert (entry.degraded, entry.model) == ((MODEL_FAILED,), "")


def test_a_good_model_is_believed(tmp_path: Path) -> None:
    """The same model with numbers in it scores, and nothing is missing."""
    plain = Engine(load_strategy(write_strategy(tmp_path)), None)
    assert decided(Engine(plain.strategy, models(plain, 0.1))).degraded == ()


@pytest.mark.parametrize("missing", [(), (STALE,), (MODEL_FAILED,), (MODEL_FAILED, STALE)])
def test_a_degraded_decision_is_made_again_as_it_was(tmp_path: Path, missing: tuple[Reason, ...]) -> None:
    """What was missing then is told by the entry alone, and its replay says the same, byte for byte."""
    engine = Engine(load_strategy(write_strategy(tmp_path)), None)
    entry = decided(engine, missing)
    assert again(engine, entry).entry == entry
    assert rung_of(entry.degraded) is max(rung_of(missing), Rung.RULES_AND_PRIORS)


def test_a_model_that_failed_is_not_missing_twice() -> None:
    """It was there, so that none is loaded is no reason beside it."""
    assert with_missing((NO_MODEL,), (MODEL_FAILED, STALE)) == (MODEL_FAILED, STALE)
    assert with_missing((NO_MODEL,), (STALE,)) == (NO_MODEL, STALE)


@pytest.mark.parametrize(("sentiment", "said"), [(-0.9, ""), (0.3, "greet"), (None, "greet")])
def test_guardrails_hold_on_the_lowest_rung(tmp_path: Path, sentiment: float | None, said: str) -> None:
    """What came with the request and forbids the safe greeting is heeded though nothing can be read."""
    consent = edited("consent", "says: Nothing was agreed., purposes: []", "says: Little., purposes: [service]")
    strategy = load_strategy(write_strategy(tmp_path, consent=consent, guardrails=FORBIDS))
    field = strategy.schema.index["present.sentiment"]
    context = {} if sentiment is None else {field: sentiment}
    asked = replace(request(), context=context)
    safe = Engine(strategy, None).safe(asked, GONE, NOW_MS)
    assert safe.answers[0].action == said
    assert rung_of(safe.degraded) is Rung.REQUEST_ONLY
    if not said:
        assert [reason.rule for reason in safe.answers[0].reasons] == ["", "no-small-talk"]


CHURN = """
  - {id: predicted.churn, says: Will leave., type: double, low: 0, high: 1, purpose: profiling, max_age: 30d,
     source: model}
"""


@pytest.mark.parametrize(
    ("age_days", "level", "stale"),
    [(1, "full", False), (31, "full", True), (31, "service", False), (None, "full", False)],
    ids=["fresh", "ran out", "not agreed to", "never computed"],
)
def test_predictions_that_ran_out_are_said(tmp_path: Path, age_days: int | None, level: str, stale: bool) -> None:
    """A score beyond its age counts as unknown, and the answer says so; what the consent hides is not even said."""
    strategy = load_strategy(write_strategy(tmp_path, fields=SECTIONS["fields"] + CHURN))
    field = next(one for one in strategy.schema.fields if one.id == "predicted.churn")
    kept = {} if age_days is None else {field.key: [NOW_MS - age_days * DAY_MS, 0.7, "churn@1"]}
    engine = Engine(strategy, None)
    snapshot = engine.see(Known(NOW_MS, level, (), {field.purpose.group: states.packed(kept)}, {}), request())
    assert (snapshot.values[strategy.schema.index[field.id]] == 0.7) is (age_days == 1)
    assert [reason.fields for reason in engine.ladder.missing(snapshot)] == ([(field.id,)] if stale else [])
