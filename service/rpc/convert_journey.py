"""Questions about journeys to values, and journeys to answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from models.context import CustomerData, Purpose
from service.core.decision import Reason, ReasonCode
from service.core.depths import NOT_AGREED, Sieve
from service.core.explained import Depth
from service.core.journey import Agreed, Decided, Page, Step
from service.core.records import Happened, Person
from service.core.rights import KeptOutcome
from service.core.strategy import ConsentLevel
from service.rpc import checks
from service.rpc.checks import MAX_CUSTOMER_BYTES, Findings, timestamp
from service.rpc.edge import Edge
from service.rpc.reasons import add_reasons
from tact.v1 import journey_pb2 as pb
from tact.v1 import outcome_pb2

if TYPE_CHECKING:  # which converts with this
    from service.rpc.journeys import Telling

MOST_FOUND, USUALLY_FOUND = 50, 10
MOST_STEPS, USUAL_STEPS = 200, 50
_TOKEN = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
DATA = {
    None: pb.CUSTOMER_DATA_UNSPECIFIED,
    CustomerData.TOLD: pb.CUSTOMER_DATA_TOLD,
    CustomerData.HELD: pb.CUSTOMER_DATA_HELD,
    CustomerData.PERFORMED: pb.CUSTOMER_DATA_PERFORMED,
}
_UNTOLD = Reason(ReasonCode.NO_CONSENT, NOT_AGREED)
_REFUSALS = frozenset({outcome_pb2.OUTCOME_KIND_REFUSED, outcome_pb2.OUTCOME_KIND_NEVER})


def search_question(request: pb.SearchCustomersRequest) -> tuple[str, int]:
    """Check whom to find; return the query and how many at most."""
    found = Findings()
    checks.check_id(found, "query", request.query, MAX_CUSTOMER_BYTES)
    _check_limit(found, request.limit, MOST_FOUND)
    found.end()
    return request.query, request.limit or USUALLY_FOUND


def journey_question(request: pb.GetJourneyRequest) -> tuple[str, int, int]:
    """Check whose journey to tell; return the customer, how much at most, and before which arrival (ms; 0: now)."""
    found, token = Findings(), request.page_token
    checks.check_id(found, "customer_id", request.customer_id, MAX_CUSTOMER_BYTES)
    _check_limit(found, request.limit, MOST_STEPS)
    if token and not _TOKEN.fullmatch(token):
        found.add("page_token", "is none of ours; send the `next_page_token` of the answer before, or leave it out.")
    found.end()
    return request.customer_id, request.limit or USUAL_STEPS, int(token or 0)


def _check_limit(found: Findings, limit: int, most: int) -> None:
    if not 0 <= limit <= most:
        found.add("limit", f"is {limit}; send 1 to {most}, or 0 for the usual number.")


def journey_answer(
    page: Page, person: Person, level: ConsentLevel, edge: Edge, telling: Telling, depth: Depth
) -> pb.GetJourneyResponse:
    """Return a page of a journey as it is told at a depth, under the consent level of now."""
    told = _Told.of(page, level, edge, telling, depth)
    hidden = (event for event, purpose in telling.purposes.items() if purpose not in level.purposes)
    return pb.GetJourneyResponse(
        customer_id=person.id,
        entries=[_entry(step, told) for step in page.steps],
        next_page_token=str(page.next_ms) if page.next_ms else "",
        hidden_event_types=sorted(hidden),
        consent_level=level.id,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of a page: under the consent level of now, and of which decisions what they said is."""

    level: ConsentLevel
    edge: Edge
    telling: Telling
    depth: Depth
    hidden: Mapping[tuple[str, str], bool]

    @classmethod
    def of(cls, page: Page, level: ConsentLevel, edge: Edge, telling: Telling, depth: Depth) -> Self:
        """Look at all decisions of a page."""
        hidden: dict[tuple[str, str], bool] = {}
        told = cls(level, edge, telling, depth, hidden)
        for made in (step.what for step in page.steps if isinstance(step.what, Decided)):
            sieve = told.sieve(made.level, Depth.AUDITOR)
            for answer in made.decision.answers:
                here = made.decision.decision_id, answer.action
                hidden[here] = hidden.get(here, False) or told.hides(answer.action, answer.reasons, sieve)
        return told

    def sieve(self, name: str, depth: Depth) -> Sieve:
        """Return what is told of what was decided under a level: nothing that rests on what the consent of now hides.

        Where that level is not known, it may have allowed everything.
        """
        then = next((level for level in self.edge.strategy.levels if level.id == name), None)
        allowed = then.purposes if then else tuple(Purpose)
        return self.edge.depths.at(depth, frozenset(allowed).difference(self.level.purposes))

    def hides(self, action: str, reasons: Iterable[Reason], sieve: Sieve) -> bool:
        """Tell whether that an action was said gives away what is lost: by its reasons, or by what permits it."""
        if not sieve.lost:
            return False
        grounds = self.telling.grounds.get(action)
        untold = any(sieve.reason(reason) != reason for reason in reasons)
        return untold or grounds is None or not sieve.tells(grounds)

    def hides_outcome(self, kept: KeptOutcome) -> bool:
        """Tell it of what came of an action; where its decision is on another page, it may rest on everything."""
        here = kept.decision_id, kept.action
        if here in self.hidden:
            return self.hidden[here]
        sieve = self.sieve("", Depth.AUDITOR)
        return not sieve.scores or self.hides(kept.action, (), sieve)


