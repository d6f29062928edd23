"""The table of policies says, row by row, what the arms would do, and names the versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from models.policy_table import METADATA
from service.core.strategy import Strategy
from service.evaluating.arms import AGAINST, STRATEGY, Arms
from service.evaluating.policies import Writer
from service.evaluating.rows import Reader, TableLog, files_of
from tests.service.evaluating.world import Pilot


def test_the_table_is_what_the_arms_say(pilot: Pilot, demo: Strategy, tmp_path: Path) -> None:
    """Rows stand in the order of the log, and each holds the probabilities of the arms at that row."""
    log, out, seen = TableLog((files_of(pilot.table)[0],)), tmp_path / "policies.parquet", []
    count = Writer(demo, None, None).write(log, out, lambda done, more: seen.append((done, more)))
    table = pq.read_table(out)
    rows = [row for batch in Reader(demo).rows(log) for row in batch]
    assert count == table.num_rows == len(rows) == seen[-1][0]
    assert table["decision_id"].to_pylist() == [row.decision_id for row in rows]
    arms = Arms(demo, None)
    for row, line in zip(rows[:40], table.slice(0, 40).to_pylist(), strict=True):
        found = arms.at(row)
        assert {c["action"]: c["probability"] for c in line["arm.strategy"]} == found.chances[STRATEGY]
        assert (line["permitted"], line["top"], line["net"]) == (list(found.permitted), found.top, found.net)
    about = json.loads(table.schema.metadata[METADATA])
    assert (about["strategy"], about["model"], about["against"]) == (demo.version, "", [])
    assert about["actions"] == [action.id for action in demo.actions]


def test_another_strategy_stands_beside(pilot: Pilot, demo: Strategy, tmp_path: Path) -> None:
    """The arm `against` is the other strategy's, its actions by their own names, though it has others and fewer."""
    fewer = tuple(replace(action, index=place) for place, action in enumerate(demo.actions[3:]))
    other = replace(demo, version="other@1", actions=fewer, safe_greeting=fewer[0].id)
    log, out = TableLog((files_of(pilot.table)[0],)), tmp_path / "policies.parquet"
    Writer(demo, None, (other, None)).write(log, out, lambda done, more: None)
    table = pq.read_table(out)
    about = json.loads(table.schema.metadata[METADATA])
    said = {about["actions"][c["action"]] for line in table["arm.against"].to_pylist() for c in line}
    assert about["against"] == ["other@1", ""]
    assert said
    assert said.isdisjoint(action.id for action in demo.actions[:3])
    rows = [row for batch in Reader(other).rows(log) for row in batch]
    alone = [Arms(other, None).strategy_alone(row) for row in rows[:1]]
    first = {about["actions"][c["action"]]: c["probability"] for c in table[f"arm.{AGAINST}"][0].as_py()}
    assert first == pytest.approx({fewer[index].id: chance for index, chance in alone[0].items()})
