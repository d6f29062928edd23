"""`python -m training evaluate`: from a log and the policies on it to values, sentences and a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.progress import Progress

from models.policy_table import METADATA
from service.core.loader import load_strategy
from service.evaluating.policies import Writer
from service.evaluating.rows import TableLog, files_of
from tests.service.evaluating.world import Pilot, make_pilot
from tests.training.test_command import Done, training
from training.errors import TrainingRefused
from training.log.memory import share_that_fits
from training.offpolicy.evaluating import Order, evaluated
from training.strategy import read_strategy
from training.worlds.tastes import STRATEGY


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Pilot:
    """Make the pilot of a demo world that is large enough to tell something."""
    return make_pilot(tmp_path_factory.mktemp("pilot"), 200, cells=False)


@pytest.fixture(scope="module")
def policies(pilot: Pilot) -> Path:
    """Compute what the arms would say on it."""
    out = pilot.folder / "policies.parquet"
    Writer(load_strategy(STRATEGY), None, None).write(TableLog(files_of(pilot.table)), out, lambda done, more: None)
    return out


def _evaluate(pilot: Pilot, policies: Path, *more: str) -> Done:
    log = ("--log", str(pilot.table), "--strategy", str(STRATEGY), "--policies", str(policies))
    return training("evaluate", *log, *more)


@pytest.fixture(scope="module")
def told(pilot: Pilot, policies: Path) -> dict[str, Any]:
    """Evaluate once, with a report."""
    page = pilot.folder / "evaluation.html"
    done = _evaluate(pilot, policies, "--groups", "past.tier,past.tenure_days", "--report", str(page), "--json")
    assert done.code == 0, done.err
    return done.report


def test_all_arms_are_valued(told: dict[str, Any], pilot: Pilot) -> None:
    """The strategy, its rivals, nothing and the best single action have a value by every method, or a refusal."""
    assert set(told["arms"]) == {
        "strategy", "no_levers", "propensity_only", "random", "nothing", "best_single",
    }  # fmt: skip
    assert told["rows"] == len(pilot.rows)
    for arm in told["arms"].values():
        assert bool(arm["refusal"]) != (set(arm["values"]) == {"ips", "snips", "dm", "dr"})
    assert told["arms"]["random"]["values"]["dr"]["low"] < told["arms"]["random"]["values"]["dr"]["high"]


def test_weights_are_those_of_the_very_rows(told: dict[str, Any], pilot: Pilot, policies: Path) -> None:
    """Each arm's probability is held against the logged one of the same decision, however the rows are ordered."""
    names = json.loads(pq.read_schema(policies).metadata[METADATA])["actions"]
    chances: dict[str, dict[str, float]] = {}
    for line in pq.read_table(policies).to_pylist():
        said = {names[one["action"]]: one["probability"] for one in line["arm.strategy"]}
        chances[line["decision_id"]] = {**said, "nothing": 1.0 - sum(said.values())}
    weights = [chances[row["decision_id"]].get(row["action"], 0.0) / row["probability"] for row in pilot.rows]
    arm = told["arms"]["strategy"]
    assert arm["largest_weight"] == pytest.approx(max(weights))
    assert arm["effective_decisions"] == pytest.approx(sum(weights) ** 2 / sum(one**2 for one in weights))


def test_nothing_is_worth_what_those_told_nothing_earned(told: dict[str, Any]) -> None:
    """In the pilot saying nothing earns nothing, and so its value is 0 by every method that weighs the log."""
    values = told["arms"]["nothing"]["values"]
    assert [values[method]["value"] for method in ("ips", "snips", "dr")] == pytest.approx([0.0] * 3, abs=0.05)


def test_claims_follow_the_intervals(told: dict[str, Any]) -> None:
    """Each difference is better or worse exactly where its interval leaves out 0; with too few outcomes it has none."""
    assert {one["than"] for one in told["differences"]} >= {"propensity_only", "nothing"}
    for one in told["differences"]:
        if "few" in one:
            assert (one["low"], one["high"], one["verdict"]) == (None, None, "undecided")
            continue
        wanted = "better" if one["low"] > 0.0 else "worse" if one["high"] < 0.0 else "undecided"
        assert one["verdict"] == wanted


def test_propensities_uplift_and_groups_are_told(told: dict[str, Any]) -> None:
    """The document holds the quality of the propensities, of the ranking by uplift, and what each group gets."""
    assert 0.0 < told["propensities"]["all"]["calibration_error"] < 0.2
    assert {"qini", "uplift_at_0.1"} <= set(told["uplift"])
    groups = [row for row in told["groups"] if row["field"] == "past.tier"]
    assert {row["group"] for row in groups} >= {"basic", "silver"}
    assert all(0.0 <= share <= 1.0 for row in groups for share in row["said"].values())
    assert sum(row["rows"] for row in told["groups"] if row["field"] == "past.tenure_days") <= told["rows"]


def test_the_report_is_one_file_that_names_all_arms(told: dict[str, Any]) -> None:
    """The report holds the arms with their values and what may be claimed, and asks for nothing from outside."""
    page = Path(told["report"]).read_text("utf-8")
    for words in ("What the arms are worth", "propensity only", "best single action", "Fairness by past.tier", "<svg"):
        assert words in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_words_say_the_same(pilot: Pilot, policies: Path, told: dict[str, Any]) -> None:
    """Without --json the same is said in sentences, with the interval of the claim."""
    done = _evaluate(pilot, policies)
    assert done.code == 0, done.err
    one = next(one for one in told["differences"] if one["than"] == "random")
    assert f"than random: {one['value']:+.3g} EUR a decision, 95 % from {one['low']:+.3g}" in done.out


