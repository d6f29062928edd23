"""What a simulation counts: by brute force the same, and however the log was spread over processes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from models.decision_table import NOTHING, feature_column
from models.policy_table import METADATA
from service.core.rules import Kind
from service.evaluating.cells import LogRefused
from service.evaluating.rows import TableLog
from service.simulating.logged import SEEN, LoggedRow, decisions_of
from service.simulating.segments import OTHERS, UNKNOWN, segments
from service.simulating.spread import Spread, Window, read_part, spread
from service.simulating.tally import Tally
from service.simulating.telling import document
from service.simulating.worker import Plan, Worker
from tests.logs.test_batch import batch
from tests.service.simulating.world import BEGINS_MS, DAY_MS, again, at_most, loaded, row, small

FIELDS = ("past.tier", "past.phones", "present.waiting")
ACTIONS = ("", "new-phone", "fibre-upgrade", "apology", "withdrawn-offer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a strategy that allows one offer a week."""
    return small(tmp_path_factory.mktemp("small"), caps=at_most(1))


@pytest.fixture(scope="module")
def rows() -> tuple[LoggedRow, ...]:
    """Return a log of 40 people, made by hand."""
    dice, found = Random(3), []
    for number in range(240):
        known = {"past.phones": dice.randrange(5), "present.waiting": dice.random() < 0.5}
        tier = {"past.tier": dice.choice(["basic", "gold"])} if dice.random() < 0.8 else {}
        made = row(number, BEGINS_MS + dice.randrange(15 * DAY_MS), dice.choice(ACTIONS), who=f"p{number % 40}")
        found.append(replace(made, known=known | tier))
    return tuple(found)


def counted(folder: Path, rows: tuple[LoggedRow, ...], out: Path, parts: int) -> dict[str, Any]:
    """Return what is told of a log that is spread over so many parts, each decided by a worker of its own."""
    divided = segments(loaded(folder).schema, FIELDS, rows)
    tally = Tally()
    for part in range(parts):
        own = [one for one in rows if int(one.customer[1:]) % parts == part]
        worker = Worker(Plan(str(folder), "", ("", ""), divided, ()))
        tally.merge(worker.part(own, out / f"{part}.parquet"))
    return document(tally, Spread((), len(rows), first_ms=BEGINS_MS, last_ms=BEGINS_MS), FIELDS, {})


def test_everything_is_counted_once(folder: Path, rows: tuple[LoggedRow, ...], tmp_path: Path) -> None:
    """Rows, changes, what becomes what, offers and people are what counting them one by one gives."""
    told = counted(folder, rows, tmp_path, 1)
    said = again(list(decisions_of(rows)), loaded(folder))
    assert told["rows"] == len(rows) == sum(row["rows"] for row in told["flows"])
    assert told["changed"]["rows"] == sum(one.action != now for one, now in said)
    flows = Counter((one.action or NOTHING, now or NOTHING) for one, now in said)
    assert {(row["before"], row["now"]): row["rows"] for row in told["flows"]} == flows
    assert sum(row["rows"] for row in told["why"]) == sum(bool(one.action) and one.action != now for one, now in said)
    offers = {action.id for action in loaded(folder).actions if action.kind is Kind.OFFER}
    had = {one.customer for one, _ in said if one.action in offers | {"withdrawn-offer"}}
    has = {one.customer for one, now in said if now in offers}
    everybody = {one.customer for one in rows}
    assert told["people"]["lost"]["customers"] == len(had - has)
    assert told["people"]["underserved"]["customers"] == len(everybody - has)
    assert sum(row["customers"] for row in told["underserved_because"]) == len(everybody - has)
    for field in FIELDS:
        assert sum(row["rows"] for row in told["groups"][field]) == len(rows)
    (used,) = {sum(row["now"] for row in told["caps"] if row["cap"] == "two-offers-a-week")}
    assert used == sum(now in offers for _, now in said)


def test_what_was_said_and_is_no_more_is_explained(folder: Path, rows: tuple[LoggedRow, ...], tmp_path: Path) -> None:
    """Of each action that is not said any more it is told by which cap, or that it is worth less, or is not there."""
    reasons = {(row["action"], row["reason"]) for row in counted(folder, rows, tmp_path, 1)["why"]}
    assert ("withdrawn-offer", "no_treatment") in reasons
    assert ("fibre-upgrade", "two-offers-a-week") in reasons
    assert ("new-phone", "one-story") in reasons
    assert ("apology", "outranked") in reasons


def test_however_it_is_spread_the_same_is_told(folder: Path, rows: tuple[LoggedRow, ...], tmp_path: Path) -> None:
    """Parts that were decided apart add up to what one process tells."""
    assert counted(folder, rows, tmp_path, 3) == counted(folder, rows, tmp_path, 1)


