"""Explain: the fate of every action, for those who asked."""

from __future__ import annotations

from collections.abc import Sequence

from service.core.arbitrate import Scores
from service.core.decision import Reason, ReasonCode
from service.core.explained import Explanation, Fate, FieldSeen
from service.core.judge import Veto
from service.core.reasons import each_once
from service.core.strategy import Strategy

NO_TREATMENT = Reason(ReasonCode.NO_TREATMENT, "It has no treatment for this channel and these placements.")


def explanation(
    strategy: Strategy, vetoes: Sequence[Veto], treated: int, scores: Scores, fields: tuple[FieldSeen, ...], level: str
) -> Explanation:
    """Return every action's vetoes and scores; `treated` masks the actions that have a treatment here."""
    fates = tuple(
        _fate(action.id, index, vetoes, bool(treated >> index & 1), scores)
        for index, action in enumerate(strategy.actions)
    )
    return Explanation(fates, fields, level)


def _fate(action_id: str, index: int, vetoes: Sequence[Veto], treated: bool, scores: Scores) -> Fate:
    reasons = [veto.reason for veto in vetoes if veto.mask >> index & 1]
    if not treated:
        reasons.append(NO_TREATMENT)
    propensity, baseline, net_value = scores.propensity(index), scores.baseline(index), scores.net_value(index)
    return Fate(action_id, tuple(each_once(reasons)), propensity, baseline, net_value)
