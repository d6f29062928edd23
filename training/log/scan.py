"""Read the files of a log once, a batch at a time, and spread their rows over parts by customer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from models.context import Scalar, Source
from models.decision_table import feature_of
from models.outcomes import Reported
from training.decisions import NOTHING
from training.errors import AskedWrongly, TrainingRefused
from training.progress import Advance, started, unseen
from training.rows import DecisionRow, EventRow, read_decisions, read_events
from training.strategy import Declared

from .reading import Wanted
from .rows import Came, Decided, Happened
from .spool import Spool, unpacked
from .table import Table, columns_of, read_outcomes, read_table, rows_of

if TYPE_CHECKING:
    from .build import Order

_LEAST_PARTS, _MOST_PARTS = 16, 1_024
_PART_BYTES = 2_000_000
_FOLDED = (Source.EVENTS, Source.CLOCK)


@dataclass(slots=True)
class Scanned:
    """What was found in the files, and where their rows lie.

    `told` are the indexes of the fields that every part of the table tells, `unknown` the features that nobody tells.
    `said_at` maps a placement to the actions that the log says there, `by_name` are the kinds of outcomes in the log.
    `ahead` is how much is dated later than now: wrong clocks, unless most decisions are (then the log is of a world
    with a time of its own).
    """

    spools: tuple[Spool[Decided], Spool[tuple[str, Came]], Spool[Happened]]
    parts: int
    now_ms: int
    told: frozenset[int] = frozenset()
    told_once: frozenset[int] = frozenset()
    unknown: tuple[str, ...] = ()
    said_at: dict[str, set[str]] = field(default_factory=dict)
    ahead: int = 0
    decisions_ahead: int = 0
    latest_ms: int = 0
    latest_ahead_ms: int = 0
    outcomes: int = 0
    unmatched: int = 0
    by_name: set[str] = field(default_factory=set)

    @property
    def rows(self) -> int:
        """How many decisions there are, repeats included."""
        return self.spools[0].rows

    @property
    def events(self) -> int:
        """How many events of the types that matter there are, repeats included."""
        return self.spools[2].rows

    @property
    def said(self) -> set[str]:
        """All actions that the log says."""
        return set().union(*self.said_at.values())

    def packed(self, part: int) -> tuple[bytes, bytes, bytes]:
        """Return the decisions, outcomes and events of a part."""
        decisions, outcomes, events = self.spools
        return decisions.packed(part), outcomes.packed(part), events.packed(part)

    def saw(self, at_ms: int) -> None:
        """Note when something is told of."""
        if at_ms <= self.now_ms:
            self.latest_ms = max(self.latest_ms, at_ms)
        else:
            self.ahead, self.latest_ahead_ms = self.ahead + 1, max(self.latest_ahead_ms, at_ms)

    @property
    def own_time(self) -> bool:
        """Whether most decisions are dated later than now: then the clock here says nothing about the log."""
        return 2 * self.decisions_ahead > self.rows

    @property
    def until_ms(self) -> int:
        """When the log ends: with the latest thing that it tells of, of those not dated later than now."""
        return self.latest_ahead_ms if self.own_time else self.latest_ms


def scan(order: Order, folder: Path, bars: Progress) -> Scanned:
    """Read all files of a log; raise `TrainingRefused` where they cannot be used."""
    table = Table.at(order.table) if order.table else None
    if (table is None) == (order.decisions is None):
        raise AskedWrongly("name either a table of decisions or a file of them in JSON lines, not both")
    files = [*(table.files if table else ()), *(path for path in (order.events, order.decisions) if path)]
    parts = min(_MOST_PARTS, max(_LEAST_PARTS, sum(map(_size, files)) // _PART_BYTES))
    spools = (
        Spool[Decided](folder, "decisions", parts),
        Spool[tuple[str, Came]](folder, "outcomes", parts),
        Spool[Happened](folder, "events", parts),
    )
    scanned = Scanned(spools, parts, order.now_ms if order.now_ms is not None else time.time_ns() // 1_000_000)
    if table:
        _scan_table(table, order, scanned, folder, bars)
    elif order.decisions:
        _scan_lines(order.decisions, order.declared, scanned, bars)
    if order.events:
        _scan_events(order.events, order.declared, scanned, bars)
    for spool in spools:
        spool.write()
    _check_sources(order, scanned)
    return scanned


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise TrainingRefused(f"{path} cannot be read ({error.strerror})") from None


# ------------------------------------------------------------------------------------------------------------- tables


def _scan_table(table: Table, order: Order, scanned: Scanned, folder: Path, bars: Progress) -> None:
    declared = order.declared
    wanted = {path: _wanted(path, declared) for path in table.decisions}
    told = [{index for _, index, _ in one.fields} for one in wanted.values()]
    scanned.told, scanned.told_once = frozenset.intersection(*map(frozenset, told)), frozenset().union(*told)
    home = Spool[tuple[str, int]](folder, "home", scanned.parts) if table.outcomes else None
    advance = started(bars, "reading decisions", sum(map(_size, table.decisions)), "MB", 1_000_000)
    for path in table.decisions:
        seen = _by_rows(path, advance)
        for batch in read_table(path, declared.schema, wanted[path]):
            for row in batch:
                part = _take(row, scanned)
                if home:
                    home.add(home.part_of(row.id), (row.id, part))
            seen(len(batch))
    if home:
        _join_outcomes(table.outcomes, home, scanned, folder, bars)


def _by_rows(path: Path, advance: Advance) -> Advance:
    """Return what moves a bar of bytes on by rows; where nobody knows how many there are, all at the beginning."""
    size, rows = _size(path), rows_of(path)
    if not rows:
        advance(size)
        return unseen
    return lambda count: advance(count * size // rows)


def _wanted(path: Path, declared: Declared) -> Wanted:
    """Return the features that a part tells: one that was written before a field was declared tells fewer."""
    columns = columns_of(path)
    told = [column for column in columns if feature_of(column) is not None]
    if told and not any(feature_of(column) in declared.schema.index for column in told):
        raise TrainingRefused(
            f"{path.name}: this is the log of another strategy: none of its {len(told)} feature columns, such as "
            f"{told[0]}, is a field of {declared.name}; name its own with --strategy"
        )
    return Wanted.of(declared.schema, declared.space.features, columns)


def _take(row: Decided, scanned: Scanned) -> int:
    decisions = scanned.spools[0]
    part = decisions.part_of(row.customer)
    decisions.add(part, row)
    scanned.said_at.setdefault(row.placement, set()).add(row.action)
    scanned.saw(row.at_ms)
    scanned.decisions_ahead += row.at_ms > scanned.now_ms
    for came in row.came:
        _note(came, scanned)
    return part


def _note(came: Came, scanned: Scanned) -> None:
    scanned.outcomes += 1
    scanned.saw(came.at_ms or 0)
    scanned.by_name.add(came.kind)


def _join_outcomes(
    paths: tuple[Path, ...], home: Spool[tuple[str, int]], scanned: Scanned, folder: Path, bars: Progress
) -> None:
    """Put each outcome to the part of its decision's customer; it knows the decision only."""
    loose = Spool[tuple[str, Came]](folder, "loose", scanned.parts)
    advance = started(bars, "reading outcomes", sum(map(_size, paths)), "MB", 1_000_000)
    for path in paths:
        seen = _by_rows(path, advance)
        for batch in read_outcomes(path):
            for decision, came in batch:
                loose.add(loose.part_of(decision), (decision, came))
                _note(came, scanned)
            seen(len(batch))
    loose.write()
    home.write()
    for part in range(scanned.parts):
        at = dict(unpacked(home.packed(part), tuple[str, int]))
        for decision, came in unpacked(loose.packed(part), tuple[str, Came]):
            if decision in at:
                scanned.spools[1].add(at[decision], (decision, came))
            else:
                scanned.unmatched += 1


