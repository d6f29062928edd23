"""Read a batch of events so that one that cannot be decoded spoils none of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from service.core.cel import wire
from service.errors import InvalidArgument, Violation
from service.rpc.flooding import check_entries
from service.rpc.undecodable import MOST_FIELDS_OF_A_BATCH, Looks, text_in, violation_in
from service.rpc.wrapper import check_size
from tact.v1 import context_pb2 as pb

MAX_BATCH_BYTES = 524_288
_FIELD = "events"
_EVENTS = pb.RecordEventsRequest.DESCRIPTOR.fields_by_name[_FIELD].number


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events of a batch in their order. `unreadable` says of each that cannot be decoded, by its place, why.

    Of an unreadable event `events` holds no more than its id, where that can be read.
    """

    events: Sequence[pb.Event]
    unreadable: Mapping[int, Violation] = field(default_factory=dict)


def read_batch(raw: bytes) -> EventBatch:
    """Decode a batch; raise `InvalidArgument` when it is too long, or its events cannot be told from one another."""
    check_size(raw, MAX_BATCH_BYTES)
    check_entries(_FIELD, raw)
    try:
        return EventBatch(pb.RecordEventsRequest.FromString(raw).events)
    except DecodeError:
        return _one_by_one(raw)


def _one_by_one(raw: bytes) -> EventBatch:
    try:
        parts = [value for number, value in wire.fields(raw) if number == _EVENTS and isinstance(value, bytes)]
    except ValueError:
        raise InvalidArgument.of([violation_in(pb.RecordEventsRequest, raw)]) from None
    events: list[pb.Event] = []
    unreadable: dict[int, Violation] = {}
    looks = Looks(MOST_FIELDS_OF_A_BATCH)
    for place, part in enumerate(parts):
        try:
            events.append(pb.Event.FromString(part))
        except DecodeError:
            events.append(pb.Event(event_id=text_in(pb.Event, part, "event_id", looks)))
            unreadable[place] = violation_in(pb.Event, part, looks)
    return EventBatch(events, unreadable)
