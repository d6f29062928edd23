"""What a decision was made from beside the values, as the log tells it."""

from __future__ import annotations

from service.core.memory import Promised, Refusal
from service.core.plan import Entry
from service.rpc.checks import timestamp
from tact.v1 import log_pb2 as pb
from tact.v1 import outcome_pb2


def seen_message(entry: Entry) -> pb.LoggedSeen | None:
    """Return what an entry says of it; None for entries from before it was logged."""
    seen = entry.seen
    if seen is None:
        return None
    held = frozenset(tuple(one) for one in entry.kept)
    return pb.LoggedSeen(
        permitted=seen.permitted,
        used=[pb.LoggedUses(counter=key, used_at=map(timestamp, at_ms)) for key, at_ms in seen.used.items()],
        refusals=map(_refusal, seen.refusals),
        promises=[_promise(one, (one.key, one.action) in held) for one in seen.promised],
        off=seen.off,
        everything_off=seen.all_off,
        trigger=seen.trigger,
    )


def _refusal(one: Refusal) -> pb.LoggedRefusal:
    return pb.LoggedRefusal(
        action_id=one.action,
        group=one.group,
        intents=one.intents,
        kind=outcome_pb2.OutcomeKind.ValueType(one.kind),
        refused_at=timestamp(one.at_ms),
        mark=one.mark,
    )


def _promise(one: Promised, held: bool) -> pb.LoggedPromise:
    return pb.LoggedPromise(
        key=one.key,
        action_id=one.action,
        given_at=timestamp(one.given_ms),
        until=timestamp(one.until_ms),
        decision_id=one.decision_id,
        held=held,
    )
