"""A challenger is compared with the champion by what both said of the same decisions, as the log has it."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.service.served import write_served
from tests.training.promoting.world import moment
from tests.training.world import Person, world
from training.errors import TrainingRefused
from training.progress import progress
from training.promoting.command import shadow_words
from training.promoting.shadows import compared

RIVAL, CHAMPION = "rival@0123456789ab", "small@ba9876543210"
HEAD = (
    "decision_id", "customer_id", "at", "channel", "placement", "action", "probability", "model", "propensity",
    "feature.past.visits", "feature.past.tier", "feature.present.mood", "shadow", "outcomes",
)  # fmt: skip
Says = Callable[[Person, str], float]


def knows(person: Person, action: str) -> float:
    """Forecast the truth."""
    return person.chance(action)


def guesses(person: Person, action: str) -> float:
    """Forecast something that has nothing to do with the truth."""
    return 0.5 + 0.45 * person.mood * (1 if action == "phone" else -1)


def rows(own: Says, other: Says) -> list[dict[str, Any]]:
    """Return a log in which a challenger forecasts one way and the champion another."""
    drawn = world(5, customers=80)
    pairs = sorted(zip(drawn.decisions, drawn.truths, strict=True), key=lambda pair: int(pair[0]["at"]))
    found = []
    for number, (row, person) in enumerate(pairs):
        action, sells = row["action"], row["action"] in ("phone", "fibre")
        came = [
            {"action": a, "kind": "accepted", "at": moment(row["at"] + 1), "amount": 0}
            for a, h in row["outcomes"].items()
            if h
        ]
        says = {"action": action, "propensity": own(person, action), "baseline": None, "net_value": 1.0}
        shadow = {
            "model": RIVAL,
            "candidates": [{**says, "probability": 0.75 if number % 2 else 0.25}] if sells else [],
        }
        known = (person.visits, {None: "", True: "gold", False: "basic"}[person.gold], person.mood)
        head = (
            row["decision_id"],
            row["customer_id"],
            moment(row["at"] + number),
            "web",
            "hero",
            action,
            0.33,
            CHAMPION,
        )
        cells = (*head, other(person, action) if sells else "", *known, json.dumps(shadow), json.dumps(came))
        found.append(dict(zip(HEAD, cells, strict=True)))
    return found


def written(folder: Path, found: list[dict[str, Any]], packed: bool = False) -> Path:
    """Write a log as a table of one file."""
    path = folder / ("log.csv.gz" if packed else "log.csv")
    with gzip.open(path, "wt", newline="") if packed else path.open("w", newline="") as file:
        out = csv.DictWriter(file, HEAD)
        out.writeheader()
        out.writerows(found)
    return path


def told(folder: Path, log: Path, challenger: str = "") -> dict[str, Any]:
    """Compare."""
    strategy = write_served(folder / "strategy")
    with progress() as bars:
        return compared(strategy, log, challenger, None, bars)


def test_who_forecasts_the_truth_is_better_by_the_interval(tmp_path: Path) -> None:
    """The challenger that knows the chances wins in log loss, and loses with sides changed; agreement is told."""
    found = told(tmp_path, written(tmp_path, rows(knows, guesses)))
    assert (found["challenger"], found["champions"]) == (RIVAL, [CHAMPION])
    assert found["agreement"] == pytest.approx(0.5, abs=0.03)
    assert found["log_loss"]["high"] < 0.0
    assert "better" in shadow_words(found)
    turned = told(tmp_path, written(tmp_path, rows(guesses, knows), packed=True))
    assert turned["log_loss"]["low"] > 0.0
    assert turned["log_loss"]["difference"] == pytest.approx(-found["log_loss"]["difference"])
    assert "worse" in shadow_words(turned)


def test_a_log_without_a_challenger_is_refused_in_words(tmp_path: Path) -> None:
    """It says what to do, and names those that are there when another is asked for."""
    log = written(tmp_path, [{**row, "shadow": ""} for row in rows(knows, guesses)])
    with pytest.raises(TrainingRefused, match=r"no challenger.*--challenger"):
        told(tmp_path, log)
    with pytest.raises(TrainingRefused, match=RIVAL):
        told(tmp_path, written(tmp_path, rows(knows, guesses)), "other@0123456789ab")


def test_few_outcomes_are_not_compared(tmp_path: Path) -> None:
    """Fewer than 50 known outcomes make no figure, and the answer says so."""
    found = told(tmp_path, written(tmp_path, rows(knows, guesses)[:60]))
    assert found["log_loss"] is None
    assert "too few" in shadow_words(found)


def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With file and row."""
    found = rows(knows, guesses)
    found[4]["shadow"] = "{half"
    with pytest.raises(TrainingRefused, match=r"log\.csv:5: `shadow`"):
        told(tmp_path, written(tmp_path, found))
