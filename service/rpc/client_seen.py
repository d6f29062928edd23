"""What a decision was made from beside the values, as a cell of a table of decisions (models/decision_table.py)."""

from __future__ import annotations

from typing import Any, TypeAlias

from service.rpc.checks import moment_ms
from service.rpc.plain import short_name
from tact.v1 import log_pb2 as pb
from tact.v1 import outcome_pb2

Cell: TypeAlias = dict[str, Any]

KIND_NAMES = {number: short_name(outcome_pb2.OutcomeKind.DESCRIPTOR, number) for number in range(7)}
"""What a table calls the kinds of outcomes."""


def seen_cell(one: pb.LoggedDecision) -> Cell | None:
    """Return the parts that all placements of a decision share; None where the log does not tell any."""
    if not one.HasField("seen"):
        return None
    seen = one.seen
    return {
        "permitted": seen.permitted,
        "used": [{"counter": use.counter, "at": list(map(moment_ms, use.used_at))} for use in seen.used],
        "refusals": list(map(_refusal, seen.refusals)),
        "promises": list(map(_promise, seen.promises)),
        "off": list(seen.off),
        "everything_off": seen.everything_off,
        "trigger": seen.trigger,
    }


def _refusal(one: pb.LoggedRefusal) -> Cell:
    return {
        "action": one.action_id,
        "group": one.group,
        "intents": list(one.intents),
        "kind": KIND_NAMES.get(one.kind, str(one.kind)),
        "at": moment_ms(one.refused_at),
        "mark": one.mark.hex(),
    }


def _promise(one: pb.LoggedPromise) -> Cell:
    return {
        "key": one.key,
        "action": one.action_id,
        "given": moment_ms(one.given_at),
        "until": moment_ms(one.until),
        "decision_id": one.decision_id,
        "held": one.held,
    }
