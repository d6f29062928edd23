"""Read the rules plainly: which forbid each action, by asking the CEL engine about each rule for each action."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cel_expr_python import cel

from models.context import Scalar, ValueType
from service.core.cel.attributes import row, variables
from service.core.cel.check import environment
from service.core.epochs import in_force
from service.core.rules import Eligibility, Exemption, Guardrail, Selector
from service.core.snapshot import Snapshot
from service.core.strategy import Action, Strategy

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def forbidding(strategy: Strategy, snapshot: Snapshot, channel: str) -> list[dict[str, bool]]:
    """Return for each action the rules that forbid it on a channel, and whether each is known to, not only in doubt.

    Consent and permission are left out.
    """
    declared = environment(strategy.schema, strategy.attributes)
    types = {field.id: field.type for field in strategy.schema.fields} | variables(strategy.attributes)
    values = {field.id: value for field, value in zip(strategy.schema.fields, snapshot.values, strict=True)}
    found: list[dict[str, bool]] = [{} for _ in strategy.actions]
    rules: list[Guardrail | Eligibility] = [*strategy.guardrails, *strategy.eligibility]
    for rule in rules:
        engine = declared.compile(rule.when.source or "true")
        for action, forbids in zip(strategy.actions, found, strict=True):
            if applies(rule, action, strategy.exemptions, channel, snapshot.now_ms):
                known = {name: _native(types[name], value) for name, value in (values | row(action)).items()
                         if value is not None and name in rule.when.source}  # fmt: skip
                truth = _holds(engine, known, snapshot.now_ms)
                if truth is not isinstance(rule, Eligibility):
                    forbids[rule.id] = truth is not None
    return found


def applies(
    rule: Guardrail | Eligibility, action: Action, exemptions: tuple[Exemption, ...], channel: str, now_ms: int
) -> bool:
    """Tell whether a rule is in force and about an action, which is not exempt from it."""
    about = rule.forbid if isinstance(rule, Guardrail) else rule.permit
    if not in_force(rule.valid, now_ms) or not means(about, action, channel):
        return False
    return not any(
        rule.id in one.exempt_from and in_force(one.valid, now_ms) and means(one.actions, action, channel)
        for one in exemptions
    )


def means(about: Selector, action: Action, channel: str) -> bool:
    """Tell whether a selector means an action on a channel."""
    asked = (
        (about.ids, {action.id}),
        (about.kinds, {action.kind}),
        (about.intents, {*action.intents}),
        (about.groups, {action.group}),
        (about.tags, {*action.tags}),
        (about.channels, {channel}),
    )
    return all(not wanted or has & {*wanted} for wanted, has in asked)


def _holds(engine: Any, known: dict[str, object], now_ms: int) -> bool | None:  # noqa: ANN401  CEL ships no types
    result = engine.eval(data=known | {"now": _moment(now_ms)})
    return None if result.type() == cel.Type.ERROR else bool(result.value())


def _native(kind: ValueType, value: Scalar) -> object:
    if kind is ValueType.TIMESTAMP and isinstance(value, int):
        return _moment(value)
    return list(value) if isinstance(value, tuple) else value


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
