"""What was proven before, kept beside the user's other caches: one file a proof, named by what it depends on.

Only what is proven is kept. What is broken is to be mended, and what could not be told may be told with more time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec

from service.proving.proofs import Found

LOCK = "lock"
FOLDER = "TACT_PROOFS"
"""The variable that names another folder; empty for none."""
MOST = 400
"""So many files are kept; beyond that, those go that were used longest ago."""
_FINDINGS = msgspec.json.Decoder(tuple[Found, ...])


def folder_of(environment: Mapping[str, str]) -> Path | None:
    """Return where proofs are kept: in $TACT_PROOFS, $XDG_CACHE_HOME/tact/proofs or ~/.cache/tact/proofs."""
    if FOLDER in environment:
        return Path(environment[FOLDER]) if environment[FOLDER] else None
    home = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME") or "~", ".cache")
    return Path(home).expanduser() / "tact" / "proofs"


class Kept:
    """Knows what was proven before. Where nothing can be kept, nothing is, and all is proven anew."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def proven(self, digest: str) -> bool:
        """Tell whether a promise that depends on just this was proven."""
        return self._folder is not None and self._used(self._folder / f"{digest}.proven")

    def keep(self, digest: str) -> None:
        """Keep that it is proven."""
        self._write(f"{digest}.proven", b"")

    def findings(self, digest: str) -> tuple[Found, ...] | None:
        """Return what was found in a strategy of just these parts; None where that is not known."""
        if self._folder is None:
            return None
        with suppress(OSError, msgspec.DecodeError):
            path = self._folder / f"{digest}.found"
            found = _FINDINGS.decode(path.read_bytes())
            self._used(path)
            return found
        return None

    def keep_findings(self, digest: str, found: tuple[Found, ...]) -> None:
        """Keep what was found."""
        self._write(f"{digest}.found", msgspec.json.encode(found))

    def _write(self, name: str, content: bytes) -> None:
        if self._folder is None:
            return
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(content)
            os.replace(file.name, self._folder / name)
            self._pruned(self._folder)

    def _used(self, path: Path) -> bool:
        """Tell whether there is such a file, and note that it was used."""
        with suppress(PermissionError):  # it can be read, which is enough
            try:
                os.utime(path)
            except (FileNotFoundError, NotADirectoryError):
                return False
        return path.is_file()

    def _pruned(self, folder: Path) -> None:
        if len(names := os.listdir(folder)) <= MOST + 1:  # and the lock
            return
        used = {}
        for path in (folder / name for name in names if name != LOCK):
            with suppress(FileNotFoundError):  # another process prunes, too
                used[path] = path.stat().st_mtime_ns
        for path in sorted(used, key=used.__getitem__)[: len(used) - MOST]:
            path.unlink(missing_ok=True)


NOTHING_KEPT = Kept(None)
