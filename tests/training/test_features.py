"""Claims about `python -m training features`: a table of what was known then, the same whatever the files look like."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.training.test_command import Done, training
from tests.training.world import write_lines

STRATEGY = """\
events:
  - id: bought
    says: Something was bought.
    attributes:
      amount: double
      product: string
      type: {type: string, optional: true}
      gift: {type: bool, optional: true}
      pieces: {type: int, optional: true}
      paid_at: {type: timestamp, optional: true}
  - {id: moved, says: They moved., attributes: {zone: string}}
fields:
  - {id: past.spend, says: S., type: double, purpose: service, fold: {kind: sum, event: bought, attribute: amount}}
  - {id: past.gift, says: G., type: bool, purpose: service, fold: {kind: last, event: bought, attribute: gift}}
  - {id: past.last, says: L., type: string, purpose: service, fold: {kind: last, event: bought, attribute: product}}
  - {id: past.some, says: R., type: strings, purpose: service,
     fold: {kind: recent, event: bought, attribute: product, keep: 2}}
  - {id: past.paid_at, says: P., type: timestamp, purpose: service,
     fold: {kind: last, event: bought, attribute: paid_at}}
  - {id: past.fresh, says: F., type: int, purpose: profiling, max_age: 2d, fold: {kind: count, event: bought}}
  - {id: past.zone, says: Z., type: string, purpose: service, fold: {kind: last, event: moved, attribute: zone}}
  - {id: present.mood, says: M., type: double, purpose: service, source: request, low: -1, high: 1}
  - {id: present.pages, says: P., type: strings, purpose: service, source: request}
time_zone: {field: past.zone, default: UTC}
"""
NAMES = (
    "past.spend", "past.gift", "past.last", "past.some", "past.paid_at", "past.fresh", "past.zone", "present.mood",
    "present.pages", "present.hour", "present.weekday",
)  # fmt: skip
DAY = "2026-11-{:02}T12:00:00Z"
EVENTS: list[dict[str, Any]] = [
    {"event_id": "1", "customer_id": "ann", "type": "bought", "occurred_at": DAY.format(2),
     "attributes": {"amount": 2.5, "product": 'a "big", red hat', "gift": True, "paid_at": DAY.format(3)}},
    {"event_id": "2", "customer_id": "ann", "type": "moved", "occurred_at": DAY.format(3),
     "attributes": {"zone": "Asia/Tokyo"}},
    {"event_id": "3", "customer_id": "ann", "type": "bought", "occurred_at": DAY.format(5),
     "attributes": {"amount": 1, "product": "", "type": "x", "gift": False, "pieces": 3}},
    {"event_id": "4", "customer_id": "bob", "type": "bought", "occurred_at": 1_793_620_800_000,
     "attributes": {"amount": 7.0, "product": "ü"}},
]  # fmt: skip
MOMENTS: list[dict[str, Any]] = [
    {"customer_id": "ann", "at": DAY.format(5)},
    {"customer_id": "bob", "at": DAY.format(1), "context": {"present.mood": 0.5, "present.pages": ["a", "b,c"]}},
    {"customer_id": "ann", "at": DAY.format(2)},
    {"customer_id": "ann", "at": 1_793_880_000_001},
    {"customer_id": "eve", "at": DAY.format(9)},
]
WANTED: list[list[Any]] = [
    [2.5, True, 'a "big", red hat', ['a "big", red hat'], "2026-11-03T12:00:00.000Z", None, "Asia/Tokyo", None, None,
     21, 4],
    [None, None, None, None, None, None, None, 0.5, ["a", "b,c"], 12, 7],
    [None, None, None, None, None, None, None, None, None, 12, 1],
    [3.5, False, "", ["", 'a "big", red hat'], "2026-11-03T12:00:00.000Z", 2, "Asia/Tokyo", None, None, 21, 4],
    [None, None, None, None, None, None, None, None, None, 12, 1],
]  # fmt: skip
"""What is known at each moment, worked out by hand; Tokyo is nine hours ahead."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder with the strategy, and the events and moments as JSON lines."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "all.yaml").write_text(STRATEGY)
    write_lines(tmp_path / "events.jsonl", EVENTS)
    write_lines(tmp_path / "moments.jsonl", MOMENTS)
    return tmp_path


