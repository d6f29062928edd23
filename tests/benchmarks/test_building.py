"""The load generators may be built by several at once, while others run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks import loadgen
from benchmarks.peers import httpload
from tests.conftest import absent

COMPILER = """#!/bin/sh
# Stands for the compiler: what it writes is at first neither whole nor to be run.
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\nif' > "$2"
sleep 0.1
[ -e "$(dirname "$0")/fails" ] && exit 1
printf '#!/bin/sh\\nexit 0\\n' > "$2"
chmod +x "$2"
"""
MADE = [(loadgen.SOURCE, "OUT"), (loadgen.SOURCE, "STREAM"), (httpload.SOURCE, "OUT")]


def making(folder: Path, source: Path, name: str) -> subprocess.Popen[bytes]:
    """Begin to build one of the programs with what stands for the compiler."""
    if shutil.which("make") is None:
        absent("No make (Debian: apt-get install make).")
    compiler, program = folder / "compiler", folder / "built" / "program"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    words = ["make", "--silent", "-C", str(source), f"CXX={compiler}", f"{name}={program}", str(program)]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(("source", "name"), MADE, ids=["load", "stream", "http_load"])
def test_what_stands_in_its_place_can_be_run_at_any_time(tmp_path: Path, source: Path, name: str) -> None:
    """Of two who build it one may be done first: neither then meets a program that the other is still writing."""
    program = tmp_path / "built" / "program"
    with making(tmp_path, source, name) as first:
        time.sleep(0.05)
        with making(tmp_path, source, name) as second:
            while first.poll() is None or second.poll() is None:
                if program.exists():
                    assert subprocess.run([program], check=False).returncode == 0
                time.sleep(0.01)
    assert (first.returncode, second.returncode) == (0, 0)
    assert os.listdir(program.parent) == ["program"]


@pytest.mark.parametrize(("source", "name"), MADE, ids=["load", "stream", "http_load"])
def test_what_does_not_build_leaves_nothing_behind(tmp_path: Path, source: Path, name: str) -> None:
    """A compiler that fails is told, and what it wrote is gone."""
    (tmp_path / "fails").touch()
    with making(tmp_path, source, name) as made:
        assert made.wait() != 0
    assert os.listdir(tmp_path / "built") == []
