"""Claims about training a strategy that ranks by uplift: what it earns is learned, written, read back, and decides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.progress import Progress

from models.artifacts import VALUES, load_folded, read_artifact
from models.values import RanksBy
from service.core.arbitrate import Arbiter
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from tests.strategies import write_strategy
from training.fit import Order, Trained, fit
from training.learning.source import Source
from training.learning.told import report_of
from training.report.page import page
from training.strategy import read_strategy
from training.uplift.serving import NOT_VALUED, before_costs, valued_for
from training.uplift.telling import lines, section
from training.values import moment_text
from training.verification import verify

from .world import log

MONDAY_MS, LONG_AGO_MS, DAY_MS = 1_796_083_200_000, 1_704_067_200_000, 86_400_000
OUTCOMES = """\
outcomes:
  - {id: bought, says: They bought something., event: purchase, within: 2d}
  - {id: spend, says: What they paid within two days., event: purchase, amount: amount, within: 2d}
"""
MODEL = "model: {ranks_by: uplift, outcome: bought, features: [past.spend_7d]}\n"
SAID = (("nothing", 0.4), ("new-phone", 0.4), ("fibre-upgrade", 0.2))


def write_log(folder: Path, customers: int) -> tuple[Path, Path]:
    """Write events and a table of decisions: the phone makes those spend 40 more who spent before, fibre costs all 10.

    What somebody pays anyway varies by more than that.
    """
    rng = np.random.default_rng(0)
    events, decisions = folder / "events.jsonl", folder / "decisions.csv"
    with events.open("w") as told, decisions.open("w") as asked:
        asked.write("decision_id,customer_id,at,action,probability\n")
        for number in range(customers):
            spent, place = 100.0 * (number % 2), int(rng.choice(3, p=[share for _, share in SAID]))
            action, probability = SAID[place]
            at_ms = LONG_AGO_MS + number * 600_000  # for ten days, of which the last two are not known at the end
            paid = 30.0 + 50.0 * rng.random() + (40.0 * (spent > 0) if place == 1 else -10.0 if place == 2 else 0.0)
            for moment, amount in ((at_ms - DAY_MS, spent), (at_ms + DAY_MS, paid if rng.random() < 0.9 else 0.0)):
                if amount:
                    told.write(_event(f"{number}-{moment}", number, moment, amount))
            asked.write(f"{number},c{number},{moment_text(at_ms)},{action},{probability}\n")
        told.write(_event("the last", customers, LONG_AGO_MS + 20 * DAY_MS, 1.0))
    return events, decisions


def _event(name: str, customer: int, at_ms: int, amount: float) -> str:
    attributes = {"amount": amount, "product": "any"}
    row = {"event_id": name, "customer_id": f"c{customer}", "type": "purchase", "occurred_at": at_ms}
    return json.dumps(row | {"attributes": attributes}) + "\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a strategy that ranks by uplift."""
    home = tmp_path_factory.mktemp("worth")
    write_strategy(home / "strategy", model=MODEL, guardrails=None, eligibility=None, weights=None)
    (home / "strategy" / "outcomes.yaml").write_text(OUTCOMES + "worth: {spend: 1.0, cost: -1.0}\n")
    return home


@pytest.fixture(scope="module")
def trained(home: Path) -> Trained:
    """Return a version trained for it."""
    events, decisions = write_log(home, 1500)
    source = Source(log=decisions, events=events)
    return fit(Order(home / "strategy", source, home / "models", forests=0), Progress(disable=True))


def net(strategy: Strategy, trained: Trained, spent: float | None) -> dict[str, float]:
    """Return the net values for somebody who spent that much last week, with the version read from its folder."""
    arbiter = Arbiter(strategy, load_folded(trained.place, trained.declared.space))
    values: list[object] = [None] * len(strategy.schema.fields)
    values[strategy.schema.index["past.spend_7d"]] = spent
    scores = arbiter.score(tuple(values), MONDAY_MS, ())
    return {action.id: scores.net_value(action.index) for action in strategy.actions}


