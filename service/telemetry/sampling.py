"""Which decisions are traced: chosen before anything of a trace is made, by a share and by callers who ask for it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Protocol

from service.telemetry.w3c import Parent, parent_in

BURST_S = 1.0
"""For how long callers may save up what they did not ask for."""

RAREST = 1e-9
"""So many a second, one in thirty years, is as rare as anything can be asked for."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace that a decision belongs to, and its span there; `parent_id` is the caller's span, 0 for none."""

    trace_id: int
    span_id: int
    parent_id: int = 0


class Caller(Protocol):
    """The side of a call that tracing needs."""

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return what the caller sent beside the message."""
        ...

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...], /) -> None:
        """Tell the caller something beside the answer."""
        ...


CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""The call that is being answered, where somebody wants to know."""


class Allowance:
    """So many a second, and those of one second at once: what callers may ask for."""

    def __init__(self, rate: float) -> None:
        self._each_ns = round(1e9 / max(rate, RAREST)) if rate > 0 else 0
        self._saved_ns = max(round(BURST_S * 1e9), self._each_ns) - self._each_ns
        self._spent_until = 0

    def take(self, at_ns: int) -> bool:
        """Take one if there is one at this moment (ns of any clock that only goes forward)."""
        if not self._each_ns or self._spent_until - self._saved_ns > at_ns:
            return False
        self._spent_until = max(self._spent_until, at_ns) + self._each_ns
        return True


class Sampler:
    """Chooses what is traced: a share of what no caller traces, and what callers trace, up to `by_callers` a second.

    What a caller expressly does not trace is not traced here either. What callers ask for beyond the rate is traced
    as seldom as everything else, so that no caller can make all decisions dearer; `unheeded` is called for the rest.
    """

    def __init__(
        self, share: float, by_callers: float, unheeded: Callable[[], None], random: Random | None = None
    ) -> None:
        self._share = share
        self._callers = Allowance(by_callers)
        self._unheeded = unheeded
        random = random or Random()  # noqa: S311 - names spans, hides nothing
        self._draw, self._bits = random.random, random.getrandbits

    def choose(self, caller: Caller | None, at_ns: int) -> Trace | None:
        """Return the trace of a decision that begins now; None where it is not to be traced."""
        parent = parent_in(caller.invocation_metadata()) if caller is not None else None
        if parent is None:
            return self._new() if self._draw() < self._share else None
        return self._joined(parent) if self._wanted(parent, at_ns) else None

    def _wanted(self, parent: Parent, at_ns: int) -> bool:
        if not parent.sampled:
            return False
        if self._callers.take(at_ns) or self._draw() < self._share:
            return True
        self._unheeded()
        return False

    def _new(self) -> Trace:
        return Trace(self._id(128), self._id(64))

    def _joined(self, parent: Parent) -> Trace:
        return Trace(parent.trace_id, self._id(64), parent.span_id)

    def _id(self, bits: int) -> int:
        return self._bits(bits) or 1  # nought is no id
