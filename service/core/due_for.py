"""What a trigger is for: of a decision that it made due, everything else is held back."""

from __future__ import annotations

from service.core.decision import Reason, ReasonCode
from service.core.ruling import Veto
from service.core.selection import mask
from service.core.strategy import Strategy

NOT_DUE = Reason(ReasonCode.NOT_DUE, "What is due now is something else.")


class DueFor:
    """The actions that each trigger of a strategy is for."""

    def __init__(self, strategy: Strategy) -> None:
        self._all = (1 << len(strategy.actions)) - 1
        self._for = {one.id: mask(one.of, strategy.actions, one.channel) for one in strategy.triggers}

    def other(self, trigger: str) -> Veto:
        """Return the veto over what a trigger is not for; over everything where the strategy has no such trigger."""
        return Veto(self._all & ~self._for.get(trigger, 0), NOT_DUE)
