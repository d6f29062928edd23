"""`tact check --cases`: every case is a sentence, and one that comes out otherwise says why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.commands import DEMO, one_line, tact, typed
from tests.strategies import write_strategy


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the demo strategy that a strategist may change."""
    return Path(shutil.copytree(DEMO, tmp_path / "demo"))


def test_every_case_is_printed_as_its_sentence() -> None:
    """The demo's cases are lines that can be read aloud, all of them ok, and the command ends with 0."""
    ran = typed("check", DEMO, "--cases")
    assert ran.returncode == 0, ran.stdout
    lines = ran.stdout.splitlines()
    assert len(lines) >= 60
    assert all(line.startswith("ok      ") and line.endswith(".") for line in lines)
    assert "ok      While a ticket is open nothing is sold on the phone." in lines
    assert ran.stderr.splitlines() == [f"{len(lines)} cases: all are decided so"]


def test_without_cases_the_summary_counts_them() -> None:
    """`tact check` says what it always said, and how many cases there are."""
    said = json.loads(typed("check", DEMO, "--json").stdout)
    assert said["cases"] == len(typed("check", DEMO, "--cases").stdout.splitlines())
    assert said["warnings"] == []


def test_a_strategist_adds_a_case_without_python(copy: Path) -> None:
    """A file in the folder is enough: the new sentence is decided with all the others."""
    (copy / "cases" / "mine.yaml").write_text(
        "cases:\n"
        "  - says: On a Sunday morning a greeting is a greeting.\n"
        "    now: 2026-06-07T09:00:00+02:00\n"
        "    on: web\n"
        "    at: greeting\n"
        "    gets: greet-neutral\n",
        encoding="utf-8",
    )
    ran = typed("check", copy, "--cases")
    assert ran.returncode == 0, ran.stdout
    assert "ok      On a Sunday morning a greeting is a greeting." in ran.stdout.splitlines()


def test_a_case_that_comes_out_otherwise_says_why(copy: Path) -> None:
    """Without its rule a case fails: where it stands, what was wanted, what was decided and for which reason."""
    rules = copy / "rules.yaml"
    text = rules.read_text(encoding="utf-8")
    rules.write_text(
        text.replace("when: past.open_tickets > 0\n", "when: past.open_tickets > 5\n", 1), encoding="utf-8"
    )
    ran = typed("check", copy, "--cases")
    assert ran.returncode == 1
    lines = ran.stdout.splitlines()
    at = lines.index("FAILED  While a ticket is open nothing is sold on the phone.")
    assert lines[at + 1].strip().startswith("cases/trouble.yaml:")
    assert "fibre-upgrade can be had, and must not" in "\n".join(lines[at:])
    assert any(line.strip().startswith("decided at offer: ") for line in lines[at:])
    assert "decided otherwise" in ran.stderr
    told = json.loads(typed("check", copy, "--cases", "--json").stdout)
    assert told["ok"] is False
    (failed,) = [case for case in told["cases"] if case["says"].startswith("While a ticket is open")]
    assert failed["ok"] is False
    assert any("fibre-upgrade" in wrong for wrong in failed["wrong"])
    assert failed["got"]["offer"]


def test_cases_that_cannot_be_read_are_problems_like_any_other(copy: Path) -> None:
    """A mistake in a case has a file, a line and a remedy; the strategy itself is fine, and only warned about."""
    (copy / "cases" / "mine.yaml").write_text("cases:\n  - says: Oops.\n    on: wab\n    at: hero\n", encoding="utf-8")
    ran = typed("check", copy, "--cases")
    assert ran.returncode == 1
    assert "cases/mine.yaml:3: `on` names `wab`, which is no known channel; did you mean `web`?" in ran.stdout
    told = json.loads(typed("check", copy, "--cases", "--json").stdout)
    assert told["ok"] is False
    assert {problem["file"] for problem in told["problems"]} == {"cases/mine.yaml"}
    summary = json.loads(typed("check", copy, "--json").stdout)
    assert summary["ok"] is True
    assert "--cases" in summary["warnings"][0]


def test_a_strategy_without_cases_is_told_where_they_go(tmp_path: Path) -> None:
    """Asked for cases where there are none, the command says where to write them, on one line."""
    said = one_line(tact("check", write_strategy(tmp_path / "small"), "--cases"), 1)
    assert "small/cases" in said
    assert "docs/cases.md" in said


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    """`--model` with a folder that holds none is refused in words."""
    said = one_line(tact("check", DEMO, "--cases", "--model", tmp_path / "nowhere"), 1)
    assert "nowhere" in said