def features(home: Path, *more: str, events: str = "events.jsonl", moments: str = "moments.jsonl", out: str) -> Done:
    """Run the command over files of the folder."""
    files = [f"--events={home / events}", f"--moments={home / moments}", f"--out={home / out}"]
    return training("features", f"--strategy={home / 's'}", *files, *more)


def told(path: Path) -> list[list[Any]]:
    """Return the values of a table of JSON lines."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(tuple(row["features"]) == NAMES for row in rows)
    return [list(row["features"].values()) for row in rows]


def test_the_table_says_what_was_known_before_each_moment(home: Path) -> None:
    """In the order of the moments, from events strictly before each; null is unknown, and stale is unknown."""
    done = features(home, "--json", out="t.jsonl")
    assert done.report == {"table": str(home / "t.jsonl"), "events": 4, "rows": 5, "fields": list(NAMES)}
    assert told(home / "t.jsonl") == WANTED
    heads = [json.loads(line) for line in (home / "t.jsonl").read_text().splitlines()]
    assert [(row["customer_id"], row["at"]) for row in heads][3:] == [
        ("ann", "2026-11-05T12:00:00.001Z"),
        ("eve", "2026-11-09T12:00:00.000Z"),
    ]


def test_csv_tells_the_same(home: Path) -> None:
    """In CSV an unknown value is an empty cell, an empty text is quoted, lists are JSON: read back, nothing is lost."""
    assert features(home, out="t.csv").code == 0
    text = (home / "t.csv").read_text()
    header, *rows = csv.reader(text.splitlines(keepends=True))
    assert header == ["customer_id", "at", *NAMES]
    for row, wanted in zip(rows, WANTED, strict=True):
        assert row[2:] == [cell(value) for value in wanted]
    assert text.splitlines()[-1] == '"eve",2026-11-09T12:00:00.000Z,,,,,,,,,,12,1'
    assert ',3.5,false,"","[' in text


def cell(value: object) -> str:
    """Write a value as a cell holds it."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, separators=(",", ":"))


def test_events_and_moments_may_be_csv_and_packed(home: Path) -> None:
    """The same events and moments, as CSV and packed, give the same table."""
    attributes = ("amount", "product", "type", "gift", "pieces", "paid_at", "zone")
    columns = ["event_id", "customer_id", "type", "occurred_at", *(f"attributes.{name}" for name in attributes)]
    rows = [
        [*(event[name] for name in columns[:4]), *(in_a_cell(event["attributes"].get(name)) for name in attributes)]
        for event in EVENTS
        if event["event_id"] != "3"  # an empty text is no cell
    ]
    write_csv(home / "events.csv.gz", columns, rows)
    write_lines(home / "fewer.jsonl", [event for event in EVENTS if event["event_id"] != "3"])
    context = ("present.mood", "present.pages")
    asked = [[m["customer_id"], m["at"], *(in_a_cell(m.get("context", {}).get(f)) for f in context)] for m in MOMENTS]
    write_csv(home / "moments.csv", ["customer_id", "at", *(f"context.{f}" for f in context)], asked)
    assert features(home, events="fewer.jsonl", out="wanted.jsonl").code == 0
    done = features(home, events="events.csv.gz", moments="moments.csv", out="t.jsonl.gz")
    assert done.code == 0, done.err
    assert told(home / "t.jsonl.gz") == told(home / "wanted.jsonl")


def in_a_cell(value: object) -> object:
    """Write a value as CSV files hold it."""
    return json.dumps(value) if isinstance(value, list | bool) else value


def write_csv(path: Path, columns: list[str], rows: Iterable[list[object]]) -> None:
    """Write a CSV file, packed where the name says so."""
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def test_a_file_of_decisions_names_moments(home: Path) -> None:
    """A log of decisions will do for the moments: what is not about the moment is not looked at."""
    rows = [{**moment, "decision_id": "d", "action": "hello", "probability": 0.5} for moment in MOMENTS]
    write_lines(home / "decisions.jsonl", rows)
    assert features(home, moments="decisions.jsonl", out="t.jsonl").code == 0
    assert told(home / "t.jsonl") == WANTED


