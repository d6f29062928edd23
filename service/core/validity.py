"""Judge again: may what was decided still be said, by the strategy, the consent and the facts of now?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from models.context import Purpose
from service.core.decision import Reason, ReasonCode
from service.core.judge import Veto
from service.core.reasons import each_once

GONE = Reason(ReasonCode.NO_LONGER_OFFERED, "The strategy that is in force no longer says this here.")
OUT = Reason(ReasonCode.OUT_OF_STOCK, "What this needs is no longer held for the customer, and not enough is left.")
ANSWERED = Reason(ReasonCode.DECLINED, "The customer was told this already, and said no to it.")
REWORDED = Reason(
    ReasonCode.NO_CONSENT, "Another version of the strategy worded it, perhaps with what may no longer be used."
)
DECLINED = (4, 5, 6)
"""The kinds of outcomes that say no, REFUSED, NOT_NOW and NEVER; the numbers are those of the public contract."""
ERASED = Reason(ReasonCode.CUSTOMER_ERASED, "The customer was erased, and nothing is kept or used about them.")


class Issued(Struct, frozen=True):
    """A decision as far as judging it again needs it: nothing of what was known of the customer.

    `said` holds for each placement the action that was chosen, empty for none. `outcomes` holds what came of it, as
    the action and the kind of the public contract, in any order. `level` is the consent level that it was decided
    under.
    """

    decision_id: str
    customer: str
    channel: str
    at_ms: int
    strategy: str
    said: tuple[tuple[str, str], ...]
    outcomes: tuple[tuple[str, int], ...] = ()
    level: str = ""

    @property
    def actions(self) -> frozenset[str]:
        """What was chosen."""
        return frozenset(action for _, action in self.said if action)

    def declined(self, action: str) -> bool:
        """Tell whether the customer has said no to an action of this decision, for now or for ever."""
        return any((action, kind) in self.outcomes for kind in DECLINED)


class Standing(Struct, frozen=True):
    """What forbids now what was chosen for one placement; nothing does where `reasons` is empty."""

    placement: str
    action: str
    reasons: tuple[Reason, ...]


class Validity(Struct, frozen=True):
    """Whether a decision may still be said, a placement, and by what it was judged at which moment (ms)."""

    placements: tuple[Standing, ...]
    decided_ms: int
    judged_ms: int
    strategy: str
    model: str


def standings(issued: Issued, against: Callable[[str, str], Iterable[Reason]]) -> tuple[Standing, ...]:
    """Return each placement with everything `against(placement, action)`; silence is always good."""
    return tuple(
        Standing(placement, action, tuple(each_once(against(placement, action) if action else ())))
        for placement, action in issued.said
    )


def reasons_against(bit: int, vetoes: Iterable[Veto], objection: str | None) -> list[Reason]:
    """Return the vetoes of an action; that of the independent check where no other forbids what it objects to."""
    found = [veto.reason for veto in vetoes if veto.mask & bit]
    if objection is not None and not found:
        found.append(Reason(ReasonCode.CHECK_FAILED, "A second check disagreed, so it must not be said.", objection))
    return found


def worded_without_consent(same: bool, lost: Collection[Purpose], named: Mapping[str, Purpose]) -> Reason | None:
    """Return why what was decided may not be said in the words of then, as it waits in a queue; None where it may.

    `lost` are the purposes that the consent allowed then and does not allow now, `named` the fields that may stand in
    the words of now, which are those of then where the strategy is the `same` one. Of other words nothing is known.
    """
    if not lost:
        return None
    if not same:
        return REWORDED
    fields = tuple(sorted(name for name, purpose in named.items() if purpose in lost))
    if not fields:
        return None
    return Reason(ReasonCode.NO_CONSENT, "Its words may name what the customer no longer agrees to.", "", fields)


def unforeseen(objections: Mapping[str, str], placements: Iterable[Standing]) -> tuple[str, ...]:
    """Return the rules over which the independent check disagrees with the judgement (normally none)."""
    failed = {s.action for s in placements if any(reason.code is ReasonCode.CHECK_FAILED for reason in s.reasons)}
    return tuple(sorted({rule for action, rule in objections.items() if action in failed}))
