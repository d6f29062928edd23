"""Anybody's logged decisions into a folder of parts, all of them or none."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.decision_table import NOTHING, REQUIRED, feature_column
from service.logs.batch import Batches, Row
from service.logs.cells import Cell, Unfit
from service.logs.mapping import Came, Plan
from service.logs.parts import Format, Parts, opened
from service.logs.sources import SourceRefused, rows_of

STEP_ROWS = 20_000
MOST_PROBLEMS = 20
Moved = Callable[[int, int], None]
"""Told how far through the files it is, in parts of a thousand a file, and how many more rows there are."""


@dataclass(slots=True)
class Imported:
    """What an import came to."""

    decisions: int = 0
    outcomes: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)


def import_files(files: Sequence[Path], plan: Plan, out: Path, form: Format, skip: bool, moved: Moved) -> Imported:
    """Write what the files hold into a new folder; raise `SourceRefused`, and leave nothing there, where rows are bad.

    `skip` leaves bad rows out instead and counts them.
    """
    if out.exists() and any(out.iterdir()):
        raise SourceRefused(f"{out} is not empty; name a new folder")
    being_made = out.with_name(f".{out.name}.partial")
    shutil.rmtree(being_made, ignore_errors=True)
    try:
        with opened(being_made, form, "an import") as parts:
            imported = _Import(plan, parts, skip).run(files, moved)
        if imported.problems and not skip:
            raise SourceRefused("\n".join(imported.problems))
        being_made.rename(out)
    finally:
        shutil.rmtree(being_made, ignore_errors=True)
    return imported


class _Import:
    def __init__(self, plan: Plan, parts: Parts, skip: bool) -> None:
        self._plan, self._parts, self._skip = plan, parts, skip
        self._done = Imported()
        self._batches = Batches()
        self._seen = 0

    def run(self, files: Sequence[Path], moved: Moved) -> Imported:
        """Take all rows of all files, in their order."""
        cells = (*self._plan.columns.values(), *self._plan.features.values())
        came = [cell for one in self._plan.outcomes for cell in (one.at, one.amount) if cell]
        columns = {name for cell in (*cells, *came) for name in cell.columns}
        columns |= {one.column for one in self._plan.outcomes}
        for place, path in enumerate(files):
            for line, through, row in rows_of(path, self._plan.separator, columns):
                self._seen += 1
                self._take(path, line, row)
                if self._batches.size >= STEP_ROWS:
                    moved(1000 * place + through, self._step())
                if len(self._done.problems) >= MOST_PROBLEMS and not self._skip:
                    self._done.problems.append("and maybe more; mend these first")
                    return self._done
        moved(1000 * len(files), self._step())
        return self._done

    def _take(self, path: Path, line: int, row: Row) -> None:
        try:
            made = self._row(row)
            came = [found for one in self._plan.outcomes if (found := self._came(one, row, made))]
        except Unfit as unfit:
            self._done.skipped += 1
            if len(self._done.problems) < MOST_PROBLEMS:
                self._done.problems.append(f"{path}:{line}: {unfit}")
            return
        self._batches.decided(made, self._plan.fields)
        for one in came:
            self._batches.came(one)
        self._done.decisions += 1
        self._done.outcomes += len(came)

    def _row(self, row: Row) -> Row:
        made = {name: _read(name, cell, row, self._seen) for name, cell in self._plan.columns.items()}
        for name, cell in self._plan.features.items():
            made[feature_column(name)] = _read(name, cell, row, self._seen)
        for name in REQUIRED:
            if made[name] is None:
                raise Unfit(f"{name} is missing; every row needs one")
        if not 0.0 < made["probability"] <= 1.0:
            raise Unfit(f"probability {made['probability']!r} is not above 0 and at most 1")
        return made

    def _came(self, one: Came, row: Row, made: Row) -> Row | None:
        if str(row[one.column]) not in one.holds or made["action"] == NOTHING:
            return None
        at = made["at"] + one.after_ms
        if one.at is not None and (told := _read("at", one.at, row, self._seen)) is not None:
            at = told
        amount = _read("amount", one.amount, row, self._seen) if one.amount else 0.0
        return {
            "decision_id": made["decision_id"], "customer_id": made["customer_id"], "action": made["action"],
            "kind": one.kind, "at": at, "amount": amount,
        }  # fmt: skip

    def _step(self) -> int:
        rows, ready = self._batches.size, self._batches.ready()
        if ready:
            self._parts.add(ready, {})
        self._batches = Batches()
        return rows


def _read(name: str, cell: Cell, row: Row, number: int) -> Any:  # noqa: ANN401 - of the cell's type
    try:
        return cell.of(row, number)
    except Unfit as unfit:
        raise Unfit(f"{name}: {unfit}") from None
