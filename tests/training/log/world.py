"""A shop whose log of decisions can be written in every form that training reads, by plain code of its own."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import Progress

from models.decision_table import decision_schema, outcome_schema
from tests.training.world import write_lines
from training.log.build import Built, Order, build
from training.log.memory import DEFAULT_BYTES
from training.scale import Workers
from training.strategy import Declared, read_strategy

START = 1_790_000_000_000
NOW = 2_000_000_000_000
"""A moment after all that happens in the shop."""
Rows = Sequence[Mapping[str, Any]]
HOUR_MS, DAY_MS = 3_600_000, 86_400_000

STRATEGY = """\
strategy: {name: shop, says: A shop., currency: EUR, safe_greeting: hello}
events:
  - {id: bought, says: Something was bought., attributes: {amount: double, coupon: {type: string, optional: true}}}
  - {id: looked, says: A page was seen., attributes: {offer: string, deep: {type: bool, optional: true}}}
  - id: redeemed
    says: A coupon was used.
    attributes: {offer: string, paid: double, shop: {type: string, values: [a, b], optional: true}}
fields:
  - {id: past.spend, says: S., type: double, purpose: service, fold: {kind: sum, event: bought, attribute: amount}}
  - {id: past.looks, says: L., type: int, purpose: personalization, fold: {kind: count, event: looked}}
  - {id: past.last_shop, says: O., type: string, purpose: service, values: [a, b],
     fold: {kind: last, event: redeemed, attribute: shop}}
  - {id: present.mood, says: M., type: double, purpose: service, source: request, low: -1, high: 1}
actions:
  - {id: hello, kind: greeting, propensity: 0.5, value: 0.1}
  - {id: tea, kind: offer, intents: [upsell], group: drinks, propensity: 0.2, value: 4, reward: 1, cost: 0.5}
  - {id: cake, kind: offer, intents: [upsell], group: food, propensity: 0.1, value: 9, reward: 2, cost: 0.5}
model: {features: [past.spend, past.looks, past.last_shop, present.mood]}
"""

OUTCOMES = """\
outcomes:
  - id: redeemed
    says: The coupon of the offer was used.
    of: {kinds: [offer]}
    event: redeemed
    match: offer
    within: 5d
    influenced_by: {event: looked, match: offer}
  - {id: spend, says: Money spent., event: bought, amount: amount, within: 2d, at_most: 10}
  - {id: paid, says: Coupons paid., event: redeemed, match: offer, amount: paid, within: 2d, where: {shop: a}}
worth: {spend: 0.5, paid: -1, cost: -1}
"""


def shop(folder: Path, more: str = "") -> Declared:
    """Write the strategy, with more sections, and read it."""
    home = folder / "shop"
    home.mkdir(exist_ok=True)
    (home / "all.yaml").write_text(STRATEGY)
    (home / "more.yaml").unlink(missing_ok=True)
    if more:
        (home / "more.yaml").write_text(more)
    return read_strategy(home)


def row(
    number: int, customer: str = "ann", at: int = 0, action: str = "tea", probability: float = 0.5, **more: object
) -> dict[str, Any]:
    """Return a row of a table; `at` are hours from the start, outcomes have the same."""
    return {
        "decision_id": f"d{number}",
        "customer_id": customer,
        "at": START + at * HOUR_MS,
        "action": action,
        "probability": probability,
        "feature.present.mood": None,
        **more,
    }


def came(kind: str, action: str = "tea", at: int = 1, amount: float | None = None) -> dict[str, Any]:
    """Return an outcome."""
    return {"action": action, "kind": kind, "at": START + at * HOUR_MS, "amount": amount}


def event(number: int, kind: str, customer: str = "ann", at: float = 1, **attributes: object) -> dict[str, Any]:
    """Return an event; `at` are hours from the start."""
    return {
        "event_id": f"e{number}",
        "customer_id": customer,
        "type": kind,
        "occurred_at": START + round(at * HOUR_MS),
        "attributes": attributes,
    }


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], declared: Declared) -> Path:
    """Write rows as a Parquet table with the columns that they have."""
    types = {field.id: field.type for field in declared.schema.fields}
    schema = decision_schema(types)
    have = {name for one in rows for name in one}
    wanted = pa.schema([schema.field(name) for name in schema.names if name in have], metadata=schema.metadata)
    pq.write_table(pa.Table.from_pylist([dict(one) for one in rows], schema=wanted), path, row_group_size=7)
    return path


def write_outcomes(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a part of outcomes."""
    pq.write_table(pa.Table.from_pylist([dict(one) for one in rows], schema=outcome_schema()), path)
    return path


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows as CSV: lists as JSON, moments as RFC 3339."""
    columns = list(dict.fromkeys(name for one in rows for name in one))
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(columns)
        out.writerows([_cell(name, one.get(name)) for name in columns] for one in rows)
    return path


def _cell(name: str, value: object) -> object:
    if name == "at":
        return datetime.fromtimestamp(float(str(value)) / 1000, UTC).isoformat()
    return json.dumps(value) if isinstance(value, list | bool) else value


def built(
    declared: Declared,
    folder: Path,
    workers: Workers | None = None,
    *,
    rows: Rows | None = None,
    lines: Rows | None = None,
    events: Rows | None = None,
    memory: int = DEFAULT_BYTES,
    unfinished: bool = False,
) -> Built:
    """Build a log; `rows` are written as a table, `lines` (decisions) and `events` as JSON lines."""
    table = None if rows is None else write_parquet(folder / "log.parquet", rows, declared)
    decisions, happened = _lines(folder / "lines.jsonl", lines), _lines(folder / "events.jsonl", events)
    order = Order(declared, table, happened, decisions, memory, unfinished, NOW)
    return build(order, Progress(disable=True), workers)


def read(declared: Declared, table: Path, decisions: Path | None = None) -> Built:
    """Build what a table says."""
    return build(Order(declared, table, decisions=decisions, now_ms=NOW), Progress(disable=True))


def _lines(path: Path, rows: Rows | None) -> Path | None:
    if rows is not None:
        write_lines(path, rows)
    return None if rows is None else path


def same(one: Built, other: Built) -> bool:
    """Say whether two logs are the same to the last bit."""
    fields = ("customer", "at_ms", "x", "action", "probability", "allowed", "happened", "worth")
    pairs = [(getattr(one.decisions, name), getattr(other.decisions, name)) for name in fields]
    pairs += [(one.placement, other.placement), (one.influenced, other.influenced), (one.delay_ms, other.delay_ms)]
    pairs += [(one.amounts[name], other.amounts[name]) for name in one.amounts]
    heads = [(b.decisions.columns, b.decisions.actions, b.placements, b.counts, tuple(b.amounts)) for b in (one, other)]
    return heads[0] == heads[1] and all(_equal(a, b) for a, b in pairs)


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401  arrays of any kind
    return bool(one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