def test_only_the_wanted_fields_are_told(home: Path) -> None:
    """With --fields the table has these alone, in the strategy's order, and the hour still knows the zone."""
    assert features(home, "--fields=present.hour,past.spend", out="t.csv").code == 0
    assert [row.split(",")[2:] for row in (home / "t.csv").read_text().splitlines()] == [
        ["past.spend", "present.hour"], ["2.5", "21"], ["", "12"], ["", "12"], ["3.5", "21"], ["", "12"],
    ]  # fmt: skip


def test_a_large_history_equals_a_plain_account(home: Path) -> None:
    """In a history of many parts, unsorted, an id counts once a customer, as the file first has it."""
    dice = Random(4)
    start = 1_790_000_000_000
    events = [
        {"event_id": f"e{dice.randrange(60)}", "customer_id": f"c{dice.randrange(200)}", "type": "bought",
         "occurred_at": start + dice.randrange(100), "attributes": {"amount": dice.randrange(9), "product": "p"}}
        for _ in range(5_000)
    ]  # fmt: skip
    moments = [{"customer_id": f"c{dice.randrange(220)}", "at": start + dice.randrange(100)} for _ in range(1_000)]
    write_lines(home / "events.jsonl.gz", events)
    write_lines(home / "moments.jsonl", moments)
    assert features(home, "--fields=past.spend", events="events.jsonl.gz", out="t.jsonl").code == 0
    spent = [json.loads(line)["features"]["past.spend"] for line in (home / "t.jsonl").read_text().splitlines()]
    assert spent == [plain_spend(events, moment) for moment in moments]


def plain_spend(events: list[dict[str, Any]], moment: dict[str, Any]) -> int | None:
    """Add up what one customer spent before a moment, each event id once."""
    own: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["customer_id"] == moment["customer_id"]:
            own.setdefault(event["event_id"], event)
    before = [event["attributes"]["amount"] for event in own.values() if event["occurred_at"] < moment["at"]]
    return sum(before) if before else None


