"""The main job on real data, end to end, as one command does it.

TACT_STARBUCKS_MEMBERS says for how many of the 17,000 members (default 600; 17000 are all, as `make starbucks` has).
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.starbucks import differences
from tests.worlds.conftest import with_data
from tests.worlds.recompute import data_folder
from tests.worlds.test_starbucks import ROOT

ALL = 17_000
MEMBERS = min(ALL, int(os.environ.get("TACT_STARBUCKS_MEMBERS", "600")))
FIVE_MINUTES_S = 300
PACKED = ("profile.json.gz", "transcript.json.gz")


def month_of(members: int, folder: Path) -> tuple[Path, tuple[int, int, int]]:
    """Return a folder with the public files of some members, and how many events, blank lines and repeats are in it."""
    if members == ALL:
        return data_folder(), (306_534, 114, 397)
    files = {name: gzip.decompress((data_folder() / name).read_bytes()).decode().split("\n") for name in PACKED}
    chosen = set(random.Random(7).sample(sorted(filter(str.strip, files["profile.json.gz"])), members))
    ids = {json.loads(line)["id"] for line in chosen}
    kept = {
        "profile.json.gz": [line for line in files["profile.json.gz"] if line in chosen],
        "transcript.json.gz": [
            line for line in files["transcript.json.gz"] if not line.strip() or json.loads(line)["person"] in ids
        ],
    }
    for name, lines in kept.items():
        (folder / name).write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    shutil.copy(data_folder() / "portfolio.json", folder)
    told = [line for line in kept["transcript.json.gz"] if line.strip()]
    assert len(told) > 0.9 * 306_534 * members / ALL
    return folder, (len(told), 114, len(told) - len(set(told)))


@with_data
def test_a_real_month_goes_through_the_running_service(tmp_path: Path) -> None:
    """A month of events, training on its first waves, all members decided for, contexts compared: all in five minutes.

    A part of the members may take its part of the time, and a minute for what does not depend on their number.
    """
    folder, read = month_of(MEMBERS, tmp_path)
    within_s = FIVE_MINUTES_S if MEMBERS == ALL else 60 + FIVE_MINUTES_S * MEMBERS / ALL
    found = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks.starbucks", "--data", str(folder), "--json", str(found)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=FIVE_MINUTES_S, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    said = json.loads(found.read_text())
    assert (said["transcript events"], said["blank lines"], said["repeats"]) == read
    assert read[2] > 0
    assert (said["answered"], said["compared"]) == (MEMBERS, 500)
    assert len(said["spread"]) > (5 if MEMBERS == ALL else 2)
    assert said["all, s"] < within_s


def test_a_context_that_differs_is_noticed() -> None:
    """The comparison sees another value, a missing field and a field too many; it forgives the tenth digit."""
    expected = {"a": 1.0, "b": None, "c": "x"}
    assert differences([{"field_id": "a", "value": 1.00000000001}, {"field_id": "c", "value": "x"}], expected) == {}
    assert differences([{"field_id": "a", "value": 2.0}, {"field_id": "d", "value": 1}], expected) == {
        "a": (2.0, 1.0),
        "c": (None, "x"),
        "d": (1, None),
    }