def test_what_was_learned_decides(home: Path, trained: Trained) -> None:
    """The phone is worth saying to those who spend, fibre to nobody, each less its cost and times its lever."""
    strategy = load_strategy(home / "strategy")
    rich, poor = net(strategy, trained, 100.0), net(strategy, trained, None)
    assert 25.0 < rich["new-phone"] < 45.0
    assert abs(poor["new-phone"]) < 8.0
    assert rich["fibre-upgrade"] < 0.0
    assert poor["fibre-upgrade"] < 0.0


def test_the_manifest_says_how(trained: Trained) -> None:
    """It names the actions with a model of worth, the factors, the learner, the rest with a reason, and the Qini."""
    manifest = read_artifact(trained.place).manifest
    assert manifest.valued == ("fibre-upgrade", "new-phone")
    assert manifest.worth == {"spend": 1.0, "cost": -1.0}
    assert manifest.learning["worth"]["learner"] == "mean"
    assert "0 rows said it" in manifest.learning["worth"]["left_out"]["apology"]
    assert manifest.metrics["uplift"]["qini"] > 0.0
    assert verify(trained.place).version == manifest.version
    assert "over saying nothing" in read_artifact(trained.place).card


def test_people_are_told(trained: Trained) -> None:
    """The command says how well worth is ranked and what has no model; the page shows the curves; or why it cannot."""
    told = list(lines(msgspec.to_builtins(trained.manifest)))
    assert told[0].startswith("models of worth: 2; on the latest rows, contact costs taken off, Qini ")
    assert "  without one, so by the formula: apology (0 rows said it; 100 are needed" in told[1]
    text = page(report_of(trained))
    assert "What saying it earns" in text
    assert "Qini coefficient" in text
    assert list(lines({"learning": {}, "metrics": {}})) == []
    refused = lines(
        {"learning": {"worth": {"left_out": {}}}, "metrics": {"uplift": {"refused": "too few"}}, "valued": ()}
    )
    assert list(refused) == ["models of worth: 0; too few"]
    assert section("too few", {}, "EUR").words == ("Refused: too few.",)


def test_the_same_log_gives_the_same_version(home: Path, trained: Trained) -> None:
    """Trained again from the same rows the version is the same, models of worth included."""
    source = Source(log=home / "decisions.csv", events=home / "events.jsonl")
    again = fit(Order(home / "strategy", source, home / "again", forests=0), Progress(disable=True))
    assert again.manifest.version == trained.manifest.version
    assert (again.place / VALUES).read_bytes() == (trained.place / VALUES).read_bytes()


def test_a_strategy_that_ranks_by_the_formula_pays_for_nothing(home: Path, tmp_path: Path) -> None:
    """Without `ranks_by: uplift` no model of worth is learned."""
    declared = read_strategy(home / "strategy")
    assert declared.ranks_by is RanksBy.UPLIFT
    assert valued_for(replace(declared, ranks_by=RanksBy.FORMULA), log(10, 0), (), 0) is NOT_VALUED
    write_strategy(tmp_path / "plain")
    assert read_strategy(tmp_path / "plain").ranks_by is RanksBy.FORMULA


def test_contact_costs_are_taken_off_once(home: Path) -> None:
    """Where the worth counts the cost of saying it, learning puts it back: serving takes it off."""
    declared = read_strategy(home / "strategy")
    rows = log(50, 1)
    named = replace(rows, actions=("nothing", "new-phone", "fibre-upgrade"))
    costs = {action.id: action.cost for action in declared.outcomes.actions}
    put_back = before_costs(named, declared.outcomes).worth - named.worth
    expected = np.array([0.0, costs["new-phone"], costs["fibre-upgrade"]])[named.action]
    np.testing.assert_allclose(put_back, expected)
    uncounted = declared.outcomes.worth_by({"spend": 1.0})
    np.testing.assert_array_equal(before_costs(named, uncounted).worth, named.worth)
