"""What callers are told, and how long: fields by depth, the audit record by role, decisions by channel, and quotas."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from service.core.explained import Depth
from service.errors import UnknownCaller
from service.rpc.access import gate as gates
from service.rpc.access.gate import Access
from service.rpc.access.who import WHO, Caller, Role
from service.rpc.callers import Callers, SameCallers
from service.rpc.client import Ask, CallFailed, Outcome, TactClient
from tests.edge.access.service import Service, service
from tests.edge.access.world import digest, token_of
from tests.rpc.test_callers import Called

UNKNOWN = "000" + "2" * 23


async def failed(work: Any) -> str:  # noqa: ANN401 - any call
    """Return the code that a call ended with, which must have failed."""
    with pytest.raises(CallFailed) as refused:
        await work
    return refused.value.code


def entry(name: str, role: str, more: str = "") -> str:
    """Return a caller of the file whose token is its name."""
    return f"  - {{name: {name}, role: {role}, token_sha256: {digest(name)}{more}}}"


async def _told_by_depth(tact: Service, kiosk: TactClient, full: TactClient) -> None:
    """See that one sees of a customer what its depth allows, and the other everything."""
    shown = {field["field_id"]: field for field in (await kiosk.get_context("anna"))["fields"]}
    seen = {field["field_id"]: field for field in (await full.get_context("anna"))["fields"]}
    depths = tact.running._server._current.edge.depths
    told = depths.told(Depth.CUSTOMER)
    assert told & seen.keys() < seen.keys()
    for name, field in shown.items():
        if name in told:
            assert field["state"] == seen[name]["state"]
        else:
            assert field["state"] == "hidden"
            assert not {"value", "occurred_at", "arrived_at"} & field.keys()


async def test_each_is_told_as_much_as_it_may_hear(tmp_path: Path) -> None:
    """Fields beyond a caller's depth are hidden without value and age; only the privacy officer reads in the record
    about customers; a decision of another channel is as unknown as none; each of these counts as asking about somebody.
    """
    more = "\n".join(
        (entry("kiosk", "desktop", ", depth: customer"), entry("one", "desktop", ", customers_per_hour: 1"),
         entry("officer", "privacy_officer", ", customers_per_hour: 1"),
         entry("feed", "ingest", ", customers_per_hour: 1"))
    )  # fmt: skip
    async with (
        service(tmp_path, more) as tact,
        tact.client("kiosk") as kiosk,
        tact.client("one") as one,
        tact.client("officer") as officer,
        tact.client("feed") as feed,
        tact.client(token_of(Role.PRIVACY_OFFICER)) as full,
        tact.client(token_of(Role.OPERATOR)) as operator,
        tact.client(token_of(Role.DESKTOP)) as desk,
        tact.client(token_of(Role.EMAIL)) as mailer,
    ):
        for name in ("anna", "bert"):
            await full.set_consent(name, "full")
        await _told_by_depth(tact, kiosk, full)
        mine = [(await desk.decide(Ask(name, "desk", ("greeting",))))["decision_id"] for name in ("anna", "bert")]
        await one.validate_decision(mine[0])
        await one.explain_decision(mine[0])
        for call in (one.validate_decision, one.explain_decision):
            assert await failed(call(mine[1])) == "RESOURCE_EXHAUSTED"
            assert await failed(call(UNKNOWN)) == "NOT_FOUND"
        assert await failed(mailer.validate_decision(mine[0])) == "NOT_FOUND"
        outcomes = await mailer.record_outcomes([Outcome(mine[0], "greeting", "shown")])
        assert [result["status"] for result in outcomes["results"]] == ["unknown_decision"]
        assert await failed(officer.identities.link("anna-phone", "anna")) == "RESOURCE_EXHAUSTED"
        assert await failed(officer.identities.unlink("bert-phone")) == "RESOURCE_EXHAUSTED"
        await feed.get_consent("anna")
        assert await failed(feed.get_consent("bert")) == "RESOURCE_EXHAUSTED"
        for kinds, customer in ((("consent",), ""), (("switch",), "anna"), ((), "anna")):
            assert await failed(_read(operator, kinds, customer)) == "PERMISSION_DENIED"
        assert await failed(_read(officer, ("consent",), "bert")) == "RESOURCE_EXHAUSTED"
        await _read(operator, ("switch",), "")
        assert any("record" in one for one in await _read(full, ("consent",), "anna"))


async def _read(client: Any, kinds: tuple[str, ...], customer: str) -> list[dict[str, Any]]:  # noqa: ANN401
    return [one async for one in client.audit.read(kinds=kinds, customer_id=customer)]


async def test_each_entry_of_a_batch_is_a_call(tmp_path: Path) -> None:
    """A batch of five hundred outcomes at twenty a second is taken, and no call for 25 seconds after it."""
    async with service(tmp_path) as tact, tact.customer("anna") as anna:
        await anna.record_outcomes([Outcome(f"{number:026d}", "greeting", "shown") for number in range(500)])
        assert await failed(anna.get_consent("anna")) == "RESOURCE_EXHAUSTED"


async def test_what_only_tells_asks_before_each_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that asked once and is told many things ends where its caller is gone by now."""

    def gone(_: Access) -> None:
        raise UnknownCaller("it is nobody's")

    monkeypatch.setattr(Access, "check_still", gone)
    async with service(tmp_path) as tact, tact.client(token_of(Role.OPERATOR)) as operator:
        assert await failed(_read(operator, ("switch",), "")) == "UNAUTHENTICATED"


def test_a_stream_ends_with_its_caller() -> None:
    """Whoever is taken out of the callers, becomes another, or whose token ends, is noticed at the next message; who
    stays goes on, with what the file says now.
    """
    desk = Caller("desk", Role.DESKTOP, frozenset({"desk"}), Depth.AGENT, identity="desk", until_s=100.0)
    less = Caller("desk", Role.DESKTOP, frozenset(), Depth.CUSTOMER, identity="desk")
    another = Caller("x", Role.PRIVACY_OFFICER, frozenset(), Depth.AUDITOR, identity="x")
    token, wall_s = sha256(b"t").digest(), [0.0]
    known = SameCallers(Callers({token: desk}, {"a.example": desk}))
    access = Access(known, wall_s=lambda: wall_s[0])
    gate = access.gate("tact.v1.DecisionService/DecideStream")
    assert gate is not None
    for call in (Called(("authorization", "Bearer t")), Called(names=("a.example",))):
        known.now = Callers({token: desk}, {"a.example": desk})
        gate(call)
        for check in (access.check_item, access.check_still):
            check()
        known.now = Callers({token: less}, {"a.example": less})
        access.check_still()
        assert WHO.get() is less
        for gone in (Callers(), Callers({token: another}, {"a.example": another})):
            known.now = gone
            for check in (access.check_item, access.check_still):
                with pytest.raises(UnknownCaller):
                    check()
    known.now = Callers({token: desk})
    gate(Called(("authorization", "Bearer t")))
    wall_s[0] = 100.0
    with pytest.raises(UnknownCaller):
        access.check_still()
    assert "Bearer" not in repr(gates._BROUGHT.get())
    assert "'t'" not in repr(gates._BROUGHT.get())
