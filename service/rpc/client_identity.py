"""The part of our own client that links identities: `client.identities`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from tact.v1 import identity_pb2, identity_pb2_grpc

Answered = Callable[[Any], Awaitable[dict[str, Any]]]


class IdentityClient:
    """Calls IdentityService over a channel; `answered` awaits a call and makes its answer, or its failure, plain."""

    def __init__(self, channel: grpc.aio.Channel, answered: Answered, timeout_s: float) -> None:
        self._stub: Any = identity_pb2_grpc.IdentityServiceStub(channel)
        self._answered = answered
        self._timeout_s = timeout_s

    async def link(self, alias_id: str, customer_id: str) -> dict[str, Any]:
        """Make an id an alias of a customer and return the person."""
        asked = identity_pb2.LinkIdentityRequest(alias_id=alias_id, customer_id=customer_id)
        return await self._answered(self._stub.LinkIdentity(asked, timeout=self._timeout_s))

    async def unlink(self, alias_id: str, customer_id: str = "") -> dict[str, Any]:
        """Undo the link of an alias, to whomever or only to one customer."""
        asked = identity_pb2.UnlinkIdentityRequest(alias_id=alias_id, customer_id=customer_id)
        return await self._answered(self._stub.UnlinkIdentity(asked, timeout=self._timeout_s))

    async def of(self, customer_id: str) -> dict[str, Any]:
        """Return the person behind an id, with all aliases."""
        asked = identity_pb2.GetIdentitiesRequest(customer_id=customer_id)
        return await self._answered(self._stub.GetIdentities(asked, timeout=self._timeout_s))
