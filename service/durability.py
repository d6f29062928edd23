"""How safe what was acknowledged is to be, as the command line says it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from service.store.durable import Confirmation

MOST_REPLICAS = 100
MOST_WAIT_MS = 60_000


class Durability(StrEnum):
    """`fast`: acknowledged is what the store has. `durable`: and what replicas of it have confirmed."""

    FAST = "fast"
    DURABLE = "durable"


class Door(Protocol):
    """Where settings come in; `refused` says in words what was wrong with one."""

    def text(self, name: str, default: str) -> str:
        """Return a setting that is any text."""
        ...

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """Return a setting that is one of a few words."""
        ...

    def refused(self, name: str, wanted: str, why: str = "") -> Exception:
        """Return the error for a setting that is not usable."""
        ...


def read_durability(door: Door, *, embedded: bool) -> Confirmation | None:
    """Return what is to confirm a write, unset where the store alone does; raise what the door says of a bad setting.

    An `embedded` store has no replicas that could confirm anything.
    """
    durability = door.choice("durability", Durability.FAST, tuple(Durability))
    if durability == Durability.FAST:
        return None
    if embedded:
        wanted = "name a store that has replicas (redis+sentinel://…), or leave this out"
        raise door.refused("durability", wanted, "an embedded store has no replicas that could confirm a write")
    return Confirmation(
        replicas=_whole(door, "durability-replicas", 1, MOST_REPLICAS),
        wait_ms=_whole(door, "durability-wait", 500, MOST_WAIT_MS),
    )


def _whole(door: Door, name: str, default: int, most: int) -> int:
    text = door.text(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    if not 1 <= number <= most:
        raise door.refused(name, f"write a whole number from 1 to {most}")
    return number
