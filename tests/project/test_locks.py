"""The locks: the same bytes for everybody, from any index."""

import re
import tomllib
from dataclasses import dataclass

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.tree import ROOT

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@dataclass(frozen=True, slots=True)
class Pin:
    """One locked version with the hashes of its files, and where it is the one; everywhere without a marker."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str

    @property
    def here(self) -> bool:
        """Whether it is the one on this machine."""
        return not self.marker or Marker(self.marker).evaluate()


def pins(lock: str) -> tuple[Pin, ...]:
    """Return what a lock pins; a line that is neither a pin nor a comment fails."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return tuple(pin(line) for line in text.splitlines())


def pin(line: str) -> Pin:
    """Return one pin: `name==version ; marker --hash=sha256:…`."""
    match = re.fullmatch(r"([a-z0-9-]+)==(\S+)(?: ; ([^#]*?))?((?:\s+--hash=sha256:[0-9a-f]{64})*)\s*", line)
    assert match, f"not a pin: {line[:100]}"
    return Pin(match[1], match[2], tuple(match[4].split()), match[3] or "")


def versions(lock: str) -> dict[str, str]:
    """Return the version of each package in a lock; the last one where machines differ."""
    return {pin.name: pin.version for pin in pins(lock)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    """Nothing is installed whose bytes the lock does not name."""
    assert pins(lock)
    assert [pin.name for pin in pins(lock) if not pin.hashes] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_an_address(lock: str) -> None:
    """Any index or mirror can serve the locks: they name no address, index or folder."""
    assert (
        re.findall(r"^.*(?:://|--index|--extra-index|--find-links| @ ).*$", (ROOT / lock).read_text(), re.MULTILINE)
        == []
    )


def test_the_locks_agree() -> None:
    """What runs is what was tested: a package has the same version in every lock that has it."""
    tested = versions("requirements-dev.lock")
    for lock in LOCKS:
        assert versions(lock).items() <= tested.items()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        ("requirements-build.lock", PROJECT["dependency-groups"]["build"]),
        ("requirements-build.lock", PROJECT["build-system"]["requires"]),
        ("requirements-dev.lock", PROJECT["project"]["optional-dependencies"]["dev"]),
    ],
)
def test_a_lock_fulfils_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    """Every package that pyproject.toml names is locked, in a version that it allows; `make lock` makes it so."""
    locked = {pin.name: pin.version for pin in pins(lock) if pin.here}
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        name = canonicalize_name(requirement.name)
        assert name in locked
        assert locked[name] in requirement.specifier, requirement.name


def test_running_needs_no_tool_of_the_workshop() -> None:
    """What runs in production holds no compiler, test tool or linter."""
    tools = {"grpcio-tools", "hatchling", "hypothesis", "import-linter", "mypy", "pytest", "ruff", "setuptools"}
    assert tools & versions("requirements.lock").keys() == set()
