"""Features of the past, from history and online, equal a recomputation with pandas that shares no code with either.

All 102,000 rows (17,000 members at six waves) are compared with the table that `python -m training features` writes.
Online, the events before each wave are recorded through gRPC and the members' context is asked as of the wave: for
TACT_AS_OF_MEMBERS members (60; 17000 are all).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import msgspec
import pandas as pd
import pytest

from models.schema import load_context
from service.rpc.client import Event, TactClient
from tests.cli.commands import Process
from tests.worlds.conftest import with_data
from tests.worlds.recompute import data_folder
from training.worlds import starbucks
from training.worlds.files import moment_ms

ROOT = Path(__file__).parents[2]
STRATEGY = ROOT / "strategies" / "starbucks"
MEMBERS = int(os.environ.get("TACT_AS_OF_MEMBERS", "60"))
WAVES = starbucks.WAVES
COUNTED = ("received", "viewed", "completed")
TYPES = ("bogo", "discount", "informational")
FIELDS = (
    "past.transactions",
    "past.spend",
    "past.transactions_7d",
    "past.spend_7d",
    *(f"past.{what}_{kind}" for what in COUNTED for kind in TYPES if (what, kind) != ("completed", "informational")),
)
T = TypeVar("T")
DOLLARS = ("past.spend", "past.spend_7d")


# ------------------------------------------------------------------------------------------- the independent account


@pytest.fixture(scope="session")
def wanted(lines: pd.DataFrame) -> pd.DataFrame:
    """Return what was known of every member at every wave, by (customer, wave); NA is unknown."""
    members = sorted(json.loads(line)["id"] for line in packed_lines("profile.json.gz"))
    waves = [as_of(lines, wave, members) for wave in WAVES]
    return pd.concat(waves, keys=WAVES, names=["wave", "customer"]).swaplevel().sort_index()


def packed_lines(name: str) -> Iterator[str]:
    """Yield the lines of a file that are not blank."""
    with gzip.open(data_folder() / name, "rt", encoding="utf-8") as lines:
        yield from filter(str.strip, lines)


@pytest.fixture(scope="session")
def lines() -> pd.DataFrame:
    """Return the month's lines as columns, exact repeats once; money in whole cents."""
    raw = pd.DataFrame([json.loads(line) for line in packed_lines("transcript.json.gz")])
    value = pd.DataFrame(raw["value"].tolist())
    offers = pd.DataFrame([json.loads(line) for line in (data_folder() / "portfolio.json").read_text().splitlines()])
    types = offers.set_index("id")["offer_type"]
    different = pd.DataFrame(
        {
            "customer": raw["person"],
            "hour": raw["time"],
            "event": raw["event"].str.removeprefix("offer "),
            "offer": value["offer id"].fillna(value["offer_id"]),
            "cents": (value["amount"] * 100).round(),
            "reward": value["reward"],
        }
    ).drop_duplicates()
    return different.assign(kind=different["offer"].map(types))


