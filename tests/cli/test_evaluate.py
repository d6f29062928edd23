"""`tact evaluate` values a strategy by a log, and says in one line what it cannot use."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import DEMO, ROOT, one_line, tact, typed
from tests.service.evaluating.world import Pilot, make_pilot


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Pilot:
    """Make the pilot of a demo world that is just large enough to tell something."""
    return make_pilot(tmp_path_factory.mktemp("pilot"), 120, cells=False)


def test_a_log_is_valued_by_one_command(pilot: Pilot, tmp_path: Path) -> None:
    """From a folder of parts to values of all arms, another strategy beside, and a report; nothing else is left."""
    before = set(tmp_path.iterdir())
    ran = tact(
        "evaluate", "--log", pilot.table, "--strategy", DEMO, "--against", DEMO, "--report", tmp_path / "page.html",
        "--json", env={"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    assert told["rows"] == len(pilot.rows)
    assert told["arms"]["against"] == told["arms"]["strategy"]
    assert set(tmp_path.iterdir()) - before == {tmp_path / "page.html"}


def test_lines_with_their_events_need_no_table(pilot: Pilot) -> None:
    """Decisions and events in JSON lines are valued as they are; features are computed as of each decision."""
    ran = tact("evaluate", "--decisions", pilot.decisions, "--events", pilot.events, "--strategy", DEMO)
    assert ran.returncode == 0, ran.stderr
    assert f"{len(pilot.rows):,} decisions about" in ran.stdout
    assert "propensity only" in ran.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param((), 2, "name the log either with --log or with --decisions", id="no log"),
        pytest.param(("--log", "nowhere"), 1, "nowhere is no folder of a log", id="nowhere"),
        pytest.param(("--decisions", "decisions.jsonl"), 2, "name the events with --events", id="no events"),
        pytest.param(("--log", "x", "--model", "nowhere"), 1, "manifest.json cannot be read", id="no model"),
        pytest.param(("--log", "x", "--strategy", "tests"), 1, "see all with `tact check tests`", id="no strategy"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(words: tuple[str, ...], code: int, said: str) -> None:
    """A missing log, model or strategy ends the command with one line that says what to do."""
    assert said in one_line(typed("evaluate", *words), code)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--bootstrap", "-3"), "'--bootstrap'", id="draws"),
        pytest.param(("--placement", "nope"), "the strategy has no 'nope'; it has greeting, ", id="placement"),
        pytest.param(("--groups", "nope"), "no feature 'nope' to group by; there are past.", id="groups"),
        pytest.param(("--worth", "x=1"), "the worth names `x`, which is no outcome", id="worth of what"),
        pytest.param(("--worth", "much"), "write factors as in spend=0.3,reward=-1", id="worth"),
        pytest.param(("--method", "dm"), "write one of ips, snips, dr", id="method"),
        pytest.param(("--report", "nowhere/page.html"), "there is no folder nowhere", id="report"),
        pytest.param(("--report", "tests"), "tests is a folder; name a file", id="report on a folder"),
    ],
)
def test_a_bad_argument_ends_with_2_before_anything_is_read(words: tuple[str, ...], said: str) -> None:
    """What is wrong whatever the log holds is said at once, though the log is not even there."""
    line = one_line(typed("evaluate", "--log", "nowhere", "--strategy", DEMO, *words), 2)
    assert line.startswith("tact: ")
    assert said in line


def test_the_log_of_another_strategy_is_told_apart(pilot: Pilot) -> None:
    """A log none of whose features the strategy has is named as that, with what to do."""
    line = one_line(typed("evaluate", "--log", pilot.table, "--strategy", ROOT / "strategies" / "bank"), 1)
    assert "this is the log of another strategy" in line
    assert "--strategy" in line
