"""The part of our own client that asks for what a person may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from service.rpc.calling import Answer, CallFailed, answer_to
from service.rpc.plain import plain
from tact.v1 import rights_pb2, rights_pb2_grpc

ERASE_WITHIN_S = 60.0


class RightsClient:
    """Tells and removes what is kept about a person."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._rights = rights_pb2_grpc.RightsServiceStub(channel)
        self._timeout_s = timeout_s

    async def export(self, customer_id: str) -> AsyncIterator[tuple[str, Answer]]:
        """Yield everything that is kept about a person: the kind of each item and the item.

        Raises `CallFailed` also when the service ends without having said that this is all.
        """
        call = self._rights.ExportCustomer(rights_pb2.ExportCustomerRequest(customer_id=customer_id))
        kind = ""
        try:
            async for item in call:
                kind = item.WhichOneof("item") or "unknown"
                yield kind, plain(item).get(kind, {})
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()
        if kind != "end":
            raise CallFailed("DATA_LOSS", "The export ended before it was complete; begin again.", ())

    async def erase(self, customer_id: str, *, rewrite: bool = False) -> Answer:
        """Remove everything that is kept about a person; return what was removed."""
        asked = rights_pb2.EraseCustomerRequest(customer_id=customer_id, rewrite_append_only_file=rewrite)
        return await answer_to(self._rights.EraseCustomer(asked, timeout=max(self._timeout_s, ERASE_WITHIN_S)))
