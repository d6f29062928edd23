"""The log as it stands to the items of the contract, without what the consent of now does not allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.context import Scalar
from models.decision_table import Policy
from service.core.decision import Committed
from service.core.logged import Position, chances_at, is_place, policy_of, said_at
from service.core.plan import Candidate, Entry, PlacementPlan, Shadow, Shadowed
from service.core.rights import KeptOutcome
from service.core.words import Words
from service.rpc.checks import Findings, check_most, timestamp
from service.rpc.convert_seen import seen_message
from service.rpc.values import value_of
from tact.v1 import log_pb2 as pb
from tact.v1 import outcome_pb2
from tact.v1.values_pb2 import StringList, Value, Versions

BUCKETS = 1024
_EVERY_PURPOSE = frozenset("spf")
_POLICIES = {str(policy): pb.ChoicePolicy.Value(f"CHOICE_POLICY_{policy.name}") for policy in Policy}
_UNKNOWN = Value()


def positions_of(request: pb.ReadLogRequest) -> dict[int, Position]:
    """Return where to begin, by bucket; raise `InvalidArgument` with what is wrong."""
    found, positions = Findings(), dict[int, Position]()
    check_most("positions", len(request.positions), BUCKETS)
    for place, one in enumerate(request.positions):
        path = f"positions[{place}]"
        if not 0 <= one.bucket < BUCKETS:
            found.add(f"{path}.bucket", f"is {one.bucket}; there are 0 to {BUCKETS - 1:,}.")
        if one.bucket in positions:
            found.add(f"{path}.bucket", f"is {one.bucket} once more; name each bucket once.")
        for name, text in (("decisions", one.decisions), ("outcomes", one.outcomes)):
            if text and not is_place(text):
                found.add(f"{path}.{name}", "is no position; send it as a page had it, or leave it empty.")
        positions[one.bucket] = Position(one.bucket, one.decisions, one.outcomes)
    found.end()
    return positions


def fields_item(strategy: str, words: Words | None) -> pb.LogItem:
    """Return the item that says what the values of a strategy's decisions are."""
    fields = [pb.LoggedField(field_id=name, type=kind.value) for name, kind in words.fields] if words else []
    return pb.LogItem(fields=pb.StrategyFields(strategy=strategy, fields=fields))


def position_message(position: Position) -> pb.LogPosition:
    """Return how far a bucket was told."""
    return pb.LogPosition(bucket=position.bucket, decisions=position.decisions, outcomes=position.outcomes)


def decision_message(entry: Entry, committed: Committed, words: Words | None, allowed: str) -> pb.LoggedDecision:
    """Return a decision; of what was known then only what the purposes in `allowed` permit now."""
    return pb.LoggedDecision(
        decision_id=entry.decision_id,
        customer_id=entry.customer,
        channel=entry.channel,
        decided_at=timestamp(entry.at_ms),
        versions=Versions(strategy=entry.strategy, model=entry.model),
        consent_level=entry.level,
        values=_values(entry.values, words, allowed) if words is not None else (),
        placements=[_placement(placed, place, committed, entry) for place, placed in enumerate(entry.placements)],
        seen=seen_message(entry),
    )


def _values(values: Sequence[Scalar | None], words: Words, allowed: str) -> Iterator[Value]:
    if not words.purposes and not _EVERY_PURPOSE.issubset(allowed):  # then it is not known what each was for
        values = [None] * len(values)
    purposes = words.purposes or "s" * len(words.fields)
    for (_, kind), purpose, value in zip(words.fields, purposes, values, strict=False):
        shown = value is not None and (purpose in allowed or not words.purposes)
        yield value_of(value, kind) if shown and value is not None else _UNKNOWN


def _placement(placed: PlacementPlan, place: int, committed: Committed, entry: Entry) -> pb.LoggedPlacement:
    said, chances = said_at(placed, place, committed), chances_at(placed)
    ranked = {candidate.action for candidate in placed.candidates}
    others = [pb.LoggedCandidate(action_id=a, probability=p) for a, p in chances.items() if a not in ranked]
    return pb.LoggedPlacement(
        placement=placed.placement,
        candidates=[*(_candidate(one, chances.get(one.action, 0.0)) for one in placed.candidates), *others],
        pool=placed.pool,
        policy=_POLICIES.get(policy_of(placed), pb.CHOICE_POLICY_UNSPECIFIED),
        action_id=said.action,
        probability=said.probability,
        allowed=StringList(values=chances) if placed.odds else None,
        shadow=_shadow(entry.shadow, place) if entry.shadow is not None else None,
        draw=entry.draws[place] if place < len(entry.draws) else None,
    )


def _shadow(shadow: Shadow, place: int) -> pb.LoggedShadow:
    found = shadow.placements[place] if shadow.placements else ()
    return pb.LoggedShadow(
        model=shadow.model, candidates=[_candidate(one, one.probability) for one in found], failed=shadow.failed
    )


def _candidate(one: Candidate | Shadowed, probability: float) -> pb.LoggedCandidate:
    return pb.LoggedCandidate(
        action_id=one.action,
        propensity=one.propensity,
        baseline_propensity=one.baseline,
        net_value=one.net_value,
        probability=probability,
    )


def outcome_message(customer: str, kept: KeptOutcome) -> pb.LoggedOutcome:
    """Return an outcome."""
    outcome = outcome_pb2.Outcome(
        decision_id=kept.decision_id,
        action_id=kept.action,
        kind=outcome_pb2.OutcomeKind.ValueType(kept.kind),
        occurred_at=timestamp(kept.at_ms),
        amount=kept.amount,
    )
    return pb.LoggedOutcome(outcome=outcome, customer_id=customer, arrived_at=timestamp(kept.arrived_ms))
