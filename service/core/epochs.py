"""Rules that come into force and end: what follows from them is made once for each span in which the same ones hold."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from service.core.rules import Valid

_Made = TypeVar("_Made")


def in_force(valid: Valid, now_ms: int) -> bool:
    """Tell whether a rule is in force: from its first moment on, and before its last."""
    return (valid.from_ms is None or valid.from_ms <= now_ms) and (valid.until_ms is None or now_ms < valid.until_ms)


def earlier(until_ms: int, valid: Valid) -> int:
    """Return when something that a rule holds back is free: at its own moment, or when the rule ends before."""
    return until_ms if valid.until_ms is None else min(until_ms, valid.until_ms)


class Epochs(Generic[_Made]):
    """What `make(now_ms)` returns, which changes only where one of these validities begins or ends.

    Where none does, it is made at once, and telling it costs nothing.
    """

    def __init__(self, valids: Iterable[Valid], make: Callable[[int], _Made]) -> None:
        ends = {moment for valid in valids for moment in (valid.from_ms, valid.until_ms) if moment is not None}
        self._ends = sorted(ends)
        self._make = make
        self._made: dict[int, _Made] = {}
        self._always = None if ends else make(0)

    def at(self, now_ms: int) -> _Made:
        """Return what holds at a moment (ms)."""
        if self._always is not None:
            return self._always
        epoch = bisect_right(self._ends, now_ms)
        made = self._made.get(epoch)
        if made is None:
            made = self._made[epoch] = self._make(now_ms)
        return made
