"""Each peer has an environment of its own, from a lock that any index can serve."""

from __future__ import annotations

import re
import shutil
import sys
import types
from pathlib import Path

import pytest

from benchmarks.peers import environment
from benchmarks.peers.__main__ import main
from benchmarks.peers.environment import LOCKS, NotInstalled, install, locked, names, older, python_of, told

PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(\[.*\])?==\S+", re.MULTILINE)


def test_there_is_a_lock_of_each_peer() -> None:
    """Five peers, each with what is wanted of it beside what that comes to."""
    assert names() == ("bentoml", "feast", "mabwiser", "mlserver", "vowpal")
    for peer in names():
        wanted = (LOCKS / f"{peer}.in").read_text().split()
        assert all(locked(peer, re.sub(r"\[.*\]", "", package)) for package in wanted)
    assert locked("vowpal", "mlserver") == ""


@pytest.mark.parametrize("peer", names())
def test_every_pin_has_a_hash_and_no_lock_an_address(peer: str) -> None:
    """Whatever index serves the packages, they are those that were locked."""
    lock = (LOCKS / f"{peer}.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]
    assert entries
    assert all(PIN.match(entry) and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in lock


def test_what_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    """Nothing is installed by looking."""
    with pytest.raises(NotInstalled, match="make bench-peers"):
        python_of("vowpal", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    """Return a folder with the lock of a peer that needs nothing."""
    folder = tmp_path / "locks"
    folder.mkdir()
    (folder / "nothing.lock").write_text("# nothing\n")
    return folder


def test_an_environment_is_made_once_for_each_lock(tmp_path: Path, locks: Path) -> None:
    """The second time it is there; with another lock it is made anew, and until then it does not count."""
    said: list[str] = []
    python = install("nothing", said.append, tmp_path, locks)
    assert python.exists()
    assert python == python_of("nothing", tmp_path, locks) == install("nothing", said.append, tmp_path, locks)
    assert len(said) == 1
    (locks / "nothing.lock").write_text("# nothing else\n")
    with pytest.raises(NotInstalled, match="another lock"):
        python_of("nothing", tmp_path, locks)


def test_what_does_not_install_says_why(tmp_path: Path, locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that no index has leaves no environment that counts, and the reason in words."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (locks / "nothing.lock").write_text(f"nobody-has-this-package==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(NotInstalled, match=r"does not install here: .*nobody-has-this-package"):
        install("nothing", print, tmp_path, locks)
    with pytest.raises(NotInstalled):
        python_of("nothing", tmp_path, locks)
    shutil.rmtree(tmp_path / "nothing")


def test_a_peer_gets_an_older_python_where_it_does_not_install_for_this_one(
    tmp_path: Path, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest that works is taken; the report says which it is."""
    tried: list[str] = []

    def fill(folder: Path, python: str, lock: Path) -> None:
        tried.append(python)
        if python == sys.executable:
            raise NotInstalled("it does not install here: ERROR: No matching distribution found for nothing==1.0")
        if python == "/found/python3.12":
            raise NotInstalled("it does not install here: python3.12: command not found")
        folder.mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text("home = /found\nversion = 3.11.9\n")

    monkeypatch.setattr(environment, "_fill", fill)
    monkeypatch.setattr(environment, "older", lambda: iter(["/found/python3.12", "/found/python3.11"]))
    monkeypatch.setattr(sys, "version_info", types.SimpleNamespace(major=3, minor=13))
    install("nothing", print, tmp_path, locks)
    assert tried == [sys.executable, "/found/python3.12", "/found/python3.11"]
    monkeypatch.setattr(environment, "locked", lambda peer, package: "1.0")
    assert told("nothing", "nothing", tmp_path) == "1.0 on Python 3.11"
    assert told("absent", "absent", tmp_path) == "1.0"


def test_a_peer_that_installs_for_no_python_tells_why(
    tmp_path: Path, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reason once, whichever Python it was told for."""
    reasons = iter(["No matching distribution found", "command not found", "No matching distribution found"])

    def fill(folder: Path, python: str, lock: Path) -> None:
        raise NotInstalled(next(reasons))

    monkeypatch.setattr(environment, "_fill", fill)
    monkeypatch.setattr(environment, "older", lambda: iter(["/found/python3.12", "/found/python3.11"]))
    with pytest.raises(NotInstalled, match=r"^No matching distribution found; command not found$"):
        install("nothing", print, tmp_path, locks)


def test_a_peer_that_fails_otherwise_gets_no_older_python(
    tmp_path: Path, locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that is gone for a moment would have it on the wrong Python for good."""
    tried: list[str] = []

    def fill(folder: Path, python: str, lock: Path) -> None:
        tried.append(python)
        raise NotInstalled("it did not install within 900 s")

    monkeypatch.setattr(environment, "_fill", fill)
    monkeypatch.setattr(environment, "older", lambda: iter(["/found/python3.12"]))
    with pytest.raises(NotInstalled, match="within 900 s"):
        install("nothing", print, tmp_path, locks)
    assert tried == [sys.executable]


def test_older_pythons_are_those_that_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the one before this down to 3.11, the newest first; without any, none."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/found/{name}")
    assert list(older(13)) == ["/found/python3.12", "/found/python3.11"]
    assert list(older(11)) == []
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert list(older(13)) == []


def test_a_peer_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name is wrong: the message names those that there are."""
    assert main(["vowpall"]) == 2
    assert "there are: bentoml, feast" in capsys.readouterr().err
    assert environment.KEPT.parent.name == ".bench"
