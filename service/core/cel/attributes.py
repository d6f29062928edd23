"""What conditions may read of an action: `action.NAME` for what every action has, and for what strategies declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from models.context import Scalar, ValueType
from service.core.strategy import Action, ActionAttribute

PREFIX = "action."

BUILT_IN: Mapping[str, ValueType] = {
    "id": ValueType.STRING,
    "kind": ValueType.STRING,
    "group": ValueType.STRING,
    "intents": ValueType.STRINGS,
    "tags": ValueType.STRINGS,
    "value": ValueType.DOUBLE,
    "reward": ValueType.DOUBLE,
    "cost": ValueType.DOUBLE,
}
"""What every action has; an action without a group has the empty one."""


def variables(attributes: Iterable[ActionAttribute]) -> dict[str, ValueType]:
    """Return the type of everything that conditions may read of an action, by its name in conditions."""
    declared = {attribute.name: attribute.type for attribute in attributes}
    return {PREFIX + name: kind for name, kind in {**declared, **BUILT_IN}.items()}


def row(action: Action) -> dict[str, Scalar]:
    """Return what is known of an action, by its names in conditions; what it lacks is not there."""
    built_in = {name: _plain(getattr(action, name)) for name in BUILT_IN}
    return {PREFIX + name: value for name, value in (dict(action.attributes) | built_in).items()}


def _plain(value: Scalar) -> Scalar:
    return str(value) if isinstance(value, str) else value  # a kind is an enum, and a text here
