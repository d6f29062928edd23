"""A server takes as many connections as leave it files for its store and its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.project.tree import ROOT

ASK = (
    "from service.rpc.connections import most_connections as most; import resource as r; print(most(), *r.getrlimit(7))"
)


@pytest.mark.parametrize(
    ("soft", "hard", "said"),
    [
        (64, 64, "32 64 64"),  # half of what there is, and never fewer than 32
        (400, 400, "200 400 400"),
        (1_024, 4_096, "2048 2304 4096"),  # asked for what is needed, as the system allows it
        (4_000, 4_096, "2048 4000 4096"),  # and nothing where there is enough
    ],
)
def test_files_are_left(soft: int, hard: int, said: str) -> None:
    """The limit follows from the files that the process may have."""
    command = f"ulimit -Sn {soft} && ulimit -Hn {hard} && exec {sys.executable} -c '{ASK}'"
    ran = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout.strip() == said