def test_the_policies_are_those_of_the_rows(folder: Path, rows: tuple[LoggedRow, ...], tmp_path: Path) -> None:
    """The table for the training has every row once, with probabilities that do not exceed 1 and what may be said."""
    counted(folder, rows, tmp_path, 1)
    table = pq.read_table(tmp_path / "0.parquet")
    about = json.loads(table.schema.metadata[METADATA])
    assert sorted(table["decision_id"].to_pylist()) == sorted(one.decision_id for one in rows)
    assert about["actions"] == [action.id for action in loaded(folder).actions]
    for line in table.to_pylist():
        chances = {one["action"]: one["probability"] for one in line["arm.strategy"]}
        assert set(chances) <= set(line["permitted"])
        assert 0.0 <= sum(chances.values()) <= 1.0 + 1e-9


def test_a_log_is_spread_by_person_within_its_window(folder: Path, tmp_path: Path) -> None:
    """Every row of the window is in one part, whole persons together; a window without any is refused in words."""
    schema = loaded(folder).schema
    made = batch(
        *({"decision_id": f"d{n}", "customer_id": f"p{n % 7}", "action": "a", "at": BEGINS_MS + n} for n in range(50))
    )
    with (tmp_path / "decisions-1.parquet").open("wb") as file:
        made.write(file, "parquet")
    log = TableLog((tmp_path / "decisions-1.parquet",), (SEEN,))
    kinds = {feature_column("past.a"): schema.fields[0].type}
    found = spread(log, kinds, Window(BEGINS_MS + 5, BEGINS_MS + 25), tmp_path, lambda done, more: None)
    assert found.rows == sum(len(read_part(part)) for part in found.parts) == 20
    with pytest.raises(LogRefused, match="no decision in this window"):
        spread(log, kinds, Window(0, 5), tmp_path, lambda done, more: None)


def test_columns_of_another_type_are_named(folder: Path, tmp_path: Path) -> None:
    """A field that the log has in another type than the strategy is found out; whole numbers pass for numbers."""
    with (tmp_path / "decisions-1.parquet").open("wb") as file:
        batch({"decision_id": "d"}).write(file, "parquet")
    log = TableLog((tmp_path / "decisions-1.parquet",))
    types = {field.type.value: field.type for field in loaded(folder).schema.fields}
    wanted = {"feature.past.a": types["double"], "feature.past.b": types["int"], "feature.past.d": types["string"]}
    assert log.otherwise(wanted) == ("feature.past.b",)


def test_numbers_divide_by_quarters_and_texts_by_value(folder: Path, rows: tuple[LoggedRow, ...]) -> None:
    """Everybody is in one group by each field: quarters of a number, a text, a truth, or unknown."""
    schema = loaded(folder).schema
    tier, phones, waiting = segments(schema, FIELDS, rows)
    assert [tier.of({"past.tier": name}) for name in ("gold", "silver")] == ["gold", OTHERS]
    assert [waiting.of(known) for known in ({"present.waiting": True}, {})] == ["yes", UNKNOWN]
    groups = [phones.of({"past.phones": count}) for count in range(-1, 7)]
    assert len(set(groups)) == len(phones.names)
    assert groups == sorted(groups)
    texts = [replace(rows[0], known={"past.tier": name}) for name in (OTHERS, UNKNOWN, f'"{UNKNOWN}"')]
    (odd,) = segments(schema, ("past.tier",), texts)
    assert len({odd.of(known) for known in ({}, {"past.tier": "rare"}, *(one.known for one in texts))}) == 5
    assert segments(schema, ("past.paid_at", "past.recent_products"), rows) == ()


@pytest.mark.parametrize(
    ("numbers", "groups"),
    [
        ((0, 1, 2, 3, 4), ("0 to under 1", "1 to under 2", "2 to under 3", "3 to 4")),
        ((0, 0, 0, 0, 1), ("0 to under 1", "1")),
        ((100001, 100002, 100003), ("100001 to under 100002", "100002 to 100003")),
        ((7,), ("7",)),
    ],
)
def test_a_quarter_is_named_by_what_is_in_it(folder: Path, numbers: tuple[int, ...], groups: tuple[str, ...]) -> None:
    """An edge is in the group above it and its name says so; no two groups have one name."""
    sample = [row(number, BEGINS_MS) for number in numbers]
    known = [replace(one, known={"past.phones": number}) for one, number in zip(sample, numbers, strict=True)]
    (divided,) = segments(loaded(folder).schema, ("past.phones",), known)
    assert divided.names == groups
    for name, low in zip(groups, (numbers[0], *divided.edges), strict=True):
        assert divided.of({"past.phones": low}) == name
