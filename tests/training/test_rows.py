"""Claims about input files: what is good is read as it is declared, what is bad is named with file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from models.context import Attribute, ContextSchema, EventType, Field, Fold, FoldKind, Purpose, ValueType
from training.errors import InputRefused
from training.predicting.consents import agreed
from training.progress import unseen
from training.rows import DecisionRow, EventRow, read_decisions, read_events

PURCHASE = EventType(
    "purchase",
    "",
    (
        Attribute("amount", ValueType.DOUBLE, low=0, high=1000),
        Attribute("pieces", ValueType.INT, optional=True),
        Attribute("gift", ValueType.BOOL, optional=True),
        Attribute("category", ValueType.STRING, optional=True, values=("phone", "tv")),
        Attribute("paid_at", ValueType.TIMESTAMP, optional=True),
    ),
)
MOOD = Attribute("present.mood", ValueType.DOUBLE, low=-1, high=1)
SCHEMA = ContextSchema.of(
    (PURCHASE,),
    (
        Field("past.bought", ValueType.INT, Purpose.SERVICE, "", Fold(FoldKind.COUNT, "purchase"), None, MOOD, 1),
        Field("present.mood", ValueType.DOUBLE, Purpose.SERVICE, "", None, None, MOOD, 2),
    ),
)
EVENT = {
    "event_id": "e1",
    "customer_id": "ada",
    "type": "purchase",
    "occurred_at": "2026-11-21T09:30:00.1239+01:00",
    "attributes": {"amount": 3, "pieces": 2, "gift": True, "category": "tv", "paid_at": 1_790_000_000_000},
}
DECISION = {
    "decision_id": "d1",
    "customer_id": "ada",
    "at": 1_790_000_000_000,
    "channel": "web",
    "action": "phone",
    "probability": 0.5,
    "context": {"present.mood": 1},
    "outcomes": {"phone": 1},
    "amount": 3.5,
}


def written(path: Path, *lines: object) -> Path:
    """Write one line a row, texts as they are."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def events(path: Path) -> list[EventRow]:
    """Read all events of a file."""
    return list(read_events(path, SCHEMA, unseen))


def decisions(path: Path) -> list[DecisionRow]:
    """Read all decisions of a file."""
    return list(read_decisions(path, SCHEMA, unseen))


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_events_are_read_as_they_are_declared(tmp_path: Path, name: str) -> None:
    """Plain or packed, an event's moment is whole milliseconds and its attributes have the declared types."""
    (event,) = events(written(tmp_path / name, "", EVENT, "  "))
    assert (event.id, event.customer, event.type, event.at_ms) == ("e1", "ada", "purchase", 1_795_249_800_123)
    assert event.attributes["amount"] == 3.0
    assert isinstance(event.attributes["amount"], float)
    assert event.attributes["paid_at"] == 1_790_000_000_000


def test_decisions_are_read_as_they_are_declared(tmp_path: Path) -> None:
    """A decision's request context stands at the field's place; saying nothing is the empty action."""
    silent = DECISION | {"decision_id": "d2", "action": "nothing", "outcomes": {"phone": 0, "tv": 1}}
    said, unsaid = decisions(written(tmp_path / "decisions.jsonl", DECISION, silent))
    assert said == DecisionRow("d1", "ada", 1_790_000_000_000, "phone", {1: 1.0}, {"phone": 1}, 0.5, 3.5)
    assert (unsaid.action, unsaid.outcomes) == ("", {"phone": 0, "tv": 1})


