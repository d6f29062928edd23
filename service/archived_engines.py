"""The engines of earlier versions: those that this process had in force, and those that are archived in the store."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from service.archive.shelf import NotArchived, Shelf
from service.beside import beside
from service.core.again import NotRepeatable
from service.core.archived import Part, PartDamaged, PartKind
from service.core.engine import Engine

KEPT = 4
"""How many engines that were made from the archive are kept."""


class Archive(Protocol):
    """Keeps strategies and models. Raises StoreError when the store fails or is too slow."""

    async def of(self, kind: PartKind, version: str, deadline_s: float | None = None) -> Part | None:
        """Return a part; None where it is not kept."""
        ...


class ArchivedEngines:
    """Engines by strategy and model. `kept` are those that the process has anyway."""

    def __init__(self, kept: Mapping[tuple[str, str], Engine], archive: Archive) -> None:
        self._kept, self._archive = kept, archive
        self._made: dict[tuple[str, str], Engine] = {}

    async def of(self, strategy: str, model: str, deadline_s: float) -> Engine:
        """Return the engine of a version; raise `NotRepeatable` in words where it cannot be had."""
        name = strategy, model
        found = self._kept.get(name) or self._made.pop(name, None)
        if found is None:
            found = await self._loaded(strategy, model, deadline_s)
        if name not in self._kept:
            self._made[name] = found  # the last that was wanted is the last to go
            while len(self._made) > KEPT:
                del self._made[next(iter(self._made))]
        return found

    async def _loaded(self, strategy: str, model: str, deadline_s: float) -> Engine:
        parts = [await self._part(PartKind.STRATEGY, strategy, deadline_s)]
        if model:
            parts.append(await self._part(PartKind.MODEL, model, deadline_s))
        try:
            return await beside(lambda: _engine(parts, strategy, model))
        except (NotArchived, PartDamaged) as missing:
            raise NotRepeatable(str(missing)) from None

    async def _part(self, kind: PartKind, version: str, deadline_s: float) -> Part:
        part = await self._archive.of(kind, version, deadline_s)
        if part is None:
            raise NotRepeatable(f"the {kind} {version} that made it is not archived")
        return part


def _engine(parts: list[Part], strategy: str, model: str) -> Engine:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        for part in parts:
            (shelf.place(part.kind, part.version).parent).mkdir(parents=True, exist_ok=True)
            shelf.lay(part)
        read = shelf.strategy(strategy)
        return Engine(read, shelf.model(model, read) if model else None)