def _entry(step: Step, told: _Told) -> pb.JourneyEntry:
    entry = pb.JourneyEntry(at=timestamp(step.at_ms), arrived_at=timestamp(step.arrived_ms), customer_id=step.customer)
    match step.what:
        case Happened() as event:
            entry.event.CopyFrom(_event(event, told.telling))
            entry.guardrail_ids.extend(told.telling.truths.get(event.type, ()))
            entry.moment_of_truth = bool(entry.guardrail_ids)
        case Decided() as made:
            entry.decision.CopyFrom(_decision(made, told))
        case KeptOutcome() as outcome:
            entry.outcome.CopyFrom(_outcome(outcome, told))
            entry.moment_of_truth = outcome.kind in _REFUSALS
        case Agreed() as agreed:
            entry.consent.CopyFrom(_consent(agreed))
            entry.moment_of_truth = True
    return entry


def _event(event: Happened, telling: Telling) -> pb.JourneyEvent:
    declared = telling.events.get(event.type)
    return pb.JourneyEvent(
        type=event.type,
        says=declared.says if declared else "",
        purpose=event.purpose,
        data=DATA[declared.data if declared else None],
        stage=declared.stage if declared else "",
    )


def _decision(made: Decided, told: _Told) -> pb.JourneyDecision:
    decision, sieve = made.decision, told.sieve(made.level, told.depth)
    message = pb.JourneyDecision(
        decision_id=decision.decision_id,
        channel=made.channel,
        consent_level=made.level,
        strategy=decision.strategy,
        model=decision.model,
        degraded=bool(decision.degraded),
    )
    for answer in decision.answers:
        placed = message.placements.add(placement=answer.placement)
        if not answer.action:
            add_reasons(placed.reasons, sieve.reasons(answer.reasons))
        elif told.hidden[decision.decision_id, answer.action]:
            placed.hidden = True
            add_reasons(placed.reasons, (_UNTOLD,))
        else:
            placed.action_id, placed.says = answer.action, told.telling.actions.get(answer.action, "")
    return message


def _outcome(kept: KeptOutcome, told: _Told) -> pb.JourneyOutcome:
    kind = outcome_pb2.OutcomeKind.ValueType(kept.kind)
    if told.hides_outcome(kept):
        return pb.JourneyOutcome(decision_id=kept.decision_id, kind=kind, hidden=True)
    return pb.JourneyOutcome(decision_id=kept.decision_id, action_id=kept.action, kind=kind, amount=kept.amount)


def _consent(agreed: Agreed) -> pb.JourneyConsent:
    consent = agreed.consent
    return pb.JourneyConsent(
        level=consent.level, level_before=agreed.before, contact_channels=consent.channels, source=consent.source
    )
