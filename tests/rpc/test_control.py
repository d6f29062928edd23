"""Operators: what they ask is answered from what the process knows, and what they switch is checked first."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from service.core.audit import Who
from service.core.control import EVERYTHING, Switches
from service.errors import TooManySwitches
from service.rpc.client import CallFailed, TactClient
from tact.v1 import control_pb2 as pb
from tact.v1 import control_pb2_grpc
from tests.rpc.world import REFUSED, Controlling, channel_to, edge_of, serving


async def switched(target: str, **asked: Any) -> pb.SetSwitchResponse:  # noqa: ANN401 - any field of the request
    """Send one request as it is."""
    async with channel_to(target) as channel:
        stub: Any = control_pb2_grpc.ControlServiceStub(channel)
        answer: pb.SetSwitchResponse = await stub.SetSwitch(pb.SetSwitchRequest(**asked), timeout=5.0)
        return answer


async def test_the_status_says_what_decides_what_was_refused_and_what_was_counted() -> None:
    """All that the process says of itself arrives, moments and problems included."""
    async with serving(edge_of()) as target, TactClient(target) as client:
        told = await client.control.status()
    assert (told["strategy"], told["model"], told["store"]) == ("small@1", "model@2", "away")
    assert told["refused"]["problems"] == list(REFUSED.problems)
    assert (told["refused"]["what"], told["refused"]["stands"]) == ("strategy", True)
    assert told["counts"] == [{"name": "check.disagreed", "label": "no-upsell", "value": 2}]
    assert told["since"] > told["refused"]["refused_at"]


async def test_switches_are_set_and_listed() -> None:
    """What is switched off is listed with who and why; switched on again, it is gone; repeated, nothing changes."""
    async with serving(edge_of()) as target, TactClient(target) as client:
        first = await client.control.switch_off("greet", "A typing error.", "olga")
        again = await client.control.switch_off("greet", "Another reason.", "bo")
        everything = await client.control.switch_off(None, "An incident.")
        listed = await client.control.switches()
        on = await client.control.switch_on("greet")
    assert (first["changed"], again["changed"], everything["changed"], on["changed"]) == (True, False, True, True)
    assert [(one["action_id"], one["because"], one["by"]) for one in listed["switched_off"]] == [
        (EVERYTHING, "An incident.", ""),
        ("greet", "A typing error.", "olga"),
    ]
    assert [one["action_id"] for one in on["switched_off"]] == [EVERYTHING]


async def test_an_action_that_is_gone_can_be_switched_on_but_not_off() -> None:
    """A strategy may have dropped what is off; what it never had is a typing error, and the nearest id is named."""
    async with serving(edge_of()) as target, TactClient(target) as client:
        assert (await client.control.switch_on("an-action-of-yesterday"))["changed"] is False
        with pytest.raises(CallFailed) as refused:
            await client.control.switch_off("gret", "A typing error.")
    assert refused.value.code == "INVALID_ARGUMENT"
    assert [(bad.field, "did you mean `greet`?" in bad.description) for bad in refused.value.violations] == [
        ("action_id", True)
    ]


async def test_an_action_of_another_version_is_switched_off_when_that_is_meant() -> None:
    """It may still be said under the key of a decision of then; the refusal of an unknown id says how."""
    async with serving(edge_of(), control=(control := Controlling())) as target, TactClient(target) as client:
        with pytest.raises(CallFailed) as refused:
            await client.control.switch_off("an-action-of-yesterday", "A wrong price.")
        assert control.off == {}
        assert "even_unknown" in refused.value.violations[0].description
        assert "--even-unknown" in refused.value.violations[0].description
        told = await client.control.switch_off("an-action-of-yesterday", "A wrong price.", even_unknown=True)
        assert [one["action_id"] for one in told["switched_off"]] == ["an-action-of-yesterday"]
        assert (await client.control.switch_on("an-action-of-yesterday"))["changed"]


OFF, ON = pb.SWITCH_STATE_OFF, pb.SWITCH_STATE_ON
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing-named": ({"state": OFF, "because": "x"}, "switch"),
    "not-everything": ({"everything": False, "state": OFF, "because": "x"}, "everything"),
    "no-state": ({"action_id": "greet", "because": ""}, "state"),
    "unknown-state": ({"action_id": "greet", "state": 9}, "state"),
    "no-reason": ({"action_id": "greet", "state": OFF}, "because"),
    "blank-reason": ({"everything": True, "state": OFF, "because": " \t"}, "because"),
    "reason-to-switch-on": ({"action_id": "greet", "state": ON, "because": "x"}, "because"),
    "long-reason": ({"action_id": "greet", "state": OFF, "because": "x" * 501}, "because"),
    "long-name": ({"action_id": "greet", "state": OFF, "because": "x", "by": "y" * 129}, "by"),
    "controls-in-a-reason": ({"action_id": "greet", "state": OFF, "because": "x\x1b[2J"}, "because"),
    "controls-in-a-name": ({"action_id": "greet", "state": OFF, "because": "x", "by": "a\nb"}, "by"),
    "empty-action": ({"action_id": "", "state": OFF, "because": "x"}, "action_id"),
    "long-action": ({"action_id": "x" * 65, "state": ON}, "action_id"),
    "odd-action": ({"action_id": "a\x00b", "state": ON}, "action_id"),
    "odd-unknown-action": ({"action_id": "*", "state": OFF, "because": "x", "even_unknown": True}, "action_id"),
    "long-unknown-action": ({"action_id": "x" * 65, "state": OFF, "because": "x", "even_unknown": True}, "action_id"),
    "no-unknown-action": ({"action_id": "", "state": OFF, "because": "x", "even_unknown": True}, "action_id"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_request_switches_nothing(name: str) -> None:
    """It is refused with the field that is wrong, and nothing is switched."""
    asked, field = BAD[name]
    control = Controlling()
    async with serving(edge_of(), control=control) as target:
        async with TactClient(target) as client:
            await client.control.switches()  # the server is there
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await switched(target, **asked)
    assert field in {bad.field for bad in CallFailed.of(refused.value).violations}
    assert control.off == {}


async def test_the_star_is_no_way_to_everything() -> None:
    """The store's own name for everything is no action."""
    async with serving(edge_of(), control=(control := Controlling())) as target, TactClient(target) as client:
        for name in ("*", "#", "="):
            with pytest.raises(CallFailed, match="INVALID_ARGUMENT"):
                await client.control.switch_off(name, "Trying.")
            with pytest.raises(CallFailed, match="INVALID_ARGUMENT"):
                await client.control.switch_on(name)
    assert control.off == {}


