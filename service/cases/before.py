"""Read what went before a case: what was said, how the customer replied, and what is switched off."""

from __future__ import annotations

from models.records import Record, record_of
from models.shapes import Reference
from service.cases.case import Replied, Said
from service.cases.facts import read_facts
from service.core.loader_caps import By
from service.core.memory import NOTHING_OFF, Switched
from service.core.rules import Answered
from service.core.strategy import Strategy

EVERYTHING = "everything"
ACCEPTED = "accepted"
REPLIES: dict[str, Answered | None] = {ACCEPTED: None, **{answer.value: answer for answer in Answered}}


def read_said(record: Record, strategy: Strategy, channel: str, now_ms: int) -> tuple[Said, ...]:
    """Return what was said before, the oldest first; where it is not told, on the channel of the case."""
    said = [_said(one, strategy, channel, now_ms) for one in _listed(record, "said", "earlier contact")]
    return tuple(sorted(said, key=lambda one: -one.ago_ms))


def _said(record: Record, strategy: Strategy, channel: str, now_ms: int) -> Said:
    channels = {one.id: one.placements for one in strategy.channels}
    action = record.reference("action", [one.id for one in strategy.actions], "action")
    ago_ms = record.duration("ago")
    where = record.reference("on", list(channels), "channel") if record.has("on") else channel
    placement = _placement(record, strategy, action, where, channels.get(where, ()))
    shown, clicked = record.flag("shown", True), record.flag("clicked", False)
    then = read_facts(record, "then", strategy.schema, now_ms - ago_ms)
    elsewhere = _is_elsewhere(record, strategy)
    record.rest_is_refused()
    return Said(action, ago_ms, where, placement, shown, clicked, then, elsewhere)


def _is_elsewhere(record: Record, strategy: Strategy) -> bool:
    """Tell whether it was said to somebody else of the household, which needs a strategy that knows households."""
    if not record.has("to") or record.choice("to", By) is not By.HOUSEHOLD:
        return False
    if not strategy.household:
        record.refuse("the strategy has no `household`, so nothing is counted together; remove `to`", "to")
    return True


def _placement(record: Record, strategy: Strategy, action: str, channel: str, known: tuple[str, ...]) -> str:
    if record.has("at"):
        return record.reference("at", known, f"placement of {channel}")
    treatments = (t for one in strategy.actions if one.id == action for t in one.treatments)
    places = [treatment.placement for treatment in treatments if treatment.channel == channel]
    if action and channel and not places:
        record.refuse(f"`{action}` has no words for {channel}; write `on:` with a channel that it has")
    return places[0] if places else ""


def read_replied(record: Record, strategy: Strategy) -> tuple[Replied, ...]:
    """Return the customer's replies before, the oldest first."""
    replied = [_replied(one, strategy) for one in _listed(record, "replied", "earlier reply")]
    return tuple(sorted(replied, key=lambda one: -one.ago_ms))


def _replied(record: Record, strategy: Strategy) -> Replied:
    """Read a reply, such as `{refused: fibre-upgrade, ago: 10d}`."""
    written = [key for key in REPLIES if record.has(key)]
    if len(written) != 1:
        record.refuse(f"the earlier reply has {len(written)} of {', '.join(REPLIES)}; write one, with the action")
    key = written[0] if written else ACCEPTED
    actions = [action.id for action in strategy.actions]
    action = record.reference(key, actions, "action") if written else ""
    ago_ms = record.duration("ago")
    record.rest_is_refused()
    return Replied(action, REPLIES[key], ago_ms)


def read_off(record: Record, strategy: Strategy) -> Switched:
    """Return what is switched off: a list of actions, or everything."""
    if not record.has("switched_off"):
        return NOTHING_OFF
    leaf = record.leaf("switched_off")
    if leaf is not None and leaf.text == EVERYTHING:
        return Switched(everything=True)
    shape = Reference([action.id for action in strategy.actions], "action")
    return Switched(frozenset(record.values("switched_off", shape, required=True)))


def _listed(record: Record, key: str, what: str) -> list[Record]:
    nodes = record.items(key, f"write a list, each {what} after a dash", required=False)
    return [one for node in nodes if (one := record_of(node, what, record.problems))]
