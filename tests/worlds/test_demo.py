"""The demo world: the same bytes for a seed, rows as the strategy declares them, and a truth that is true."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.schema import load_context
from training.rows import read_decisions, read_events
from training.worlds import demo, telling
from training.worlds.facts import Observer, facts_of
from training.worlds.files import moment_ms
from training.worlds.tastes import STRATEGY, TASTES, Traits, read_sayables, true_worth

CUSTOMERS = 400
COMPARED = os.environ.get("TACT_SAME_CUSTOMERS", "60")
FILES = ("events.jsonl", "consents.jsonl", "decisions.jsonl", "truth.jsonl", "visits.jsonl")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the files of a world of 400 customers."""
    out = tmp_path_factory.mktemp("world")
    demo.main(["--out", str(out), "--customers", str(CUSTOMERS), "--seed", "3"])
    return out


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_equal_arguments_give_equal_bytes_and_another_seed_another_world(tmp_path: Path) -> None:
    """The same seed gives the same five files to the byte; another seed changes each."""
    for world, seed in (("one", "3"), ("again", "3"), ("other", "4")):
        demo.main(["--out", str(tmp_path / world), "--customers", COMPARED, "--seed", seed])
    for name in FILES:
        one, again, other = ((tmp_path / world / name).read_bytes() for world in ("one", "again", "other"))
        assert again == one
        assert other != one


def test_a_small_world_is_the_beginning_of_a_large_one(folder: Path, tmp_path: Path) -> None:
    """A customer's truth and history do not depend on how many others there are."""
    demo.main(["--out", str(tmp_path), "--customers", "20", "--seed", "3"])
    for name in ("events.jsonl", "truth.jsonl"):
        small = (tmp_path / name).read_bytes().splitlines()
        assert small
        assert set(small) <= set((folder / name).read_bytes().splitlines())


def test_training_reads_every_row(folder: Path) -> None:
    """Every event and decision is as the strategy declares it, none is refused, and none has the id of another."""
    schema = load_context(STRATEGY)
    events = list(read_events(folder / "events.jsonl", schema, lambda _: None))
    decisions = list(read_decisions(folder / "decisions.jsonl", schema, lambda _: None))
    assert len({event.id for event in events}) == len(events) > 20 * CUSTOMERS
    assert len({decision.id for decision in decisions}) == len(decisions) > 7 * CUSTOMERS
    moment = moment_ms(demo.MOMENT)
    assert all(event.at_ms < moment for event in events)
    assert all(decision.at_ms < moment for decision in decisions)


def test_the_pilot_asks_only_those_who_agreed_to_everything(folder: Path) -> None:
    """Nobody is in the pilot who did not consent in full, but for visitors of whom nothing is known."""
    full = {row["customer_id"] for row in rows(folder / "consents.jsonl") if row["level"] == "full"}
    asked = {row["customer_id"] for row in rows(folder / "decisions.jsonl")}
    assert {customer for customer in asked - full if not customer.startswith("visitor-")} == set()
    assert len(asked & full) > CUSTOMERS / 3


def test_logged_probabilities_are_those_of_the_draw(folder: Path) -> None:
    """Weighting every row by the inverse of its probability counts each action as often as it could be said."""
    said, possible = 0.0, 0
    for row in rows(folder / "decisions.jsonl"):
        if row["action"] == "nothing":
            possible += row["probability"] < 1.0
            said += (row["probability"] < 1.0) / 0.25
    total = sum(row["probability"] < 1.0 for row in rows(folder / "decisions.jsonl"))
    assert said / total == pytest.approx(1.0, abs=5 * math.sqrt(3 / total))
    assert possible > 0


