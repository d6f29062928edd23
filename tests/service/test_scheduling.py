"""The levers are pulled before grpc is imported, and what the environment says is kept."""

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
