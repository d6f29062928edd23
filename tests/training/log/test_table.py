"""Claims about tables of decisions: every form of the same log gives the same arrays, and bad rows are named."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.training.log.world import (
    HOUR_MS,
    START,
    built,
    came,
    event,
    read,
    row,
    same,
    shop,
    write_csv,
    write_outcomes,
    write_parquet,
)


def log(rows: int = 200, seed: int = 0) -> list[dict[str, Any]]:
    """Draw a log with everything that a row may hold, unknown values among it."""
    dice = Random(seed)

    def one(number: int) -> dict[str, Any]:
        action = dice.choice(["tea", "cake", "nothing", "beer"])
        outcomes = [
            came(kind, action, dice.randrange(50), dice.choice([None, 2.5]))
            for kind in dice.sample(["clicked", "accepted", "refused"], dice.randrange(3))
        ]
        return row(
            number,
            f"c{dice.randrange(40)}",
            dice.randrange(90),
            action,
            dice.choice([0.25, 1.0, 1e-9]),
            **{
                "placement": dice.choice(["top", "side"]),
                "feature.past.spend": dice.choice([None, 0.1 + 0.2, 7.0]),
                "feature.past.looks": dice.choice([None, 0, 3]),
                "feature.past.last_shop": dice.choice([None, "a", "b", "closed"]),
                "feature.present.mood": dice.choice([None, -0.25]),
                "allowed": dice.choice([None, ["tea", "cake"], [action]]),
                "outcomes": outcomes,
            },
        )

    return [one(number) for number in range(rows)]


def split(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rows without their outcomes, and the outcomes as rows of their own."""
    parts = [{name: value for name, value in one.items() if name != "outcomes"} for one in rows]
    outcomes = [{"decision_id": one["decision_id"], **found} for one in rows for found in one["outcomes"]]
    return parts, outcomes


def test_parquet_and_csv_tell_the_same(tmp_path: Path) -> None:
    """The same rows as one Parquet file, as CSV and as packed CSV give the same arrays, to the last bit."""
    declared, rows = shop(tmp_path), log()
    wanted = read(declared, write_parquet(tmp_path / "log.parquet", rows, declared))
    plain = write_csv(tmp_path / "log.csv", rows)
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert same(read(declared, plain), wanted)
    assert same(read(declared, packed), wanted)
    known = wanted.decisions
    assert len(known) == 200
    assert np.nanmax(known.happened) == 1
    assert known.x[:, known.columns.index("past.spend")].max() == 7.0


