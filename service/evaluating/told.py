"""Snapshots of what a log says was known, instead of what a store would."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from models.clock import Clock
from models.context import Purpose, Scalar
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy


class Telling:
    """Fills snapshots of one strategy from a log."""

    def __init__(self, strategy: Strategy) -> None:
        self._fields = strategy.schema.fields
        self._clock = Clock.of(strategy.schema)

    def told(self, snapshot: Snapshot, known: Mapping[int, Scalar]) -> Snapshot:
        """Return the snapshot with these values by the fields' indexes, of what its consent allows."""
        values, purposes = list(snapshot.values), snapshot.level.purposes
        for index, value in known.items():
            if self._fields[index].purpose in purposes:
                values[index] = value
        if self._clock is not None and Purpose.SERVICE in purposes:
            self._clock.fill(values, snapshot.now_ms)  # again, now that the customer's zone is there
        return msgspec.structs.replace(snapshot, values=tuple(values))
