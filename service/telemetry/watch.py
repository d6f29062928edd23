"""The watch over decisions: what the edge asks for a timeline, and gives it back to."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.core.decision import Decision
from service.telemetry.counts import Counts
from service.telemetry.sampling import CALLER, Sampler, Trace
from service.telemetry.spreads import Durations
from service.telemetry.timeline import UNTIMED, Timeline, now_ns
from service.telemetry.w3c import TRACERESPONSE, response

MOST_WAITING = 2048
"""How many traced decisions wait to be sent; the oldest of more are dropped."""

DEGRADED, SAID, SUPPRESSED = "degraded", "said", "suppressed"


@dataclass(frozen=True, slots=True)
class Traced:
    """One decision that is to be sent as a span: when it ended (ns since 1970), and what came of it.

    `code` is the status that a request was refused with, empty for an answer.
    """

    trace: Trace
    line: Timeline
    ended_ns: int
    outcome: str = ""
    strategy: str = ""
    model: str = ""
    placements: int = 0
    code: str = ""

    @property
    def took_ns(self) -> int:
        """How long it took."""
        return max(self.line.moments) - self.line.began


class Waiting:
    """What was traced and not sent yet: at most `MOST_WAITING`. Filled on the loop, emptied from another thread."""

    def __init__(self, dropped: Callable[[], None]) -> None:
        self._waiting: deque[Traced] = deque()
        self._dropped = dropped

    def put(self, traced: Traced) -> None:
        """Let one wait; drop the oldest where there are too many."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._dropped()
        self._waiting.append(traced)

    def take(self, most: int) -> list[Traced]:
        """Return the oldest, at most so many."""
        taken: list[Traced] = []
        while self._waiting and len(taken) < most:
            taken.append(self._waiting.popleft())
        return taken


class Watch(Protocol):
    """Sees how long decisions take."""

    @property
    def traces(self) -> bool:
        """Whether decisions may be traced, so that what callers say of their traces matters."""
        ...

    def begin(self) -> Timeline:
        """Return the timeline of a decision that begins now."""
        ...

    def answered(self, line: Timeline, decision: Decision) -> None:
        """See the end of a decision."""
        ...

    def refused(self, line: Timeline, code: str) -> None:
        """See a request end without a decision, with this status."""
        ...


class Unwatched:
    """Sees nothing."""

    traces = False

    def begin(self) -> Timeline:
        """Return what nobody reads."""
        return UNTIMED

    def answered(self, line: Timeline, decision: Decision) -> None:
        """See nothing."""

    def refused(self, line: Timeline, code: str) -> None:
        """See nothing."""


UNWATCHED = Unwatched()


class Watching:
    """Counts how long decisions take, and keeps those that are traced until they are sent."""

    def __init__(
        self, durations: Durations, counts: Counts, sampler: Sampler | None = None, waiting: Waiting | None = None
    ) -> None:
        self._durations, self._counts = durations, counts
        self._sampler, self._waiting = sampler, waiting
        self.traces = sampler is not None

    def begin(self) -> Timeline:
        """Return the timeline of a decision that begins now, traced or not."""
        if self._sampler is None:
            return Timeline(now_ns())
        began = now_ns()
        return Timeline(began, self._sampler.choose(CALLER.get(), began))

    def answered(self, line: Timeline, decision: Decision) -> None:
        """Count what a decision took, and have it sent where it is traced."""
        line.serialised = now_ns()
        self._durations.add(line)
        if line.trace is not None:
            self._trace(line, line.trace, decision)

    def refused(self, line: Timeline, code: str) -> None:
        """Count a request that was refused, or given up by its caller."""
        self._counts.add("refused", code)
        if line.trace is not None and self._waiting is not None:
            line.serialised = now_ns()
            self._waiting.put(Traced(line.trace, line, time.time_ns(), code=code))

    def _trace(self, line: Timeline, trace: Trace, decision: Decision) -> None:
        ended_ns = time.time_ns()
        if self._waiting is not None:
            self._waiting.put(_traced(line, trace, ended_ns, decision))
        self._durations.exemplify(line, trace, ended_ns)
        caller = CALLER.get()
        if caller is not None:
            caller.set_trailing_metadata(((TRACERESPONSE, response(trace.trace_id, trace.span_id)),))


def _traced(line: Timeline, trace: Trace, ended_ns: int, decision: Decision) -> Traced:
    return Traced(trace, line, ended_ns, _outcome(decision), decision.strategy, decision.model, len(decision.answers))


def _outcome(decision: Decision) -> str:
    if not decision.decision_id:
        return DEGRADED
    return SAID if any(answer.action for answer in decision.answers) else SUPPRESSED
