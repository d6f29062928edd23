"""Consents of the contract to records of the store and back."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.records import Agreed, ConsentRecord
from service.core.strategy import ConsentLevel, Strategy
from service.rpc import checks
from service.rpc.checks import MAX_CUSTOMER_BYTES, Findings
from service.rpc.edge import Edge
from service.rpc.origins import ORIGIN
from tact.v1 import context_pb2 as pb

MAX_SOURCE_BYTES = 64


def consent_of(request: pb.SetConsentRequest, edge: Edge, now_ms: int) -> ConsentRecord:
    """Check a consent against the strategy and return it; raise `InvalidArgument` with every bad field."""
    found, consent, words = Findings(), request.consent, edge.vocabulary
    checks.check_id(found, "customer_id", request.customer_id, MAX_CUSTOMER_BYTES)
    if not request.HasField("consent"):
        found.add("consent", "is required.")
    elif consent.level not in words.levels:
        what = f"is unknown: {checks.shown(consent.level)}" if consent.level else "is required"
        found.add("consent.level", f"{what}; the strategy has: {checks.listed(words.levels)}.")
    channels = _contact_channels(found, tuple(consent.contact_channels), words.placements)
    checks.check_length(found, "consent.source", consent.source, MAX_SOURCE_BYTES)
    if checks.has_control_characters(consent.source):
        found.add("consent.source", "holds control characters; leave them out.")
    # Without a moment it is given now by the store's clock, which also says of a moment whether it is in the future: a
    # clock of this process that runs ahead must not hold back the withdrawal that comes next through another.
    given_ms = 0
    if consent.HasField("given_at"):
        given_ms = checks.check_past(found, "consent.given_at", consent.given_at, now_ms)
    found.end()
    return ConsentRecord(consent.level, channels, given_ms, consent.source, origin=ORIGIN.get())


def _contact_channels(found: Findings, channels: tuple[str, ...], known: Mapping[str, object]) -> tuple[str, ...]:
    if len(channels) > len(known):
        found.add("consent.contact_channels", f"has {len(channels)} entries; the strategy has {len(known)} channels.")
        return ()
    for position, channel in enumerate(channels):
        path = f"consent.contact_channels[{position}]"
        if channel not in known:
            found.add(path, f"is unknown: {checks.shown(channel)}; the strategy has: {checks.listed(known)}.")
        elif channel in channels[:position]:
            found.add(path, f"is named twice: {checks.shown(channel)}; name it once.")
    return channels


def consent_message(record: ConsentRecord) -> pb.Consent:
    """Return a stored consent as the contract writes it."""
    return pb.Consent(
        level=record.level,
        contact_channels=record.channels,
        given_at=checks.timestamp(record.given_ms),
        source=record.source,
        arrived_at=checks.timestamp(record.arrived_ms) if record.arrived_ms else None,
    )


def consent_answer(agreed: Agreed, strategy: Strategy) -> pb.GetConsentResponse:
    """Return the consent that holds, with the purposes that it allows under this strategy, and what led to it."""
    record = agreed.consent
    level = level_of(record.level if record else None, strategy)
    return pb.GetConsentResponse(
        consent=consent_message(record) if record else pb.Consent(level=level.id),
        purposes=level.purposes,
        recorded=record is not None,
        history=map(consent_message, agreed.changes),
    )


def level_of(level_id: str | None, strategy: Strategy) -> ConsentLevel:
    """Return a level of the strategy; the lowest for none and for one that the strategy no longer has."""
    return next((level for level in strategy.levels if level.id == level_id), strategy.levels[0])


def customer_of(customer: str) -> str:
    """Check a customer id on its own."""
    found = Findings()
    checks.check_id(found, "customer_id", customer, MAX_CUSTOMER_BYTES)
    found.end()
    return customer
