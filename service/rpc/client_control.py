"""The part of our own client for operators: `client.control`."""

from __future__ import annotations

import grpc

from service.rpc.calling import Answer, answer_to
from tact.v1 import control_pb2, control_pb2_grpc

SWITCH_WITHIN_S = 30.0


class ControlClient:
    """Asks one process for its status, and switches for all of them."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._control = control_pb2_grpc.ControlServiceStub(channel)
        self._timeout_s = timeout_s

    async def status(self) -> Answer:
        """Return what the process says of itself."""
        return await answer_to(self._control.GetStatus(control_pb2.GetStatusRequest(), timeout=self._timeout_s))

    async def switches(self) -> Answer:
        """Return what is switched off."""
        return await answer_to(self._control.ListSwitches(control_pb2.ListSwitchesRequest(), timeout=self._timeout_s))

    async def switch_off(
        self, action_id: str | None, because: str, by: str = "", *, even_unknown: bool = False
    ) -> Answer:
        """Switch an action off, or everything (no action); it holds everywhere when this returns.

        `even_unknown` takes ids that the strategy in force does not have, as of an action of an earlier one.
        """
        return await self._switch(action_id, control_pb2.SWITCH_STATE_OFF, because, by, even_unknown=even_unknown)

    async def switch_on(self, action_id: str | None, by: str = "") -> Answer:
        """Switch an action on again, or everything (no action)."""
        return await self._switch(action_id, control_pb2.SWITCH_STATE_ON, "", by)

    async def _switch(
        self,
        action_id: str | None,
        state: control_pb2.SwitchState.ValueType,
        because: str,
        by: str,
        *,
        even_unknown: bool = False,
    ) -> Answer:
        asked = control_pb2.SetSwitchRequest(state=state, because=because, by=by, even_unknown=even_unknown)
        if action_id is None:
            asked.everything = True
        else:
            asked.action_id = action_id
        return await answer_to(self._control.SetSwitch(asked, timeout=max(self._timeout_s, SWITCH_WITHIN_S)))
