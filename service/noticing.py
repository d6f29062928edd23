"""What decisions are counted by, and what of them somebody has to hear of."""

from __future__ import annotations

import logging

from service.core.decision import Committed, Decision, Reason
from service.core.engine import Checked
from service.core.plan import Entry
from service.core.rungs import RUNGS, rung_of
from service.core.shadow import agreement
from service.core.stockroom import UNGRANTED, UNTRIED
from service.core.switched import SWITCHED
from service.telemetry import Counts

log = logging.getLogger(__name__)

FULL = RUNGS[0]


def planned(counts: Counts, entry: Entry, checked: Checked) -> None:
    """Count what the independent check and a challenger say of a plan; raise the alarm where the check objects.

    `entry` is the plan as it was before the check.
    """
    for one in checked.entry.objections:
        counts.add("check.disagreed", one.rule)
        log.critical(
            "the independent check disagreed over rule %s in decision %s at %s: it forbids %s, which the judgement %s,"
            " to which that rule %s",
            one.rule,
            entry.decision_id,
            one.placement,
            one.action,
            "allowed" if one.allowed else "forbade as well",
            "is not known to hold" if one.truth is None else "holds" if one.truth else "does not hold",
        )
    if entry.shadow is not None:
        counts.add("shadow", agreement(entry))


def bound(counts: Counts, entry: Entry, committed: Committed) -> None:
    """Count the caps and switches that candidates did not fit any more at the commit."""
    for one in committed.bound:
        if one.counter == SWITCHED:
            counts.add("switch.off", entry.placements[one.placement].candidates[one.rank].action)
        elif one.counter not in (UNGRANTED, UNTRIED):
            counts.add("caps.bound", one.counter.partition("|")[0])


def decided(counts: Counts, decision: Decision) -> Decision:
    """Count a decision by what came of it, and placements that say nothing by the rule; return it.

    What was missing for it, such as a model, counts as well: the answer says that it is degraded.
    """
    said = False
    for answer in decision.answers:
        if answer.action:
            said = True
        else:
            counts.add("suppressions", by(answer.reasons[0]) if answer.reasons else "")
    counts.add("decisions", "said" if said else "suppressed")
    for why in decision.degraded:
        counts.add("degraded", by(why))
    counts.add("rungs", RUNGS[rung_of(decision.degraded) - 1] if decision.degraded else FULL)
    return decision


def degraded(counts: Counts, why: Reason) -> None:
    """Count a safe answer."""
    counts.add("decisions", "degraded")
    counts.add("degraded", by(why))
    counts.add("rungs", RUNGS[rung_of((why,)) - 1])


def by(reason: Reason) -> str:
    """Return the rule of a reason, or else its kind."""
    return reason.rule or reason.code.name.lower()
