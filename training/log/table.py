"""Tables of decisions as files: which there are, of what format, and their rows in batches.

A table is a file (.parquet, .csv or .csv.gz) or a folder of parts, `decisions-*` and `outcomes-*`. Only the columns
that are asked for are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.context import ContextSchema
from models.decision_table import DECISIONS, OUTCOMES
from training.errors import TrainingRefused

from .cells import csv_columns, csv_decisions, csv_outcomes
from .columns import parquet_columns, parquet_decisions, parquet_outcomes, parquet_rows
from .reading import Batch, Outcome, Wanted

_ENDS = (".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True, slots=True)
class Table:
    """The files of a table: parts with decisions, and parts with what came of them."""

    decisions: tuple[Path, ...]
    outcomes: tuple[Path, ...]

    @classmethod
    def at(cls, path: Path) -> Table:
        """Find the files; raise `TrainingRefused` where there is no table."""
        if path.is_dir():
            parts = sorted(part for part in path.iterdir() if part.name.endswith(_ENDS))
            found = cls(_named(parts, DECISIONS), _named(parts, OUTCOMES))
            _refuse_half_written(path)
            if not found.decisions:
                raise TrainingRefused(f"{path} holds no {DECISIONS}*.parquet; name the folder of `tact log export`")
            return found
        if not path.is_file():
            raise TrainingRefused(f"{path} cannot be read (No such file or directory)")
        if not path.name.endswith(_ENDS):
            raise TrainingRefused(f"{path.name} says no format; name a folder, or a file in {', '.join(_ENDS)}")
        return cls((path,), ())

    @property
    def files(self) -> tuple[Path, ...]:
        """All files."""
        return self.decisions + self.outcomes


def _refuse_half_written(folder: Path) -> None:
    """A part that has no name yet is of an export that was interrupted in its last step, or is still going on."""
    if any(folder.glob(f".{DECISIONS}*.partial")) or any(folder.glob(f".{OUTCOMES}*.partial")):
        raise TrainingRefused(f"{folder} is being written, or was left half written; run `tact log export` to its end")


def _named(parts: Sequence[Path], begin: str) -> tuple[Path, ...]:
    return tuple(part for part in parts if part.name.startswith(begin))


def is_packed_in_columns(path: Path) -> bool:
    """Tell Parquet from CSV by the name."""
    return path.suffix == ".parquet"


def read_table(path: Path, schema: ContextSchema, wanted: Wanted) -> Iterator[Batch]:
    """Yield the decisions of a file in batches; raise `InputRefused` for rows that cannot be used."""
    read = parquet_decisions if is_packed_in_columns(path) else csv_decisions
    yield from read(path, schema, wanted)


def read_outcomes(path: Path) -> Iterator[tuple[Outcome, ...]]:
    """Yield the outcomes of a part in batches; raise `InputRefused` for rows that cannot be used."""
    read = parquet_outcomes if is_packed_in_columns(path) else csv_outcomes
    yield from read(path)


def rows_of(path: Path) -> int:
    """Return how many rows a file has; 0 where only reading it tells."""
    return parquet_rows(path) if is_packed_in_columns(path) else 0


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns."""
    return parquet_columns(path) if is_packed_in_columns(path) else csv_columns(path)
