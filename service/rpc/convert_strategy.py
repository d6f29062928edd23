"""The strategy in force to an answer, in its own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from models.context import Attribute, CustomerData, Field
from service.core.journey import moments_of_truth
from service.core.observed import Observer
from service.core.rules import Cap, CoolOff, Eligibility, Exemption, Guardrail, Promise, Selector, Weight
from service.core.selection import bits, mask
from service.core.strategy import Action, ConsentLevel, Strategy
from service.rpc.convert_context import SOURCES, TENSES
from service.rpc.convert_journey import DATA
from tact.v1 import insight_pb2 as pb

Rule = Guardrail | Eligibility | Cap | CoolOff | Promise | Weight | Exemption
KINDS: Mapping[type, pb.RuleKind.ValueType] = {
    Guardrail: pb.RULE_KIND_GUARDRAIL,
    Eligibility: pb.RULE_KIND_ELIGIBILITY,
    Cap: pb.RULE_KIND_CAP,
    CoolOff: pb.RULE_KIND_COOL_OFF,
    Promise: pb.RULE_KIND_PROMISE,
    Weight: pb.RULE_KIND_WEIGHT,
    Exemption: pb.RULE_KIND_EXEMPTION,
}


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a field is folded from: its events, and the stage and the kind of customer data that these are."""

    events: tuple[str, ...]
    stage: str
    data: CustomerData | None

    @classmethod
    def of(cls, field: Field, strategy: Strategy) -> Grounds:
        """Return the grounds of a field; of several events the first that says what it is counts."""
        events = tuple(dict.fromkeys(filter(None, (field.fold.event, field.fold.closed_by)))) if field.fold else ()
        declared = [strategy.schema.events[one] for one in events if one in strategy.schema.events]
        stage = next((one.stage for one in declared if one.stage), "")
        return cls(events, stage, next((one.data for one in declared if one.data), None))


def rules_of(strategy: Strategy) -> tuple[Rule, ...]:
    """Return all rules, kind by kind."""
    return (
        *strategy.guardrails,
        *strategy.eligibility,
        *strategy.caps,
        *strategy.cool_offs,
        *strategy.promises,
        *strategy.weights,
        *strategy.exemptions,
    )


def strategy_answer(strategy: Strategy, model: str, challenger: str) -> pb.GetStrategyResponse:
    """Return a strategy as the contract writes it."""
    observer = Observer(strategy)
    return pb.GetStrategyResponse(
        version=strategy.version,
        name=strategy.name,
        says=strategy.says,
        currency=strategy.currency,
        model=model,
        challenger=challenger,
        rules=[_rule(rule, strategy, observer) for rule in rules_of(strategy)],
        actions=map(_action, strategy.actions),
        channels=[
            pb.StrategyChannel(channel_id=one.id, placements=one.placements, asks_permission=one.permission)
            for one in strategy.channels
        ],
        fields=[_field(field, strategy) for field in strategy.schema.fields],
        events=_events(strategy),
        levels=map(_level, strategy.levels),
        stages=strategy.schema.stages,
    )


def without_conditions(told: pb.GetStrategyResponse) -> pb.GetStrategyResponse:
    """Return the strategy as those are told it who may not see what rules look at, their numbers, and worths."""
    shallow = pb.GetStrategyResponse()
    shallow.CopyFrom(told)
    for rule in shallow.rules:
        for name in ("condition", "fields", "at_most", "within_seconds", "factor"):
            rule.ClearField(name)
    for action in shallow.actions:
        action.ClearField("value")
        action.ClearField("reward")
        action.ClearField("cost")
    return shallow


def _rule(rule: Rule, strategy: Strategy, observer: Observer) -> pb.StrategyRule:
    found = pb.StrategyRule(
        rule_id=rule.id,
        kind=KINDS[type(rule)],
        says=rule.says,
        action_ids=_meant(_about(rule), strategy),
        owner=rule.owner,
    )
    if isinstance(rule, Guardrail | Eligibility | Weight):
        found.condition = rule.when.source
        found.fields.extend(observer.fields(rule) if rule.when.source else ())
    match rule:
        case Guardrail() | Eligibility() | Cap() if rule.instead is not None:
            found.instead_action_ids.extend(_meant(rule.instead, strategy))
        case Weight():
            found.factor = rule.factor
        case Promise():
            found.within_seconds = rule.for_ms / 1000
    if isinstance(rule, Cap):
        found.at_most, found.within_seconds = rule.at_most, rule.within_ms / 1000
    return found


def _about(rule: Rule) -> Selector:
    match rule:
        case Guardrail():
            return rule.forbid
        case Eligibility():
            return rule.permit
        case Cap():
            return rule.count
        case CoolOff():
            return rule.about
        case Promise():
            return rule.keep
        case Weight():
            return rule.boost
        case _:
            return rule.actions


def _meant(selector: Selector, strategy: Strategy) -> list[str]:
    """Return the actions that a selector means on any channel."""
    meant = 0
    for channel in strategy.channels:
        meant |= mask(selector, strategy.actions, channel.id)
    return [strategy.actions[at].id for at in bits(meant)]


def _action(action: Action) -> pb.StrategyAction:
    return pb.StrategyAction(
        action_id=action.id,
        kind=action.kind.value,
        says=action.says,
        intents=action.intents,
        group=action.group,
        value=action.value,
        reward=action.reward,
        cost=action.cost,
        treatments=[
            pb.StrategyTreatment(channel=one.channel, placement=one.placement, text=one.text)
            for one in action.treatments
        ],
        supply_field=action.consumes.supply if action.consumes else "",
    )


def _field(field: Field, strategy: Strategy) -> pb.StrategyField:
    grounds, supplied = Grounds.of(field, strategy), field.supplied
    return pb.StrategyField(
        field_id=field.id,
        says=field.says,
        tense=TENSES[field.tense],
        purpose=field.purpose,
        source=SOURCES[field.source],
        source_events=grounds.events,
        data=DATA[grounds.data],
        stage=grounds.stage,
        type=field.type.value,
        values=field.bounds.values,
        low=field.bounds.low,
        high=field.bounds.high,
        item=supplied.item if supplied else "",
        place=supplied.place if supplied else "",
        place_field_id=supplied.place_from if supplied else "",
    )


def _events(strategy: Strategy) -> Iterator[pb.StrategyEvent]:
    truths, folded = moments_of_truth(strategy), dict[str, list[str]]()
    for field in strategy.schema.fields:
        for name in Grounds.of(field, strategy).events:
            folded.setdefault(name, []).append(field.id)
    for event in strategy.schema.events.values():
        yield pb.StrategyEvent(
            type=event.id,
            says=event.says,
            data=DATA[event.data],
            stage=event.stage,
            field_ids=folded.get(event.id, ()),
            guardrail_ids=truths.get(event.id, ()),
            attributes=map(_attribute, event.attributes),
        )


def _attribute(one: Attribute) -> pb.StrategyAttribute:
    return pb.StrategyAttribute(
        name=one.name, type=one.type.value, optional=one.optional, values=one.values, low=one.low, high=one.high
    )


def _level(level: ConsentLevel) -> pb.StrategyLevel:
    return pb.StrategyLevel(level_id=level.id, says=level.says, purposes=level.purposes)
