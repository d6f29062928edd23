"""Compare a challenger with the champion by what both said of the same live decisions, as the log has it.

Here all that the store knew counts: caps, promises, stock, the memory of what was said. The forecasts for what was said
meet the outcomes that came of it. What the challenger would have earned where it would have said something else is not
told by this; `tact evaluate` and the gate tell it.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from models.decision_table import NOTHING

from ..decisions import Floats
from ..errors import TrainingRefused
from ..log.build import Built, build
from ..log.build import Order as LogOrder
from ..log.chunk import code_of
from ..log.memory import DEFAULT_BYTES
from ..log.table import Table
from ..strategy import read_strategy
from .measures import Pair, calibration_errors, log_losses
from .promotion import finite

Document = dict[str, Any]
Cells = Mapping[str, Any]

FEWEST = 50
_COLUMNS = ("decision_id", "placement", "action", "model", "propensity", "shadow")


@dataclass(frozen=True, slots=True)
class Beside:
    """What a challenger said of what a decision said: its forecast and with what probability it would have said it."""

    challenger: str
    champion: str
    own: float
    other: float
    agrees: float


def compared(strategy: Path, log: Path, challenger: str, memory: int | None, bars: Progress) -> Document:
    """Compare the challenger that the log names (the most frequent one, unless it is given) with who decided.

    Raises `TrainingRefused` where the log has none, or too few outcomes of what was said beside it.
    """
    built = build(LogOrder(read_strategy(strategy), log, None, None, memory or DEFAULT_BYTES), bars)
    beside = _beside(log)
    names = Counter(one.challenger for one in beside.values())
    name = challenger or next(iter(dict(names.most_common(1))), "")
    if not names[name]:
        there = ", ".join(sorted(names)) or "no challenger"
        raise TrainingRefused(
            f"{log} has {there} beside its decisions; serve with --challenger, and export the log again"
        )
    pair, agrees, champions = _paired(built, {key: one for key, one in beside.items() if one.challenger == name})
    told: Document = {
        "challenger": name,
        "champions": champions,
        "decisions": len(agrees),
        "agreement": float(np.mean(agrees)) if len(agrees) else None,
        "outcomes": len(pair.outcome),
        "log_loss": None,
        "calibration_error": None,
    }
    if len(pair.outcome) >= FEWEST:
        told["log_loss"], told["calibration_error"] = asdict(log_losses(pair)), asdict(calibration_errors(pair))
    return dict(finite(told))


def _paired(built: Built, beside: Mapping[tuple[int, str], Beside]) -> tuple[Pair, Floats, list[str]]:
    """Return both forecasts where the outcome is known, the agreement of all rows, and who decided."""
    rows, found = [], []
    for row, (key, place) in enumerate(zip(built.key.tolist(), built.placement.tolist(), strict=True)):
        one = beside.get((key, built.placements[place]))
        if one is not None:
            rows.append(row)
            found.append(one)
    places = np.array(rows, dtype=np.int64)
    decisions = built.decisions.part(places)
    own, other, agrees = (np.array([getattr(one, name) for one in found]) for name in ("own", "other", "agrees"))
    outcome = decisions.happened[np.arange(len(decisions)), decisions.action]
    known = (decisions.action > 0) & ~np.isnan(outcome) & ~np.isnan(own) & ~np.isnan(other)
    pair = Pair(own[known], other[known], outcome[known], decisions.customer[known])
    return pair, agrees, sorted({one.champion for one in found})


def _beside(log: Path) -> dict[tuple[int, str], Beside]:
    """Return what challengers said where something was said, by the decision's key and its placement."""
    found = {}
    for file in Table.at(log).decisions:
        for cells in _rows(file):
            shadow, action = cells.get("shadow"), cells.get("action")
            if shadow and action and action != NOTHING and shadow.get("candidates"):
                said = next((one for one in shadow["candidates"] if one["action"] == action), None)
                key = code_of(cells["decision_id"]), cells.get("placement") or ""
                found[key] = Beside(
                    shadow["model"],
                    cells.get("model") or "priors",
                    _number(said and said["propensity"]),
                    _number(cells.get("propensity")),
                    _number(said and said["probability"]) if said else 0.0,
                )
    return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _rows(file: Path) -> Iterator[Cells]:
    if file.suffix == ".parquet":
        yield from _of_parquet(file)
        return
    with gzip.open(file, "rt", newline="") if file.suffix == ".gz" else file.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 1):
            try:
                shadow = json.loads(row.get("shadow") or "null")
                yield {
                    **row,
                    "shadow": shadow,
                    "propensity": float(row["propensity"]) if row.get("propensity") else None,
                }
            except ValueError as error:
                raise TrainingRefused(
                    f"{file.name}:{number}: `shadow` or `propensity` cannot be read ({error})"
                ) from None


def _of_parquet(file: Path) -> Iterator[Cells]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
        wanted = [name for name in _COLUMNS if name in opened.schema_arrow.names]
        for batch in opened.iter_batches(batch_size=4_096, columns=wanted, use_threads=False):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise TrainingRefused(f"{file.name}: this is no Parquet file ({error})") from None
