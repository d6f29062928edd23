"""What several files of tests about running services share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import ROOT
from tests.service.served import write_served
from tests.training.world import world


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Train two models on one small world, side by side."""
    folder = tmp_path_factory.mktemp("models")
    files = world(1, customers=120).write(folder)
    files[0] = f"--strategy={write_served(folder / 'strategy')}"
    fit = [sys.executable, "-m", "training", "fit", *files, f"--out={folder}", "--json"]
    fits = [
        subprocess.Popen([*fit, f"--seed={seed}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for seed in (0, 1)
    ]
    first, second = (Path(json.loads(fit.communicate(timeout=120)[0])["artifact"]) for fit in fits)
    return first, second
