"""Read decisions in JSON lines back as requests, with what was known then from a table of features.

The table is what `python -m training features` makes of the events and of these very decisions: one row a decision, in
their order, with a column a field.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models.context import Scalar, ValueType
from models.decision_table import NOTHING, feature_column
from service.evaluating.cells import LogRefused, Unreadable, opened, whole_moment, written

_BATCH = 4_096
_OWN = ("customer_id", "at")


def lines_of(decisions: Path, table: Path, kinds: Mapping[str, ValueType]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the decisions in batches, each with the columns of a log; `kinds` are the types of its feature columns."""
    made: list[Mapping[str, Any]] = []
    with opened(decisions) as lines, opened(table) as cells:
        rows = csv.DictReader(cells)
        full = (line for line in enumerate(lines, 1) if line[1].strip())
        for (number, line), known in zip(full, rows, strict=True):
            made.append({**_head(decisions.name, number, line), **_known(known, kinds)})
            if len(made) == _BATCH:
                yield made
                made = []
    if made:
        yield made


def _head(name: str, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        head = {column: row[column] for column in ("decision_id", "customer_id", "channel", "action")}
        return {**head, "action": head["action"] or NOTHING, "at": whole_moment(row["at"])}
    except (ValueError, KeyError, TypeError, Unreadable) as error:
        raise LogRefused(f"{name}:{number}: this is no logged decision ({error})") from None


def _known(cells: Mapping[str, str], kinds: Mapping[str, ValueType]) -> dict[str, Scalar]:
    named = ((feature_column(name), cell) for name, cell in cells.items() if name not in _OWN and cell)
    return {column: written(cell, kinds[column]) for column, cell in named if column in kinds}
