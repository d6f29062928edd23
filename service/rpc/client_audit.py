"""The part of our own client that reads who changed what: `client.audit`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import grpc

from service.rpc.calling import Answer, CallFailed
from service.rpc.plain import Moment, moment_message, plain
from tact.v1 import audit_pb2 as pb
from tact.v1 import audit_pb2_grpc


class AuditClient:
    """Reads the audit record."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._audit = audit_pb2_grpc.AuditServiceStub(channel)

    async def read(
        self,
        *,
        begin: Moment | None = None,
        until: Moment | None = None,
        kinds: Iterable[str] = (),
        customer_id: str = "",
        after: str = "",
        head: str = "",
    ) -> AsyncIterator[Answer]:
        """Yield the changes, the oldest first, each under `record`, and at last `end`.

        `kinds` are such as `switch`; none stands for all but consents. `head` is what was noted as the head before.
        """
        asked = pb.ReadAuditRequest(after=after, customer_id=customer_id, head=head)
        asked.kinds.extend(pb.AuditKind.Value(f"AUDIT_KIND_{kind.upper()}") for kind in kinds)
        for name, moment in (("from", begin), ("until", until)):
            if moment is not None:
                getattr(asked, name).CopyFrom(moment_message(moment))
        try:
            async for item in self._audit.ReadAudit(asked):
                yield plain(item)
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
