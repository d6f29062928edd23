"""Rows look the same in Parquet and in CSV, each in the form that docs/log.md gives."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq

from models.context import ValueType
from service.logs.batch import Batch, Batches

AT_MS = 1_780_000_000_123
MOMENT = "2026-05-28T20:26:40.123Z"
FIELDS = {
    "past.a": ValueType.INT, "past.b": ValueType.BOOL, "past.c": ValueType.DOUBLE, "past.d": ValueType.STRING,
    "past.e": ValueType.TIMESTAMP, "past.f": ValueType.STRINGS,
}  # fmt: skip
CANDIDATE = {"action": "a", "propensity": 0.25, "baseline": None, "net_value": -1.5, "probability": 1.0}
SEEN: dict[str, Any] = {
    "draw": 0.25, "permitted": False, "used": [{"counter": "cap|a:x", "at": [AT_MS, AT_MS]}],
    "refusals": [{"action": "a", "group": "", "intents": ["up"], "kind": "never", "at": AT_MS, "mark": "0aff"}],
    "promises": [
        {"key": "k", "action": "a", "given": AT_MS, "until": AT_MS, "decision_id": "d", "held": True},
    ],
    "off": ["b"], "everything_off": False, "trigger": "cart-left",
}  # fmt: skip


def timed(seen: dict[str, Any], moment: Any) -> dict[str, Any]:  # noqa: ANN401  as Parquet or CSV has a moment
    """Return what was seen with this for every moment."""
    return {
        **seen,
        "used": [{**one, "at": [moment for _ in one["at"]]} for one in seen["used"]],
        "refusals": [{**one, "at": moment} for one in seen["refusals"]],
        "promises": [{**one, "given": moment, "until": moment} for one in seen["promises"]],
    }


ROW: dict[str, Any] = {
    "decision_id": "d", "placement": "hero", "at": AT_MS, "customer_id": "ann, \"a\"", "probability": 0.1, "pool": 3,
    "action": "a", "candidates": [CANDIDATE], "allowed": ["a", "nothing"],
    "shadow": {"model": "m@1", "candidates": [CANDIDATE]},
    "seen": SEEN,
    "outcomes": [{"action": "a", "kind": "shown", "at": AT_MS, "amount": 0.0}],
    "feature.past.a": -7, "feature.past.b": True, "feature.past.c": 0.1, "feature.past.d": "ä;\n",
    "feature.past.e": AT_MS, "feature.past.f": ["x", "y,z"],
}  # fmt: skip


def batch(*rows: dict[str, Any]) -> Batch:
    """Return these rows as one batch."""
    waiting = Batches()
    for row in rows:
        waiting.decided(row, FIELDS)
    (made,) = waiting.ready()
    return made


def test_a_row_is_what_it_was_in_parquet() -> None:
    """Every column of a row comes back from Parquet with its type, moments as moments, what is missing as null."""
    file = io.BytesIO()
    batch(ROW, {"decision_id": "e"}).write(file, "parquet")
    first, second = pq.read_table(io.BytesIO(file.getvalue())).to_pylist()
    moment = datetime.fromtimestamp(AT_MS // 1000, UTC).replace(microsecond=123_000)
    came = [{"action": "a", "kind": "shown", "at": moment, "amount": 0.0}]
    seen = timed(SEEN, moment)
    expected = {**ROW, "at": moment, "feature.past.e": moment, "outcomes": came, "seen": seen}
    assert {name: first[name] for name in expected} == expected
    assert {name for name, value in second.items() if value is not None} == {"decision_id"}


def test_a_row_is_the_same_in_csv() -> None:
    """In CSV lists and structs are JSON, moments RFC 3339, doubles exact, truth values words and null an empty cell."""
    file = io.BytesIO()
    batch(ROW, {"decision_id": "e"}).write(file, "csv")
    first, second = csv.DictReader(io.StringIO(file.getvalue().decode(), newline=""))
    cells = {name: first[name] for name in ROW}
    told = {**ROW, "outcomes": [{**ROW["outcomes"][0], "at": MOMENT}], "seen": timed(SEEN, MOMENT)}
    for name in ("candidates", "allowed", "shadow", "outcomes", "seen", "feature.past.f"):
        expected = told[name]
        assert json.loads(cells.pop(name)) == expected
    assert cells == {
        "decision_id": "d", "placement": "hero", "at": MOMENT, "customer_id": 'ann, "a"', "probability": "0.1",
        "pool": "3", "action": "a", "feature.past.a": "-7", "feature.past.b": "true", "feature.past.c": "0.1",
        "feature.past.d": "ä;\n", "feature.past.e": MOMENT,
    }  # fmt: skip
    assert {name for name, value in second.items() if value} == {"decision_id"}


def test_rows_whose_fields_differ_in_type_are_apart() -> None:
    """Fields that only one of two strategies has share a part; a field with two types makes two."""
    waiting = Batches()
    waiting.decided({"decision_id": "1"}, {"past.a": ValueType.INT})
    waiting.decided({"decision_id": "2"}, {"past.a": ValueType.INT, "past.b": ValueType.BOOL})
    waiting.decided({"decision_id": "3"}, {"past.b": ValueType.STRING})
    assert [[row["decision_id"] for row in one.rows] for one in waiting.ready()] == [["1", "2"], ["3"]]
    assert [sorted(one.fields) for one in waiting.ready()] == [["past.a", "past.b"], ["past.b"]]
