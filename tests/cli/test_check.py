"""`tact check`: a strategy is fine, or every problem is named with file and line."""

import json
import shutil
from pathlib import Path

from tests.cli.commands import DEMO, tact, typed


def test_a_good_strategy_is_summed_up() -> None:
    """The demo strategy loads; its counts are those of its documents."""
    said = json.loads(typed("check", DEMO, "--json").stdout)
    assert said["ok"] is True
    assert said["version"].startswith("demo@")
    assert said["actions"] == said["greetings"] + said["offers"] + said["messages"] >= 25
    assert set(said["channels"]) == {"desk", "web", "email"}
    assert said["version"] in typed("check", DEMO).stdout


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
