"""What operators switch off and what a service says of itself. Frozen values only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from msgspec import Struct

from service.core.memory import NOTHING_OFF, Switched

EVERYTHING = ""
"""The name of what switches everything off; no action has it."""


class Off(Struct, frozen=True):
    """One thing that is switched off: an action, or `EVERYTHING`; since when (ms), why and by whom, in their words."""

    action: str
    since_ms: int
    because: str
    by: str


class Switches(Struct, frozen=True, dict=True):
    """All that is switched off. The version rises with each change; up to `spread` every bucket has been written."""

    version: int = 0
    spread: int = 0
    off: tuple[Off, ...] = ()

    @cached_property
    def switched(self) -> Switched:
        """Return it as decisions look at it."""
        actions = frozenset(one.action for one in self.off) - {EVERYTHING}
        everything = any(one.action == EVERYTHING for one in self.off)
        return Switched(actions, everything) if actions or everything else NOTHING_OFF


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A changed strategy or model that was not taken into service, or a challenger that is not scored beside: which
    (strategy, model, challenger), what was wrong with it, when (ms).

    `stands` says that the folders still hold it, and that it is not in force; else what they hold is.
    """

    what: str
    problems: tuple[str, ...]
    at_ms: int
    stands: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """One number that this process counts."""

    name: str
    label: str
    number: int


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that answers: its number, from 1, of how many; how often one with this number was started; its id;
    the memory that it holds (bytes, 0: unknown).
    """

    number: int = 1
    of: int = 1
    starts: int = 1
    process_id: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What a service says of itself. `since_ms` is when the versions in force were taken into service.

    `challenger` is the model that is scored beside and has no say; empty where none is.
    """

    strategy: str
    model: str
    since_ms: int
    refused: RefusedVersion | None
    counts: tuple[Counted, ...]
    switches: Switches
    store_away: bool
    challenger: str = ""
    worker: Worker = Worker()
