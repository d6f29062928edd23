"""A folder of parts: each strategy and model by its version, as plain files that stand for themselves for years.

strategies/demo@3f9a0c11d2e4/*.yaml
models/offers@81d2c45e90ab/manifest.json, folded.npz, …
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from models.artifacts import ArtifactRefused, load_served
from models.documents import DocumentsRefused
from models.features import FeatureRefused, FeatureSpace
from models.propensity import Folded
from service.core.archived import VERSION, Part, PartKind
from service.core.loader import load_strategy
from service.core.strategy import Strategy

_FOLDERS = {PartKind.STRATEGY: "strategies", PartKind.MODEL: "models"}


class NotArchived(Exception):
    """A strategy or a model is not in the archive, or not as it was: the message says which."""


class Shelf:
    """The parts in a folder. Whatever is loaded is seen to give the version that it stands under."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, kind: PartKind, version: str) -> Path:
        """Return the folder of a part; raise `NotArchived` for what is no version."""
        if not VERSION.fullmatch(version):
            raise NotArchived(f"the {kind} that it names bears no version that can be looked up")
        return self.folder / _FOLDERS[kind] / version

    def has(self, kind: PartKind, version: str) -> bool:
        """Tell whether a part is there."""
        return bool(VERSION.fullmatch(version)) and self.place(kind, version).is_dir()

    def lay(self, part: Part) -> None:
        """Put a part there, whole or not at all; raise `PartDamaged` where it cannot be unpacked."""
        files, place = part.files(), self.place(part.kind, part.version)
        new = place.with_name(f".{part.version}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, content in files.items():
            with open(new / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        shutil.rmtree(place, ignore_errors=True)
        new.replace(place)

    def strategy(self, version: str) -> Strategy:
        """Load a strategy; raise `NotArchived` in words."""
        place = self._found(PartKind.STRATEGY, version)
        try:
            strategy = load_strategy(place)
        except DocumentsRefused as refused:
            why = f"{len(refused.problems)} problems, the first: {refused.problems[0]}"
            raise NotArchived(f"strategy {version} is archived, and not as this program reads it ({why})") from None
        if strategy.version != version:
            raise NotArchived(f"what is archived as strategy {version} was changed: it is {strategy.version}")
        return strategy

    def model(self, version: str, strategy: Strategy) -> Folded:
        """Load a model for a strategy; raise `NotArchived` in words."""
        place = self._found(PartKind.MODEL, version)
        try:
            folded = load_served(place, FeatureSpace.of(strategy.schema, strategy.features), archived=True).folded
        except (ArtifactRefused, FeatureRefused) as refused:
            raise NotArchived(f"what is archived as model {version} was changed, or does not fit: {refused}") from None
        if folded.version != version:
            raise NotArchived(f"what is archived as model {version} was changed: it is {folded.version}")
        return folded

    def _found(self, kind: PartKind, version: str) -> Path:
        if not self.has(kind, version):
            raise NotArchived(f"{kind} {version} is not archived")
        return self.place(kind, version)