def test_the_same_again(pilot: Pilot, policies: Path, told: dict[str, Any]) -> None:
    """Equal inputs give equal figures, drawn intervals of one seed included."""
    drawn = [_evaluate(pilot, policies, "--bootstrap", "50", "--seed", "3", "--json").report for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert drawn[0]["arms"]["strategy"]["values"]["dr"]["value"] == told["arms"]["strategy"]["values"]["dr"]["value"]


def test_lines_with_events_give_what_the_table_gives(pilot: Pilot, policies: Path, told: dict[str, Any]) -> None:
    """The same log as JSON lines with its events is worth the same to every arm."""
    lines = ("--decisions", str(pilot.decisions), "--events", str(pilot.events))
    done = training("evaluate", *lines, "--strategy", str(STRATEGY), "--policies", str(policies), "--json")
    assert done.code == 0, done.err
    for name, arm in told["arms"].items():
        values = done.report["arms"][name]["values"]
        assert {m: v["value"] for m, v in values.items()} == pytest.approx(
            {m: v["value"] for m, v in arm["values"].items()}
        )


def _for_half(rows: int) -> int:
    """Return the memory (bytes) into which about half of the rows of the demo strategy fit."""
    declared, low, high = read_strategy(STRATEGY), 0, 1 << 32
    while high - low > 1_000:
        memory = (low + high) // 2
        try:
            share = share_that_fits(rows, len(declared.space.columns), len(declared.actions) + 1, memory)
        except TrainingRefused:
            share = 0.0
        low, high = (memory, high) if share < 0.5 else (low, memory)
    return high


def test_of_a_log_that_does_not_fit_a_share_of_the_customers_is_valued(
    pilot: Pilot, policies: Path, told: dict[str, Any]
) -> None:
    """Where the memory holds half of the rows, whole customers are left out, their policies, too, and it is said."""
    order = Order(STRATEGY, pilot.table, None, None, policies, memory=_for_half(len(pilot.rows)))
    found = evaluated(order, Progress(disable=True))
    assert 0.2 * told["customers"] < found["customers"] < 0.8 * told["customers"]
    assert any("of the customers fitted into the memory" in note for note in found["notes"])
    assert found["arms"]["random"]["effective_decisions"] < told["arms"]["random"]["effective_decisions"]


def test_another_worth_gives_other_values(pilot: Pilot, policies: Path, told: dict[str, Any]) -> None:
    """A worth of the command replaces the declared one; one that names nothing is refused with what there is."""
    doubled = _evaluate(pilot, policies, "--worth", "accepted=2", "--json").report
    assert doubled["logged"]["value"] > told["logged"]["value"]
    refused = _evaluate(pilot, policies, "--worth", "profit=2")
    assert (refused.code, "names `profit`, which is no outcome" in refused.err) == (2, True)
    assert _evaluate(pilot, policies, "--worth", "accepted=much").code == 2


def test_policies_of_another_log_are_refused(pilot: Pilot, policies: Path, tmp_path: Path) -> None:
    """Policies that lack rows of the log, or are about other people, are not used, nor is a file that is none."""
    table = pq.read_table(policies)
    pq.write_table(table.slice(1), tmp_path / "fewer.parquet")
    place = table.schema.get_field_index("customer_id")
    names = table["customer_id"].combine_chunks()
    others = names.take([*range(1, len(names)), 0])
    pq.write_table(table.set_column(place, table.schema.field(place), others), tmp_path / "others.parquet")
    for name in ("fewer", "others"):
        done = _evaluate(pilot, tmp_path / f"{name}.parquet")
        assert (done.code, "the policies are those of another log" in done.err) == (1, True)
    pq.write_table(pq.read_table(pilot.table / "decisions-0.parquet"), tmp_path / "log.parquet")
    assert "these are no policies" in _evaluate(pilot, tmp_path / "log.parquet").err
    (tmp_path / "text.parquet").write_text("no table")
    assert "the policies cannot be read" in _evaluate(pilot, tmp_path / "text.parquet").err


def test_a_group_that_there_is_not_is_refused(pilot: Pilot, policies: Path) -> None:
    """A field that is no feature cannot be grouped by, and the message says which can."""
    done = _evaluate(pilot, policies, "--groups", "past.shoe_size")
    assert (done.code, "there is no feature 'past.shoe_size' to group by" in done.err) == (2, True)


def test_a_log_that_explored_nothing_is_refused_in_words(pilot: Pilot, policies: Path, tmp_path: Path) -> None:
    """Where the log says it was certain of everything, no arm has a value: it ends with 1 and says why."""
    tmp_path.joinpath("log").mkdir()
    for path in pilot.table.iterdir():
        table = pq.read_table(path)
        place = table.schema.get_field_index("probability")
        certain = pa.array([1.0] * len(table), table.schema.field(place).type)
        pq.write_table(table.set_column(place, table.schema.field(place), certain), tmp_path / "log" / path.name)
    done = training(
        "evaluate", "--log", str(tmp_path / "log"), "--strategy", str(STRATEGY), "--policies", str(policies), "--json"
    )
    assert (done.code, done.report["passed"]) == (1, False)
    refusals = {name: arm["refusal"] for name, arm in done.report["arms"].items()}
    assert "was never said by the log where it would say it" in refusals["propensity_only"]
    assert done.report["differences"] == []
