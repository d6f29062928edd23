"""The house: what stands where, how long functions are, and what the wheel and the image hold."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOWEST, TESTS
from tests.project.tree import ROOT, python_sources, text_files

HOUSE = {"protos", "service", "models", "training", "strategies", "benchmarks", "tests", "docs"}
PAPERS = {"pyproject.toml", "README.md", "Dockerfile", "Makefile", "LICENSE", "buf.yaml"}
LOCKS = {"requirements.lock", "requirements-build.lock", "requirements-dev.lock"}
MACHINE_PATH = re.compile(r"(?<![\w.~}])/(?:root|home|Users|work|private)/\w")
LONGEST_FUNCTION = 40


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function of a file with its number of lines, the docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", body_lines(node)


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines the body of a function has, without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_function_is_over_forty_lines() -> None:
    """Every function fits on a screen: 40 lines at most, the docstring not counted."""
    lengths = [each for path in python_sources() for each in functions(path)]
    assert lengths
    assert [where for where, lines in lengths if lines > LONGEST_FUNCTION] == []


def test_the_length_of_a_function_leaves_its_docstring_out() -> None:
    """Words that explain are free; lines that compute are counted, comments between them too."""
    source = 'def f():\n    """One.\n\n    Two.\n    """\n    a = 1\n    # why\n    return a\n'
    function = ast.parse(source).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert body_lines(function) == 3


def test_the_top_level_holds_the_house_and_nothing_else() -> None:
    """Whoever opens the project sees the rooms of the design, the papers and the locks."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so what belongs to the project cannot be told from what was left behind")
    top = {name.split("/")[0] for name in listed.stdout.splitlines() if not name.startswith(".")}
    assert top - HOUSE - PAPERS - LOCKS == set()


def test_the_papers_are_there() -> None:
    """Readme, licence, build files and locks stand at the top level."""
    assert set(os.listdir(ROOT)) >= PAPERS | LOCKS


def test_no_source_names_a_place_on_one_machine() -> None:
    """Nothing in the project works only where it was written: no absolute path into someone's home or workplace."""
    named = [f"{p.relative_to(ROOT)}: {m[0]}" for p, text in text_files() for m in MACHINE_PATH.finditer(text)]
    assert named == []


def test_a_place_on_one_machine_is_recognized() -> None:
    """The search for machine paths finds one, and leaves addresses and relative paths alone."""
    assert MACHINE_PATH.search("open('/ho" + "me/ada/x')")
    assert not MACHINE_PATH.search("https://example.org/home/ada ../home/ada")


def test_the_wheel_holds_the_packages_and_their_types(tmp_path: Path) -> None:
    """The wheel holds the service, the models, the training and the contract, typed, with the command; no tests."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("tact-*.whl"))) as wheel:
        names = set(wheel.namelist())
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"service", "models", "training", "tact"}
    assert {f"{package}/py.typed" for package in packages} <= names
    assert {"tact/v1/decision_pb2.py", "tact/v1/decision_pb2.pyi", "tact/v1/decision_pb2_grpc.pyi"} <= names
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    assert "service/web/static/index.html" in names
    assert [name for name in names if name.startswith("service/web/") and "/static/" not in name] == []


def test_the_files_that_take_longest_are_there() -> None:
    """Each file that is to come first exists and is named once, so that the list cannot rot."""
    assert [name for name in SLOWEST if not (TESTS / name).is_file()] == []
    assert len(set(SLOWEST)) == len(SLOWEST)