def test_outcomes_follow_the_truth(folder: Path) -> None:
    """Said or not, each action and all together work as often as the truth expects, within four standard errors."""
    truth = {row["customer_id"]: row["actions"] for row in rows(folder / "truth.jsonl")}
    sums: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for row in rows(folder / "decisions.jsonl"):
        known = truth.get(row["customer_id"])
        key = "p0" if row["action"] == "nothing" else "p"
        for action, outcome in row["outcomes"].items():
            if known is None:
                continue
            sums[key, action].append((outcome, known[action][key]))
            sums[key, "any"].append((outcome, known[action][key]))
    assert len(sums) > 70
    for arm, pairs in sums.items():
        error = math.sqrt(sum(p * (1 - p) for _, p in pairs))
        assert abs(sum(o for o, _ in pairs) - sum(p for _, p in pairs)) < 4 * error + 0.5, arm


def test_the_truth_is_the_formula_of_the_house(folder: Path) -> None:
    """net = lever x (p x (value - reward) - p0 x value) - cost, for each action and customer."""
    sayables = {sayable.id: sayable for sayable in read_sayables()}
    for row in rows(folder / "truth.jsonl")[:50]:
        assert row["actions"].keys() == sayables.keys()
        for action, worth in row["actions"].items():
            s = sayables[action]
            net = s.lever * (worth["p"] * (s.value - s.reward) - worth["p0"] * s.value) - s.cost
            assert worth["net"] == pytest.approx(net, abs=1e-3)


def test_every_action_has_a_taste_and_a_fair_prior() -> None:
    """The strategy and the world name the same actions, and priors fit the middle customer within 1.6x."""
    sayables = read_sayables()
    assert {sayable.id for sayable in sayables} == TASTES.keys()
    documents = (msgspec.yaml.decode(path.read_bytes()) for path in STRATEGY.glob("*.yaml"))
    priors = {entry["id"]: entry["propensity"] for document in documents for entry in document.get("actions", ())}
    for sayable in sayables:
        assert 1 / 1.6 < priors[sayable.id] / true_worth(sayable, Traits()).p < 1.6, sayable.id


def test_no_action_is_best_for_everyone(folder: Path) -> None:
    """Tastes differ: what is best for one is not for another, and some offers lose money on some customers."""
    best = set()
    negative: set[str] = set()
    for row in rows(folder / "truth.jsonl"):
        open_to_all = {a: w["net"] for a, w in row["actions"].items() if not TASTES[a].needs}
        best.add(max(open_to_all, key=lambda action: open_to_all[action]))
        negative |= {action for action, worth in row["actions"].items() if worth["net"] < 0}
    assert len(best) >= 4
    assert {"stay-discount", "finish-cart", "trade-in"} <= negative


@pytest.mark.parametrize(
    ("customer", "holds", "not_so"),
    [
        ("anna-ticket", {"ticket", "fibre-fits"}, {"late", "unhappy"}),
        ("ben-noconsent", {"old-phone", "fibre-fits"}, {"ticket", "late"}),
        ("carla-loyal", {"one-flight", "gold", "long-time"}, {"ticket", "late", "unhappy", "complained", "angry"}),
        ("dave-cart", {"cart"}, {"ticket", "late", "internet"}),
        ("eve-late-delivery", {"late"}, {"ticket", "cart"}),
        ("frank-leaving", {"leaving", "affords-0"}, {"ticket", "late", "unhappy", "fibre-fits"}),
        ("gina-refused", {"fibre-fits", "affords-10"}, {"leaving", "ticket", "not-largest"}),
    ],
)
def test_the_telling_customers_are_what_they_are_called(customer: str, holds: set[str], not_so: set[str]) -> None:
    """Each telling customer's history folds into the facts that the demo tells of."""
    one = next(person for person in telling.PEOPLE if person.id == customer)
    moment = moment_ms(demo.MOMENT)
    (seen,) = Observer(load_context(STRATEGY)).observe(telling.telling_history(one, moment), [moment])
    facts = facts_of(seen, moment)
    assert holds <= facts
    assert facts.isdisjoint(not_so)


def test_a_moment_without_a_time_zone_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad moment is named, with what would be right."""
    with pytest.raises(SystemExit, match="2"):
        demo.main(["--out", str(tmp_path), "--moment", "2026-06-01"])
    assert "write it like 2026-06-01T09:00:00Z" in capsys.readouterr().err
