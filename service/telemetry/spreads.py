"""How long things take: counts in buckets of logarithmic width, in arrays that are made once.

What is measured on the hot path is only noted down, a row of a buffer; a full buffer is counted at once, vectorised.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.telemetry.sampling import Trace
from service.telemetry.timeline import MARKS, PACK_INTO, STAGES, Timeline

BOUNDS_NS = tuple(round(1000 * 2 ** (step / 2)) for step in range(48))
"""The upper bounds of the buckets: from 1 µs to 11.9 s, each 1.41 times the one before. What is longer comes last."""

BOUNDS_S = tuple(bound / 1e9 for bound in BOUNDS_NS)
BUCKETS = len(BOUNDS_NS) + 1
MOST_CHANNELS = 16
"""How many channels are told apart; what comes after these is counted under `other`."""

OTHER_CHANNEL = "other"
ROWS = 256
WHOLE = len(STAGES)
"""Where the whole decision stands, behind its stages."""

_ROW = 8 * (MARKS + 1)
_COLUMNS = WHOLE + 1
_BOUNDS = np.array(BOUNDS_NS, np.int64)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One traced decision of a bucket: what it took, its trace, and when it ended (ns since 1970)."""

    seconds: float
    trace: Trace
    at_ns: int


@dataclass(frozen=True, slots=True)
class Spread:
    """How many took how long: a number for each bucket of `BOUNDS_S` and one for what is longer, and their sum."""

    counts: tuple[int, ...]
    total_s: float


class Durations:
    """How long decisions and their stages took, by channel. Added to and counted on the event loop alone."""

    def __init__(self) -> None:
        self._buffer = bytearray(ROWS * _ROW)
        self._rows: Ints = np.frombuffer(self._buffer, np.int64).reshape(ROWS, MARKS + 1)
        self._used = 0
        self._channels: dict[str, int] = {}
        self._counts: Ints = np.zeros((MOST_CHANNELS, _COLUMNS, BUCKETS), np.int64)
        self._sums = np.zeros((MOST_CHANNELS, _COLUMNS))
        self._columns: Ints = np.arange(_COLUMNS, dtype=np.int64)
        self._exemplars: dict[tuple[str, int], Exemplar] = {}

    def add(self, line: Timeline) -> None:
        """Note down one decision that was answered."""
        channel = self._channels.get(line.channel)
        if channel is None:
            channel = self._number(line.channel)
        used = self._used
        PACK_INTO(  # here, and not by a method of the line: one call less in every decision
            self._buffer, used * _ROW, channel, line.began, line.admitted, line.retried, line.read, line.seen,
            line.judged, line.scored, line.arbitrated, line.checked, line.committed, line.answered, line.serialised,
        )  # fmt: skip
        self._used = used = used + 1
        if used == ROWS:
            self.settle()

    def exemplify(self, line: Timeline, trace: Trace, at_ns: int) -> None:
        """Keep a traced decision as the latest example of its bucket."""
        took = line.serialised - line.began
        channel = line.channel if line.channel in self._channels else OTHER_CHANNEL
        self._exemplars[channel, bisect_left(BOUNDS_NS, took)] = Exemplar(took / 1e9, trace, at_ns)

    def settle(self) -> None:
        """Count what was noted down."""
        if not self._used:
            return
        rows, self._used = self._rows[: self._used], 0
        took, come_to = _took(rows[:, 1:])
        cells = (rows[:, :1] * _COLUMNS + self._columns)[come_to]
        took = took[come_to]
        buckets = cells * BUCKETS + np.searchsorted(_BOUNDS, took)
        counts, sums = self._counts[: len(self._channels)], self._sums[: len(self._channels)]  # no more is there
        counts += np.bincount(buckets, minlength=counts.size).reshape(counts.shape)
        sums += np.bincount(cells, took, sums.size).reshape(sums.shape)

    def stages(self) -> Iterator[tuple[str, str, Spread]]:
        """Yield the channel, the stage and how long it took, for what happened."""
        for channel, number in self._channels.copy().items():
            for at, stage in enumerate(STAGES):
                if (spread := self._spread(number, at)) is not None:
                    yield channel, stage, spread

    def whole(self) -> Iterator[tuple[str, Spread, dict[int, Exemplar]]]:
        """Yield the channel, how long decisions took, and an example for those buckets that have one."""
        exemplars = self._exemplars.copy()
        for channel, number in self._channels.copy().items():
            if (spread := self._spread(number, WHOLE)) is not None:
                yield channel, spread, {at: one for (named, at), one in exemplars.items() if named == channel}

    def _number(self, channel: str) -> int:
        if len(self._channels) >= MOST_CHANNELS - 1:
            channel = OTHER_CHANNEL
        return self._channels.setdefault(channel, len(self._channels))

    def _spread(self, channel: int, column: int) -> Spread | None:
        counts = tuple(self._counts[channel, column].tolist())
        return Spread(counts, float(self._sums[channel, column]) / 1e9) if any(counts) else None


def _took(moments: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return for each row the nanoseconds of every stage and of the whole, and which of them it came to.

    The end of a stage counts as the beginning of the next one that was come to. What an attempt left that was given up
    lies before the end of the one that was made again, and does not count.
    """
    latest = np.maximum.accumulate(moments, axis=1)
    took, come_to = np.empty((len(moments), _COLUMNS), np.int64), np.ones((len(moments), _COLUMNS), np.bool_)
    np.subtract(moments[:, 1:], latest[:, :-1], out=took[:, :WHOLE])
    np.greater_equal(took[:, :WHOLE], 0, out=come_to[:, :WHOLE])
    np.subtract(latest[:, -1], latest[:, 0], out=took[:, WHOLE])
    return took, come_to


class Lags:
    """How long the event loop let something wait that was due."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._total_ns = 0

    def add(self, took_ns: int) -> None:
        """Count one."""
        self._counts[bisect_left(BOUNDS_NS, took_ns)] += 1
        self._total_ns += took_ns

    def spread(self) -> Spread:
        """Return what was counted."""
        return Spread(tuple(self._counts), self._total_ns / 1e9)
