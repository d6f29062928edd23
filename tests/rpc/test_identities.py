"""Identities through gRPC, on real stores: every call about an alias is answered about the person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from service.rpc.plain import plain
from tact.v1 import context_pb2, outcome_pb2
from tact.v1 import identity_pb2 as pb
from tact.v1.context_pb2_grpc import ContextServiceStub
from tact.v1.identity_pb2_grpc import IdentityServiceStub
from tact.v1.outcome_pb2_grpc import OutcomeServiceStub
from tests.rpc.messages import bad_fields, consent, event
from tests.rpc.world import calling, edge_of, store_at
from tests.service.world import ask, world


@asynccontextmanager
async def channel_at(url: str) -> AsyncIterator[Any]:
    """Yield a channel to the service over a real store."""
    async with store_at(url) as store, calling(edge_of(stores=store)) as channel:
        yield channel


async def test_a_visitor_logs_in_and_out_again(clean_store_url: str) -> None:
    """Linking, showing and unlinking answer with the person, say what changed, and can be repeated."""
    async with channel_at(clean_store_url) as channel:
        stub = IdentityServiceStub(channel)
        linking = pb.LinkIdentityRequest(alias_id="visitor", customer_id="zoë")
        first, again = await stub.LinkIdentity(linking), await stub.LinkIdentity(linking)
        assert (first.newly_linked, again.newly_linked) == (True, False)
        assert first.person == again.person
        assert [(a.alias_id, a.linked_at.seconds > 1_700_000_000) for a in first.person.aliases] == [("visitor", True)]
        for customer in ("visitor", "zoë"):
            shown = await stub.GetIdentities(pb.GetIdentitiesRequest(customer_id=customer))
            assert shown.person == first.person
        undoing = pb.UnlinkIdentityRequest(alias_id="visitor")
        assert (await stub.UnlinkIdentity(undoing)).newly_unlinked
        assert not (await stub.UnlinkIdentity(undoing)).newly_unlinked
        shown = await stub.GetIdentities(pb.GetIdentitiesRequest(customer_id="visitor"))
        assert shown.person == pb.Person(customer_id="visitor")


async def test_context_and_consent_are_the_persons(clean_store_url: str) -> None:
    """Events, consent and context of an alias and of the person are the same, whichever id is named."""
    async with channel_at(clean_store_url) as channel:
        contexts, identities = ContextServiceStub(channel), IdentityServiceStub(channel)
        await contexts.SetConsent(consent(level="full"))
        sent = [event(event_id=f"{n}", customer_id=who) for n, who in enumerate(("c-1", "visitor", "visitor"))]
        await contexts.RecordEvents(context_pb2.RecordEventsRequest(events=sent))
        await identities.LinkIdentity(pb.LinkIdentityRequest(alias_id="visitor", customer_id="c-1"))
        asked = [context_pb2.GetContextRequest(customer_id=who) for who in ("visitor", "c-1")]
        seen = [[f for f in plain(await contexts.GetContext(one))["fields"] if f["state"] == "known"] for one in asked]
        values = [{field["field_id"]: field["value"] for field in fields} for fields in seen]
        for one in values:
            assert one.pop("past.days_since_purchase") < 0  # it runs on between two calls
        assert values[0] == values[1]
        assert values[0]["past.spend"] == 30.0
        withdrawn = context_pb2.SetConsentRequest(
            customer_id="visitor", consent=context_pb2.Consent(level="none", source="call")
        )
        await contexts.SetConsent(withdrawn)
        for who in ("visitor", "c-1"):
            held = await contexts.GetConsent(context_pb2.GetConsentRequest(customer_id=who))
            assert (held.consent.level, held.consent.source) == ("none", "call")


async def test_an_outcome_finds_a_decision_that_was_made_for_an_alias(clean_store_url: str, tmp_path: Any) -> None:  # noqa: ANN401 - a path
    """What came of a decision is recorded whichever id was asked about, also after the link was undone."""
    async with world(clean_store_url, tmp_path) as tact, channel_at(clean_store_url) as channel:
        await tact.seller("cy")
        await tact.store.identities.link("visitor", "cy", 5.0)
        decision = await tact.decider.decide(ask("visitor"), 10.0)
        told = outcome_pb2.Outcome(
            decision_id=decision.decision_id,
            action_id=decision.answers[0].action,
            kind=outcome_pb2.OUTCOME_KIND_ACCEPTED,
        )
        request = outcome_pb2.RecordOutcomesRequest(outcomes=[told])
        for status in (outcome_pb2.OUTCOME_STATUS_STORED, outcome_pb2.OUTCOME_STATUS_REPEATED):
            answer = await OutcomeServiceStub(channel).RecordOutcomes(request)
            assert answer.results[0].status == status
            await tact.store.identities.unlink("visitor")


@pytest.mark.parametrize(
    ("method", "message", "path"),
    [
        ("LinkIdentity", pb.LinkIdentityRequest(customer_id="c"), "alias_id"),
        ("LinkIdentity", pb.LinkIdentityRequest(alias_id="c"), "customer_id"),
        ("LinkIdentity", pb.LinkIdentityRequest(alias_id="a\x00", customer_id="c"), "alias_id"),
        ("LinkIdentity", pb.LinkIdentityRequest(alias_id="a", customer_id="c" * 129), "customer_id"),
        ("UnlinkIdentity", pb.UnlinkIdentityRequest(), "alias_id"),
        ("UnlinkIdentity", pb.UnlinkIdentityRequest(alias_id="a", customer_id="\u202e"), "customer_id"),
        ("GetIdentities", pb.GetIdentitiesRequest(customer_id="  "), "customer_id"),
    ],
)
async def test_bad_ids_are_refused_with_their_path(method: str, message: Any, path: str) -> None:  # noqa: ANN401 - of three types
    """An id that is missing, too long or invisible is refused with its path, and the store is not touched."""
    async with calling(edge_of()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(IdentityServiceStub(channel), method)(message)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(bad_fields(refused.value)) == [path]


async def test_what_cannot_be_linked_is_refused_in_words(clean_store_url: str) -> None:
    """The caller is told which id is in the way and what to do; the words name no customer."""
    async with channel_at(clean_store_url) as channel:
        stub = IdentityServiceStub(channel)
        await stub.LinkIdentity(pb.LinkIdentityRequest(alias_id="visitor", customer_id="zoë"))
        for alias, customer, words in (
            ("other", "other", "the same"),
            ("visitor", "other", "linked to another customer"),
            ("other", "visitor", "itself an alias"),
            ("zoë", "other", "aliases of its own"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.LinkIdentity(pb.LinkIdentityRequest(alias_id=alias, customer_id=customer))
            assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
            said = refused.value.details() or ""
            assert words in said
            assert not any(name in said for name in ("zoë", "visitor"))
