"""Reasons as the contract writes them."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.timestamp_pb2 import Timestamp

from service.core.decision import Reason
from tact.v1 import values_pb2


def add_reasons(messages: RepeatedCompositeFieldContainer[values_pb2.Reason], reasons: Iterable[Reason]) -> None:
    """Add reasons to a list of them."""
    for reason in reasons:
        added = messages.add(code=reason.code, sentence=reason.sentence, rule_id=reason.rule, fields=reason.fields)
        if reason.until_ms is not None:
            set_moment(added.until, reason.until_ms)


def set_moment(message: Timestamp, ms: int) -> None:
    """Write a moment in milliseconds; a moment of 0 is set, too."""
    message.seconds = ms // 1000
    message.nanos = ms % 1000 * 1_000_000
