"""`tact simulate` tells what another strategy would have said, and ends by the conditions of a release."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import DEMO, ROOT, SOON_S, TACT, clean, one_line, typed
from tests.service.evaluating.world import Pilot, make_pilot


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Pilot:
    """Make the pilot of a small demo world."""
    return make_pilot(tmp_path_factory.mktemp("pilot"), 20, cells=False)


def test_a_log_is_simulated_by_one_command(pilot: Pilot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder of parts to changes, value and a page; a condition that holds ends it with 4; nothing is left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    page = tmp_path / "page.html"
    ran = typed(
        "simulate", "--log", pilot.table, "--strategy", DEMO, "--groups", "past.plan", "--jobs", 1, "--report", page,
        "--fail-if", "changed > 1%", "--fail-if", "lost > 99%", "--from", "2026-04-15T00:00:00Z", "--json",
    )  # fmt: skip
    assert ran.returncode == 4, ran.stderr
    assert ran.stderr.splitlines()[-1] == "tact: --fail-if: changed > 1%"
    told: dict[str, Any] = json.loads(ran.stdout)
    assert 0 < told["rows"] == told["value"]["rows"] < len(pilot.rows)
    assert [one["failed"] for one in told["gate"]] == [True, False]
    assert sum(row["rows"] for row in told["groups"]["past.plan"]) == told["rows"]
    assert "do not tell their dice" in told["notes"][1]
    assert "Who gets something else" in page.read_text("utf-8")
    assert list(tmp_path.iterdir()) == [page]


def test_a_strategy_against_itself_changes_nothing(pilot: Pilot) -> None:
    """Lines with their events are simulated as well, and what is the same is told to be the same."""
    ran = typed(
        "simulate", "--decisions", pilot.decisions, "--events", pilot.events, "--strategy", DEMO, "--against", DEMO,
        "--no-value", "--jobs", 1, "--fail-if", "changed > 0",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "says something else in 0 (0.0%)" in ran.stdout
    assert "passed: changed > 0: it is 0" in ran.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param((), "with one of --log, --target, --population and --decisions", id="no source"),
        pytest.param(("--log", "x", "--population", "5"), "with one of --log", id="two sources"),
        pytest.param(("--log", "x", "--fail-if", "changed"), "--fail-if: 'changed' is no condition", id="condition"),
        pytest.param(("--log", "x", "--fail-if", "gap by past.plan > 1%"), "'past.plan' to look at", id="no group"),
        pytest.param(("--log", "x", "--no-value", "--fail-if", "value < 1"), "--no-value", id="no value"),
        pytest.param(("--log", "x", "--groups", "past.nope"), "there is no field 'past.nope'", id="groups"),
        pytest.param(
            ("--log", "x", "--groups", "past.bought_lately"), "is of type strings, which makes no groups", id="list"
        ),
        pytest.param(("--log", "x", "--memory", "nonsense"), "--memory: 'nonsense' is no memory", id="memory"),
        pytest.param(("--log", "x", "--fail-if", "changed > 100%"), "can never fail a release", id="never"),
        pytest.param(("--log", "x", "--method", "dm"), "write one of ips, snips, dr", id="method"),
        pytest.param(("--log", "x", "--worth", "x=1"), "which is no outcome", id="worth"),
        pytest.param(("--log", "x", "--from", "yesterday"), "is no moment", id="moment"),
        pytest.param(
            ("--log", "x", "--from", "2026-06-02T00:00:00Z", "--to", "2026-06-01T00:00:00Z"),
            "not before --to",
            id="window",
        ),
        pytest.param(("--log", "x", "--report", "nowhere/page.html"), "there is no folder nowhere", id="report"),
    ],
)
def test_a_bad_argument_ends_with_2_before_anything_is_read(words: tuple[str, ...], said: str) -> None:
    """What is wrong whatever the log holds is said at once, though the log is not even there."""
    assert said in one_line(typed("simulate", "--strategy", DEMO, *words), 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("--log", "nowhere"), "nowhere is no folder of a log", id="log"),
        pytest.param(("--log", "x", "--strategy", "tests"), "see all with `tact check tests`", id="strategy"),
        pytest.param(("--log", "x", "--model", "nowhere"), "manifest.json cannot be read", id="model"),
        pytest.param(("--target", "127.0.0.1:1"), "127.0.0.1:1", id="service"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(words: tuple[str, ...], said: str) -> None:
    """A missing log, strategy, model or service ends the command with one line that says what to do."""
    assert said in one_line(typed("simulate", *words), 1)


def test_a_window_without_decisions_is_said(pilot: Pilot) -> None:
    """Where the log has nothing in the window, that is the error."""
    words = ("simulate", "--strategy", DEMO, "--log", pilot.table, "--from", "2090-01-01T00:00:00Z")
    assert "no decision in this window" in one_line(typed(*words), 1)


def test_a_channel_that_nobody_has_ends_it_before_anything_is_decided(pilot: Pilot) -> None:
    """A condition may be on a channel of the log or of a strategy; on one that none of them has it says so."""
    words = ("simulate", "--strategy", DEMO, "--log", pilot.table, "--fail-if", "changed on fax > 1%")
    assert "there is no 'fax' to look at" in one_line(typed(*words), 2)


def test_what_is_about_people_goes_when_it_is_ended(pilot: Pilot, tmp_path: Path) -> None:
    """A simulation that is ended on its way leaves no rows of the log behind."""
    words = ["simulate", "--strategy", str(DEMO), "--log", str(pilot.table), "--jobs", "1"]
    with subprocess.Popen(
        [*TACT, *words], cwd=ROOT, env=clean({"TMPDIR": str(tmp_path)}), stderr=subprocess.PIPE
    ) as ran:
        ends = time.monotonic() + SOON_S
        while not list(tmp_path.glob("*/part-*")) and time.monotonic() < ends:
            time.sleep(0.02)
        assert list(tmp_path.glob("*/part-*"))
        ran.terminate()
        ran.communicate(timeout=SOON_S)
    assert ran.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
