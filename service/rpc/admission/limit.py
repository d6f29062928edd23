"""How many decisions are made at once: as many as the latency says that the service can take."""

from __future__ import annotations

from math import sqrt

FIRST, LEAST, MOST = 16, 4, 512
TARGET_S = 0.02
"""Decisions that take less than this are never a reason to make fewer at once."""
TOLERATED = 2.0
"""How many times the least latency decisions may take."""
LARGEST_CUT = 0.5
FORGETS = 1.001
"""By how much the least latency grows in each window that could have shown a smaller one: 1 % a second."""


class AdaptiveLimit:
    """A limit that follows the latency, window by window: the gradient of what it may be to what it is.

    `new = limit * gradient + sqrt(limit)` with `gradient = clamp(target / latency, 0.5, 1)`, as in Netflix's
    concurrency-limits (Gradient2Limit) and Envoy's adaptive concurrency filter; the square root is the room that lets
    it grow until the latency answers. `target` is twice the least latency that is remembered, and 20 ms at least: on
    one event loop the latency grows with what is in work, long before anything is wrong.

    >>> limit = AdaptiveLimit()
    >>> for _ in range(50): limit.learn(latency_s=0.2, short=True)
    >>> limit.value
    4
    >>> for _ in range(50): limit.learn(latency_s=0.001, short=False)
    >>> limit.value
    16
    """

    def __init__(self, first: int = FIRST) -> None:
        self._first, self._exact = first, float(first)
        self._least_s: float | None = None
        self.value = first

    @property
    def target_s(self) -> float:
        """The latency in seconds up to which nothing is cut."""
        return max(TARGET_S, TOLERATED * (self._least_s or 0.0))

    def learn(self, latency_s: float, *, short: bool) -> None:
        """Take in a window's mean latency in seconds; `short` says that some had to wait for a place in it.

        A limit that binds nobody says nothing about the latency: it goes back to where it began.
        """
        if not short:
            least = latency_s if self._least_s is None else min(self._least_s * FORGETS, latency_s)
            self._least_s = least
            self._exact += max(-sqrt(self._exact), min(sqrt(self._exact), self._first - self._exact))
        else:
            gradient = max(LARGEST_CUT, min(1.0, self.target_s / max(latency_s, 1e-9)))
            self._exact = self._exact * gradient + sqrt(self._exact)
        self._exact = max(LEAST, min(MOST, self._exact))
        self.value = round(self._exact)
