"""Whom a caller may ask about, and on which channel, comes from who it is and never from what it asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from service.errors import UnknownCaller
from service.rpc.access.gate import Access, at_hand
from service.rpc.access.roles import MEANS, METHODS, OWN_ONLY
from service.rpc.access.who import WHO, Role
from service.rpc.callers import Callers, SameCallers
from service.rpc.client import Ask, CallFailed, Outcome, TactClient
from tests.edge.access.service import Service, service
from tests.edge.access.world import every_method, path_of, token_of

DENIED = "This caller may not do that, or not about this customer or on this channel."
PERSONS = ("customer_id", "alias_id", "customer_ids", "decision_id")


def ask(customer: str, channel: str = "web", **more: Any) -> Ask:  # noqa: ANN401 - what `Ask` takes
    """Return a question about a customer."""
    return Ask(customer, channel, ("greeting",), **more)


async def failed(work: Coroutine[Any, Any, Any]) -> CallFailed:
    """Return how a call failed, which must."""
    with pytest.raises(CallFailed) as refused:
        await work
    return refused.value


async def test_a_customer_gets_what_is_theirs_and_nothing_else(tmp_path: Path) -> None:
    """A-3: each call of a customer about another one is denied in the same words, whoever that is, item by item in a
    stream; decisions of others are as unknown as those that nobody made; what is their own is answered.
    """
    async with service(tmp_path) as tact, tact.customer("anna") as anna, tact.customer("bert") as bert:
        mine, theirs = await anna.decide(ask("anna")), await bert.decide(ask("bert"))
        await _nothing_of_others(anna, theirs["decision_id"])
        assert (await anna.validate_decision(mine["decision_id"]))["valid"]
        told = await anna.explain_decision(mine["decision_id"], "auditor")
        assert told["explanation"]["depth"] == "customer"
        assert (await anna.set_consent("anna", "service"))["consent"]["level"] == "service"
        assert (await anna.get_consent("anna"))["recorded"]
        greeting = theirs["answers"][0]["greeting"]["action_id"]
        shown = [Outcome(one["decision_id"], greeting, "shown") for one in (theirs, mine)]
        shown.append(Outcome("000" + "2" * 23, greeting, "shown"))
        fates = [one["status"] for one in (await anna.record_outcomes(shown))["results"]]
        assert fates == ["unknown_decision", "stored", "unknown_decision"]
        assert [one["status"] for one in (await bert.record_outcomes(shown[:1]))["results"]] == ["stored"]


async def _nothing_of_others(anna: TactClient, theirs: str) -> None:
    for customer in ("bert", "nobody-there", "ANNA", "anna "):
        for refused in (
            await failed(anna.decide(ask(customer))),
            await failed(anna.get_consent(customer)),
            await failed(anna.set_consent(customer, "service")),
        ):
            assert (refused.code, refused.message) == ("PERMISSION_DENIED", DENIED)
    for channel in ("desk", "email"):
        assert (await failed(anna.decide(ask("anna", channel)))).code == "PERMISSION_DENIED"
    unknown = "000" + "2" * 23
    for call in (anna.validate_decision, anna.explain_decision):
        other, none = await failed(call(theirs)), await failed(call(unknown))
        assert (other.code, other.message) == (none.code, none.message)
        assert other.code == "NOT_FOUND"
    asked = [ask(name, channel) for name, channel in (("bert", "web"), ("anna", "web"), ("anna", "desk"))]
    items = [one async for one in anna.decide_stream(asked)]
    assert [one.get("error", {}).get("code", 0) for one in items] == [7, 0, 7]
    assert items[0]["error"]["message"] == DENIED


async def test_a_customers_other_ids_are_their_own_as_far_as_they_are_linked(tmp_path: Path) -> None:
    """The id in the token is the one to ask with. What was decided for the person is theirs under each linked id, and
    no more once the link is undone.
    """
    async with (
        service(tmp_path) as tact,
        tact.client(token_of(Role.PRIVACY_OFFICER)) as officer,
        tact.customer("anna-phone") as phone,
        tact.customer("anna") as anna,
    ):
        await officer.identities.link("anna-phone", "anna")
        decided = await phone.decide(ask("anna-phone"))
        for client in (phone, anna):
            assert (await client.validate_decision(decided["decision_id"]))["valid"]
        assert (await failed(phone.decide(ask("anna")))).code == "PERMISSION_DENIED"
        await officer.identities.unlink("anna-phone")
        assert (await failed(phone.validate_decision(decided["decision_id"]))).code == "NOT_FOUND"


async def test_each_role_decides_on_its_own_channels(tmp_path: Path) -> None:
    """The desk decides for the desk and the mailer for mail, in calls, streams and batches; an entry names others."""
    both = "  - {name: both, role: email, channels: [email, web], token_sha256: " + "0" * 64 + "}"
    async with (
        service(tmp_path, both) as tact,
        tact.client(token_of(Role.DESKTOP)) as desk,
        tact.client(token_of(Role.EMAIL)) as mailer,
        tact.client(tact.signer.token(tact_role="desktop", tact_channels=["desk", "email"])) as agent,
        tact.client(tact.signer.token(tact_role="desktop", tact_channels=[])) as mute,
    ):
        for client, allowed in ((desk, {"desk"}), (mailer, {"email"}), (agent, {"desk"}), (mute, set[str]())):
            for channel in ("desk", "web", "email"):
                assert await _answered(client, ask("carla", channel)) is (channel in allowed)
        asked = [ask("carla", one, request_id=one) for one in ("email", "web", "desk")]
        batch = [one async for one in mailer.decide_all(asked, run="r")]
        assert [one.get("error", {}).get("code", 0) for one in batch] == [0, 7, 7]


async def _answered(client: TactClient, question: Ask) -> bool:
    (answer,) = [one async for one in client.decide_stream([question])]
    try:
        answer = await client.decide(question)
    except CallFailed as refused:
        answer = {**answer, "refused": refused.code}
    assert ("error" in answer) is (answer.get("refused") == "PERMISSION_DENIED")  # a stream and a call agree
    return "error" not in answer


async def test_the_audit_record_names_who_was_let_in(tmp_path: Path) -> None:
    """What is changed is noted with the caller that the gate knows, whatever the request says; a customer's id is not
    the name of a caller.
    """
    async with (
        service(tmp_path) as tact,
        tact.client(token_of(Role.PRIVACY_OFFICER)) as officer,
        tact.client(token_of(Role.OPERATOR)) as operator,
        tact.customer("anna") as anna,
    ):
        await operator.control.switch_off("fibre-upgrade", "a test", "somebody else")
        await operator.control.switch_on("fibre-upgrade", "somebody else")
        await anna.set_consent("anna", "service")
        told = await _origins(tact, officer, "switch")
        assert {one.partition(" at ")[0] for one in told} == {"operator"}
        consent = [one async for one in officer.audit.read(kinds=("consent",), customer_id="anna")]
        assert consent[0]["record"]["origin"].startswith("login at ")
        await officer.rights.erase("anna")
        assert {one.partition(" at ")[0] for one in await _origins(tact, officer, "erasure")} == {"privacy_officer"}


async def _origins(tact: Service, officer: TactClient, kind: str) -> list[str]:
    read: AsyncIterator[dict[str, Any]] = officer.audit.read(kinds=(kind,))
    return [one["record"]["origin"] async for one in read if "record" in one]


def test_what_names_a_person_is_looked_at() -> None:
    """From the descriptors: each field of a request that names a person or a decision, in a method that a customer may
    call, is one that the tests above ask about another person by. A new one makes this fail.
    """
    asked = {
        (path_of(method).rpartition("/")[2], field)
        for method in every_method()
        if any(MEANS[role].own for role in METHODS[path_of(method)])
        for field in _naming(method.input_type, ())
    }
    assert asked == {
        ("Decide", "customer_id"),
        ("DecideStream", "customer_id"),
        ("ValidateDecision", "decision_id"),
        ("ExplainDecision", "decision_id"),
        ("SetConsent", "customer_id"),
        ("GetConsent", "customer_id"),
        ("RecordOutcomes", "outcomes.decision_id"),
        ("Watch", "question.customer_id"),  # tests/live/watch/test_bounds.py
    }
    assert {name.rpartition("/")[2] for name in OWN_ONLY} == {method for method, _ in asked}


def _naming(message: Descriptor, above: tuple[str, ...]) -> list[str]:
    found = [".".join((*above, one.name)) for one in message.fields if one.name in PERSONS]
    for one in message.fields:
        if one.message_type is not None and len(above) < 4:
            found += _naming(one.message_type, (*above, one.name))
    return found


@pytest.mark.parametrize("work", [lambda a: a.check("anna"), lambda a: a.check_item(), lambda _: at_hand()])
def test_nobody_gets_past_a_gate_that_was_not_asked(work: Callable[[Access], object]) -> None:
    """Where callers are known and none is at hand, a call ends: a gap in the wiring opens nothing."""
    WHO.set(None)
    with pytest.raises(UnknownCaller):
        work(Access(SameCallers(Callers())))
