"""Explanations of decisions that were made, as deep as the caller may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from models.context import ContextSchema
from service.core.changes import Change, ChangeKind
from service.core.counterfactual import (
    ALLOWED_CHANGES,
    MOST_CHANGES,
    Counterfactual,
    Goal,
    Looked,
    NoSuchGoal,
    Verdict,
)
from service.core.depths import Depths, Sieve
from service.core.explained import Depth, Explained
from service.core.wanted import Wanted
from service.errors import InvalidArgument, Violation
from service.rpc import checks
from service.rpc.convert_answer import fill_answers
from service.rpc.convert_explanation import fill_explanation
from service.rpc.reasons import add_reasons, set_moment
from service.rpc.values import value_of
from tact.v1 import decision_pb2 as pb

MOST_ACTIONS = 100
_GOALS = (pb.WHAT_IF_GOAL_UNSPECIFIED, pb.WHAT_IF_GOAL_WIN, pb.WHAT_IF_GOAL_LOSE)
_VERDICTS = {
    Verdict.ALREADY: pb.WHAT_IF_VERDICT_ALREADY,
    Verdict.FOUND: pb.WHAT_IF_VERDICT_FOUND,
    Verdict.NONE: pb.WHAT_IF_VERDICT_NONE,
    Verdict.GAVE_UP: pb.WHAT_IF_VERDICT_GAVE_UP,
}
_KINDS = {
    ChangeKind.FACT: pb.FACT_KIND_FACT,
    ChangeKind.WAIT: pb.FACT_KIND_WAIT,
    ChangeKind.CONSENT: pb.FACT_KIND_CONSENT,
    ChangeKind.PERMISSION: pb.FACT_KIND_PERMISSION,
}


def wanted_depth(found: checks.Findings, field: str, number: int, may: Depth) -> Depth:
    """Return how deep is told what is asked for: no deeper than the caller may see."""
    if number not in (0, *Depth):
        found.add(field, f"is no depth: {number}; send 0 to {max(Depth)}.")
        return Depth.CUSTOMER
    return min(may, Depth(number)) if number else may


def question(request: pb.ExplainDecisionRequest, may: Depth) -> tuple[Wanted, Depth]:
    """Check a question; return what is wanted and how deep. Raises `InvalidArgument`."""
    found = checks.Findings()
    checks.check_decision_id(found, request.decision_id)
    depth = wanted_depth(found, "depth", request.depth, may)
    goal, most = None, MOST_CHANGES
    if request.HasField("what_if"):
        asked = request.what_if
        if not asked.action_id:
            found.add("what_if.action_id", "is required: name the action that is to win or lose.")
        if asked.goal not in _GOALS:
            found.add("what_if.goal", f"is no goal: {asked.goal}; send 0 to {max(_GOALS)}.")
        if not 0 <= asked.most_changes <= ALLOWED_CHANGES:
            found.add("what_if.most_changes", f"is {asked.most_changes}; send 1 to {ALLOWED_CHANGES}, or 0 for 3.")
        goal = Goal(asked.action_id, asked.goal != pb.WHAT_IF_GOAL_LOSE, asked.placement)
        most = asked.most_changes or MOST_CHANGES
    if len(request.action_ids) > MOST_ACTIONS:
        found.add("action_ids", f"has {len(request.action_ids)} entries; name at most {MOST_ACTIONS}, or none for all.")
    found.end()
    heeded = goal if depth >= Depth.AGENT else None
    return Wanted(
        request.decision_id,
        heeded,
        request.what_if.goal == pb.WHAT_IF_GOAL_UNSPECIFIED,
        most,
        tuple(request.action_ids),
        depth,
    ), depth


def bad_goal(wrong: NoSuchGoal) -> InvalidArgument:
    """Return what a goal that a decision knows nothing of means to the caller."""
    return InvalidArgument.of([Violation("what_if", f"{wrong}.")])


def answer(told: Explained, depth: Depth) -> pb.ExplainDecisionResponse:
    """Return what is told of a decision at a depth."""
    then, schema = told.depths[0], told.schema
    sieve = narrowed(told.depths, depth, told.lost)
    decision = told.decision
    message = pb.ExplainDecisionResponse(
        decision_id=decision.decision_id, channel=told.channel, incomplete=told.incomplete, withheld=bool(sieve.lost)
    )
    message.versions.strategy, message.versions.model = decision.strategy, decision.model
    set_moment(message.decided_at, decision.at_ms)
    fill_answers(message.answers, map(sieve.answer, decision.answers))
    if decision.explanation is not None:
        customers = narrowed(told.depths, Depth.CUSTOMER, told.lost)
        explanation = then.explanation(decision.explanation, decision.answers, sieve, customers)
        fill_explanation(message.explanation, explanation, schema)
    if told.would is not None:
        _fill_would(message.what_would_change, told.would, sieve, schema)
    return message


def narrowed(depths: Iterable[Depths], depth: Depth, lost: Iterable[object]) -> Sieve:
    """Return what is told by all of these strategies: what the one in force no longer tells, is not told."""
    first, *others = depths
    sieve = first.at(depth, frozenset(lost))  # type: ignore[arg-type]  # purposes
    if sieve.told is None:
        return sieve
    told = sieve.told
    for other in others:
        told -= other.known - other.told(depth)
    return replace(sieve, told=told)


def _fill_would(message: pb.WhatWouldChange, would: Counterfactual, sieve: Sieve, schema: ContextSchema) -> None:
    message.action_id = would.goal.action
    message.goal = pb.WHAT_IF_GOAL_WIN if would.goal.wins else pb.WHAT_IF_GOAL_LOSE
    if sieve.lost or not sieve.tells(change.field for change in would.changes if change.field):
        message.verdict = pb.WHAT_IF_VERDICT_WITHHELD
        return
    message.verdict, message.then_action_id, message.tries = _VERDICTS[would.verdict], would.then, would.looked.tries
    add_reasons(message.stands, sieve.reasons(would.stands))
    message.assumes.extend(sieve.of(would.assumes))
    message.ahead_action_ids.extend(would.ahead)
    _fill_reach(message.reach, would.looked, sieve)
    for change in would.changes:
        _fill_change(message.changes.add(kind=_KINDS[change.kind], sentence=change.says), change, schema)


def _fill_reach(message: pb.WhatIfReach, looked: Looked, sieve: Sieve) -> None:
    message.most_changes, message.permission = looked.most, looked.permission
    message.field_ids.extend(sieve.of(looked.facts))
    message.consent_levels.extend(looked.levels)
    if looked.until_ms is not None:
        set_moment(message.wait_until, looked.until_ms)


def _fill_change(message: pb.FactChange, change: Change, schema: ContextSchema) -> None:
    message.field_id, message.consent_level = change.field, change.level
    if change.until_ms is not None:
        set_moment(message.wait_until, change.until_ms)
    if change.field:
        kind = schema.fields[schema.index[change.field]].type
        if change.before is not None:
            message.before.CopyFrom(value_of(change.before, kind))
        if change.after is not None:
            message.after.CopyFrom(value_of(change.after, kind))
