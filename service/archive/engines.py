"""The engines of the versions that decided, made from what is archived when they are first wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from service.archive.raw import MadeBy
from service.archive.shelf import NotArchived, Shelf
from service.core.engine import Engine

KEPT = 16
"""How many engines are kept at once: the versions of a window follow one another."""


class Engines:
    """Engines by what made a decision; what cannot be had is told again and again, and looked for once."""

    def __init__(self, folder: Path) -> None:
        self._shelf = Shelf(folder)
        self._made: dict[MadeBy, Engine | NotArchived] = {}

    def of(self, wanted: MadeBy) -> Engine:
        """Return the engine of some versions; raise `NotArchived` in words."""
        found = self._made.pop(wanted, None)
        if found is None:
            found = self._loaded(wanted)
        self._made[wanted] = found  # the last that was wanted is the last to go
        while len(self._made) > KEPT:
            del self._made[next(iter(self._made))]
        if isinstance(found, NotArchived):
            raise NotArchived(*found.args)
        return found

    def _loaded(self, wanted: MadeBy) -> Engine | NotArchived:
        try:
            strategy = self._shelf.strategy(wanted.strategy)
            model = self._shelf.model(wanted.model, strategy) if wanted.model else None
            rival = self._shelf.model(wanted.challenger, strategy) if wanted.challenger else None
        except NotArchived as missing:
            return missing
        return Engine(strategy, model, rival)


EngineOf = Callable[[MadeBy], Engine]
"""Gives the engine of some versions, or raises `NotArchived`."""