def attribute(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  anything may stand in a file
    """Return the event with other attributes."""
    return EVENT | {"attributes": EVENT["attributes"] | changed}  # type: ignore[operator]  # a dict


BAD_EVENTS = {
    "not JSON": ("{", "truncated"),
    "a list": ([], "Expected `object`"),
    "not UTF-8": ('{"event_id": "\udcff"}', ""),
    "an unknown key": (EVENT | {"shoe": 1}, "unknown field `shoe`"),
    "no customer": ({k: v for k, v in EVENT.items() if k != "customer_id"}, "customer_id"),
    "an empty customer": (EVENT | {"customer_id": ""}, "customer_id"),
    "a customer of 10 kB": (EVENT | {"customer_id": "x" * 10_000}, "customer_id"),
    "an undeclared event": (EVENT | {"type": "sneeze"}, "'sneeze' is not declared; declared are purchase"),
    "an undeclared attribute": (attribute(colour="red"), "no attribute 'colour'; it has amount"),
    "an event id of 200 bytes": (EVENT | {"event_id": "e" * 200}, "event_id has 200 bytes; at most 64 are allowed"),
    "a blank customer": (EVENT | {"customer_id": " "}, "customer_id is blank"),
    "a customer in disguise": (EVENT | {"customer_id": "a\u200bda"}, "customer_id holds control or invisible"),
    "a missing attribute": (EVENT | {"attributes": {}}, "lacks amount"),
    "a text for a number": (attribute(amount="3"), "a text must be a number"),
    "a truth for a number": (attribute(pieces=True), "a truth value must be a whole number"),
    "a broken whole number": (attribute(pieces=1.5), "a number must be a whole number"),
    "a whole number too large": (
        attribute(pieces=2**53),
        "'pieces': it is out of range; whole numbers reach",
    ),
    "a number for a truth": (attribute(gift=1), "a whole number must be true or false"),
    "a number for a text": (attribute(category=1), "a whole number must be a text"),
    "a number of 400 digits": (attribute(amount=10**400), "'amount': a whole number must be a number that 64 bits"),
    "a number out of range": (attribute(amount=1001), "'amount': it is out of range; it must be at most 1000."),
    "a text out of range": (
        attribute(category="car"),
        "'category': it is not one of the values it can have: phone,",
    ),
    "no number": ('{"event_id":"e","customer_id":"a","type":"purchase","attributes":{"amount":NaN}}', "invalid"),
    "a moment without a zone": (EVENT | {"occurred_at": "2026-11-21T09:30:00"}, "names no time zone"),
    "a moment in words": (EVENT | {"occurred_at": "yesterday"}, "no moment in time"),
    "a moment in seconds and bits": (EVENT | {"occurred_at": 1.5}, "no moment in time"),
    "a moment before time": (EVENT | {"occurred_at": -1}, "occurred_at is before the year 2000"),
    "a moment too far": (EVENT | {"occurred_at": 10**18}, "occurred_at is not before the year 2100"),
}


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_a_bad_event_is_named_with_file_and_line(tmp_path: Path, what: str) -> None:
    """Each bad event is refused with its file, its line and what would be right."""
    bad, words = BAD_EVENTS[what]
    path = tmp_path / "events.jsonl"
    line = bad if isinstance(bad, str) else json.dumps(bad)
    path.write_bytes(f"{json.dumps(EVENT)}\n\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(InputRefused) as refused:
        events(path)
    (problem,) = refused.value.problems
    assert problem.startswith("events.jsonl:3: ")
    assert words in problem


BAD_DECISIONS = {
    "no probability": (DECISION | {"probability": 0}, "probability"),
    "too much probability": (DECISION | {"probability": 1.1}, "probability"),
    "an outcome in between": (DECISION | {"outcomes": {"phone": 2}}, "outcomes"),
    "the outcome of another": (DECISION | {"outcomes": {"tv": 1}}, "'tv' stands in a row that says 'phone'"),
    "an undeclared field": (DECISION | {"context": {"present.shoe": 1}}, "'present.shoe' is no field"),
    "a field that events make": (DECISION | {"context": {"past.bought": 1}}, "'past.bought' is no field"),
    "a field out of range": (DECISION | {"context": {"present.mood": 2}}, "it must be at most 1."),
    "a moment in words": (DECISION | {"at": "noon"}, "no moment in time"),
    "a moment before the service": (DECISION | {"at": "1999-12-31T23:59:59Z"}, "at is before the year 2000"),
    "a blank customer": (DECISION | {"customer_id": " "}, "customer_id is blank"),
}


@pytest.mark.parametrize("what", BAD_DECISIONS)
def test_a_bad_decision_is_named_with_file_and_line(tmp_path: Path, what: str) -> None:
    """Each bad decision is refused with its file, its line and what would be right."""
    bad, words = BAD_DECISIONS[what]
    with pytest.raises(InputRefused) as refused:
        decisions(written(tmp_path / "decisions.jsonl", DECISION, bad))
    (problem,) = refused.value.problems
    assert problem.startswith("decisions.jsonl:2: ")
    assert words in problem


def test_all_bad_rows_are_named_until_there_are_many(tmp_path: Path) -> None:
    """Whoever mends a file sees many bad rows at once, and reading stops after twenty."""
    with pytest.raises(InputRefused) as few:
        events(written(tmp_path / "few.jsonl", "{", EVENT, "["))
    assert [problem.split(" ")[0] for problem in few.value.problems] == ["few.jsonl:1:", "few.jsonl:3:"]
    with pytest.raises(InputRefused) as many:
        events(written(tmp_path / "many.jsonl", *["{"] * 30))
    assert len(many.value.problems) == 21


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    """A line beyond a megabyte ends the reading, with its number."""
    with pytest.raises(InputRefused, match=r"long\.jsonl\.gz:2: the line is longer"):
        events(written(tmp_path / "long.jsonl.gz", EVENT, " " * (2 << 20)))


def test_a_packed_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    """Half a download is not half a month: it is refused, not read as a shorter file."""
    path = written(tmp_path / "events.jsonl.gz", *[EVENT | {"event_id": str(n)} for n in range(2000)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputRefused, match=r"events\.jsonl\.gz:\d+: cannot be read"):
        events(path)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(InputRefused, match="nowhere"):
        events(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_progress_adds_up_to_the_size_of_the_file(tmp_path: Path, name: str) -> None:
    """What is shown as read is, in the end, the whole file."""
    path = written(tmp_path / name, *[EVENT | {"event_id": str(n)} for n in range(3333)])
    seen: list[int] = []
    assert len(list(read_events(path, SCHEMA, seen.append))) == 3333
    assert len(seen) > 1
    assert sum(seen) == path.stat().st_size


def test_decisions_are_no_table(tmp_path: Path) -> None:
    """Decisions hold objects, so a CSV file of them is refused once, with what would be right."""
    path = written(tmp_path / "decisions.csv", "decision_id,customer_id", "d1,ada", "d2,ada")
    with pytest.raises(InputRefused, match=r"^decisions.csv: these rows are read from JSON lines only; name a .jsonl"):
        list(read_decisions(path, SCHEMA, unseen))


def test_a_consent_of_the_last_century_is_refused(tmp_path: Path) -> None:
    """A consent cannot have been given before 2000, as the service has it too; one without a moment is the oldest."""
    undated, first = {"customer_id": "ada", "level": "full"}, {"customer_id": "bob", "level": "full"}
    good = written(tmp_path / "good.jsonl", undated, {**first, "given_at": 946_684_800_000})
    assert agreed(good, ["full"]) == {"ada", "bob"}
    bad = written(tmp_path / "bad.jsonl", undated, {**first, "given_at": 946_684_799_999})
    with pytest.raises(InputRefused, match=r"^bad\.jsonl:2: given_at is before the year 2000"):
        agreed(bad, ["full"])
