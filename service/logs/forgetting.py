"""Erased customers out of a folder of parts: what was exported of them before they were erased goes as well."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from models.decision_table import DECISIONS, OUTCOMES
from service.logs.parts import Parts
from service.rpc.client import TactClient

AT_ONCE = 1_000
"""How many customers are asked about in one call."""

AHEAD_MS = 5 * 60_000
"""How far ahead of the service's clock an outcome may be dated."""

Row: TypeAlias = tuple[str, str, int]
"""The decision, the customer and the moment (ms) of a row."""


@dataclass(slots=True)
class _Gone:
    """Who was erased, and when (ms); of their decisions those from before that, and those from after it."""

    erased: dict[str, int] = field(default_factory=dict)
    before: set[str] = field(default_factory=set)
    after: set[str] = field(default_factory=set)

    def learn(self, rows: Iterable[Row]) -> None:
        """Take note of the decisions of who was erased."""
        for decision, customer, at_ms in rows:
            if customer in self.erased:
                (self.before if at_ms <= self.erased[customer] else self.after).add(decision)

    def stays(self, row: Row, prefix: str) -> bool:
        """Tell whether a row stays. What came of a decision goes or stays with it, whenever it is said to be."""
        decision, customer, at_ms = row
        if customer not in self.erased:
            return True
        if prefix == DECISIONS:
            return at_ms > self.erased[customer]
        known = decision in self.after or decision in self.before
        return decision in self.after if known else at_ms > self.erased[customer] + AHEAD_MS


async def forget(client: TactClient, parts: Parts) -> int:
    """Remove the rows about erased customers from before their erasure; return how many there were."""
    gone = _Gone()
    for part in parts.names:
        customers = sorted(_customers(part))
        for place in range(0, len(customers), AT_ONCE):
            told = await client.log.erased(customers[place : place + AT_ONCE])
            gone.erased.update({name: _ms(at) for name, at in told.items()})
    if not gone.erased:
        return 0
    for part in parts.named(DECISIONS):
        gone.learn(_rows_of(part))
    # Outcomes first: should this end half way, the decisions are still there to tell which go.
    return sum(_remade(parts, part, prefix, gone) for prefix in (OUTCOMES, DECISIONS) for part in parts.named(prefix))


def _customers(part: Path) -> set[str]:
    if part.suffix == ".csv":
        return {row["customer_id"] for row in _rows(part) if row["customer_id"]}
    found: set[str] = set()
    for batch in pq.ParquetFile(part).iter_batches(columns=["customer_id"]):
        found.update(name for name in batch.column(0).to_pylist() if name)
    return found


def _rows_of(part: Path) -> Iterator[Row]:
    """Yield of each row of a part which decision, whose and when it is."""
    if part.suffix == ".csv":
        for row in _rows(part):
            yield row["decision_id"], row["customer_id"], _ms(row["at"])
        return
    for batch in pq.ParquetFile(part).iter_batches(columns=["decision_id", "customer_id", "at"]):
        moments = batch.column("at").cast(pa.int64())
        yield from zip(
            batch.column("decision_id").to_pylist(),
            batch.column("customer_id").to_pylist(),
            moments.to_pylist(),
            strict=True,
        )


def _remade(parts: Parts, part: Path, prefix: str, gone: _Gone) -> int:
    """Write a part anew without some rows; return how many went."""
    stays = [gone.stays(row, prefix) for row in _rows_of(part)]
    left = sum(stays)
    if left == len(stays):
        return 0
    if part.suffix == ".csv":
        rows = [row for row, stay in zip(_rows(part), stays, strict=True) if stay]
        parts.remake(part, partial(_write_rows, rows=rows) if rows else None)
    else:
        kept = pq.read_table(part).filter(pa.array(stays, pa.bool_()))
        parts.remake(part, partial(pq.write_table, kept, compression="zstd") if left else None)
    return len(stays) - left


def _rows(part: Path) -> Iterator[dict[str, str]]:
    with open(part, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _write_rows(file: BinaryIO, rows: list[dict[str, str]]) -> None:
    text = io.StringIO(newline="")
    made = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    made.writeheader()
    made.writerows(rows)
    file.write(text.getvalue().encode())


def _ms(text: str) -> int:
    at = datetime.fromisoformat(text)
    return int(at.timestamp()) * 1000 + at.microsecond // 1000
