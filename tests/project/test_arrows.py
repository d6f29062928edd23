"""The arrows of the design go one way, and a wrong one is noticed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.tree import ROOT

PACKAGES = ("service", "models", "training", "protos")
HEAVY = ("joblib", "scipy", "sklearn", "skops", "training", "z3")
WRONG_ARROWS = [
    ("service/core", "import redis"),
    ("service/core", "import time"),
    ("service/core", "import service.decide"),
    ("service/core", "from tact.v1 import values_pb2"),
    ("service/store", "import grpc"),
    ("service/store", "from google.protobuf import message"),
    ("service/store", "import service.rpc"),
    ("service/rpc", "import service.app"),
    ("service/rpc", "import hiredis"),
    ("service/rpc", "import sklearn"),
    ("models", "import skops"),
    ("models", "import service"),
    ("training", "import service"),
    ("service/rpc", "import training"),
    ("service/rpc", "import z3"),
]


def check_arrows(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the import contracts over the packages below a folder."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "protos")]), "COLUMNS": "200"}
    return subprocess.run([program, "--no-cache"], cwd=root, env=where, capture_output=True, text=True)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the packages that a test may spoil."""
    folder = tmp_path_factory.mktemp("arrows")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_arrows_go_one_way() -> None:
    """No module imports what the design forbids it."""
    checked = check_arrows(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("package", "arrow"), WRONG_ARROWS)
def test_a_wrong_arrow_is_noticed(copy: Path, package: str, arrow: str) -> None:
    """Each import that the design forbids breaks a contract."""
    intruder = copy / package / "intruder.py"
    intruder.write_text(f'"""A module that goes the wrong way."""\n\n{arrow}\n')
    try:
        checked = check_arrows(copy)
    finally:
        intruder.unlink()
    assert f"{package.replace('/', '.')}.intruder" in checked.stdout
    assert checked.returncode == 1


def test_a_serving_worker_never_imports_scikit_learn() -> None:
    """Importing all that serves, the composition root included, loads neither scikit-learn nor the training."""
    program = "import json, sys, service.app, service.decide; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = json.loads(answer.stdout)
    assert "service.app" in loaded
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []
