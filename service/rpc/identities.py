"""IdentityService: who is one person with whom."""

from __future__ import annotations

from service.core.records import Person
from service.rpc.checks import MAX_CUSTOMER_BYTES, Findings, check_id, timestamp
from service.rpc.edge import Current
from tact.v1 import identity_pb2 as pb


class Identities:
    """Answers the calls of IdentityService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def link_identity(self, request: pb.LinkIdentityRequest, deadline_s: float) -> pb.LinkIdentityResponse:
        """Make one id an alias of a customer."""
        _check_ids(alias_id=request.alias_id, customer_id=request.customer_id)
        for one in (request.alias_id, request.customer_id):
            self._current.check(one)
        identities = self._current.edge.stores.identities
        linked = await identities.link(request.alias_id, request.customer_id, deadline_s)
        person = await identities.person(request.customer_id, deadline_s)
        return pb.LinkIdentityResponse(person=_person_message(person), newly_linked=linked)

    async def unlink_identity(self, request: pb.UnlinkIdentityRequest, deadline_s: float) -> pb.UnlinkIdentityResponse:
        """Undo the link of an alias."""
        named = {"customer_id": request.customer_id} if request.customer_id else {}
        _check_ids(alias_id=request.alias_id, **named)
        for one in (request.alias_id, *named.values()):
            self._current.check(one)
        identities = self._current.edge.stores.identities
        return pb.UnlinkIdentityResponse(
            newly_unlinked=await identities.unlink(request.alias_id, request.customer_id, deadline_s)
        )

    async def get_identities(self, request: pb.GetIdentitiesRequest, deadline_s: float) -> pb.GetIdentitiesResponse:
        """Show which ids are one person's."""
        _check_ids(customer_id=request.customer_id)
        self._current.check(request.customer_id)
        person = await self._current.edge.stores.identities.person(request.customer_id, deadline_s)
        return pb.GetIdentitiesResponse(person=_person_message(person))


def _check_ids(**ids: str) -> None:
    found = Findings()
    for field, text in ids.items():
        check_id(found, field, text, MAX_CUSTOMER_BYTES)
    found.end()


def _person_message(person: Person) -> pb.Person:
    aliases = [pb.Alias(alias_id=alias, linked_at=timestamp(at)) for alias, at in person.aliases]
    return pb.Person(customer_id=person.id, aliases=aliases)
