"""Write what the arms would say as a table of policies: one row a row of the log, in its order.

Columns: `decision_id`, `placement`, `customer_id` and `at` (ms) name the row; `permitted` lists the actions that may be
said; `arm.NAME` lists the actions of an arm with their probabilities, and what is left to 1 says nothing; `propensity`
and `baseline` are those of what was said; `top`, `net` and `lift` are the action worth most, its worth and its uplift.
Actions are numbers into `actions` of the metadata `tact.policies`, which also names the versions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from models.policy_table import METADATA, VERSION, arm_column, policy_schema
from models.propensity import Folded
from service.core.strategy import Strategy
from service.evaluating.arms import AGAINST, NO_LEVERS, PROPENSITY_ONLY, STRATEGY, Arms, Chances, Situation
from service.evaluating.rows import Log, Reader, Row

_ARMS = (STRATEGY, NO_LEVERS, PROPENSITY_ONLY)
Advance = Callable[[int, int], None]
"""Called with how many rows are done, and how many of them since the last call."""


class Writer:
    """Writes the policies of one strategy on a log, beside those of another strategy or model where there is one."""

    def __init__(
        self,
        strategy: Strategy,
        model: Folded | None,
        against: tuple[Strategy, Folded | None] | None,
        within: bool = False,
        placement: str = "",
    ) -> None:
        self._strategy = strategy
        self._arms = Arms(strategy, model, within)
        self._reader = Reader(strategy, placement)
        self._rival = (Arms(*against, within), Reader(against[0], placement)) if against else None
        self._actions = _union(strategy, against[0] if against else None)
        self._codes = {action: code for code, action in enumerate(self._actions)}
        self._own = [self._codes[action.id] for action in strategy.actions]
        self._others = [self._codes[action.id] for action in against[0].actions] if against else []
        self._names = (*_ARMS, AGAINST) if against else _ARMS
        self._about = {
            "version": VERSION,
            "actions": self._actions,
            "strategy": strategy.version,
            "model": model.version if model else "",
            "currency": strategy.currency,
            "against": [against[0].version, against[1].version if against[1] else ""] if against else [],
        }

    @property
    def left_out(self) -> int:
        """How many rows of the log did not name their placement."""
        return self._reader.left_out

    def write(self, log: Log, out: Path, advance: Advance) -> int:
        """Write the policies on a log, and return how many rows there are."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = policy_schema(self._names, {METADATA: json.dumps(self._about).encode()})
        count = 0
        with pq.ParquetWriter(out, schema) as table:
            for rows, others in self._batches(log):
                table.write_batch(pa.RecordBatch.from_pylist(self._lines(rows, others), schema=schema))
                count += len(rows)
                advance(count, len(rows))
        return count

    def _batches(self, log: Log) -> Iterable[tuple[tuple[Row, ...], tuple[Row, ...]]]:
        """Return the rows as both strategies read them; without a rival, only as the one does."""
        if self._rival is None:
            return ((rows, ()) for rows in self._reader.rows(log))
        return zip(self._reader.rows(log), self._rival[1].rows(log), strict=True)

    def _lines(self, rows: Sequence[Row], others: Sequence[Row]) -> list[dict[str, Any]]:
        made = [self._line(row, self._arms.at(row)) for row in rows]
        for line, other in zip(made, others, strict=False):
            if self._rival is not None:
                line[arm_column(AGAINST)] = _listed(self._rival[0].strategy_alone(other), self._others)
        return made

    def _line(self, row: Row, found: Situation) -> dict[str, Any]:
        arms = {arm_column(name): _listed(found.chances[name], self._own) for name in _ARMS}
        return {
            "decision_id": row.decision_id,
            "placement": row.placement,
            "customer_id": row.customer,
            "at": row.at_ms,
            "permitted": [self._own[index] for index in found.permitted],
            "propensity": found.propensity,
            "baseline": found.baseline,
            "top": None if found.top is None else self._own[found.top],
            "net": found.net,
            "lift": found.lift,
            **arms,
        }


def _listed(chances: Chances, codes: Sequence[int]) -> list[dict[str, Any]]:
    return [{"action": codes[index], "probability": chance} for index, chance in chances.items()]


def _union(strategy: Strategy, other: Strategy | None) -> list[str]:
    names = [action.id for action in strategy.actions] + [action.id for action in (other.actions if other else ())]
    return list(dict.fromkeys(names))