def test_a_folder_of_parts_is_one_log(tmp_path: Path) -> None:
    """Parts in any number, with what came of them apart, are joined by the decision; strays are counted."""
    declared, rows = shop(tmp_path), log()
    wanted = read(declared, write_parquet(tmp_path / "log.parquet", rows, declared))
    folder = tmp_path / "parts"
    folder.mkdir()
    parts, outcomes = split(rows)
    for number in range(3):
        write_parquet(folder / f"decisions-{number}.parquet", parts[number::3], declared)
    strays = [{"decision_id": "nobody", **came("accepted")}]
    write_outcomes(folder / "outcomes-1.parquet", outcomes[: len(outcomes) // 2] + strays)
    write_csv(folder / "outcomes-2.csv", outcomes[len(outcomes) // 2 :])
    (folder / "positions.json").write_text("{}")
    found = read(declared, folder)
    assert (found.counts.outcomes, found.counts.unmatched) == (len(outcomes) + 1, 1)
    for name in ("x", "happened", "worth", "allowed", "action"):
        np.testing.assert_array_equal(getattr(found.decisions, name), getattr(wanted.decisions, name))


def test_an_outcome_is_of_the_placement_that_said_its_action(tmp_path: Path) -> None:
    """Two placements of one decision share its id, and what came of one is not what came of the other."""
    declared, folder = shop(tmp_path), tmp_path / "parts"
    folder.mkdir()
    said = {"top": "tea", "side": "cake", "foot": "nothing"}
    rows = [row(1, action=action, placement=placement) for placement, action in said.items()]
    write_parquet(folder / "decisions-1.parquet", rows, declared)
    write_outcomes(folder / "outcomes-1.parquet", [{"decision_id": "d1", **came("accepted", "cake")}])
    found = read(declared, folder).decisions
    happened = {found.actions[code]: found.happened[place, code] for place, code in enumerate(found.action) if code}
    assert happened == {"tea": 0.0, "cake": 1.0}
    assert np.isnan(found.happened[found.action == 0]).all()  # what a neighbour earned is no baseline


def test_a_part_from_before_a_field_leaves_it_unknown(tmp_path: Path) -> None:
    """Columns that only later parts have are unknown in the earlier ones, and known in the later ones."""
    declared, folder = shop(tmp_path), tmp_path / "parts"
    folder.mkdir()
    write_parquet(folder / "decisions-1.parquet", [row(1, at=1)], declared)
    write_parquet(folder / "decisions-2.parquet", [row(2, at=2) | {"feature.past.spend": 5.0}], declared)
    found = read(declared, folder)
    spend = found.decisions.columns.index("past.spend")
    assert found.decisions.x[:, spend : spend + 2].tolist() == [[0.0, 1.0], [5.0, 0.0]]
    assert found.counts.unknown == ("past.looks", "past.last_shop")


def test_what_the_table_says_holds_over_the_events(tmp_path: Path) -> None:
    """A column is what was served, unknown where it is null; only what has no column is folded from the events."""
    rows = [row(1, at=5) | {"feature.past.spend": None}, row(2, at=6) | {"feature.past.spend": 9.0}]
    events = [event(1, "bought", amount=3), event(2, "looked", offer="tea")]
    found = built(shop(tmp_path), tmp_path, rows=rows, events=events)
    spend, looks = (found.decisions.columns.index(name) for name in ("past.spend", "past.looks"))
    assert found.decisions.x[:, spend : spend + 2].tolist() == [[0.0, 1.0], [9.0, 0.0]]
    assert found.decisions.x[:, looks : looks + 2].tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert found.counts.unknown == ()


def test_the_smallest_table_is_enough(tmp_path: Path) -> None:
    """Five columns and one feature: everything else may be missing, and what might have been said is what was."""
    rows = [row(1), row(2, action="cake", at=3), row(3, action="nothing", at=2)]
    found = built(shop(tmp_path), tmp_path, rows=rows).decisions
    assert found.actions == ("nothing", "cake", "hello", "tea")
    assert found.allowed.tolist() == [[True, True, False, True]] * 3
    assert found.at_ms.tolist() == [START, START + 2 * HOUR_MS, START + 3 * HOUR_MS]
    assert [found.actions[code] for code in found.action] == ["tea", "nothing", "cake"]


def test_columns_of_other_makers_are_read(tmp_path: Path) -> None:
    """Dictionaries, large texts and lists, whole numbers as floats, nanoseconds and moments as texts are all fine."""
    declared = shop(tmp_path)
    wanted = built(declared, tmp_path, rows=[row(1, allowed=["tea"]) | {"feature.past.looks": 3}])
    odd = pa.table(
        {
            "decision_id": pa.array(["d1"], pa.large_string()),
            "customer_id": pa.array(["ann"]).dictionary_encode(),
            "at": pa.array([START * 1_000_000], pa.timestamp("ns", tz="Europe/Berlin")),
            "action": pa.array(["tea"]).dictionary_encode(),
            "probability": pa.array([0.5], pa.float32()),
            "allowed": pa.array([["tea"]], pa.large_list(pa.string())),
            "feature.past.looks": pa.array([3.0]),
            "feature.present.mood": pa.array([float("nan")]),
        }
    )
    pq.write_table(odd, tmp_path / "odd.parquet")
    assert same(read(declared, tmp_path / "odd.parquet"), wanted)
    pq.write_table(odd.set_column(2, "at", pa.array(["2026-09-21T14:13:20+00:00"])), tmp_path / "odd.parquet")
    assert same(read(declared, tmp_path / "odd.parquet"), wanted)


def test_only_the_wanted_columns_are_looked_at(tmp_path: Path) -> None:
    """A column that is no feature may hold anything: it is not even read."""
    declared = shop(tmp_path)
    path = write_parquet(tmp_path / "log.parquet", [row(1)], declared)
    odd = pq.read_table(path).append_column("feature.past.shoe", pa.array([b"\xff"]))
    pq.write_table(odd.append_column("pool", pa.array(["many"])), path)
    assert len(read(declared, path).decisions) == 1


def test_a_row_that_is_repeated_counts_once(tmp_path: Path) -> None:
    """The same decision and placement again is the first one, as it stands there."""
    found = built(shop(tmp_path), tmp_path, rows=[row(1), row(1, action="cake"), row(2)])
    assert (found.counts.decisions, found.counts.repeated) == (2, 1)
    assert {found.decisions.actions[code] for code in found.decisions.action} == {"tea"}


def test_actions_of_other_strategies_stay_in_the_log(tmp_path: Path) -> None:
    """What the strategy no longer says has a code behind its own actions, so that policies are valued on all rows."""
    found = built(shop(tmp_path), tmp_path, rows=[row(1, action="beer", outcomes=[came("accepted", "beer")]), row(2)])
    assert found.decisions.actions == ("nothing", "cake", "hello", "tea", "beer")
    assert found.counts.others == 1
    assert json.dumps(sorted(found.decisions.action.tolist())) == "[3, 4]"
