"""`tact check`: a strategy is fine, or every problem is named with file and line."""

import json
import shutil
from pathlib import Path

from tests.cli.commands import DEMO, tact, typed
from tests.core.policies import changed, write_policy

COUNTED = {
    "attributes": 6, "guardrails": 5, "recovery_rules": 1, "quiet_hours": 2, "eligibility_rules": 2,
    "applicability_rules": 1, "suitability_rules": 1, "caps": 4, "cool_offs": 2, "consistency_rules": 1,
    "exemptions": 2, "weights": 1, "predictions": 0,
}  # fmt: skip


def test_a_good_strategy_is_summed_up() -> None:
    """The demo strategy loads; its counts are those of its documents."""
    said = json.loads(typed("check", DEMO, "--json").stdout)
    assert said["ok"] is True
    assert said["version"].startswith("demo@")
    assert said["actions"] == said["greetings"] + said["offers"] + said["messages"] >= 25
    assert set(said["channels"]) == {"desk", "web", "email"}
    assert said["version"] in typed("check", DEMO).stdout


def test_every_kind_of_rule_is_counted_and_what_does_nothing_is_named(tmp_path: Path) -> None:
    """Policy, supply, demand and predictions are counted; a rule that is over is a warning and no problem."""
    over = changed("caps", "    owner: Marketing\n", "    owner: Marketing\n    until: 2020-01-01\n")
    ran = typed("check", write_policy(tmp_path, caps=over), "--json")
    said = json.loads(ran.stdout)
    assert (ran.returncode, said["ok"]) == (0, True)
    assert {name: said[name] for name in COUNTED} == COUNTED
    (warning,) = said["warnings"]
    assert warning.startswith("`one-offer-a-day` is over")
    trucks = json.loads(typed("check", DEMO.parent / "trucks", "--json").stdout)
    assert (trucks["supplies"], trucks["actions_that_consume"], trucks["demand_rules"]) == (2, 1, 2)
    assert json.loads(typed("check", DEMO, "--json").stdout)["predictions"] == 3


def spoiled(folder: Path) -> Path:
    """Return a copy of the demo strategy with two problems."""
    copy = Path(shutil.copytree(DEMO, folder / "spoiled"))
    rules = copy / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    text = text.replace("when: past.open_tickets > 0\n", "when: past.open_tickets > 0.75\n", 1)
    rules.write_text(text.replace("forbid: {tags: [cheerful]}", "forbid: {tags: [cheery]}", 1), encoding="utf-8")
    return copy


def test_every_problem_has_a_file_and_a_line(tmp_path: Path) -> None:
    """A strategy with two problems gives two lines `file:line: what`, ends with 1, and says the same as JSON."""
    bad = spoiled(tmp_path)
    lines = (bad / "rules.yaml").read_text(encoding="utf-8").splitlines()
    ran = typed("check", bad)
    assert ran.returncode == 1
    found = ran.stdout.splitlines()
    assert len(found) == 2
    wrong = {number for number, line in enumerate(lines, 1) if "> 0.75" in line or "[cheery]" in line}
    assert {int(line.split("rules.yaml:")[1].split(":")[0]) for line in found} == wrong
    told = typed("check", bad, "--json")
    assert told.returncode == 1
    assert {problem["line"] for problem in json.loads(told.stdout)["problems"]} == wrong


def test_a_bad_strategy_is_not_served(tmp_path: Path) -> None:
    """`tact serve` refuses it with the same lines, and nothing is left running."""
    ran = tact("serve", "--strategy", spoiled(tmp_path), "--store", f"embedded:{tmp_path / 'store'}", "--port", "0")
    assert ran.returncode == 1
    assert "rules.yaml:" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "store").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is a problem like any other, without a trace."""
    ran = typed("check", tmp_path / "nowhere")
    assert ran.returncode == 1
    assert "nowhere" in ran.stdout
    assert "Traceback" not in ran.stderr
