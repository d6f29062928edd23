"""What was found of the chain of the log, to the messages of the contract, and anchors from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from service.core.chain_walk import Fault, Found, Wrong
from service.core.chained import Link, Place, Stream
from service.errors import InvalidArgument, Violation
from service.rpc.checks import Findings, Refused, check_most, moment_ms, timestamp
from service.rpc.convert_log import BUCKETS
from tact.v1 import log_pb2 as pb

Anchors: TypeAlias = Mapping[tuple[int, Stream], Link]
"""What was noted of chains, by bucket and stream."""

_CHAINS = {Stream.DECISIONS: pb.LOG_CHAIN_DECISIONS, Stream.OUTCOMES: pb.LOG_CHAIN_OUTCOMES}
_STREAMS = {chain: stream for stream, chain in _CHAINS.items()}
_KINDS = {wrong: pb.LogFaultKind.Value(f"LOG_FAULT_KIND_{wrong.name}") for wrong in Wrong}

_WRONGS = {kind: wrong for wrong, kind in _KINDS.items()}


def anchors_of(request: pb.VerifyLogRequest) -> Anchors:
    """Return what the log is held against; raise `InvalidArgument` with what is wrong."""
    found, anchors = Findings(), dict[tuple[int, Stream], Link]()
    check_most("anchors", len(request.anchors), BUCKETS * len(_STREAMS))
    for place, one in enumerate(request.anchors):
        path = f"anchors[{place}]"
        if not 0 <= one.bucket < BUCKETS:
            found.add(f"{path}.bucket", f"is {one.bucket}; there are 0 to {BUCKETS - 1:,}.")
        if (stream := _STREAMS.get(one.chain)) is None:
            found.add(f"{path}.chain", "is none; send DECISIONS or OUTCOMES.")
            continue
        if (link := Link.parse(one.head.encode())) is None:
            found.add(f"{path}.head", "is no head; send it as it was told, 40 hexadecimal digits and an id.")
            continue
        if (one.bucket, stream) in anchors:
            found.add(path, "is a chain once more; name each once.")
        anchors[one.bucket, stream] = link
    found.end()
    return anchors


def unlinked_ms(request: pb.VerifyLogRequest) -> int:
    """Return up to when entries without a link are no fault (ms); raise `InvalidArgument` where it is no moment."""
    try:
        return moment_ms(request.unlinked_until) if request.HasField("unlinked_until") else 0
    except Refused as refused:
        raise InvalidArgument.of([Violation("unlinked_until", str(refused))]) from None


def request_message(anchors: Anchors, unlinked: int) -> pb.VerifyLogRequest:
    """Return the request to hold the log against anchors, and to let pass what has no link up to a moment (ms)."""
    noted = [
        pb.LogAnchor(bucket=bucket, chain=_CHAINS[stream], head=str(link)) for (bucket, stream), link in anchors.items()
    ]
    return pb.VerifyLogRequest(anchors=noted, unlinked_until=timestamp(unlinked) if unlinked else None)


def found_of(one: pb.VerifiedChain) -> tuple[Stream, Found] | None:
    """Return what was told of a chain; None for a chain that this version knows nothing of."""
    stream = _STREAMS.get(one.chain)
    faults = [Fault(Place.parse(bad.entry_id), _WRONGS.get(bad.kind, Wrong.CHANGED)) for bad in one.faults]
    found = Found(Link.parse(one.head.encode()), one.entries, one.erased, one.unchained, faults, one.more_faults)
    found.compared = one.anchored
    return None if stream is None else (stream, found)


def bucket_message(bucket: int, found: Mapping[Stream, Found], anchors: Anchors) -> pb.VerifyLogResponse:
    """Return what was found of a bucket, without chains in which there is nothing and never was."""
    told = (one for one in found.items() if not one[1].nothing or (bucket, one[0]) in anchors)
    return pb.VerifyLogResponse(bucket=bucket, chains=[chain_message(*one) for one in told])


def chain_message(stream: Stream, found: Found) -> pb.VerifiedChain:
    """Return what was found of a chain."""
    return pb.VerifiedChain(
        chain=_CHAINS[stream],
        head="" if found.head is None else str(found.head),
        entries=found.entries,
        erased=found.erased,
        unchained=found.unchained,
        anchored=found.compared,
        faults=[pb.LogFault(entry_id=str(one.at), kind=_KINDS[one.wrong]) for one in found.faults],
        more_faults=found.untold,
    )
