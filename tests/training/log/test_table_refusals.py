"""Claims about tables that cannot be used: bad rows, damaged files and strange folders are named in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.decision_table import VERSION_KEY
from tests.training.log.world import START, built, came, read, row, shop, write_parquet
from training.errors import InputRefused, TrainingRefused

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no probability": ({"probability": 0.0}, "log.parquet:2: the probability is not above 0 and at most 1"),
    "too much probability": ({"probability": 1.5}, "log.parquet:2: the probability is not above 0 and at most 1"),
    "unknown probability": ({"probability": None}, "log.parquet:2: the probability is not above 0"),
    "no customer": ({"customer_id": None}, "log.parquet:2: customer_id is empty"),
    "a blank customer": ({"customer_id": " "}, "log.parquet:2: customer_id is blank"),
    "no action": ({"action": None}, "log.parquet:2: action is empty"),
    "no decision": ({"decision_id": None}, "log.parquet:2: decision_id is empty"),
    "no moment": ({"at": None}, "log.parquet:2: this is no moment in time"),
    "the last century": ({"at": 0}, "log.parquet:2: at is before the year 2000"),
    "an endless amount": ({"outcomes": [came("accepted", amount=float("inf"))]}, "log.parquet:2: it is not finite"),
    "an outcome of nothing known": ({"outcomes": [came("accepted", None)]},  # type: ignore[arg-type]  # the point
                                    "log.parquet:2: action is empty"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_rows_are_named(tmp_path: Path, what: str) -> None:
    """A row that cannot be used ends it, with the file, its number, and what would be right, and without its values."""
    bad, words = BAD[what]
    rows = [row(1, outcomes=[]), {**row(2, "secret-name", outcomes=[]), **bad}]
    with pytest.raises(InputRefused) as refused:
        built(shop(tmp_path), tmp_path, rows=rows)
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _scratched(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _newer(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: b"2"}), path)


def _without(column: str) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pq.read_table(path).drop_columns([column]), path)


def _with(column: str, value: pa.Scalar) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        table = pq.read_table(path)
        values = pa.repeat(value, len(table))
        pq.write_table(table.set_column(table.column_names.index(column), column, values), path)

    return change


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut short": (_cut, "log.parquet: this is no Parquet file"),
    "scratched": (_scratched, "log.parquet: the file is damaged"),
    "newer": (_newer, "log.parquet: a newer Tact wrote this table"),
    "no actions": (_without("action"), "log.parquet: the table has no column 'action'; it has"),
    "a text for a number": (_with("feature.present.mood", pa.scalar("good")), "'feature.present.mood' is of type str"),
    "moments of nowhere": (_with("at", pa.scalar(START, pa.timestamp("ms"))), "log.parquet: the moments"),
    "empty": (_emptied, "log.parquet: this is no Parquet file"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, what: str) -> None:
    """Damaged files, those of newer versions, and columns that lack or mean something else are refused in words."""
    declared = shop(tmp_path)
    path = write_parquet(tmp_path / "log.parquet", [row(number) for number in range(99)], declared)
    spoil, words = SPOILT[what]
    spoil(path)
    with pytest.raises(InputRefused) as refused:
        read(declared, path)
    assert words in str(refused.value)


CELLS: dict[str, tuple[str, str]] = {
    "a moment without a zone": ("d,c,2026-01-01T00:00:00,tea,1,,", "log.csv:2: at: this moment names no time zone"),
    "a probability in words": ("d,c,2026-01-01T00:00:00Z,tea,half,,", "log.csv:2: the probability is not above 0"),
    "no JSON": ("d,c,2026-01-01T00:00:00Z,tea,1,[,", "log.csv:2: `outcomes` is no JSON; write a list"),
    "no list": ("d,c,2026-01-01T00:00:00Z,tea,1,3,", "log.csv:2: `outcomes` is no list of outcomes"),
    "a mood in words": ("d,c,2026-01-01T00:00:00Z,tea,1,,good", "log.csv:2: 'feature.present.mood': a text must be"),
    "too few cells": ("d,c", "log.csv:2: the row has 2 cells"),
}


@pytest.mark.parametrize("what", CELLS)
def test_bad_cells_are_named(tmp_path: Path, what: str) -> None:
    """The same goes for CSV, with the number of the line."""
    line, words = CELLS[what]
    head = "decision_id,customer_id,at,action,probability,outcomes,feature.present.mood"
    (tmp_path / "log.csv").write_text(f"{head}\n{line}\n")
    with pytest.raises(InputRefused) as refused:
        read(shop(tmp_path), tmp_path / "log.csv")
    assert words in str(refused.value)


def test_many_bad_rows_are_not_all_told(tmp_path: Path) -> None:
    """After twenty it says that there may be more."""
    with pytest.raises(InputRefused) as refused:
        built(shop(tmp_path), tmp_path, rows=[row(number, probability=2.0) for number in range(99)])
    assert len(refused.value.problems) == 21
    assert refused.value.problems[-1] == "and maybe more; mend these first"


def test_what_is_no_table_at_all_is_refused(tmp_path: Path) -> None:
    """Nothing there, a folder without parts, a file of another name, no rows, no features, two logs at once."""
    declared = shop(tmp_path)
    (tmp_path / "log.txt").write_text("")
    (tmp_path / "empty").mkdir()
    table = write_parquet(tmp_path / "log.parquet", [row(1)], declared)
    for path, words in (
        (tmp_path / "no.parquet", "no.parquet cannot be read"),
        (tmp_path / "empty", "holds no decisions-"),
        (tmp_path / "log.txt", "log.txt says no format"),
    ):
        with pytest.raises(TrainingRefused, match=words):
            read(declared, path)
    with pytest.raises(TrainingRefused, match="there are no decisions to learn from"):
        read(declared, _cleared(table))
    bare = {name: value for name, value in row(1).items() if not name.startswith("feature.")}
    with pytest.raises(TrainingRefused, match="the log tells none of the features"):
        built(declared, tmp_path, rows=[bare])
    with pytest.raises(TrainingRefused, match="name either a table"):
        read(declared, table, decisions=table)


def test_a_folder_that_is_half_written_is_refused(tmp_path: Path) -> None:
    """A part without a name is of an export that did not come to its end: what it holds would be missing."""
    declared, folder = shop(tmp_path), tmp_path / "parts"
    folder.mkdir()
    write_parquet(folder / "decisions-000001.parquet", [row(1)], declared)
    assert len(read(declared, folder).decisions) == 1
    (folder / ".outcomes-000002.parquet.partial").touch()
    with pytest.raises(TrainingRefused, match="left half written; run `tact log export` to its end"):
        read(declared, folder)


def _cleared(path: Path) -> Path:
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    return path
