"""A running service for independent clients: `tact serve` as its users start it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.strategies import write_strategy

ROOT = Path(__file__).parents[2]
LONGEST_START_S = 30.0


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a running service on an embedded store of its own, with reflection on."""
    with served(tmp_path_factory.mktemp("served"), "--reflection") as address:
        yield address


@contextmanager
def served(folder: Path, *flags: str) -> Iterator[str]:
    """Run `tact serve` on a free port until the end, and see it end well when it is told to."""
    strategy = write_strategy(folder / "strategy")
    patient = ("--port", "0", "--store-wait", "5")  # a busy machine is no reason for a safe answer
    command = (sys.executable, "-m", "service.cli", "serve", "--json", *patient, "--strategy", str(strategy))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
    with (folder / "log").open("wb") as log:
        service = subprocess.Popen(
            (*command, "--store", f"embedded:{folder / 'store'}", *flags),
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        yield f"127.0.0.1:{_port(service, folder / 'log')}"
        service.terminate()
        assert service.wait(20) == 0, (folder / "log").read_text()
    finally:
        service.kill()
        service.wait()
        assert service.stdout is not None
        service.stdout.close()


def _port(service: subprocess.Popen[bytes], log: Path) -> int:
    """Read the port from the line that says that it serves."""
    assert service.stdout is not None
    ready, _, _ = select.select([service.stdout], [], [], LONGEST_START_S)
    line = service.stdout.readline() if ready else b""
    assert line, f"the service does not start: {log.read_text()}"
    said = json.loads(line)
    assert said["event"] == "serving"
    return int(said["port"])
