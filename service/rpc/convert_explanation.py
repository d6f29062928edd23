"""Explanations to answers, message by message: rarely asked for, so written for the reader and not for speed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from models.context import ContextSchema, Scalar, ValueType
from service.core.explained import CapSeen, Compared, Explanation, Fate, FieldSeen, RuleSeen, ScoreSeen, Story
from service.rpc.checks import timestamp
from service.rpc.reasons import add_reasons
from service.rpc.values import value_of
from tact.v1 import decision_pb2 as pb
from tact.v1.values_pb2 import StringList, Value

_TYPES = {
    "bool": ValueType.BOOL,
    "int": ValueType.INT,
    "double": ValueType.DOUBLE,
    "string": ValueType.STRING,
    "timestamp": ValueType.TIMESTAMP,
    "list(string)": ValueType.STRINGS,
}


def fill_explanation(message: pb.Explanation, told: Explanation, schema: ContextSchema) -> None:
    """Write an explanation as the contract does."""
    message.consent_level = told.level
    if told.depth is not None:
        message.depth = pb.ExplainDepth.ValueType(int(told.depth))
    for fate in told.fates:
        _fill_fate(message.actions.add(action_id=fate.action), fate)
    for seen in told.fields:
        _fill_field(message.fields.add(field_id=seen.field), seen, schema)
    for story in told.placements:
        _fill_story(message.placements.add(placement=story.placement, action_id=story.action), story)


def _fill_fate(action: pb.ActionFate, fate: Fate) -> None:
    add_reasons(action.vetoes, fate.vetoes)
    if fate.propensity is not None:
        action.propensity = fate.propensity
    if fate.baseline is not None:
        action.baseline_propensity = fate.baseline
    if fate.net_value is not None:
        action.net_value = fate.net_value
    for passed in fate.placements:
        stage = pb.DecisionStage.ValueType(int(passed.stage or 0))
        action.placements.add(placement=passed.placement, passed=stage, beaten_by=passed.beaten_by)
    for check in fate.checks:
        _fill_check(action.checks.add(rule_id=check.rule, condition=check.condition), check)
    for cap in fate.caps:
        _fill_cap(action.caps.add(rule_id=cap.rule, placement=cap.placement), cap)
    if fate.score is not None:
        _fill_score(action.score, fate.score)


def _fill_check(message: pb.RuleCheck, check: RuleSeen) -> None:
    if check.holds is not None:
        message.holds = check.holds
    for one in check.comparisons:
        _fill_comparison(message.comparisons.add(expression=one.expression, fields=one.names), one)


def _fill_comparison(message: pb.Comparison, one: Compared) -> None:
    if one.observed is not None:
        message.observed.CopyFrom(_value(one.observed, one.observed_kind))
    if one.bound is not None:
        message.bound.CopyFrom(_value(one.bound, one.bound_kind))
    if one.holds is not None:
        message.holds = one.holds


def _value(value: Scalar, kind: str) -> Value:
    """Return a value of a type of CEL; what the contract has no kind for is told as text."""
    if kind in _TYPES:
        return value_of(value, _TYPES[kind])
    if isinstance(value, tuple):
        return Value(strings_value=StringList(values=map(str, value)))
    if kind == "duration" and isinstance(value, int):
        return Value(string_value=str(timedelta(milliseconds=value)))
    return Value(string_value=str(value))


def _fill_cap(message: pb.CapUse, cap: CapSeen) -> None:
    message.uses, message.at_most, message.daily = cap.uses, cap.at_most, cap.daily
    message.within_seconds = cap.within_ms / 1000
    if cap.frees_ms is not None:
        message.frees_at.CopyFrom(timestamp(cap.frees_ms))


def _fill_score(message: pb.ScoreParts, score: ScoreSeen) -> None:
    message.propensity, message.modelled, message.learned = score.propensity, score.modelled, score.learned
    message.value, message.reward, message.cost, message.lever = score.value, score.reward, score.cost, score.lever
    message.net_value = score.net_value
    if score.baseline is not None:
        message.baseline_propensity = score.baseline
    if score.factor is not None:
        message.learned_factor = score.factor
    message.weights.extend(pb.WeightUsed(rule_id=one.rule, factor=one.factor) for one in score.weights)


def _fill_field(message: pb.FieldState, seen: FieldSeen, schema: ContextSchema) -> None:
    message.purpose, message.used = seen.purpose, seen.used
    if seen.value is not None:
        message.value.CopyFrom(value_of(seen.value, schema.fields[schema.index[seen.field]].type))
    if seen.age_ms is not None:
        message.age_seconds = seen.age_ms / 1000
    if seen.version:
        message.model_version = seen.version
    if seen.max_age_ms is not None:
        message.max_age_seconds = seen.max_age_ms / 1000


def _fill_story(message: pb.PlacementStory, story: Story) -> None:
    message.sentence, message.policy, message.explored = story.sentence, story.policy, story.explored
    message.stages.extend(_left(story.stages))
    message.odds.extend(pb.ActionOdds(action_id=action, probability=chance) for action, chance in story.odds)
    if story.draw is not None:
        message.draw = story.draw
    if story.asked_by is not None:
        asked = pb.PlacementAnswer()  # in whose list of reasons one is written as everywhere else
        add_reasons(asked.reasons, (story.asked_by,))
        message.asked_by.CopyFrom(asked.reasons[0])


def _left(stages: Iterable[tuple[int, int]]) -> Iterable[pb.StageLeft]:
    return (pb.StageLeft(stage=pb.DecisionStage.ValueType(int(stage)), actions=left) for stage, left in stages)
