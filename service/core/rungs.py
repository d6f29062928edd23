"""The ladder: with how much of what it should have a decision was made, told by what was missing.

    full                 with everything
    stale_scores         with scores or counts that were last read before their time
    rules_and_priors     without a model that could score: the strategy's priors, under all rules
    request_only         without the customer: a safe greeting, by what came with the request alone

Guardrails hold on every rung, and without known consent there is no offer on any. A decision stands on the lowest rung
that anything missing puts it on. The numbers are those of the public contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from service.core.decision import Reason, ReasonCode


class Rung(IntEnum):
    """How much a decision was made with; the higher the number, the less."""

    FULL = 1
    STALE_SCORES = 2
    RULES_AND_PRIORS = 3
    REQUEST_ONLY = 4


RUNG_OF: Mapping[ReasonCode, Rung] = {
    ReasonCode.SCORES_STALE: Rung.STALE_SCORES,
    ReasonCode.NO_MODEL: Rung.RULES_AND_PRIORS,
    ReasonCode.MODEL_FAILED: Rung.RULES_AND_PRIORS,
    ReasonCode.STORE_UNAVAILABLE: Rung.REQUEST_ONLY,
    ReasonCode.DEADLINE_TOO_SHORT: Rung.REQUEST_ONLY,
    ReasonCode.CUSTOMER_ERASED: Rung.REQUEST_ONLY,
}
"""The rung on which each reason puts an answer that it degrades; any other reason puts it on the lowest."""

RUNGS = tuple(rung.name.lower() for rung in Rung)
"""Their names in metrics, the full one first."""


def rung_of(missing: Iterable[Reason]) -> Rung:
    """Return the rung of a decision by why it is degraded; one that is not stands on the full one."""
    return max((RUNG_OF.get(reason.code, Rung.REQUEST_ONLY) for reason in missing), default=Rung.FULL)
