"""Whose decision it is: a caller with one customer knows no other's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.errors import UnknownDecision
from service.rpc.access.gate import at_hand
from service.rpc.access.roles import MEANS
from service.rpc.access.who import Caller

if TYPE_CHECKING:  # the edge knows its callers by this package
    from service.rpc.edge import Current, Edge


async def check_own(current: Current, edge: Edge, decision_id: str, deadline_s: float) -> None:
    """Raise `UnknownDecision` unless whoever calls may ask about a decision: its customer, and on its channel.

    Decisions for an alias stand under the person's id, so one of the same person is the caller's own, too. Its
    customer counts as asked about; raises `OverQuota` where that is one too many.
    """
    if current.access is None:
        return
    caller = at_hand()
    decides = bool(MEANS[caller.role].channels)
    if not decides and caller.customers_per_hour is None:
        return
    issued = await edge.stores.issued.issued(decision_id, deadline_s)
    if issued is None or (decides and issued.channel not in caller.channels):
        await _same_time(edge, caller, deadline_s)
        raise UnknownDecision("there is none, or it is about another customer or of another channel")
    if caller.customer is None:
        current.access.check(issued.customer)
    elif issued.customer != caller.customer:
        person = await edge.stores.identities.person(caller.customer, deadline_s)
        if issued.customer not in person.identities:
            raise UnknownDecision("it is about another customer")


async def _same_time(edge: Edge, caller: Caller, deadline_s: float) -> None:
    """Ask what is asked where there is a decision, so that how long it takes tells nothing."""
    if caller.customer is not None:
        await edge.stores.identities.person(caller.customer, deadline_s)
