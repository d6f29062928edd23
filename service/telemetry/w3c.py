"""W3C Trace Context: what a caller says of its trace, and what we say of ours. https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

TRACEPARENT = "traceparent"
TRACERESPONSE = "traceresponse"
SAMPLED = 1

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parent:
    """What a caller said: the trace, its span that asks us, and whether it records the trace."""

    trace_id: int
    span_id: int
    sampled: bool


def parent_in(metadata: Iterable[tuple[str, str | bytes]]) -> Parent | None:
    """Return what the metadata of a call say of the caller's trace; None where they say nothing that is valid."""
    said: str | bytes | None = None
    for key, value in metadata:  # as plain as it is because it is done for every decision
        if key == TRACEPARENT:
            if said is not None:
                return None
            said = value
    return parse(said) if isinstance(said, str) else None


def parse(traceparent: str) -> Parent | None:
    """Read a `traceparent`; None for what is not valid, which the standard wants treated as absent."""
    if not (match := _TRACEPARENT.fullmatch(traceparent)):
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    parent = Parent(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & SAMPLED))
    return parent if parent.trace_id and parent.span_id else None


def response(trace_id: int, span_id: int) -> str:
    """Return the `traceresponse` of a decision that is traced."""
    return f"00-{trace_id:032x}-{span_id:016x}-{SAMPLED:02x}"