async def test_a_switch_that_may_not_hold_is_not_acknowledged() -> None:
    """With the store away the call fails as one to be repeated."""
    async with (
        serving(edge_of(), control=Controlling(fails=True)) as target,
        TactClient(target, timeout_s=5.0) as client,
    ):
        with pytest.raises(CallFailed, match="UNAVAILABLE"):
            await client.control.switch_off("greet", "An incident.")


class Crowded(Controlling):
    """A control with no room for another switch."""

    async def set_switch(
        self, action: str, details: tuple[str, str] | None, deadline_s: float, who: Who
    ) -> tuple[Switches, bool]:
        """Refuse."""
        raise TooManySwitches("too much is switched off one by one")


async def test_a_switch_for_which_there_is_no_room_says_so() -> None:
    """The answer says how many there can be, and that everything can still be switched off."""
    async with serving(edge_of(), control=Crowded()) as target, TactClient(target) as client:
        with pytest.raises(CallFailed, match=r"FAILED_PRECONDITION.*1,000 actions.*switch off everything"):
            await client.control.switch_off("greet", "An incident.")


async def test_a_server_that_nobody_controls_says_so() -> None:
    """Its status and switches do not exist, and the answer says whom to ask."""
    async with serving(edge_of(), control=None) as target, TactClient(target) as client:
        with pytest.raises(CallFailed, match=r"FAILED_PRECONDITION.*neither a status nor switches"):
            await client.control.status()
