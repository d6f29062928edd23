"""Read what a case wants: what the customer gets, what must be held back, and which rule is the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.records import Record
from models.shapes import Duration, Misfit, Reference, Shape, Text
from models.trees import Items, Mapping, Node
from service.cases.case import NOTHING, Wanted
from service.cases.due import WHY_NOT
from service.cases.facts import Near
from service.core.decision import ReasonCode
from service.core.rules import Kind, Selector
from service.core.strategy import Strategy

HELD_BACK = "not"
_KEYS = "write `gets:` with an action or nothing, or `not:` with actions that must be held back"
_PARTS = ("ids", "kinds", "intents", "groups", "tags")


def kebab(code: ReasonCode) -> str:
    """Return how a case names a reason that has no rule, such as no-consent."""
    return code.name.lower().replace("_", "-")


def read_wanted(record: Record, strategy: Strategy, channel: str, placements: tuple[str, ...], now_ms: int) -> Wanted:
    """Return what is wanted; something must be, what is held back needs its reason, and all of it words there."""
    gets = _gets(record, strategy, placements)
    held_back = _held_back(record, strategy) if record.has(HELD_BACK) else None
    if channel and placements:
        for placement, action in gets.items():
            _check_words(record, strategy, "gets", (action,) if action else (), channel, (placement,))
        named = held_back.ids if held_back else ()
        _check_words(record, strategy, HELD_BACK, named, channel, placements)
    if not record.has("gets") and held_back is None:
        record.refuse(f"the case wants nothing; {_KEYS}")
    if held_back is not None and not record.has("because"):
        record.refuse("`not` has no `because`; name the rule that holds these actions back", HELD_BACK)
    because = record.reference("because", _reasons(strategy), "rule") if record.has("because") else ""
    until_ms = record.value("until", _Until(now_ms), None, None) if record.has("until") else None
    words = _words(record)
    if words and not record.has("gets"):
        record.refuse("`words` are those of what is said, and the case has no `gets`; name the action", "words")
    return Wanted(gets, held_back, because, until_ms, words)


def read_why_not(record: Record) -> Wanted:
    """Return why a trigger must not be due, where the case says that; nothing is decided then."""
    because = record.reference("because", WHY_NOT, "reason for which it is not due") if record.has("because") else ""
    return Wanted({}, None, because, None, ())


def _reasons(strategy: Strategy) -> list[str]:
    """Return the ids of all rules, and the names of reasons that come from none."""
    rules: Iterable[object] = (
        *strategy.guardrails, *strategy.eligibility, *strategy.caps, *strategy.cool_offs, *strategy.promises,
    )  # fmt: skip
    ids = [str(getattr(rule, "id", "")) for rule in rules]
    return [*ids, *(kebab(code) for code in ReasonCode)]


def _gets(record: Record, strategy: Strategy, placements: tuple[str, ...]) -> dict[str, str]:
    """Return the wanted action by placement, empty for nothing."""
    if not record.has("gets"):
        return {}
    node = record.node.nodes["gets"]
    actions = Reference([*(action.id for action in strategy.actions), NOTHING], "action")
    if not isinstance(node, Mapping):
        if len(placements) > 1:
            record.refuse("`gets` names one action for several placements; write {placement: action} pairs", "gets")
        return dict.fromkeys(placements[:1], _silent(record.text("gets", None, actions)))
    found = {}
    each = Record(node, "`gets` mapping", record.problems)
    for placement in placements:
        if each.has(placement):
            found[placement] = _silent(each.text(placement, None, actions))
    each.rest_is_refused()
    return found


def _silent(action: str) -> str:
    return "" if action == NOTHING else action


def _held_back(record: Record, strategy: Strategy) -> Selector:
    """Return the actions that must be held back: a list of ids, or a selector as rules have them."""
    ids = Reference([action.id for action in strategy.actions], "action")
    if isinstance(record.node.nodes[HELD_BACK], Items):
        return Selector(ids=record.values(HELD_BACK, ids, required=True))
    parts = record.record(HELD_BACK, "selector", "write a list of actions, or a selector such as {kinds: [offer]}")
    if parts is None:
        return Selector()
    known: dict[str, list[str]] = {
        "ids": [action.id for action in strategy.actions],
        "kinds": [kind.value for kind in Kind],
        "intents": [intent for action in strategy.actions for intent in action.intents],
        "groups": [action.group for action in strategy.actions if action.group],
        "tags": [tag for action in strategy.actions for tag in action.tags],
    }
    names = {key: parts.values(key, Reference(known[key], key[:-1]), parts.has(key)) for key in _PARTS}
    kinds = tuple(Kind(kind) for kind in names.pop("kinds") if kind in set(Kind))
    parts.rest_is_refused()
    return Selector(kinds=kinds, **names)


def _check_words(
    record: Record, strategy: Strategy, key: str, actions: tuple[str, ...], channel: str, placements: tuple[str, ...]
) -> None:
    """Refuse actions that have no words there: what can never be said is held back by nothing."""
    where = {(channel, placement) for placement in placements}
    sayable = {a.id for a in strategy.actions if where & {(t.channel, t.placement) for t in a.treatments}}
    for action in actions:
        if action not in sayable:
            wanted = "name an action that could be said there"
            record.refuse(f"`{action}` has no words for {channel}/{', '.join(placements)}; {wanted}", key)


def _words(record: Record) -> tuple[str, ...]:
    """Return texts that the answer must hold: one, or a list of them."""
    shape: Shape[str] = Text()
    if record.leaf("words") is not None:
        return (record.text("words", None, shape),)
    return record.values("words", shape, required=record.has("words"))


@dataclass(frozen=True, slots=True)
class _Until:
    """When something ends, in ms from now: a time span, or a moment."""

    now_ms: int
    wanted: str = "write a time from now such as 4d, or a moment with its zone"

    def read(self, node: Node) -> int:
        """See models.shapes.Shape."""
        try:
            return Duration(self.wanted).read(node)
        except Misfit:
            return Near(self.now_ms, self.wanted).read(node) - self.now_ms
