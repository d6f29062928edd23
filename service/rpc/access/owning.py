"""Whose decision it is: a caller with one customer knows no other's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import UnknownDecision
from service.rpc.access.gate import at_hand

if TYPE_CHECKING:  # the edge knows its callers by this package
    from service.rpc.edge import Current, Edge


async def check_own(current: Current, edge: Edge, decision_id: str, deadline_s: float) -> None:
    """Raise `UnknownDecision` unless whoever calls may ask about the customer of a decision.

    Decisions for an alias stand under the person's id, so one of the same person is the caller's own, too.
    """
    own = at_hand().customer if current.access is not None else None
    if own is None:
        return
    issued = await edge.stores.issued.issued(decision_id, deadline_s)
    if issued is not None and issued.customer == own:
        return
    person = await edge.stores.identities.person(own, deadline_s)  # also for none: how long it takes tells nothing
    if issued is None or issued.customer not in person.identities:
        raise UnknownDecision("there is none, or it is about another customer")
