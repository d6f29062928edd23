"""What operators switched off is not said: nothing exempts from it, not even that it is the safe greeting."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.decision import Reason, ReasonCode
from service.core.judge import Veto
from service.core.memory import Switched

SWITCHED = "!off"
"""The counter that binds what was switched off before the commit. No cap has it: theirs begin with a rule's id."""
OFF = Reason(ReasonCode.SWITCHED_OFF, "This is switched off by an operator.")
ALL_OFF = Reason(ReasonCode.SWITCHED_OFF, "Everything is switched off by an operator.")


def is_off(off: Switched, action: str) -> bool:
    """Tell whether an action is switched off, by itself or with everything else."""
    return off.everything or action in off.actions


def veto_of(off: Switched, index: Mapping[str, int]) -> Veto | None:
    """Return the veto over what is off; None where that is none of the actions in `index`, by their places."""
    if off.everything:
        return Veto((1 << len(index)) - 1, ALL_OFF)
    mask = sum(1 << index[action] for action in off.actions if action in index)
    return Veto(mask, OFF) if mask else None