BOUGHT = json.dumps(EVENTS[3])
CSV_HEAD = "event_id,customer_id,type,occurred_at,attributes.amount,attributes.product,attributes.gift\n"
REFUSALS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "a strategy that is none": ({"s/all.yaml": "fields: 3"}, {}, "all.yaml:1: the section `fields` is `3`"),
    "no events": ({}, {"events": "no.jsonl"}, "no.jsonl cannot be read (No such file or directory)"),
    "no moments": ({}, {"moments": "no.jsonl"}, "no.jsonl cannot be read"),
    "a table without a format": ({}, {"out": "t.txt"}, "t.txt says no format; end the name in .csv or .jsonl"),
    "a table nowhere": ({}, {"out": "no/t.csv"}, "t.csv cannot be written (No such file or directory)"),
    "an unknown event": ({"e.jsonl": '{"event_id":"e","customer_id":"c","type":"x","occurred_at":1790000000000}'},
                         {"events": "e.jsonl"}, "e.jsonl:1: the event 'x' is not declared"),
    "a broken line": ({"e.jsonl": f"{BOUGHT}\n\n{{"}, {"events": "e.jsonl"}, "e.jsonl:3: "),
    "a moment of nobody": ({"m.jsonl": '{"at": 0}'}, {"moments": "m.jsonl"}, "m.jsonl:1: Object missing required"),
    "an event of a strange customer": ({"e.jsonl": BOUGHT.replace('"bob"', '" "')},
                                       {"events": "e.jsonl"}, "e.jsonl:1: customer_id is blank"),
    "an event of the last century": ({"e.jsonl": BOUGHT.replace("1793620800000", "946684799999")},
                                     {"events": "e.jsonl"}, "e.jsonl:1: occurred_at is before the year 2000"),
    "a moment of the last century": ({"m.jsonl": '{"customer_id":"c","at":946684799999}'},
                                     {"moments": "m.jsonl"}, "m.jsonl:1: at is before the year 2000"),
    "a moment of a strange customer": ({"m.jsonl": '{"customer_id":" ","at":1790000000000}'},
                                       {"moments": "m.jsonl"}, "m.jsonl:1: customer_id is blank"),
    "a moment without a zone": ({"m.jsonl": '{"customer_id":"c","at":"2026-11-01T10:00:00"}'},
                                {"moments": "m.jsonl"}, "m.jsonl:1: this moment names no time zone"),
    "context from events": ({"m.jsonl": '{"customer_id":"c","at":1790000000000,"context":{"past.spend":1}}'},
                            {"moments": "m.jsonl"}, "m.jsonl:1: 'past.spend' is no field that comes with a request"),
    "context out of bounds": ({"m.csv": "customer_id,at,context.present.mood\nc,1790000000000,2\n"},
                              {"moments": "m.csv"}, "m.csv:2: 'present.mood': it is out of range"),
    "an hour in the context": ({"m.csv": "customer_id,at,context.present.hour\nc,1790000000000,2\n"},
                               {"moments": "m.csv"}, "'present.hour' is no field that comes with a request"),
    "an empty CSV": ({"e.csv": ""}, {"events": "e.csv"}, "e.csv:1: the first line names the columns, each once"),
    "a column twice": ({"e.csv": "a,a\n"}, {"events": "e.csv"}, "e.csv:1: the first line names the columns"),
    "a row too short": ({"e.csv": f"{CSV_HEAD}e,c\n"}, {"events": "e.csv"}, "e.csv:2: the row has 2 cells"),
    "a strange column": ({"e.csv": "event_id,colour\ne,red\n"}, {"events": "e.csv"}, "e.csv:2: Object contains"),
    "a strange attribute": ({"e.csv": "event_id,customer_id,type,occurred_at,attributes.x\ne,c,bought,0,1\n"},
                            {"events": "e.csv"}, "e.csv:2: the event 'bought' has no attribute 'x'"),
    "a cell that is no number": ({"e.csv": f"{CSV_HEAD}e,c,bought,1790000000000,many,p,\n"},
                                 {"events": "e.csv"}, "e.csv:2: 'amount': a text must be a number"),
    "a cell that is infinite": ({"e.csv": f"{CSV_HEAD}e,c,bought,1790000000000,inf,p,\n"},
                                {"events": "e.csv"}, "e.csv:2: 'amount': it is not finite"),
    "a cell that is no truth": ({"e.csv": f"{CSV_HEAD}e,c,bought,1790000000000,1,p,yes\n"},
                                {"events": "e.csv"}, "e.csv:2: 'gift': a text must be true or false"),
    "an open quote": ({"e.csv": f'{CSV_HEAD}e,c,bought,1790000000000,1,"p\n'},
                      {"events": "e.csv"}, "this is no CSV in UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_used_is_refused_in_words(home: Path, what: str) -> None:
    """The command ends with 1, names file, line and remedy, repeats no value, and leaves no table and no draft."""
    spoilt, instead, words = REFUSALS[what]
    for name, text in spoilt.items():
        (home / name).write_text(text)
    before = sorted(home.iterdir())
    done = features(home, "--json", **{"out": "t.csv", **instead})
    assert done.code == 1
    assert words in done.report["error"]
    assert words in done.err
    assert "Traceback" not in done.err
    assert sorted(home.iterdir()) == before


def test_unknown_fields_are_refused_by_name(home: Path) -> None:
    """A field that no history can tell is named beside those that it can."""
    done = features(home, "--fields=past.spent", out="t.csv")
    assert done.code == 1
    assert "'past.spent' is no field that a history of events can tell; it can: past.spend, past.gift" in done.err


@pytest.mark.parametrize("names", [",", "", ",,"])
def test_no_field_at_all_is_a_wrong_command(home: Path, names: str) -> None:
    """A list of fields that names none does not mean all of them."""
    done = features(home, f"--fields={names}", out="t.csv")
    assert done.code == 2
    assert "names no field; write one or more, as in A,B, or leave it out" in done.err
    assert not (home / "t.csv").exists()


def test_a_wrong_command_is_told_apart(home: Path) -> None:
    """Missing arguments end with 2."""
    assert training("features").code == 2
    assert training("features", f"--strategy={home}", "--events=e", "--moments=m").code == 2
