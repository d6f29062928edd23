"""The main job on real data, end to end, as one command does it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.starbucks import differences
from tests.worlds.conftest import with_data
from tests.worlds.recompute import data_folder
from tests.worlds.test_starbucks import ROOT

FIVE_MINUTES_S = 300


@with_data
def test_a_real_month_goes_through_the_running_service(tmp_path: Path) -> None:
    """A month of events, training on its first waves, 17,000 decisions, contexts compared: in five minutes."""
    found = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks.starbucks", "--data", str(data_folder()), "--json", str(found)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=FIVE_MINUTES_S, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    said = json.loads(found.read_text())
    assert (said["transcript events"], said["blank lines"], said["repeats"]) == (306_534, 114, 397)
    assert (said["answered"], said["compared"]) == (17_000, 500)
    assert len(said["spread"]) > 5
    assert said["all, s"] < FIVE_MINUTES_S


def test_a_context_that_differs_is_noticed() -> None:
    """The comparison sees another value, a missing field and a field too many; it forgives the tenth digit."""
    expected = {"a": 1.0, "b": None, "c": "x"}
    assert differences([{"field_id": "a", "value": 1.00000000001}, {"field_id": "c", "value": "x"}], expected) == {}
    assert differences([{"field_id": "a", "value": 2.0}, {"field_id": "d", "value": 1}], expected) == {
        "a": (2.0, 1.0),
        "c": (None, "x"),
        "d": (1, None),
    }