# ------------------------------------------------------------------------------------------------------------- lines


def _scan_lines(path: Path, declared: Declared, scanned: Scanned, bars: Progress) -> None:
    for row in read_decisions(path, declared.schema, _reading(path, bars)):
        _take(_decided(row), scanned)


def _decided(row: DecisionRow) -> Decided:
    action = row.action or NOTHING
    came: tuple[Came, ...] = ()
    if row.outcomes.get(action) or (action == NOTHING and row.amount is not None):
        came = (Came(action, Reported.ACCEPTED, None, row.amount),)
    told: dict[int, Scalar | None] = dict(row.context)
    return Decided(row.id, "", row.customer, row.at_ms, action, row.probability, told, None, came, dict(row.outcomes))


def _scan_events(path: Path, declared: Declared, scanned: Scanned, bars: Progress) -> None:
    """Read the events that fold into features or tell of outcomes; the others only say when the log ends."""
    matter, events = _types(declared), scanned.spools[2]
    for row in read_events(path, declared.schema, _reading(path, bars)):
        scanned.saw(row.at_ms)
        if row.type in matter:
            events.add(events.part_of(row.customer), _happened(row))


def _happened(row: EventRow) -> Happened:
    return Happened(row.id, row.customer, row.type, row.at_ms, dict(row.attributes))


def _types(declared: Declared) -> frozenset[str]:
    folds = [field.fold for field in declared.schema.fields if field.fold]
    folded = {event for fold in folds for event in (fold.event, fold.closed_by) if event}
    return frozenset(folded | set(declared.outcomes.events))


def _reading(path: Path, bars: Progress) -> Advance:
    return started(bars, f"reading {path.name}", _size(path), "MB", 1_000_000)


# ------------------------------------------------------------------------------------------------------------- checks


def _check_sources(order: Order, scanned: Scanned) -> None:
    """See that somebody tells of the outcomes, and of one feature at least."""
    declared = order.declared
    for outcome in declared.outcomes.declared if not order.events else ():
        if outcome.sign.event and outcome.id not in scanned.by_name:
            raise TrainingRefused(
                f"the outcome `{outcome.id}` is told by the event {outcome.sign.event}; name the events with --events"
            )
    scanned.unknown = tuple(_untold(order, scanned))
    if len(scanned.unknown) == len(declared.space.features):
        raise TrainingRefused("the log tells none of the features; name the events with --events")


def _untold(order: Order, scanned: Scanned) -> Iterator[str]:
    schema = order.declared.schema
    for name in order.declared.space.features:
        index = schema.index[name]
        source = schema.fields[index].source
        by_context = order.decisions is not None and source is Source.REQUEST
        if not (index in scanned.told_once or by_context or (order.events and source in _FOLDED)):
            yield name
