"""Where the decisions come from that are learned from: a log, or events and decisions in files of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.progress import Progress

from models.artifacts import Rows
from models.values import RanksBy

from ..dataset import dataset
from ..decisions import Decisions, Flags, Floats
from ..errors import AskedWrongly, TrainingRefused
from ..log import build
from ..log.memory import DEFAULT_BYTES
from ..progress import started
from ..rows import read_decisions, read_events
from ..scale import workers
from ..strategy import Declared


@dataclass(frozen=True, slots=True)
class Source:
    """The files to read: a log, with or without events; or events and decisions. `dask` says on which cluster."""

    log: Path | None = None
    events: Path | None = None
    decisions: Path | None = None
    memory: int = DEFAULT_BYTES
    unfinished: bool = False
    dask: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Decisions of which it is known what came of them, how much was read, and what is to be said of it.

    `delay_ms` (decisions,) is how long after the decision its outcome happened, NaN where it did not or is not known.
    """

    decisions: Decisions
    delay_ms: Floats
    rows: Rows
    remarks: tuple[str, ...]


def read(source: Source, declared: Declared, bars: Progress) -> Read:
    """Read what there is to learn from; raise `TrainingRefused` where that is nothing, or not usable."""
    if source.log is not None or not (declared.outcomes.implied or source.events is None or source.decisions is None):
        return _from_log(source, declared, bars)
    if source.events is None or source.decisions is None:
        raise AskedWrongly("name what to learn from: --log, or --events and --decisions")
    sizes = {path: size_of(path) for path in (source.events, source.decisions)}
    reading = {path: started(bars, f"reading {path.name}", size, "MB", 1_000_000) for path, size in sizes.items()}
    found = dataset(
        declared,
        read_events(source.events, declared.schema, reading[source.events]),
        read_decisions(source.decisions, declared.schema, reading[source.decisions]),
        lambda count: started(bars, "seeing as of then", count, "decisions"),
    )
    return Read(found.decisions, np.full(len(found.decisions), np.nan), found.rows, ())


def size_of(path: Path) -> int:
    """Return the size of an input file in bytes; raise `TrainingRefused` where it cannot be read."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise TrainingRefused(f"{path} cannot be read ({error.strerror})") from None


def _from_log(source: Source, declared: Declared, bars: Progress) -> Read:
    order = build.Order(
        declared, source.log, source.events, source.decisions, memory=source.memory, unfinished=source.unfinished
    )
    with workers(source.dask) as many:
        built = build.build(order, bars, many)
    counts, whole = built.counts, built.decisions
    labelled = _labelled(whole, len(declared.actions) + 1)
    told = np.flatnonzero(labelled | _earning(whole, declared))
    rows = Rows(
        events=counts.events,
        events_repeated=0,
        decisions=counts.decisions,
        decisions_repeated=counts.repeated,
        decisions_unlabelled=counts.decisions - int(labelled.sum()),
        decisions_of_other_actions=counts.others,
        first=_written(counts.first_ms),
        last=_written(counts.last_ms),
    )
    return Read(_of_today(whole.part(told), declared), built.delay_ms[told], rows, tuple(_remarks(counts)))


def _labelled(decisions: Decisions, known: int) -> Flags:
    """Return which rows (decisions,) tell what came of an action that the strategy has."""
    own = ~np.isnan(decisions.happened[:, :known]).all(axis=1)
    return np.asarray(own & (decisions.action < known))


def _earning(decisions: Decisions, declared: Declared) -> Flags:
    """Return which rows (decisions,) tell what they earned, where models of worth are learned of it."""
    known = decisions.action < len(declared.actions) + 1
    return np.asarray(known & ~np.isnan(decisions.worth) & (declared.ranks_by is RanksBy.UPLIFT))


def _of_today(decisions: Decisions, declared: Declared) -> Decisions:
    """Return the decisions without the columns of actions that the strategy no longer has."""
    known = len(declared.actions) + 1
    return Decisions(
        decisions.customer,
        decisions.at_ms,
        decisions.columns,
        decisions.x,
        decisions.actions[:known],
        decisions.action,
        decisions.probability,
        decisions.allowed[:, :known],
        decisions.happened[:, :known],
        decisions.worth,
    )


def _remarks(counts: build.Counts) -> list[str]:
    remarks = []
    if counts.kept < 1.0:
        remarks.append(f"{counts.kept:.0%} of the customers were taken, which is what fits into --memory")
    remarks += counts.too_late
    if counts.unknown:
        remarks.append(f"unknown in all rows, for neither the log nor events tell it: {', '.join(counts.unknown)}")
    return remarks


def _written(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
