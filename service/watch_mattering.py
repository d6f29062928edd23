"""What of all that is heard matters to one watch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import unquote

from service.core.stock import Shelf
from service.watching_people import DECISION, SUPPLY, Heard

OWN = 8
"""How many of its own decisions a watch knows again: they are heard as soon as they are made."""


class Mattering:
    """Leaves out what a watch did itself, and supply that its answer does not look at."""

    def __init__(self) -> None:
        self._own: tuple[str, ...] = ()

    def own(self, decision_id: str) -> None:
        """Note a decision that the watch made."""
        if decision_id and decision_id not in self._own:
            self._own = (*self._own[1 - OWN :], decision_id)

    def of(self, heard: Iterable[Heard], shelves: Collection[Shelf] | None) -> tuple[Heard, ...]:
        """Return what matters to an answer that looked at these items and places; unset for not known, so at all."""
        return tuple(one for one in heard if not self._is_nothing(one, shelves))

    def _is_nothing(self, one: Heard, shelves: Collection[Shelf] | None) -> bool:
        if one.kind == DECISION:
            return one.id in self._own
        return one.kind == SUPPLY and shelves is not None and _shelf(one.name) not in shelves


def _shelf(name: str) -> Shelf | None:
    item, at, place = name.partition("@")
    return (unquote(item), unquote(place)) if at else None
