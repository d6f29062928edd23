"""How many decisions are made at once: as many as the latency says that the service can take."""

from __future__ import annotations

from math import sqrt

FIRST, LEAST, MOST = 16, 4, 512
TARGET_S = 0.02
"""Decisions that take less than this are never a reason to make fewer at once."""
TOLERATED = 2.0
"""How many times the least latency decisions may take."""
LARGEST_CUT = 0.5
FASTEST = 4.0
"""How many times the room to grow is given where the latency is so many times below `TARGET_S`, or more."""
FORGETS = 1.001
"""By how much the least latency grows in each window that could have shown a smaller one: 1 % a second."""
PROBES_AFTER, PROBES_AT_LEAST_EVERY = 5, 80
"""After how many windows in a row that cut it is looked whether the latency follows what is in work; each time twice
as many, until the limit binds nobody."""
PROBE = 3
"""How many windows that takes: what began before it ends in the first ones."""


class AdaptiveLimit:
    """A limit that follows the latency, window by window: the gradient of what it may be to what it is.

    `new = limit * gradient + room` with `gradient = clamp(target / latency, 0.5, 1)`, as in Netflix's
    concurrency-limits (Gradient2Limit) and Envoy's adaptive concurrency filter; the room, `sqrt(limit)`, lets it grow
    until the latency answers, and is `clamp(20 ms / latency, 1, 4)` times that, so that a mailing that comes to an
    idle service has what it can use within half a second; with a store that is slow it would overshoot, and those who
    wait behind that are late. `target` is twice the least latency that is remembered, and 20 ms at least: on one event
    loop the latency grows with what is in work, long before anything is wrong.

    A latency may also rise for a reason that is not load. So where cutting goes on, another limit is held for three
    windows: its least, or twice as much where it is near that. Where the latency hardly differs by it, it is not load,
    and the smaller is the least from now on. Envoy measures its minimum round trip so, but takes it in any case.

    >>> limit = AdaptiveLimit()
    >>> for _ in range(4): limit.learn(latency_s=0.2, short=True)
    >>> limit.value
    7
    >>> for _ in range(50): limit.learn(latency_s=0.001, short=False)
    >>> limit.value
    16
    """

    def __init__(self, first: int = FIRST) -> None:
        self._first, self._exact = first, float(first)
        self._least_s: float | None = None
        self._cuts, self._probes_after, self._probing = 0, PROBES_AFTER, 0
        self._resumes, self._compared = float(first), (first, 0.0)
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
            self._rest(latency_s)
        elif self._probing:
            self._probe(latency_s)
        else:
            self._follow(latency_s)
        self._exact = max(LEAST, min(MOST, self._exact))
        self.value = round(self._exact)

    def _rest(self, latency_s: float) -> None:
        least = latency_s if self._least_s is None else min(self._least_s * FORGETS, latency_s)
        self._least_s = least
        self._cuts, self._probes_after, self._probing = 0, PROBES_AFTER, 0
        self._exact += max(-sqrt(self._exact), min(sqrt(self._exact), self._first - self._exact))

    def _follow(self, latency_s: float) -> None:
        if self._least_s is not None:
            self._least_s = min(self._least_s, latency_s)
        latency_s = max(latency_s, 1e-9)
        gradient = max(LARGEST_CUT, min(1.0, self.target_s / latency_s))
        room = sqrt(self._exact) * max(1.0, min(FASTEST, TARGET_S / latency_s))
        self._exact = self._exact * gradient + room
        self._cuts = self._cuts + 1 if gradient < 1.0 else 0
        if self._cuts >= self._probes_after:
            self._cuts, self._probes_after = 0, min(2 * self._probes_after, PROBES_AT_LEAST_EVERY)
            self._probing, self._resumes, self._compared = PROBE, self._exact, (self.value, latency_s)
            self._exact = float(LEAST) if self._exact >= 2 * LEAST else 2 * self._exact

    def _probe(self, latency_s: float) -> None:
        self._probing -= 1
        if not self._probing:
            (fewer, less_s), (more, more_s) = sorted((self._compared, (self.value, latency_s)))
            is_load = more_s >= less_s * sqrt(more / fewer)
            if not is_load or less_s < (self._least_s or 0.0):
                self._least_s = less_s
            self._exact = self._resumes