def as_of(lines: pd.DataFrame, wave: int, members: list[str]) -> pd.DataFrame:
    """Return what was known of every member at one wave, from the lines of the hours before it."""
    before = lines[lines["hour"] < wave]
    paid = before[before["event"] == "transaction"]
    ever = paid.groupby("customer")["cents"].agg(["count", "sum"]).reindex(members)
    week = paid[paid["hour"] >= wave - 168].groupby("customer")["cents"].agg(["count", "sum"])
    week = week.reindex(ever["count"].dropna().index, fill_value=0).reindex(members)
    found = pd.DataFrame(
        {
            "past.transactions": ever["count"],
            "past.spend": ever["sum"] / 100,
            "past.transactions_7d": week["count"],
            "past.spend_7d": week["sum"] / 100,
        }
    )
    counts = before.groupby(["event", "kind"])["customer"].value_counts()
    for name in FIELDS[4:]:
        what, kind = name.removeprefix("past.").split("_")
        here = counts[what][kind] if (what, kind) in counts.droplevel("customer").index else pd.Series(dtype="int64")
        found[name] = here.reindex(members)
    return typed(found)


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the fields in one order, counts as whole numbers and dollars as doubles, where NA is unknown."""
    return table[list(FIELDS)].astype({name: "Float64" if name in DOLLARS else "Int64" for name in FIELDS})


# -------------------------------------------------------------------------------------------------------- the claims


@with_data
def test_no_news_was_ever_completed(lines: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """The strategy leaves out completed news because the data have none; everything else happened to somebody."""
    assert not ((lines["event"] == "completed") & (lines["kind"] == "informational")).any()
    assert len(wanted) == 102_000
    assert (wanted.groupby("wave").count().loc[576] > 4_000).all()


@with_data
def test_the_table_of_the_past_equals_pandas(
    wanted: pd.DataFrame, prepared: tuple[Path, starbucks.Prepared], tmp_path: Path
) -> None:
    """All 102,000 rows of `training features` hold exactly what pandas computes from the public files, in 100 MB."""
    folder, out = prepared[0], tmp_path / "features.csv"
    files = [f"--events={folder / 'events.jsonl.gz'}", f"--moments={folder / 'decisions.jsonl.gz'}", f"--out={out}"]
    assert largest_mb("features", f"--strategy={STRATEGY}", *files, f"--fields={','.join(FIELDS)}") < 100
    found = pd.read_csv(out, converters=dict.fromkeys(DOLLARS, exactly), dtype_backend="numpy_nullable")
    hours = (pd.to_datetime(found["at"]) - pd.Timestamp("2018-08-01", tz="UTC")) / pd.Timedelta(hours=1)
    found["wave"] = hours.astype("int64")
    table = typed(found.set_index(["customer_id", "wave"]).rename_axis(["customer", "wave"])).sort_index()
    pd.testing.assert_frame_equal(table, wanted, check_exact=True, check_index_type=False)


LAUNCH = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "training", *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def largest_mb(*arguments: str) -> float:
    """Run `python -m training` to its good end and return the most memory it took.

    It is started by a small process: what is started by a large one counts as large as that.
    """
    command = [sys.executable, "-c", LAUNCH, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return int(done.stdout) / (1024 if sys.platform == "linux" else 1024**2)


def exactly(cell: str) -> float | None:
    """Read a double as Python does: to the last bit."""
    return float(cell) if cell else None


@with_data
def test_what_serving_knows_equals_pandas(
    wanted: pd.DataFrame, prepared: tuple[Path, starbucks.Prepared], clean_store_url: str
) -> None:
    """Members whose events were recorded up to a wave are known, at that wave, exactly as pandas computes."""
    members = sorted(Random(3).sample(sorted(wanted.index.unique("customer")), MEMBERS))
    served = "serve", "--store", clean_store_url, "--strategy", STRATEGY, "--port", "0", "--allow-as-of", "--json"
    with Process(*served) as service:
        target, file = service.serving().target, prepared[0] / "events.jsonl.gz"
        asyncio.run(replayed_and_compared(target, file, members, wanted))  # all members take minutes


async def replayed_and_compared(target: str, file: Path, members: list[str], wanted: pd.DataFrame) -> None:
    """Record the events up to each wave and compare what the service then knows of the members."""
    async with TactClient(target, schema=load_context(STRATEGY), timeout_s=30) as tact:
        await few_at_once(tact.set_consent(member, "full", given_at="2018-08-01T00:00:00Z") for member in members)
        for wave, events in by_wave(file, set(members)):
            for batch in in_turn(events, 500):
                results = (await tact.record_events(batch))["results"]
                assert {result["status"] for result in results} <= {"stored", "repeated"}
            known = await few_at_once(looked(tact, member, wave) for member in members)
            expected = wanted.xs(wave, level="wave").loc[members].to_dict("records")
            differing = [pair for pair in zip(known, map(plain, expected), strict=True) if pair[0] != pair[1]]
            assert not differing, (wave, len(differing), differing[0])


def by_wave(path: Path, members: set[str]) -> Iterator[tuple[int, list[Event]]]:
    """Yield each wave with the events of these members that came since the wave before it."""

    def wave_of(row: dict[str, Any]) -> int:
        hour = (int(moment_ms(row["occurred_at"])) - starbucks.HOUR_ZERO_MS) // starbucks.HOUR_MS
        return next((wave for wave in WAVES if hour < wave), LATER)

    with gzip.open(path) as lines:
        rows = [row for row in map(msgspec.json.decode, lines) if row["customer_id"] in members]
    for wave, new in groupby(rows, wave_of):
        if wave != LATER:
            yield (
                wave,
                [Event(r["event_id"], r["customer_id"], r["type"], r["occurred_at"], r["attributes"]) for r in new],
            )


LATER = 10_000


async def looked(tact: TactClient, member: str, wave: int) -> dict[str, object]:
    """Return the fields that the service knows of a member as of a wave."""
    context = await tact.get_context(member, starbucks.HOUR_ZERO_MS + wave * starbucks.HOUR_MS)
    known = {field["field_id"]: field.get("value") for field in context["fields"]}
    return {name: known[name] for name in FIELDS}


def plain(row: dict[str, Any]) -> dict[str, object]:
    """Return a row with None for unknown."""
    return {name: None if value is pd.NA else value for name, value in row.items()}


def in_turn(items: Iterable[T], most: int) -> Iterator[tuple[T, ...]]:
    """Yield items so many at a time."""
    rest = iter(items)
    while some := tuple(islice(rest, most)):
        yield some


async def few_at_once(calls: Iterable[Any]) -> list[Any]:
    """Await calls, 32 at a time; return what they gave in their order."""
    return [answer for some in in_turn(calls, 32) for answer in await asyncio.gather(*some)]
