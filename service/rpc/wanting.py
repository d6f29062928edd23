"""Events that say that something is wanted: what, where and how many."""

from __future__ import annotations

from service.core.strategy import DemandKind, DemandRule
from service.core.supplies import Wanting
from service.rpc.edge import Edge
from tact.v1 import context_pb2 as pb

LONGEST_NAME = 64
MOST_UNITS = 1_000_000_000
_KINDS = {DemandKind.VIEW: Wanting.VIEW, DemandKind.CART: Wanting.CART}


def count_wanted(event: pb.Event, edge: Edge) -> None:
    """Count what a new event wants, by every rule of the strategy that is about it.

    Names of more than 64 characters, and numbers of units below 1 or above a billion, are not counted.
    """
    for rule in edge.vocabulary.wants.get(event.type, ()):
        item = rule.item or _text(event, rule.item_from)
        place = rule.place or _text(event, rule.place_from)
        units = _units(event, rule)
        if 1 <= len(item) <= LONGEST_NAME and len(place) <= LONGEST_NAME and 1 <= units <= MOST_UNITS:
            edge.tally.add(item, place, _KINDS[rule.kind], units)


def _text(event: pb.Event, attribute: str) -> str:
    """Return an attribute's text; empty where the rule names none, or the event has none."""
    return event.attributes[attribute].string_value if attribute in event.attributes else ""


def _units(event: pb.Event, rule: DemandRule) -> int:
    return event.attributes[rule.units_from].int_value if rule.units_from in event.attributes else 1
