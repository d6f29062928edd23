"""The log of a service into a folder of parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.decision_table import feature_column
from service.logs.batch import Batches, Types
from service.logs.parts import Parts
from service.rpc.client import TactClient
from service.rpc.client_log import LogEnds, LogPart, StrategyFields

STEP_ROWS = 20_000
"""How many rows are held in memory, and written together."""

Moved = Callable[[int, int], None]
"""Told how many buckets are done and how many more rows there are."""


@dataclass(slots=True)
class Exported:
    """What an export came to. `nameless` counts decisions whose features are not kept any more."""

    decisions: int = 0
    outcomes: int = 0
    unreadable: int = 0
    nameless: int = 0
    parts: int = 0
    read_ms: int = 0
    forgotten: int = 0


async def export(client: TactClient, parts: Parts, moved: Moved, step_rows: int = STEP_ROWS) -> Exported:
    """Add what was logged since the folder was written last; raise `CallFailed`, and keep the steps that were taken."""
    step = _Step(parts, Exported(), step_rows)
    async for told in client.log.read(parts.positions):
        match told:
            case StrategyFields():
                step.fields[told.strategy] = told.fields
            case LogPart():
                moved(told.bucket + 1, step.take(told))
            case LogEnds():
                step.exported.read_ms = told.read_ms
    step.end()
    return step.exported


class _Step:
    """Rows on their way into the next parts."""

    def __init__(self, parts: Parts, exported: Exported, step_rows: int) -> None:
        self.exported = exported
        self.fields: dict[str, Types] = {}
        self._parts = parts
        self._rows = step_rows
        self._batches = Batches()
        self._positions: dict[int, tuple[str, str]] = {}

    def take(self, part: LogPart) -> int:
        """Take a page; return how many rows it has."""
        for row, values in part.decisions:
            fields = self.fields[row["strategy"]]
            self.exported.nameless += not fields
            row.update({feature_column(name): v for name, v in zip(fields, values, strict=False) if v is not None})
            self._batches.decided(row, fields)
        for row in part.outcomes:
            self._batches.came(row)
        self._positions[part.bucket] = part.position
        self.exported.decisions += len(part.decisions)
        self.exported.outcomes += len(part.outcomes)
        self.exported.unreadable += part.unreadable
        if self._batches.size >= self._rows:
            self.end()
        return len(part.decisions) + len(part.outcomes)

    def end(self) -> None:
        """Take the step."""
        ready = self._batches.ready()
        if ready or self._positions:
            self._parts.add(ready, self._positions)
        self.exported.parts += len(ready)
        self._batches, self._positions = Batches(), {}
