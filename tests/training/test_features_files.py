"""Claims about the files around `python -m training features`: nothing is lost, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.training.test_features import EVENTS, MOMENTS, features, home

__all__ = ["home"]  # the fixture


@pytest.mark.parametrize("name", ["events.jsonl", "moments.jsonl"])
@pytest.mark.parametrize("way", ["its own name", "another way there", "a link", "a second name"])
def test_a_table_never_replaces_what_it_is_made_from(home: Path, name: str, way: str) -> None:
    """Where the table would take the place of the history or of the moments, by whatever name, nothing is touched."""
    kept = (home / name).read_bytes()
    out = {"its own name": name, "another way there": f"s/../{name}"}.get(way, "t.jsonl")
    if way == "a link":
        (home / out).symlink_to(home / name)
    elif way == "a second name":
        (home / out).hardlink_to(home / name)
    done = features(home, out=out)
    assert done.code == 1
    assert f"holds the {name.removesuffix('.jsonl')}, which the table would replace; choose another --out" in done.err
    assert (home / name).read_bytes() == (home / out).read_bytes() == kept


def test_the_table_that_is_there_stays_until_the_new_one_is_whole(home: Path) -> None:
    """A run that fails leaves the table of the last run as it was."""
    assert features(home, out="t.csv").code == 0
    whole = (home / "t.csv").read_bytes()
    (home / "events.jsonl").write_text("{")
    assert features(home, out="t.csv").code == 1
    assert (home / "t.csv").read_bytes() == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_nothing_of_the_customers_stays_behind_when_it_is_told_to_end(home: Path, number: signal.Signals) -> None:
    """Told to end in the middle of its work, the command leaves neither its temporary files nor half a table."""
    pipe, scratch = home / "endless.jsonl", home / "scratch"
    scratch.mkdir()
    with reading(home, pipe, scratch) as process, writing(pipe, process) as events:
        events.write(f"{json.dumps(EVENTS[3])}\n".encode())
        assert any(path.stat().st_size for path in scratch.glob("tact-features-*/moments-*"))
        assert (home / ".t.csv.draft").exists()
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, b"")
    assert list(scratch.iterdir()) == []
    assert not list(home.glob("*t.csv*"))


def test_a_closed_terminal_does_not_end_what_shall_outlive_it(home: Path) -> None:
    """Under nohup the command goes on, and its table is whole."""
    pipe = home / "endless.jsonl"
    with reading(home, pipe, home, "nohup") as process:
        with writing(pipe, process) as events:
            process.send_signal(signal.SIGHUP)
            events.write(f"{json.dumps(EVENTS[3])}\n".encode())
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len((home / "t.csv").read_text().splitlines()) == 1 + len(MOMENTS)


def reading(home: Path, pipe: Path, scratch: Path, *before: str) -> subprocess.Popen[bytes]:
    """Start the command over a pipe of events, with a place of its own for temporary files."""
    os.mkfifo(pipe)
    files = [f"--events={pipe}", f"--moments={home / 'moments.jsonl'}", f"--out={home / 't.csv'}"]
    command = [*before, sys.executable, "-m", "training", "features", f"--strategy={home / 's'}", *files]
    env = {"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(scratch)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextmanager
def writing(pipe: Path, process: subprocess.Popen[bytes]) -> Iterator[IO[bytes]]:
    """Open a pipe for writing as soon as the process reads it."""
    while process.poll() is None:
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it yet
            time.sleep(0.02)
        else:
            with open(descriptor, "wb", buffering=0) as opened:
                yield opened
            return
    raise AssertionError(f"it ended with {process.returncode}")
