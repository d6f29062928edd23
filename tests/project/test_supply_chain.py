"""What is installed: nothing without a hash, nothing that runs by itself, and all of it in a bill of materials."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.conftest import absent
from tests.profile import full
from tests.project.test_locks import pins, versions
from tests.project.tree import ROOT

SITE = Path(sysconfig.get_path("purelib"))
RUN_AT_EVERY_START = {"distutils-precedence.pth": "setuptools"}
"""Files that run code whenever Python starts, and the packages that may bring them; of setuptools we know why."""
PEERS = sorted((ROOT / "benchmarks" / "peers" / "locks").glob("*.lock"))
KERNEL = ("models/kernel_build.py", "models/_kernel.c", "service/core/_saying.c", "service/core/_structs.h")


def test_nothing_runs_by_itself() -> None:
    """No `.pth` file runs code at every start of Python but the known ones, as their packages bring them."""
    files = {path.name: path for path in SITE.glob("*.pth")}
    running = {name for name, path in files.items() if runs(path.read_text())}
    assert running <= RUN_AT_EVERY_START.keys()
    assert [name for name in running if not brought(files[name], RUN_AT_EVERY_START[name])] == []
    assert not list(SITE.glob("*customize.py"))


@pytest.mark.parametrize(
    ("text", "does"),
    [("/somewhere\n# import this\n", False), ("import os; os.abort()\n", True), ("a\nimport\tos\n", True)],
)
def test_what_runs_is_told_from_what_names_a_folder(text: str, does: bool) -> None:
    """A line that begins with `import` is run by Python; all others name folders."""
    assert runs(text) is does


def runs(text: str) -> bool:
    """Tell whether a `.pth` file has a line that Python runs."""
    return any(line.startswith(("import ", "import\t")) for line in text.splitlines())


def brought(path: Path, package: str) -> bool:
    """Tell whether a file is what the record of a package says it is."""
    for one in distributions(name=package, path=[str(SITE)]):
        for file in one.files or ():
            if file.name == path.name and file.hash is not None:
                return Path(str(file.locate())).read_bytes() == path.read_bytes() and file.hash.mode == "sha256"
    return False


@pytest.mark.parametrize("lock", PEERS, ids=lambda lock: lock.stem)
def test_what_is_only_measured_has_hashes_too(lock: Path) -> None:
    """The environments of the peers are installed by hash, as everything else."""
    pinned = pins(str(lock.relative_to(ROOT)))
    assert pinned
    assert [pin.name for pin in pinned if not pin.hashes] == []


def test_every_installation_checks_hashes() -> None:
    """Whatever the Makefile installs, it does so by hash, from wheels; only what makes the locks comes without."""
    lines = (ROOT / "Makefile").read_text().replace("\\\n", " ").splitlines()
    installing = [line.strip() for line in lines if re.search(r"\$\(INSTALL\)|pip install", line)]
    unhashed = {line for line in installing if "--require-hashes" not in line and "--no-deps" not in line}
    assert unhashed == {
        "INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check",
        "$(INSTALL) --only-binary :all: 'uv>=0.13.9'",
    }


def test_the_bill_of_materials_names_all_that_is_locked(tmp_path: Path) -> None:
    """`make sbom` names every package of the lock with its version and the hashes of its files, the same each time."""
    if shutil.which("make") is None or not (Path(sys.executable).parent / "cyclonedx-py").exists():
        absent("There is no make, or cyclonedx-bom is not installed: make .venv/.dev")
    first, again = (sbom(tmp_path / name) for name in ("first.json", "again.json"))
    assert first == again
    bill = json.loads(first)
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "tact")
    assert {one["name"]: one["version"] for one in bill["components"]} == versions("requirements.lock")
    for one, pin in zip(bill["components"], pins("requirements.lock"), strict=True):
        hashes = {f"--hash=sha256:{each['content']}" for each in one["externalReferences"][0]["hashes"]}
        assert (one["name"], hashes) == (pin.name, set(pin.hashes))


def sbom(to: Path) -> bytes:
    """Make the bill of materials as `make sbom` does, with what is installed here."""
    quick = ("SBOM_FLAGS=--no-validate", f"BIN={Path(sys.executable).parent}", f"SBOM={to}")
    subprocess.run(("make", "-s", "-o", ".venv/.dev", "sbom", *quick), cwd=ROOT, check=True, capture_output=True)
    return to.read_bytes()


def test_what_is_compiled_does_not_know_where_it_was(tmp_path: Path) -> None:
    """The same sources in two places are compiled to the same bytes."""
    compiled = []
    for place in (tmp_path / "one", tmp_path / "other" / "place"):
        for name in KERNEL:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
        ran = subprocess.run((sys.executable, "models/kernel_build.py", *KERNEL[1:3]), cwd=place, capture_output=True)
        if ran.returncode:
            absent("There is no C compiler here (Debian: gcc).")
        compiled.append([sha256(path.read_bytes()).hexdigest() for path in sorted(place.rglob("*.so"))])
    assert len(compiled[0]) == 2
    assert compiled[0] == compiled[1]


@pytest.mark.skipif(not full(), reason="builds two wheels; only in the full profile: TACT_FULL=1")
def test_two_builds_give_the_same_wheel(tmp_path: Path) -> None:
    """The wheel of two copies of the project, made one after the other in two places, is the same to the byte."""
    wheels = []
    for place in (tmp_path / "one", tmp_path / "other" / "place"):
        for name in ("service", "models", "training", "protos"):
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, place / name)
        build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place / "dist"))
        environment = {name: text for name, text in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        subprocess.run(build, cwd=place, env=environment, check=True, capture_output=True)
        wheels.append({wheel.name: sha256(wheel.read_bytes()).hexdigest() for wheel in (place / "dist").iterdir()})
    assert len(wheels[0]) == 1
    assert wheels[0] == wheels[1]
