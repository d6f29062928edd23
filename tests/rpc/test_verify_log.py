"""LogService.VerifyLog end to end: whether the log is as it was written is told, and nothing of what stands in it."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from redis import Redis

from service.core.chain_walk import Found, Wrong
from service.core.chained import Link, Stream
from service.rpc.client import CallFailed, TactClient
from service.rpc.convert_chain import Anchors
from service.store import keys
from service.store.chain import key_of
from tact.v1 import log_pb2 as pb
from tact.v1 import log_pb2_grpc
from tests.rpc.test_rights import live, world
from tests.store.chained import copied, flip, namesakes, put_back

DECISIONS, OUTCOMES = pb.LOG_CHAIN_DECISIONS, pb.LOG_CHAIN_OUTCOMES
BUCKET = int(keys.bucket("anna"), 16)


async def verified(client: TactClient, anchors: Anchors | None = None) -> dict[tuple[int, Stream], Found]:
    """Return what was found of each chain."""
    return {
        (bucket, stream): found
        async for bucket, chains in client.log.verify(anchors or {})
        for stream, found in chains.items()
    }


async def test_a_whole_log_is_told_to_be_that(clean_store_url: str) -> None:
    """Of every chain that there is: its head, how many entries are as they were, and how many an erasure took."""
    async with world(clean_store_url) as at:
        for customer in namesakes(3):
            await live(at.client, customer)
        await at.store.rights.erase(namesakes(3)[1])
        found = await verified(at.client)
        again = await verified(at.client, {place: one.head for place, one in found.items() if one.head})
    assert set(found) == {(BUCKET, Stream.DECISIONS), (BUCKET, Stream.OUTCOMES)}
    for place, one in found.items():
        assert (one.entries, one.erased, one.unchained, one.faults, one.compared) == (2, 1, 0, [], False)
        assert again[place].compared


async def test_a_flipped_bit_is_told_with_its_place(clean_store_url: str) -> None:
    """A bit of an entry in the store, changed behind the service's back, is told with its bucket and its entry."""
    async with world(clean_store_url) as at:
        for customer in namesakes(3):
            await live(at.client, customer)
        place = (BUCKET, Stream.DECISIONS)
        before = await copied(at.store.chain, key_of(*place))
        entry: Any = before.items[1]
        number = next(n for n, (name, _) in enumerate(entry.fields) if name == b"e")
        spoilt = list(entry.fields)
        spoilt[number] = (b"e", flip(spoilt[number][1], 77))
        with Redis.from_url(clean_store_url) as raw:
            put_back(raw, before.having(1, type(entry)(entry.at, tuple(spoilt))))
        found = await verified(at.client)
        assert [(one.at, one.wrong) for one in found[place].faults] == [(entry.at, Wrong.CHANGED)]
        assert not found[BUCKET, Stream.OUTCOMES].faults
        with Redis.from_url(clean_store_url) as raw:
            raw.delete(*raw.scan_iter("tact:*"))
        anchor = Link.parse(before.head)
        assert anchor is not None
        found = await verified(at.client, {place: anchor})
        assert [(one.at, one.wrong) for one in found[place].faults] == [(anchor.at, Wrong.CUT)]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (
            pb.VerifyLogRequest(anchors=[pb.LogAnchor(bucket=1024, chain=DECISIONS, head="a" * 40 + "1-1")]),
            "anchors[0].bucket",
        ),
        (
            pb.VerifyLogRequest(anchors=[pb.LogAnchor(bucket=-1, chain=DECISIONS, head="a" * 40 + "1-1")]),
            "anchors[0].bucket",
        ),
        (pb.VerifyLogRequest(anchors=[pb.LogAnchor(bucket=1, head="a" * 40 + "1-1")]), "anchors[0].chain"),
        (
            pb.VerifyLogRequest(anchors=[pb.LogAnchor(bucket=1, chain=OUTCOMES, head="a" * 39 + "1-1")]),
            "anchors[0].head",
        ),
        (
            pb.VerifyLogRequest(anchors=[pb.LogAnchor(bucket=1, chain=OUTCOMES, head="a" * 40 + "1-1")] * 2),
            "anchors[1]",
        ),
        (pb.VerifyLogRequest(unlinked_until=Timestamp(nanos=-1)), "unlinked_until"),
    ],
    ids=["no bucket", "below the first", "no chain", "no head", "twice", "no moment"],
)
async def test_bad_requests_are_refused_by_field(store_url: str, request_: pb.VerifyLogRequest, field: str) -> None:
    """What is no anchor is refused before anything is looked at, with the field that is wrong."""
    async with world(store_url) as at, grpc.aio.insecure_channel(at.client._target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await log_pb2_grpc.LogServiceStub(channel).VerifyLog(request_).read()
        bad = CallFailed.of(failed.value)
    assert bad.code == "INVALID_ARGUMENT"
    assert [one.field for one in bad.violations] == [field]
