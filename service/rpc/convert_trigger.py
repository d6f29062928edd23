"""Moments of triggers to core values and back."""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.core.due import Name, Sendable, State, Waiting
from service.core.triggers import LONGEST_KEY
from service.rpc import checks
from service.rpc.checks import MAX_BATCH, MAX_CUSTOMER_BYTES, Findings, timestamp
from service.rpc.edge import Edge
from tact.v1 import trigger_pb2 as pb
from tact.v1.decision_pb2 import DecideResponse
from tact.v1.rights_pb2 import ExportedMoment, ExportItem

DEFAULT_MOST, DEFAULT_LEASE_S = 100, 60
LONGEST_LEASE_S = 3_600
MAX_TRIGGER_BYTES = 128
MAX_LOAN_BYTES = 32
_LOAN = re.compile(r"[0-9]{1,16}\.[0-9]{3}")
_RESULTS = (pb.MOMENT_RESULT_SAID, pb.MOMENT_RESULT_FAILED, pb.MOMENT_RESULT_REFUSED)


def subscription_of(request: pb.SubscribeRequest, edge: Edge) -> tuple[int, float]:
    """Return how many moments a consumer has at most, and for how many seconds; raise `InvalidArgument`."""
    found = Findings()
    _check_channel(found, request.channel, edge)
    most = _most(found, request.most)
    lease_s = request.lease_seconds or DEFAULT_LEASE_S
    if not 1 <= lease_s <= LONGEST_LEASE_S:
        found.add("lease_seconds", f"is {lease_s}; send 1 to {LONGEST_LEASE_S:,}, or 0 for {DEFAULT_LEASE_S}.")
    found.end()
    return most, float(lease_s)


def dead_of(request: pb.ListDeadMomentsRequest, edge: Edge) -> int:
    """Return how many dead moments are asked for at most; raise `InvalidArgument`."""
    found = Findings()
    _check_channel(found, request.channel, edge)
    most = _most(found, request.most)
    if request.customer_id:
        checks.check_id(found, "customer_id", request.customer_id, MAX_CUSTOMER_BYTES)
    found.end()
    return most


def acknowledged_of(request: pb.AcknowledgeRequest, edge: Edge) -> tuple[tuple[Name, str, int], ...]:
    """Return the moments that are acknowledged, each with loan and result; raise `InvalidArgument`."""
    checks.check_batch("acknowledgements", len(request.acknowledgements))
    found = Findings()
    _check_channel(found, request.channel, edge)
    told = tuple(
        _acknowledged(found, f"acknowledgements[{place}]", one, request.channel)
        for place, one in enumerate(request.acknowledgements)
    )
    found.end()
    return told


def released_of(request: pb.ReleaseDeadMomentsRequest, edge: Edge) -> tuple[Name, ...]:
    """Return the dead moments that are released; raise `InvalidArgument` with every bad field."""
    checks.check_batch("moments", len(request.moments))
    found = Findings()
    _check_channel(found, request.channel, edge)
    named = tuple(_name(found, f"moments[{place}]", one, request.channel) for place, one in enumerate(request.moments))
    found.end()
    return named


def moment_message(sendable: Sendable, answer: bytes, lease_s: float) -> pb.SubscribeResponse:
    """Return a moment as it is sent, with what is to be said as the answer of `Decide`."""
    lent, until_ms = sendable.lent, float(sendable.lent.loan)
    moment = pb.DueMoment(
        name=name_message(lent.name),
        loan=lent.loan,
        loan_until=timestamp(int(until_ms)),
        sent_at=timestamp(int(until_ms - 1000 * lease_s)),
        armed_at=timestamp(lent.state.begun[0].at_ms),
        due_at=timestamp(sendable.due_ms),
        delivery=sendable.delivery,
        decision=DecideResponse.FromString(answer),
    )
    return pb.SubscribeResponse(moment=moment)


def dead_message(dead: Iterable[Waiting]) -> pb.ListDeadMomentsResponse:
    """Return moments that nobody could finish."""
    moments = (
        pb.DeadMoment(
            name=name_message(one.name),
            armed_at=timestamp(one.state.begun[0].at_ms) if one.state.begun else None,
            since=timestamp(one.since_ms),
            decision_id=one.state.decision,
        )
        for one in dead
    )
    return pb.ListDeadMomentsResponse(moments=moments)


def exported_moment(customer: str, trigger: str, key: str, state: State) -> ExportItem:
    """Return what is kept of a trigger and key of one id, as an export tells it."""
    moment = ExportedMoment(
        customer_id=customer,
        trigger_id=trigger,
        key=key,
        begun_at=[timestamp(one.at_ms) for one in state.begun],
        ended_at=timestamp(state.ended_ms) if state.ended_ms else None,
        done_until=timestamp(state.done_ms) if state.done_ms else None,
        done=state.how,
        due_at=timestamp(state.due_ms) if state.due_ms else None,
        sent=state.sent,
        decision_id=state.decision,
        channel=state.channel,
    )
    return ExportItem(moment=moment)


def name_message(name: Name) -> pb.MomentName:
    """Return the name of a moment as the contract writes it."""
    return pb.MomentName(customer_id=name.customer, trigger_id=name.trigger, key=name.key)


def _check_channel(found: Findings, channel: str, edge: Edge) -> None:
    known = edge.vocabulary.placements
    if channel not in known:
        what = f"is unknown: {checks.shown(channel)}" if channel else "is required"
        found.add("channel", f"{what}; the strategy has: {checks.listed(known)}.")


def _most(found: Findings, asked: int) -> int:
    most = asked or DEFAULT_MOST
    if not 1 <= most <= MAX_BATCH:
        found.add("most", f"is {most}; send 1 to {MAX_BATCH:,}, or 0 for {DEFAULT_MOST}.")
    return most


def _acknowledged(found: Findings, path: str, one: pb.Acknowledgement, channel: str) -> tuple[Name, str, int]:
    if not one.HasField("name"):
        found.add(f"{path}.name", "is required.")
    name = _name(found, f"{path}.name", one.name, channel)
    checks.check_id(found, f"{path}.loan", one.loan, MAX_LOAN_BYTES)
    if one.loan and not _LOAN.fullmatch(one.loan):
        found.add(f"{path}.loan", "is none that `Subscribe` gave; give it back as it was.")
    if one.result not in _RESULTS:
        found.add(f"{path}.result", f"is {one.result}; send MOMENT_RESULT_SAID, _FAILED or _REFUSED.")
    return name, one.loan, one.result


def _name(found: Findings, path: str, name: pb.MomentName, channel: str) -> Name:
    checks.check_id(found, f"{path}.customer_id", name.customer_id, MAX_CUSTOMER_BYTES)
    checks.check_id(found, f"{path}.trigger_id", name.trigger_id, MAX_TRIGGER_BYTES)
    if len(name.key.encode()) > LONGEST_KEY:
        found.add(f"{path}.key", f"has more than {LONGEST_KEY} bytes; give it back as it was.")
    return Name(name.customer_id, name.trigger_id, name.key, channel)
