"""What docs/log.md says of the table is so, and what it shows runs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.context import ValueType
from models.decision_table import (
    CANDIDATE,
    COLUMNS,
    OUTCOME,
    PROMISE,
    REFUSAL,
    REQUIRED,
    SEEN,
    SHADOW,
    USE,
    Column,
    Kind,
    arrow_type,
    decision_schema,
    feature_column,
    feature_of,
    readable,
)
from service.logs.mapping import read_mapping
from tests.logs.world import exported, world
from tests.project.tree import ROOT

GUIDE = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
TABLES = re.findall(r"((?:^\|.*\n)+)", GUIDE, re.MULTILINE)
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
LISTS = {
    Kind.CANDIDATES: "list of candidates", Kind.OUTCOMES: "list of outcomes",
    Kind.SHADOW: "struct", Kind.SEEN: "struct", Kind.USES: "list of counters",
    Kind.REFUSALS: "list of refusals", Kind.PROMISES: "list of promises",
    Kind.MOMENTS: "list of timestamp[ms, tz=UTC]",
}  # fmt: skip
INTERACTION = {"InteractionID", "Outcome", "OutcomeTime"}
"""What pdstools wants of interaction history at least."""


def rows(table: str) -> list[tuple[str, ...]]:
    """Return the rows of a table of the guide, without its head."""
    found = [tuple(cell.strip().strip("`") for cell in line.split("|")[1:-1]) for line in table.splitlines()[2:]]
    return [(name, kind, says.replace("`", "")) for name, kind, says in found]


def shown(column: Column) -> tuple[str, ...]:
    """Return a column as the guide shows it."""
    arrow = str(arrow_type(column.kind)).replace("list<item: string>", "list of string")
    return column.name, LISTS.get(column.kind, arrow), column.says.replace("`", "")


@pytest.mark.parametrize(
    ("place", "columns"),
    list(enumerate((COLUMNS, CANDIDATE, OUTCOME, SEEN, USE, REFUSAL, PROMISE))),
    ids=["row", "candidate", "outcome", "seen", "counter", "refusal", "promise"],
)
def test_the_guide_lists_the_columns(place: int, columns: tuple[Column, ...]) -> None:
    """Each column and each part stands in the guide with its type and meaning, and no other."""
    assert rows(TABLES[place]) == [shown(column) for column in columns]
    assert {"model", "candidates"} == {one.name for one in SHADOW}
    assert {one.name for one in COLUMNS if "Required." in one.says} == set(REQUIRED)


def test_features_stand_where_the_guide_says() -> None:
    """A column a field follows the level, in the type of the field."""
    names = decision_schema({"past.a": ValueType.INT, "present.b": ValueType.STRINGS}).names
    assert names[names.index("level") + 1 :][:2] == ["feature.past.a", "feature.present.b"]
    assert (feature_of(feature_column("past.a")), feature_of("level")) == ("past.a", None)


@pytest.mark.parametrize(("version", "reads"), [(b"1", True), (b"2", False), (b"0", False), (b"one", False)])
def test_later_forms_are_known_as_such(version: bytes, reads: bool) -> None:
    """A table of a later form is told from one that can be read; one without a version is of this form."""
    assert readable({b"tact.table": version}) is reads
    assert readable(None)


def test_the_mapping_of_the_guide_is_one(tmp_path: Path) -> None:
    """The mapping file that the guide shows is read as it stands."""
    (mapping,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "m.yaml").write_text(mapping, encoding="utf-8")
    plan = read_mapping(tmp_path / "m.yaml")
    assert (plan.separator, len(plan.columns), len(plan.features), len(plan.outcomes)) == (";", 6, 4, 1)


async def test_what_the_guide_shows_reads_a_log(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code of the guide gives obp arrays of one length, and pdstools the columns that it wants."""
    async with world(clean_store_url) as at:
        made = [one for name in ("anna", "bea") for one in await at.decided(name, 3)]
        await exported(at.client, tmp_path / "data" / "log")
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for block in BLOCKS[: 4 if importlib.util.find_spec("pdstools") else 3]:
        exec(compile(block, "docs/log.md", "exec"), found)  # noqa: S102 - it is our own guide
    feedback = found["bandit_feedback"]
    assert {len(feedback[name]) for name in ("context", "action", "position", "reward", "pscore")} == {2 * len(made)}
    assert feedback["action"].max() < feedback["n_actions"]
    assert np.isfinite(feedback["context"]).all()
    assert ((feedback["pscore"] > 0) & (feedback["pscore"] <= 1)).all()
    assert found["interactions"]
    assert all(set(one) >= INTERACTION for one in found["interactions"])
