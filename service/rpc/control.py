"""ControlService: what operators ask and switch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from models.bounds import has_control_characters
from models.shapes import nearest
from service.core.audit import Who
from service.core.control import EVERYTHING, Off, RefusedVersion, Status, Switches, Worker
from service.core.strategy import Strategy
from service.errors import NotControlled
from service.rpc.checks import Findings, check_length, shown, timestamp
from service.rpc.edge import Current
from service.rpc.origins import ORIGIN
from service.rpc.ports_operating import Control
from tact.v1 import control_pb2 as pb

MAX_BECAUSE_BYTES = 500
MAX_BY_BYTES = 128
_EVEN_UNKNOWN = " (for an action of another version set even_unknown: `tact switch off --even-unknown`)"
_ACTION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Controls:
    """Answers the calls of ControlService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def get_status(self, request: pb.GetStatusRequest, deadline_s: float) -> pb.GetStatusResponse:
        """Tell what this process serves, refused, counted, and knows to be switched off."""
        return _status_message(self._control().status())

    async def set_switch(self, request: pb.SetSwitchRequest, deadline_s: float) -> pb.SetSwitchResponse:
        """Switch an action or everything off or on, in every process."""
        _check(request, self._current.edge.strategy)
        action = EVERYTHING if request.everything else request.action_id
        details = (request.because, request.by) if request.state == pb.SWITCH_STATE_OFF else None
        switches, changed = await self._control().set_switch(action, details, deadline_s, Who(request.by, ORIGIN.get()))
        return pb.SetSwitchResponse(changed=changed, switched_off=_off_messages(switches))

    async def list_switches(self, request: pb.ListSwitchesRequest, deadline_s: float) -> pb.ListSwitchesResponse:
        """List what is switched off."""
        return pb.ListSwitchesResponse(switched_off=_off_messages(await self._control().switches(deadline_s)))

    def _control(self) -> Control:
        if self._current.control is None:
            raise NotControlled("nobody controls this server")
        return self._current.control


def _check(request: pb.SetSwitchRequest, strategy: Strategy) -> None:
    """Check what to switch: on anything, for its strategy may be gone; off only what the strategy has, unless asked to.

    An action of an earlier strategy may still be said under the key of a decision of then.
    """
    found, is_off = Findings(), request.state == pb.SWITCH_STATE_OFF
    if not is_off and request.state != pb.SWITCH_STATE_ON:
        found.add("state", "says neither on nor off; send SWITCH_STATE_ON or SWITCH_STATE_OFF.")
    match request.WhichOneof("switch"):
        case "action_id":
            _check_action(found, request, [action.id for action in strategy.actions], is_off=is_off)
        case "everything":
            if not request.everything:
                found.add("everything", "is false; name an action_id, or send true.")
        case _:
            found.add("switch", "names nothing; send an action_id, or everything.")
    _check_words(found, request, is_off=is_off)
    found.end()


def _check_action(found: Findings, request: pb.SetSwitchRequest, known: Sequence[str], *, is_off: bool) -> None:
    action = request.action_id
    if action in known:
        return
    if not _ACTION.fullmatch(action):
        found.add("action_id", f"{shown(action)} is no action; {nearest(action, known)}")
    elif is_off and not request.even_unknown:
        meant = nearest(action, known)
        found.add("action_id", f"{shown(action)} is no action of the strategy in force; {meant}{_EVEN_UNKNOWN}")


def _check_words(found: Findings, request: pb.SetSwitchRequest, *, is_off: bool) -> None:
    if is_off and not request.because.strip():
        found.add("because", "is empty; say why it is switched off, for whoever finds it so.")
    if not is_off and request.because:
        found.add("because", "belongs to what is switched off; leave it out.")
    for field, text, most in (
        ("because", request.because, MAX_BECAUSE_BYTES),
        ("by", request.by, MAX_BY_BYTES),
    ):
        check_length(found, field, text, most)
        if has_control_characters(text):
            found.add(field, "has control characters; send plain text.")


def _status_message(status: Status) -> pb.GetStatusResponse:
    return pb.GetStatusResponse(
        strategy=status.strategy,
        model=status.model,
        since=timestamp(status.since_ms),
        refused=_refused_message(status.refused) if status.refused else None,
        counts=[pb.Count(name=one.name, label=one.label, value=one.number) for one in status.counts],
        switched_off=_off_messages(status.switches),
        store=pb.STORE_STATE_AWAY if status.store_away else pb.STORE_STATE_THERE,
        challenger=status.challenger,
        worker=_worker_message(status.worker),
    )


def _worker_message(worker: Worker) -> pb.Worker:
    return pb.Worker(
        number=worker.number,
        of=worker.of,
        starts=worker.starts,
        process_id=worker.process_id,
        memory_bytes=worker.memory_bytes,
    )


def _refused_message(refused: RefusedVersion) -> pb.RefusedVersion:
    return pb.RefusedVersion(
        what=refused.what, problems=refused.problems, refused_at=timestamp(refused.at_ms), stands=refused.stands
    )


def _off_messages(switches: Switches) -> Iterable[pb.SwitchedOff]:
    return [_off_message(one) for one in switches.off]


def _off_message(off: Off) -> pb.SwitchedOff:
    since = timestamp(off.since_ms) if off.since_ms else None
    return pb.SwitchedOff(action_id=off.action, because=off.because, by=off.by, since=since)
