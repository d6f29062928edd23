"""What operators switched off is not said: nothing exempts from it, not even that it is the safe greeting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from service.core.decision import Known, Reason, ReasonCode
from service.core.judge import Veto
from service.core.memory import NOTHING_OFF, Switched

SWITCHED = "!off"
"""The counter that binds what was switched off before the commit. No cap has it: theirs begin with a rule's id."""
OFF = Reason(ReasonCode.SWITCHED_OFF, "This is switched off by an operator.")
ALL_OFF = Reason(ReasonCode.SWITCHED_OFF, "Everything is switched off by an operator.")


def is_off(off: Switched, action: str) -> bool:
    """Tell whether an action is switched off, by itself or with everything else."""
    return off.everything or action in off.actions


def either(one: Switched, other: Switched) -> Switched:
    """Return what is off by one of two."""
    if other is NOTHING_OFF or one == other:
        return one
    return other if one is NOTHING_OFF else Switched(one.actions | other.actions, one.everything or other.everything)


def veto_of(off: Switched, index: Mapping[str, int]) -> Veto | None:
    """Return the veto over what is off; None where that is none of the actions in `index`, by their places."""
    if off.everything:
        return Veto((1 << len(index)) - 1, ALL_OFF)
    mask = sum(1 << index[action] for action in off.actions if action in index)
    return Veto(mask, OFF) if mask else None


class Switchboard(Protocol):
    """Knows what operators have switched off, also while the store is away."""

    @property
    def off(self) -> Switched:
        """What was known last; a read of the store says it exactly, unless the store has lost it."""
        ...

    @property
    def version(self) -> int:
        """How new that is; 0 where nothing was ever switched."""
        ...


class NoSwitches:
    """Nothing that could be switched off."""

    off: Switched = NOTHING_OFF
    version: int = 0


NO_SWITCHES = NoSwitches()


def with_switches(known: Known, switches: Switchboard) -> Known:
    """Return what was read with what this process knows to be off, where the store's copy is not newer than that.

    A copy is older while a switch is on its way to all buckets, and when the store has lost it: then both hold.
    """
    if known.off_version > switches.version or (off := either(known.off, switches.off)) is known.off:
        return known
    decided = known.decided and replace(known.decided, off=off)
    return replace(known, off=off, decided=decided)
