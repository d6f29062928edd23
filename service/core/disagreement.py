"""Disagreement: what the judgement said of what the independent check forbids, so that both verdicts are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from service.core.check import CONSENT, STOCK, SWITCH
from service.core.decision import ReasonCode
from service.core.plan import Objection, PlacementPlan
from service.core.rules import CONTACT_PERMISSION
from service.core.ruling import Veto

_LACKING = {
    CONSENT: (ReasonCode.NO_CONSENT,),
    CONTACT_PERMISSION: (ReasonCode.NO_CONTACT_PERMISSION,),
    STOCK: (ReasonCode.OUT_OF_STOCK, ReasonCode.SHORT_SUPPLY),
    SWITCH: (ReasonCode.SWITCHED_OFF,),
}


def disagreements(
    placements: Iterable[PlacementPlan], found: Mapping[str, str], vetoes: Sequence[Veto], index: Mapping[str, int]
) -> tuple[Objection, ...]:
    """Return each candidate that the check forbids, by what, and what the judgement's vetoes say of both."""
    return tuple(
        _objection(placed.placement, candidate.action, found[candidate.action], vetoes, index)
        for placed in placements
        for candidate in placed.candidates
        if candidate.action in found
    )


def _objection(placement: str, action: str, rule: str, vetoes: Sequence[Veto], index: Mapping[str, int]) -> Objection:
    codes = _LACKING.get(rule, ())
    by_rule = {veto.reason.code for veto in vetoes if veto.reason.code in codes or (rule and veto.reason.rule == rule)}
    truth = None if by_rule == {ReasonCode.GUARDRAIL_UNKNOWN} else bool(by_rule)
    bit = 1 << index[action] if action in index else 0
    return Objection(placement, action, rule, not any(veto.mask & bit for veto in vetoes), truth)
