"""What can be said, as training and outcomes need it: an action's name, its kinds of names, and its money.

The service reads the same section in full, and names its mistakes; here what cannot be read counts as not written.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.documents import Documents, Problem
from models.records import Record, section_records
from models.shapes import NAME, Reference, Shape

KINDS = ("greeting", "offer", "message")
_MOST_MONEY = 1e9


@dataclass(frozen=True, slots=True)
class Sayable:
    """One action: `value`, `reward` and `cost` are in the strategy's currency, `propensity` is its prior."""

    id: str
    kind: str
    intents: tuple[str, ...]
    group: str
    tags: tuple[str, ...]
    value: float
    reward: float
    cost: float
    propensity: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which actions are meant: within a part any one fits, and every part that is not empty must fit."""

    ids: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    intents: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def means(self, action: Sayable) -> bool:
        """Say whether an action is meant."""
        return (
            (not self.ids or action.id in self.ids)
            and (not self.kinds or action.kind in self.kinds)
            and (not self.intents or not set(self.intents).isdisjoint(action.intents))
            and (not self.groups or action.group in self.groups)
            and (not self.tags or not set(self.tags).isdisjoint(action.tags))
        )


def sayables(documents: Documents) -> tuple[Sayable, ...]:
    """Return the actions that bear an id, in the order of the documents, each id once."""
    unused: list[Problem] = []
    found = (_sayable(record) for record in section_records(documents, "actions", "action", unused))
    by_id: dict[str, Sayable] = {}
    for action in found:
        by_id.setdefault(action.id, action)
    by_id.pop("", None)
    return tuple(by_id.values())


def _sayable(record: Record) -> Sayable:
    return Sayable(
        id=record.text("id", ""),
        kind=record.text("kind", ""),
        intents=record.texts("intents"),
        group=record.text("group", ""),
        tags=record.texts("tags"),
        value=record.number("value", 0.0, 0.0, _MOST_MONEY),
        reward=record.number("reward", 0.0, 0.0, _MOST_MONEY),
        cost=record.number("cost", 0.0, 0.0, _MOST_MONEY),
        propensity=record.number("propensity", 0.0, 0.0, 1.0),
    )


def read_chosen(record: Record, key: str, actions: tuple[Sayable, ...]) -> Chosen:
    """Return which actions are meant under a key, all where there is none; it must mean one at least."""
    parts = record.record(key, f"`{key}` selector", "")
    if parts is None:
        return Chosen()
    before = len(record.problems)
    known = {
        "ids": ("action", [action.id for action in actions]),
        "kinds": ("kind", list(KINDS)),
        "intents": ("intent of an action", [intent for action in actions for intent in action.intents]),
        "groups": ("group of an action", [action.group for action in actions if action.group]),
        "tags": ("tag of an action", [tag for action in actions for tag in action.tags]),
    }
    chosen = Chosen(**{name: parts.values(name, _one(*of, actions), parts.has(name)) for name, of in known.items()})
    _check_all(parts, known)
    parts.rest_is_refused()
    if actions and len(record.problems) == before and not any(map(chosen.means, actions)):
        record.refuse(f"no action is meant by `{key}`; change the selector, or remove it", key)
    return chosen


def _one(what: str, names: list[str], actions: tuple[Sayable, ...]) -> Shape[str]:
    """Return the shape of a name that actions bear; without actions, a problem of its own, any will do."""
    return Reference(tuple(dict.fromkeys(names)), what) if actions else NAME


def _check_all(parts: Record, known: dict[str, tuple[str, list[str]]]) -> None:
    others = [key for key in known if key in parts.node.nodes]
    if parts.has("all") and (not parts.flag("all") or others):
        parts.refuse("`all` stands alone and is true; remove it or write {all: true}", "all")
    elif not parts.node.nodes:
        parts.refuse(f"the {parts.what} is empty; write a selector such as {{intents: [upsell]}}, or {{all: true}}")
