"""What came of decisions."""

from __future__ import annotations

from typing import Protocol

from service.core.records import Came, OutcomeRecord, OutcomeStatus
from service.store import keys
from service.store.calls import Calls
from service.store.retention import Retention, milliseconds


class Outcomes(Protocol):
    """Keeps outcomes: the store itself, or what stands around it."""

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record what came of an action."""
        ...


class OutcomeStore:
    """Keeps outcomes. Raises a `StoreError` when the store does not do what it is asked; repeating a call is safe."""

    def __init__(self, calls: Calls, retention: Retention) -> None:
        self._calls = calls
        self._decision_ms = milliseconds(retention.decision)
        self._outcomes_ms = milliseconds(retention.outcomes)

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record what came of an action; the first outcome of a decision, action and kind holds."""
        return (await self.recorded(outcome, deadline_s)).status

    async def recorded(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> Came:
        """Record what came of an action, and return besides what became of that whose decision it was."""
        decision = outcome.decision_id
        if not keys.is_decision_id(decision):
            return Came(OutcomeStatus.UNKNOWN_DECISION)
        bucket = decision[:3]
        own = keys.outcomes_key(decision), keys.decision_key(decision)
        out = keys.out_key(bucket)
        place = (own[0], out, own[1], keys.log_key(bucket), keys.counts_key(bucket), keys.head_key(out))
        at = "" if outcome.at_ms is None else outcome.at_ms
        told = (decision, outcome.action, outcome.kind, at, repr(float(outcome.amount)))
        reply = await self._calls.function(
            "outcome", place, (*told, self._decision_ms, self._outcomes_ms),
            about=decision.encode(), length=5, deadline_s=deadline_s,
        )  # fmt: skip
        _, status, customer, strategy, reserved = reply
        if customer is None:
            return Came(OutcomeStatus(status))
        return Came(OutcomeStatus(status), customer.decode(), strategy.decode(), reserved == 1)
