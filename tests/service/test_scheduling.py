"""The levers are pulled before grpc is imported, and what the environment says is kept."""

import platform
import subprocess
import sys

import pytest

from service.config import Scheduling
from service.scheduling import pull_levers
from tests.project.tree import ROOT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "-event_engine_listener"),
        ("tcp_rcv_lowat", "tcp_rcv_lowat,-event_engine_listener"),
        ("event_engine_listener", "event_engine_listener"),
    ],
)
def test_experiments_are_added_to_and_never_overridden(before: str | None, after: str) -> None:
    """Who asks for an experiment, or for this one the other way round, gets it."""
    environment = {} if before is None else {"GRPC_EXPERIMENTS": before}
    pull_levers(Scheduling.NORMAL, environment)
    assert environment["GRPC_EXPERIMENTS"] == after


def test_the_command_line_does_not_import_grpc_before_it_pulls_them() -> None:
    """Importing every command leaves grpc unimported, so that the levers still work."""
    program = "import sys, service.cli; print('grpc' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "False"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back when it is asked to")
def test_what_loading_took_beyond_what_is_kept_goes_back_to_the_system() -> None:
    """Of 200 MB that were taken and let go, with something kept in between, a settled process holds next to nothing."""
    program = """\
import os
from pathlib import Path
from service.scheduling import settle_memory
def held_mb(): return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
before, loaded = held_mb(), [bytes(20_000) for _ in range(10_000)]
kept = loaded[::500]
del loaded
full = held_mb()
settle_memory()
print(full - before, held_mb() - before)
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    full_mb, settled_mb = map(float, ran.stdout.split())
    assert full_mb > 150 > 20 > settled_mb
