"""Requests for decisions to core requests: the twin of service/rpc/_requests.c. Fields are read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from models.clock import BUILT_IN
from models.contact import OF_CONTACTS
from models.context import Scalar
from service.core.decision import Request
from service.core.explained import Depth
from service.rpc import checks
from tact.v1 import decision_pb2 as pb

if TYPE_CHECKING:  # the edge holds what reads its requests
    from service.rpc.edge import Limits, Vocabulary

MAX_PLACEMENTS = 8
MAX_CONTEXT = 64
MAX_KEY_BYTES = 64


class Known(Protocol):
    """What requests are checked against, such as an edge."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the strategy."""
        ...

    @property
    def limits(self) -> Limits:
        """What calls may ask for."""
        ...


def request_of(message: pb.DecideRequest, edge: Known) -> Request:
    """Check a request against the strategy and return it; raise `InvalidArgument` with every bad field."""
    found = checks.Findings()
    customer, channel, placements = message.customer_id, message.channel, tuple(message.placements)
    key, request_id = message.idempotency_key, message.request_id
    checks.check_id(found, "customer_id", customer, checks.MAX_CUSTOMER_BYTES)
    if (channel, placements) not in edge.vocabulary.usual:
        _check_place(found, channel, placements, edge.vocabulary)
    context = _context(found, message, edge.vocabulary)
    if key:
        checks.check_length(found, "idempotency_key", key, MAX_KEY_BYTES)
    if request_id:
        checks.check_length(found, "request_id", request_id, MAX_KEY_BYTES)
    as_of = checks.check_as_of(found, message.as_of, edge.limits.allow_as_of) if message.HasField("as_of") else None
    if depth := message.explain_depth:
        _check_depth(found, depth)
    found.end()
    return Request(customer, channel, placements, context, message.explain, key, request_id, as_of, depth)


def _check_depth(found: checks.Findings, depth: int) -> None:
    if depth not in tuple(Depth):
        found.add("explain_depth", f"is no depth: {depth}; send 0 to {max(Depth)}.")


def _check_place(found: checks.Findings, channel: str, placements: tuple[str, ...], words: Vocabulary) -> None:
    known = words.placements.get(channel)
    if known is None:
        what = f"is unknown: {checks.shown(channel)}" if channel else "is required"
        found.add("channel", f"{what}; the strategy has: {checks.listed(words.placements)}.")
    if not 1 <= len(placements) <= MAX_PLACEMENTS:
        found.add("placements", f"has {len(placements)} entries; ask for 1 to {MAX_PLACEMENTS}.")
    elif known is not None and (len(set(placements)) < len(placements) or not known.issuperset(placements)):
        _find_bad_placements(found, channel, placements, known)


def _find_bad_placements(
    found: checks.Findings, channel: str, placements: tuple[str, ...], known: frozenset[str]
) -> None:
    for position, placement in enumerate(placements):
        if placement not in known:
            has = f"channel {checks.shown(channel)} has: {checks.listed(known)}"
            found.add(f"placements[{position}]", f"is unknown: {checks.shown(placement)}; {has}.")
        elif placement in placements[:position]:
            found.add(f"placements[{position}]", f"is asked for twice: {checks.shown(placement)}; ask once.")


def _context(found: checks.Findings, message: pb.DecideRequest, words: Vocabulary) -> dict[int, Scalar]:
    given = message.context
    if not given:
        return {}
    if len(given) > MAX_CONTEXT:
        found.add("context", f"has {len(given)} entries; at most {MAX_CONTEXT} are allowed.")
        return {}
    context: dict[int, Scalar] = {}
    for field_id, value in given.items():
        requested = words.requested.get(field_id)
        if requested is None:
            found.add(checks.entry("context", field_id), _not_requested(field_id, words))
            continue
        try:
            context[requested[0]] = requested[1](value)
        except checks.Refused as refused:
            found.add(checks.entry("context", field_id), str(refused))
    return context


def _not_requested(field_id: str, words: Vocabulary) -> str:
    if field_id in BUILT_IN:
        return "is told by the customer's clock, not by requests; leave it out."
    if field_id in OF_CONTACTS:
        return "is told by what was said before, not by requests; leave it out."
    if field_id in words.supplied:
        return "is what the supply reports, not what requests say; leave it out, or report it."
    if field_id in words.stored:
        return "is filled from events, not from requests; leave it out, or record the event."
    return f"is no field of the strategy; a request can hold: {checks.listed(words.requested)}."
