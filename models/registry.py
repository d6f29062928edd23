"""The registry: versions of models below one folder, `ROOT/NAME/VERSION`, and which of them is the champion.

`ROOT/NAME/champion` is a link to the version in force: a service told `--model ROOT/NAME/champion` follows it.
`ROOT/NAME/promotions.jsonl` tells how it came to be: a line for every promotion, and for every one that was refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .artifacts import NAME, ArtifactRefused, Manifest, read_artifact
from .predictor_artifacts import PredictorManifest, is_predictor, read_predictor

CHAMPION = "champion"
PROMOTIONS = "promotions.jsonl"
DIGITS = re.compile(r"[0-9a-f]{12}")

_LOCK = ".promoting"
_MOST_HISTORY = 64 << 20  # bytes of promotions that are read


class NotInRegistry(Exception):
    """A registry has no such model, version or champion; says what it has."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A version as a registry holds it: what its manifest says, or why it is refused."""

    folder: Path
    champion: bool
    manifest: Manifest | PredictorManifest | None
    refused: str = ""

    @property
    def version(self) -> str:
        """The name and the 12 digits, by the folders that hold it."""
        return f"{self.folder.parent.name}@{self.folder.name}"


def listed(root: Path, name: str = "") -> tuple[Registered, ...]:
    """Return all versions below a folder, or those of one model, by name and the last moment of their data."""
    homes = [home for home in _folders(root) if NAME.fullmatch(home.name) and name in ("", home.name)]
    found = [_registered(folder, champion_of(home)) for home in homes for folder in _versions(home)]
    return tuple(sorted(found, key=lambda one: (one.folder.parent.name, _last(one), one.folder.name)))


def _registered(folder: Path, champion: Path | None) -> Registered:
    crowned = champion is not None and champion.name == folder.name
    try:
        manifest = read_predictor(folder).manifest if is_predictor(folder) else read_artifact(folder).manifest
    except ArtifactRefused as refused:
        return Registered(folder, crowned, None, str(refused))
    if manifest.version != f"{folder.parent.name}@{folder.name}":
        return Registered(folder, crowned, None, f"{folder}: holds {manifest.version}; a folder bears its own version")
    return Registered(folder, crowned, manifest)


def _last(one: Registered) -> str:
    return one.manifest.rows.last if one.manifest else ""


def champion_of(home: Path) -> Path | None:
    """Return the folder of a model's champion; None where there is none, ArtifactRefused for a strange link."""
    link = home / CHAMPION
    try:
        leads = os.readlink(link)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactRefused(f"{link} is not a link to a version ({error.strerror}); promote one") from None
    if not DIGITS.fullmatch(leads):
        raise ArtifactRefused(f"{link} leads out of {home.name} or to what is no version; promote one")
    return home / leads


def found(root: Path, named: str) -> Path:
    """Return the folder of a version named as NAME@DIGITS, NAME/DIGITS, NAME/champion, or DIGITS alone where unique.

    Raises `NotInRegistry` in words for everything else: a name leads nowhere outside of the registry.
    """
    name, _, digits = named.replace("@", "/").rpartition("/")
    if (name and not NAME.fullmatch(name)) or not (DIGITS.fullmatch(digits) or digits == CHAMPION):
        raise NotInRegistry(f"{named!r} names no version; write NAME@0123456789ab as `tact models list` prints it")
    homes = [home for home in _folders(root) if NAME.fullmatch(home.name) and name in ("", home.name)]
    if digits == CHAMPION:
        matches = [champion for home in homes if (champion := champion_of(home))]
    else:
        matches = [home / digits for home in homes if (home / digits).is_dir()]
    if len(matches) != 1:
        there = ", ".join(one.version for one in listed(root)) or "nothing"
        many = "is in more than one model" if matches else "is not there"
        raise NotInRegistry(f"{named} {many}; {root} holds {there[:2000]}")
    return matches[0]


@contextmanager
def promoting(home: Path) -> Iterator[None]:
    """Keep other promotions of the same model waiting."""
    with (home / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def crown(folder: Path) -> None:
    """Make a version the champion of its model, in one step; services that follow the link take it up."""
    home = folder.parent
    new = home / f".{CHAMPION}-{os.getpid()}"
    with suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(folder.name, target_is_directory=True)
    new.replace(home / CHAMPION)


def note(home: Path, promotion: Mapping[str, Any]) -> None:
    """Write down a promotion, or that one was refused, so that it survives a crash of the machine."""
    line = json.dumps(promotion, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    with (home / PROMOTIONS).open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def promotions(home: Path) -> tuple[dict[str, Any], ...]:
    """Return what was written down, oldest first; a line that a crash cut off is left out."""
    try:
        with (home / PROMOTIONS).open("rb") as file:
            lines = file.read(_MOST_HISTORY).splitlines()
    except FileNotFoundError:
        return ()
    told = []
    for line in lines:
        with suppress(ValueError):
            told.append(json.loads(line))
    return tuple(one for one in told if isinstance(one, dict))


def _folders(root: Path) -> tuple[Path, ...]:
    try:
        with os.scandir(root) as entries:
            return tuple(sorted(root / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)))
    except OSError as error:
        raise NotInRegistry(f"{root} cannot be read ({error.strerror}); name the folder of a registry") from None


def _versions(home: Path) -> tuple[Path, ...]:
    return tuple(folder for folder in _folders(home) if DIGITS.fullmatch(folder.name))
