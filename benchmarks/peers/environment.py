"""The peers' own environments: one each, in .bench/peers, filled from a lock with hashes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

KEPT = Path(__file__).parents[2] / ".bench" / "peers"
LOCKS = Path(__file__).with_name("locks")
STAMP = "installed-from"
OLDEST_MINOR = 11
INSTALLS_WITHIN_S = 900.0
LAST_WORDS = 400
NOT_FOR_THIS = "No matching distribution found"  # what pip says last where a version is not there for this Python


class NotInstalled(Exception):
    """A peer is not installed here: the message says why, in words for the report."""


def names(locks: Path = LOCKS) -> tuple[str, ...]:
    """Return all peers that there is a lock of."""
    return tuple(sorted(lock.stem for lock in locks.glob("*.lock")))


def python_of(peer: str, kept: Path = KEPT, locks: Path = LOCKS) -> Path:
    """Return the Python that has the peer, as its lock has it now; raise `NotInstalled` where there is none."""
    stamp = kept / peer / STAMP
    if not stamp.exists():
        raise NotInstalled("it is not installed; `make bench-peers` installs it")
    if stamp.read_text() != origin(peer, locks):
        raise NotInstalled("it is installed from another lock or for another Python; `make bench-peers` does it anew")
    return kept / peer / "bin" / "python"


def install(peer: str, say: Callable[[str], None], kept: Path = KEPT, locks: Path = LOCKS) -> Path:
    """Install the peer from its lock unless it is there; return its Python. Raise `NotInstalled` where it fails.

    It gets the Python that this runs on, or, where it does not install for that, an older one that is found.
    """
    with suppress(NotInstalled):
        return python_of(peer, kept, locks)
    folder = kept / peer
    say(f"{peer}: installing it into {folder}, once")
    _fill_with_any((sys.executable, *older()), folder, locks / f"{peer}.lock")
    (folder / STAMP).write_text(origin(peer, locks))
    return folder / "bin" / "python"


def older(minor: int = sys.version_info.minor) -> Iterator[str]:
    """Yield the Pythons before 3.`minor` that are found, the newest first: not every peer is there for every Python."""
    for before in range(minor - 1, OLDEST_MINOR - 1, -1):
        if found := shutil.which(f"python3.{before}"):
            yield found


def origin(peer: str, locks: Path = LOCKS) -> str:
    """Return what an environment was made from, and for which Python."""
    lock = (locks / f"{peer}.lock").read_bytes()
    return f"{sha256(lock).hexdigest()} for Python {sys.version_info.major}.{sys.version_info.minor}\n"


def locked(peer: str, package: str) -> str:
    """Return the version of a package in the peer's lock; empty where it has none."""
    for line in (LOCKS / f"{peer}.lock").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition("==")
        if name == package:
            return rest.split()[0]
    return ""


def told(peer: str, package: str, kept: Path = KEPT) -> str:
    """Return the version of a peer's package, with its Python where that is another: `1.7.1 on Python 3.12`."""
    file = kept / peer / "pyvenv.cfg"
    found = re.search(r"^version(?:_info)? = (\d+\.\d+)", file.read_text() if file.exists() else "", re.MULTILINE)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    version = locked(peer, package)
    return f"{version} on Python {found[1]}" if found and found[1] != here else version


def _fill_with_any(pythons: Sequence[str], folder: Path, lock: Path) -> None:
    """Fill it with the first that the peer is there for; raise all that was said where there is none.

    Others are tried where the first lacks the peer alone: what else fails, such as the network, fails with them too.
    """
    said: list[str] = []
    for python in pythons:
        try:
            _fill(folder, python, lock)
        except NotInstalled as error:
            said.append(str(error))
            if NOT_FOR_THIS not in said[0]:
                break
        else:
            return
    raise NotInstalled("; ".join(dict.fromkeys(said)))


def _fill(folder: Path, python: str, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run([python, "-m", "venv", "--without-pip", str(folder)])  # ours installs for it
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)])


def _run(command: list[str]) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALLS_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"it did not install within {INSTALLS_WITHIN_S:.0f} s") from None
    if ran.returncode:
        said = " ".join((ran.stderr or ran.stdout).split())[-LAST_WORDS:]
        raise NotInstalled(f"it does not install here: {said}")
