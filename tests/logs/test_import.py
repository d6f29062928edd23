"""Logs of others become tables with a small mapping file: all rows, or none and what to mend."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.decision_table import VERSION_KEY
from tests.cli.commands import Ran, typed
from tests.logs.world import outcomes_of, rows_of
from tests.project.tree import ROOT

MAPPING = """\
csv: {separator: ";"}
missing: [unknown]
columns:
  decision_id: {text: "call-{row}"}
  customer_id: who
  at: {from: 2026-01-01T00:00:00Z, every: 1h}
  channel: {value: phone}
  action: {column: said, values: {"1": offer, "0": nothing}}
  probability: {column: p}
features:
  present.age: {column: age, type: int, missing: ["999"]}
  past.loyal: {column: loyal, type: bool, values: {"yes": "true", "no": "false"}}
  past.score: {column: score, type: double}
  past.since: {column: since, type: timestamp, format: "%d.%m.%Y"}
  past.pages: {column: pages, type: strings, separator: ","}
outcomes:
  - kind: accepted
    when: {column: y, is: ["yes"]}
    after: 30m
    amount: {column: euros}
"""
CALLS = """\
who;said;p;age;loyal;score;since;pages;y;euros
anna;1;0.5;41;yes;1.5;31.01.2025;home,help;yes;12.5
bea;0;0.5;999;no;unknown;unknown;unknown;no;
carl;1;0.25;30;unknown;-2;01.02.2025;home;no;
"""


def imported(folder: Path, calls: bytes | str = CALLS, mapping: str = MAPPING, name: str = "c.csv", *more: str) -> Ran:
    """Import a file with a mapping."""
    (folder / name).write_bytes(calls if isinstance(calls, bytes) else calls.encode())
    (folder / "m.yaml").write_text(mapping, encoding="utf-8")
    return typed("log", "import", folder / name, "--mapping", folder / "m.yaml", "--out", folder / "log", *more)


def features(row: dict[str, Any]) -> dict[str, Any]:
    """Return the features of a row without what begins their names."""
    return {name.removeprefix("feature."): row[name] for name in row if name.startswith("feature.")}


def check_calls(folder: Path) -> None:
    """See that the calls are in the table as the mapping means them."""
    anna, bea, carl = rows_of(folder / "log")
    assert [row["decision_id"] for row in (anna, bea, carl)] == ["call-1", "call-2", "call-3"]
    assert [(row["action"], row["probability"]) for row in (anna, bea, carl)] == [
        ("offer", 0.5), ("nothing", 0.5), ("offer", 0.25),
    ]  # fmt: skip
    assert [row["at"].isoformat() for row in (anna, carl)] == ["2026-01-01T00:00:00+00:00", "2026-01-01T02:00:00+00:00"]
    known = features(anna)
    assert known.pop("past.since").isoformat() == "2025-01-31T00:00:00+00:00"
    assert known == {"present.age": 41, "past.loyal": True, "past.score": 1.5, "past.pages": ["home", "help"]}
    assert set(features(bea).values()) == {None, False}
    assert features(carl)["past.score"] == -2.0
    (outcome,) = outcomes_of(folder / "log")
    assert (outcome["decision_id"], outcome["action"], outcome["kind"]) == ("call-1", "offer", "accepted")
    assert (outcome["amount"], outcome["at"].isoformat()) == (12.5, "2026-01-01T00:30:00+00:00")


@pytest.mark.parametrize("form", ["plain", "gzip", "parquet"])
def test_a_mapping_says_what_columns_mean(form: str, tmp_path: Path) -> None:
    """Texts, constants, value maps, missing markers and the order of rows as time make a table of any file."""
    match form:
        case "gzip":
            ran = imported(tmp_path, gzip.compress(CALLS.encode()), name="c.csv.gz")
        case "parquet":
            head, *rows = [line.split(";") for line in CALLS.splitlines()]
            columns = {name: [row[place] for row in rows] for place, name in enumerate(head)}
            pq.write_table(pa.table({**columns, "p": [0.5, 0.5, 0.25]}), tmp_path / "made.parquet")
            ran = imported(tmp_path, (tmp_path / "made.parquet").read_bytes(), name="c.parquet")
        case _:
            ran = imported(tmp_path)
    assert ran.returncode == 0, ran.stderr
    check_calls(tmp_path)
    assert pq.read_schema(next((tmp_path / "log").glob("decisions*"))).metadata[VERSION_KEY] == b"1"


BAD_MAPPINGS = [
    ("  probability: {column: p}\n", "", "m.yaml:4: the table has no `probability`, which is required"),
    ("  customer_id: who", "  customer_id: whom", "c.csv:1: has no column 'whom'; it has 'who', 'said'"),
    ("{column: p}", "{column: p, value: 1}", "says column and value"),
    ("type: int,", "type: whole,", "`type` is `whole`; write bool, int"),
    ('";"', '";;"', "write one character in quotes"),
    ("2026-01-01T00:00:00Z", "2026-01-01", "write a moment with its time zone"),
    ("    when:", "    whenever:", "has no `when`"),
    ("channel:", "chanel:", "did you mean `channel`"),
    ("features:", "features: [", "m.yaml:"),
]


@pytest.mark.parametrize(
    ("old", "new", "said"), BAD_MAPPINGS, ids=[new.strip() or "nothing" for _, new, _ in BAD_MAPPINGS]
)
def test_a_bad_mapping_is_refused_with_its_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    """What a mapping gets wrong is told with its file, its line and what would be right, and nothing is written."""
    assert MAPPING.count(old) == 1
    ran = imported(tmp_path, mapping=MAPPING.replace(old, new))
    assert ran.returncode == 2
    assert said in ran.stderr
    assert not (tmp_path / "log").exists()


BAD_CELLS = [
    ("41", "many", "c.csv:2: present.age: 'many' is no whole number"),
    ("41", "41.5", "or write `type: double`"),
    (";yes;1.5", ";maybe;1.5", "past.loyal: 'maybe' is none of `values`; add it there, or to `missing`"),
    ("1.5", "nan", "past.score: 'nan' is no finite number"),
    ("31.01.2025", "2025-01-31", "is no moment of the form %d.%m.%Y"),
    ("anna;1;0.5", "anna;1;0", "c.csv:2: probability 0.0 is not above 0 and at most 1"),
    ("anna;1;0.5", "anna;1;1.5", "probability 1.5 is not above 0 and at most 1"),
    ("anna;1", "unknown;1", "customer_id is missing; every row needs one"),
    ("anna;1", "anna;2", "action: '2' is none of `values`"),
    ("12.5", "much", "amount: 'much' is no finite number"),
    ("anna;1;0.5;41", "anna;1;0.5", "c.csv:2: has 9 cells, the head has 10"),
    ("anna;1", '"an"na;1', "mend the quotes of this line"),
    ("who;said", "who;who", "has the column 'who' twice"),
]


@pytest.mark.parametrize(("old", "new", "said"), BAD_CELLS, ids=[new for _, new, _ in BAD_CELLS])
def test_a_bad_row_is_refused_with_its_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    """A cell that is not what the mapping says ends the import with the line and the remedy, and nothing is written."""
    assert CALLS.count(old) >= 1
    ran = imported(tmp_path, CALLS.replace(old, new, 1))
    assert ran.returncode == 2, ran.stdout
    assert said in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "m.yaml"]


def test_bad_rows_can_be_left_out(tmp_path: Path) -> None:
    """With --skip-bad the other rows are imported, and what was left out is counted and shown."""
    ran = imported(tmp_path, CALLS.replace("41", "many"), MAPPING, "c.csv", "--skip-bad", "--json")
    assert json.loads(ran.stdout) | {"seconds": 0} == {
        "decisions": 2, "outcomes": 0, "skipped": 1, "out": str(tmp_path / "log"), "seconds": 0,
    }  # fmt: skip
    assert "present.age: 'many'" in ran.stderr
    assert [row["customer_id"] for row in rows_of(tmp_path / "log")] == ["bea", "carl"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.csv.gz", b"no gzip", "cannot be read"),
        ("c.csv.gz", gzip.compress(CALLS.encode())[:-9], "cannot be read"),
        ("c.parquet", b"no parquet", "cannot be read"),
        ("c.csv", b"who;said\nan\xffna;1\n", "is not UTF-8"),
    ],
    ids=["no gzip", "cut off", "no parquet", "not utf-8"],
)
def test_a_damaged_file_is_refused_in_words(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    """A file that cannot be read is named, and nothing is written."""
    mapping = "columns: {decision_id: {text: '{row}'}, customer_id: who, at: {from: 2026-01-01T00:00:00Z, every: 1h}, "
    mapping += "action: said, probability: {value: '1'}}\ncsv: {separator: ';'}\n"
    ran = imported(tmp_path, content, mapping, name)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "log").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    """An import goes into a new folder only."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mine").write_text("mine")
    ran = imported(tmp_path)
    assert ran.returncode == 2
    assert "is not empty; name a new folder" in ran.stderr


def test_the_calls_of_a_bank_are_imported(tmp_path: Path) -> None:
    """All 41,188 calls of the public data set become decisions in the order of the file, with the 4,640 that worked."""
    home = os.environ.get("TACT_DATA")
    calls = (Path(home) if home else ROOT.parent / "shared" / "data") / "bank-marketing" / "bank-additional-full.csv.gz"
    if not calls.is_file():
        pytest.skip("The public bank data are not here; TACT_DATA names the folder that holds bank-marketing/.")
    mapping = ROOT / "strategies" / "bank" / "import" / "bank-additional.yaml"
    ran = typed("log", "import", calls, "--mapping", mapping, "--out", tmp_path / "log", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["decisions"], told["outcomes"], told["skipped"]) == (41_188, 4_640, 0)
    ages = [row["feature.present.age"] for row in rows_of(tmp_path / "log")]
    assert (len(ages), ages[:3], sum(age is None for age in ages)) == (41_188, [56, 57, 37], 0)
