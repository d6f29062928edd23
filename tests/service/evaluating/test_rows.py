"""Logs are read back the same from every form, and what cannot be read is refused with file, row and remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.core.strategy import Strategy
from service.evaluating.cells import LogRefused
from service.evaluating.rows import LinesLog, Log, Reader, Row, TableLog, files_of
from tests.service.evaluating.world import Pilot


def _read(log: Log, strategy: Strategy) -> list[Row]:
    return [row for batch in Reader(strategy).rows(log) for row in batch]


def test_every_form_tells_the_same(pilot: Pilot, demo: Strategy) -> None:
    """Parquet in parts, CSV, packed CSV and JSON lines with their events give equal rows, as many as are counted."""
    forms: list[Log] = [TableLog(files_of(path)) for path in (pilot.table, pilot.cells, pilot.packed)]
    forms.append(LinesLog(pilot.decisions, pilot.known))
    first, *others = (_read(log, demo) for log in forms)
    assert len(first) == len(pilot.rows) > 300
    assert all(rows == first for rows in others)
    assert any(row.values for row in first)
    assert {forms[0].count(), forms[3].count()} == {len(pilot.rows)}


def test_what_a_log_leaves_out_is_the_only_one_there_is(pilot: Pilot, demo: Strategy, tmp_path: Path) -> None:
    """A log without channels is of the strategy's only channel; without levels, of the fullest consent."""
    log = _changed(pilot, tmp_path, lambda table: table.drop_columns(["channel", "level"]))
    web = replace(demo, channels=demo.channels[:1])
    rows = _read(log, web)
    assert {row.channel for row in rows} == {web.channels[0].id}
    assert {row.level for row in rows} == {"full"}
    with pytest.raises(LogRefused, match=r"decisions-0\.parquet:1: the channel is None; the strategy has desk, web"):
        _read(log, demo)


def test_a_placement_can_be_named_for_a_log_that_names_none(pilot: Pilot, demo: Strategy, tmp_path: Path) -> None:
    """Rows that name a placement keep theirs, the others are asked at the one that is named."""
    web = next(channel for channel in demo.channels if channel.id == "web")
    first, last = web.placements[0], web.placements[-1]
    log = _changed(
        pilot, tmp_path, lambda table: _with(_with(table, "channel", ["web"] * len(table)), "placement", [first])
    )
    rows = [row for batch in Reader(demo, last).rows(log) for row in batch]
    assert (rows[0].placement, rows[0].asked) == (first, first)
    assert {(row.placement, row.asked) for row in rows[1:]} == {("", last)}


REFUSED = [
    pytest.param(lambda t: t.drop_columns(["action"]), "the log has no column 'action'", id="no action"),
    pytest.param(lambda t: _with(t, "channel", ["pigeon"]), ":1: the channel is 'pigeon'; the strategy", id="channel"),
    pytest.param(lambda t: _with(t, "placement", ["roof"]), ":1: the placement is 'roof'; ", id="placement"),
    pytest.param(lambda t: _with(t, "customer_id", [None]), ":1: `customer_id` is empty, or no text", id="nobody"),
    pytest.param(lambda t: _with(t, "at", [None]), ":1: `at` is no moment with a time zone", id="no time"),
    pytest.param(
        lambda t: t.replace_schema_metadata({b"tact.table": b"99"}), "a newer Tact wrote this log", id="newer"
    ),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_a_table_that_cannot_be_used_is_refused(
    change: Callable[[pa.Table], pa.Table], words: str, pilot: Pilot, demo: Strategy, tmp_path: Path
) -> None:
    """Each defect of a table ends the reading, and the message names the file, the row and what is wrong."""
    with pytest.raises(LogRefused, match=r"^decisions-0\.parquet") as refused:
        _read(_changed(pilot, tmp_path, change), demo)
    assert words in str(refused.value)


def test_damaged_files_are_refused(pilot: Pilot, demo: Strategy, tmp_path: Path) -> None:
    """A file that is no Parquet, one that is cut, a folder without parts and a text of another kind are refused."""
    whole = (pilot.table / "decisions-0.parquet").read_bytes()
    (tmp_path / "text.parquet").write_text("no table")
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    for name in ("text.parquet", "cut.parquet"):
        with pytest.raises(LogRefused, match="no Parquet file"):
            _read(TableLog((tmp_path / name,)), demo)
    (tmp_path / "empty").mkdir()
    for path, words in ((tmp_path / "empty", "holds no decisions-"), (tmp_path / "nowhere", "no folder of a log")):
        with pytest.raises(LogRefused, match=words):
            files_of(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param("Z,customer-", ",customer-", "`at` names no time zone", id="no zone"),
        pytest.param(",web,", ",web,extra,", "cells, and the head has", id="a cell too many"),
    ],
)
def test_cells_that_cannot_be_read_are_refused(
    old: str, new: str, words: str, pilot: Pilot, demo: Strategy, tmp_path: Path
) -> None:
    """A bad cell of a CSV is refused with its file and row."""
    text = pilot.cells.read_text("utf-8")
    assert old in text
    (tmp_path / "log.csv").write_text(text.replace(old, new), "utf-8")
    with pytest.raises(LogRefused, match=r"^log\.csv:\d+: .*") as refused:
        _read(TableLog((tmp_path / "log.csv",)), demo)
    assert words in str(refused.value)


def test_a_line_that_is_no_decision_is_refused(pilot: Pilot, demo: Strategy, tmp_path: Path) -> None:
    """A line of JSON that lacks what a decision needs is refused with its file and line."""
    lines = pilot.decisions.read_text("utf-8").splitlines()
    (tmp_path / "decisions.jsonl").write_text("\n".join([lines[0], '{"action": "x"}', *lines[2:]]), "utf-8")
    with pytest.raises(LogRefused, match=r"^decisions\.jsonl:2: this is no logged decision"):
        _read(LinesLog(tmp_path / "decisions.jsonl", pilot.known), demo)


def _changed(pilot: Pilot, folder: Path, change: Callable[[pa.Table], pa.Table]) -> Log:
    path = folder / "decisions-0.parquet"
    pq.write_table(change(pq.read_table(pilot.table / path.name)), path)
    return TableLog((path,))


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.schema.get_field_index(name)
    column = table.column(name).to_pylist()
    kind = table.schema.field(name).type
    return table.set_column(place, name, pa.array([*values, *column[len(values) :]], kind))
