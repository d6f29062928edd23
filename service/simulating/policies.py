"""Write what strategies would have said at the rows of a log as a table of policies, which the training values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.policy_table import METADATA, VERSION, arm_column, policy_schema
from models.propensity import Folded
from service.core.strategy import Strategy
from service.evaluating.arms import AGAINST, STRATEGY
from service.simulating.deciding import Deciding, Redecided, Spoken
from service.simulating.logged import Logged

_BATCH = 4_096
Compared = tuple[Strategy, Folded | None]


def about(own: Compared, rival: Compared | None) -> dict[str, Any]:
    """Return what the table says of itself: the versions, and the names of the actions."""
    strategies = [one[0] for one in (own, rival) if one is not None]
    actions = dict.fromkeys(action.id for strategy in strategies for action in strategy.actions)
    return {
        "version": VERSION,
        "actions": list(actions),
        "strategy": own[0].version,
        "model": own[1].version if own[1] else "",
        "currency": own[0].currency,
        "against": [rival[0].version, rival[1].version if rival[1] else ""] if rival else [],
    }


class PolicyWriter:
    """Writes the policies of decisions as they come."""

    def __init__(self, table: Any, schema: Any, own: Deciding, rival: Deciding | None, actions: Sequence[str]) -> None:  # noqa: ANN401  pyarrow has no types
        codes = {action: code for code, action in enumerate(actions)}
        self._table, self._schema = table, schema
        self._own = [codes[action.id] for action in own.strategy.actions]
        self._others = [codes[action.id] for action in rival.strategy.actions] if rival else []
        self._lines: list[dict[str, Any]] = []

    def add(self, logged: Logged, found: Redecided, rival: Redecided | None) -> None:
        """Write the rows of a decision."""
        for place, row in enumerate(logged.rows):
            arms = {arm_column(STRATEGY): _listed(found.spoken[place], self._own)}
            if rival is not None:
                arms[arm_column(AGAINST)] = _listed(rival.spoken[place], self._others)
            self._lines.append({
                "decision_id": row.decision_id,
                "placement": row.placement,
                "customer_id": row.customer,
                "at": row.at_ms,
                "permitted": [self._own[index] for index in _permitted(found, place)],
                **arms,
            })  # fmt: skip
        if len(self._lines) >= _BATCH:
            self.end()

    def end(self) -> None:
        """Write what waits."""
        import pyarrow as pa

        if self._lines:
            self._table.write_batch(pa.RecordBatch.from_pylist(self._lines, schema=self._schema))
        self._lines = []


@contextmanager
def policy_writer(out: Path, own: Deciding, rival: Deciding | None, told: Mapping[str, Any]) -> Iterator[PolicyWriter]:
    """Open a table of policies, and close it with all that was added."""
    import pyarrow.parquet as pq

    arms = (STRATEGY, AGAINST) if rival else (STRATEGY,)
    schema = policy_schema(arms, {METADATA: json.dumps(told).encode()})
    with pq.ParquetWriter(out, schema) as table:
        writer = PolicyWriter(table, schema, own, rival, told["actions"])
        yield writer
        writer.end()


def joined(parts: Sequence[Path], out: Path) -> None:
    """Join tables of policies into one; they are of the same strategies."""
    import pyarrow.parquet as pq

    with pq.ParquetWriter(out, pq.read_schema(parts[0])) as table:
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches():
                table.write_batch(batch)


def _permitted(found: Redecided, place: int) -> Iterator[int]:
    from service.core.selection import bits

    at = found.places[place]
    return bits(found.judged.survivors[at]) if found.judged is not None and at >= 0 else iter(())


def _listed(spoken: Spoken, codes: Sequence[int]) -> list[dict[str, Any]]:
    return [{"action": codes[index], "probability": chance} for index, chance in spoken.chances.items() if chance > 0.0]
