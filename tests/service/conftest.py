"""What several files of tests about running services share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from tests.cli.commands import ROOT
from tests.service.served import write_served
from tests.training.world import world


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two models of one small world, which are trained once for all processes that test beside each other."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "models"
    folder.mkdir(exist_ok=True)
    trained = folder / "trained.json"
    with (folder / "lock").open("w") as lock:
        flock(lock, LOCK_EX)  # whoever comes second waits for the first one's
        if not trained.exists():
            trained.write_text(json.dumps([str(path) for path in _trained(folder)]))
    first, second = map(Path, json.loads(trained.read_text()))
    return first, second


def _trained(folder: Path) -> list[Path]:
    """Train two models on one small world, side by side."""
    files = world(1, customers=120).write(folder)
    files[0] = f"--strategy={write_served(folder / 'strategy')}"
    fit = [sys.executable, "-m", "training", "fit", *files, f"--out={folder}", "--json"]
    fits = [
        subprocess.Popen([*fit, f"--seed={seed}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for seed in (0, 1)
    ]
    return [Path(json.loads(fit.communicate(timeout=120)[0])["artifact"]) for fit in fits]
