"""A folder of parts grows exactly once, whenever the process that writes it dies."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.decision_table import DECISIONS, OUTCOMES, VERSION_KEY
from service.logs.parts import STATE, Format, Parts, PartsRefused, opened
from tests.logs.dying import write

STEPS = 3
EVERY = int(os.environ.get("TACT_LOG_KILLS_EVERY", "13"))
"""Of how many moments at which the process could die one is tried; 1 tries all."""


def steps_in(folder: Path, prefix: str) -> list[str]:
    """Return the decisions of a folder's parts, in their order."""
    found: list[str] = []
    for part in sorted(folder.glob(f"{prefix}*")):
        if part.suffix == ".csv":
            found += [row["decision_id"] for row in csv.DictReader(part.read_text("utf-8").splitlines())]
        else:
            found += pq.read_table(part).column("decision_id").to_pylist()
    return found


def killed(folder: Path, form: str, moment: int) -> bool:
    """Write a folder in a process that dies at a moment; say whether it did."""
    command = [sys.executable, "-m", "tests.logs.dying", str(folder), form, str(STEPS), str(moment)]
    code = subprocess.run(command, capture_output=True, check=False, timeout=60).returncode
    assert code in (0, -signal.SIGKILL), code
    return code != 0


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_writer_that_is_killed_anywhere_writes_each_row_once(form: str, tmp_path: Path) -> None:
    """Killed at any of its file operations and begun again, it leaves every step's rows there exactly once."""
    expected, moment = [f"d{step}" for step in range(1, STEPS + 1)], 1
    while killed(folder := tmp_path / str(moment) / "log", form, moment):
        write(folder, Format(form), STEPS)
        assert steps_in(folder, DECISIONS) == expected, moment
        assert steps_in(folder, OUTCOMES) == expected, moment
        assert not [path for path in folder.glob(".*") if path.name != ".lock"], "nothing half done is left"
        moment += EVERY
    assert moment > 15, "it can die at many moments"


def test_only_one_writes_a_folder(tmp_path: Path) -> None:
    """While a folder is being written, another process is refused in words."""
    with (
        opened(tmp_path, None, "a service"),
        pytest.raises(PartsRefused, match="written by another process"),
        opened(tmp_path, None, "a service"),
    ):
        pass


def spoil(folder: Path, how: str) -> None:
    """Make a folder unusable in one way."""
    state = folder / STATE
    match how:
        case "another format":
            state.write_text(state.read_text().replace("parquet", "csv"))
        case "another source":
            state.write_text(state.read_text().replace("a service", "an import"))
        case "another form":
            state.write_text(state.read_text().replace('"table":1', '"table":9'))
        case "half a state":
            state.write_text(state.read_text()[:20])
        case _:
            state.unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("another format", "is in the format csv; name that"),
        ("another source", "holds the log of an import, not of a service"),
        ("another form", "tables of form 9, not 1"),
        ("half a state", "cannot be read; name an empty folder"),
        ("no state", "has parts but no export.json"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_and_left_alone(how: str, said: str, tmp_path: Path) -> None:
    """Where it cannot be known how far a folder goes, nothing is added to it, and the reason is told."""
    write(tmp_path, Format.PARQUET, 2)
    spoil(tmp_path, how)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(PartsRefused, match=said), opened(tmp_path, Format.PARQUET, "a service"):
        pass
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_parts_say_their_form(tmp_path: Path) -> None:
    """Every Parquet part carries the version of the table in its metadata, for readers of later versions."""
    write(tmp_path, Format.PARQUET, 1)
    with opened(tmp_path, None, "a service") as parts:
        assert isinstance(parts, Parts)
        assert len(parts.names) == 2
        assert {pq.read_schema(part).metadata[VERSION_KEY] for part in parts.names} == {b"1"}
