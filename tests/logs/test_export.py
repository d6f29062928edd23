"""The log as tables: exactly once, complete, and nothing of whom it is not to tell."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from models.decision_table import DECISIONS, OUTCOMES
from service.core.words import Words
from service.logs.parts import Format
from service.rpc.client import CallFailed
from service.store import keys
from tests.cli.commands import TACT, typed
from tests.logs.test_parts import steps_in
from tests.logs.world import exported, outcomes_of, rows_of, world
from tests.project.tree import ROOT
from tests.rpc.world import NOW_MS, strategy


def clock_ms() -> int:
    """Return the moment that the store's clock shows as well."""
    return time.time_ns() // 1_000_000


WITHDRAWN = {"feature.present.sentiment"}
MANY = 130
"""More decisions of one customer than are read at once."""


async def test_each_decision_and_outcome_is_exported_once(clean_store_url: str, tmp_path: Path) -> None:
    """Every placement of every decision is a row, every outcome is one, and exporting again adds only what is new."""
    async with world(clean_store_url) as at:
        made = [one for name in ("anna", "bea", "carl") for one in await at.decided(name, 3)]
        first = await exported(at.client, tmp_path)
        again = await exported(at.client, tmp_path)
        made += await at.decided("dora", 2)
        more = await exported(at.client, tmp_path)
    places = sorted((row["decision_id"], row["placement"]) for row in rows_of(tmp_path))
    assert places == sorted((one["decision_id"], placement) for one in made for placement in ("greeting", "hero"))
    assert (first.decisions, again.decisions, more.decisions) == (18, 0, 4)
    assert again.parts == 0
    told = [(row["decision_id"], row["action"]) for row in outcomes_of(tmp_path)]
    assert len(told) == len(set(told)) == first.outcomes + more.outcomes > 0


async def test_a_row_says_what_was_known_and_what_was_answered(clean_store_url: str, tmp_path: Path) -> None:
    """What a row says of features, scores, versions, the action and what came of it is what the service answered."""
    async with world(clean_store_url) as at:
        (answer,) = await at.decided("anna")
        await exported(at.client, tmp_path)
    for placed, row in zip(answer["answers"], sorted(rows_of(tmp_path), key=lambda row: row["placement"]), strict=True):
        said: dict[str, Any] = placed.get("greeting") or placed.get("offer") or {}
        assert (row["decision_id"], row["placement"]) == (answer["decision_id"], placed["placement"])
        assert (row["action"], row["customer_id"], row["channel"]) == (said["action_id"], "anna", "web")
        assert (row["strategy"], row["model"], row["level"]) == (strategy().version, None, "full")
        assert row["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z") == answer["decided_at"]
        assert row["feature.present.sentiment"] == 0.5
        assert row["candidates"][0]["action"] == row["action"]
        assert row["net_value"] == row["candidates"][0]["net_value"] == said.get("net_value", row["net_value"])
        assert 0.0 < row["probability"] <= 1.0
    kinds = {(row["action"], row["kind"], row["amount"]) for row in outcomes_of(tmp_path)}
    assert kinds == {(row["action"], "clicked", 1.5) for row in rows_of(tmp_path)}


async def test_values_follow_the_consent_of_now(clean_store_url: str, tmp_path: Path) -> None:
    """Who withdraws a consent stays in the log with what was said, and without what may not be used any more."""
    async with world(clean_store_url) as at:
        await at.decided("anna")
        await at.decided("bea")
        await at.client.set_consent("anna", "none", given_at=NOW_MS - 1)
        await exported(at.client, tmp_path)
    known = {
        row["customer_id"]: {name for name, value in row.items() if name.startswith("feature.") and value is not None}
        for row in rows_of(tmp_path)
    }
    assert known == {"anna": set(), "bea": WITHDRAWN}


def named_in(folder: Path, *names: bytes) -> list[str]:
    """Return the files of a folder that hold one of these names."""
    return [path.name for path in folder.iterdir() if any(name in path.read_bytes() for name in names)]


async def test_a_late_entry_of_who_was_erased_is_not_told(clean_store_url: str, tmp_path: Path) -> None:
    """What a race leaves in the stream of somebody who is erased by now does not leave the service."""
    async with world(clean_store_url) as at:
        await at.decided("anna")
        with Redis.from_url(clean_store_url) as raw:
            log = keys.log_key(keys.bucket("anna"))
            ((_, logged),) = raw.xrange(log)
            await at.client.rights.erase("anna")
            raw.xadd(log, logged)
        done = await exported(at.client, tmp_path)
    assert (done.decisions, done.forgotten) == (0, 0)


@pytest.mark.parametrize("form", list(Format))
async def test_who_was_erased_is_in_no_part(form: Format, clean_store_url: str, tmp_path: Path) -> None:
    """An erased customer is in no export after that, and what was exported before goes with the next export."""
    async with world(clean_store_url) as at:
        for name in ("anna", "bea", "carl"):
            await at.decided(name, 2)
        await at.client.rights.erase("carl")
        before = await exported(at.client, tmp_path, form)
        await at.client.rights.erase("anna")
        after = await exported(at.client, tmp_path)
    left = len(steps_in(tmp_path, DECISIONS)) + len(steps_in(tmp_path, OUTCOMES))
    assert (before.decisions, after.decisions, len(steps_in(tmp_path, DECISIONS))) == (8, 0, 4)
    assert after.forgotten == before.decisions + before.outcomes - left > 4
    assert not named_in(tmp_path, b"anna", b"carl"), "nor anywhere else in the folder"


@pytest.mark.parametrize("form", list(Format))
async def test_what_is_agreed_to_after_an_erasure_stays(form: Format, clean_store_url: str, tmp_path: Path) -> None:
    """Who agrees anew right after being erased is decided for anew: that and what came of it is in every export."""
    async with world(clean_store_url, now_ms=clock_ms) as at:
        await at.decided("anna", 2, given_ms=clock_ms() - 1000)
        before = await exported(at.client, tmp_path, form)
        await at.client.rights.erase("anna")
        await asyncio.sleep(0.01)  # a consent must be given after the erasure
        (made,) = await at.decided("anna", given_ms=clock_ms())
        for forgotten in (before.decisions + before.outcomes, 0):
            done = await exported(at.client, tmp_path)
            assert done.forgotten == forgotten
            assert set(steps_in(tmp_path, DECISIONS)) == {made["decision_id"]}
            assert set(steps_in(tmp_path, OUTCOMES)) == {made["decision_id"]}


async def test_decisions_of_an_earlier_strategy_keep_their_fields(clean_store_url: str, tmp_path: Path) -> None:
    """A strategy that had other fields, one of them with another type, still tells them by name in parts of its own."""
    async with world(clean_store_url) as at:
        await at.decided("anna")
        older = strategy().version[:-1] + "?"
        words = Words.of(strategy())
        fields = tuple((n, words.fields[1][1]) if n == "present.sentiment" else (n, t) for n, t in words.fields[::-1])
        packed = msgspec.msgpack.encode(msgspec.structs.replace(words, fields=fields, purposes=words.purposes[::-1]))
        with Redis.from_url(clean_store_url) as raw:
            log = keys.log_key(keys.bucket("anna"))
            ((_, logged),) = raw.xrange(log)
            entry = msgspec.msgpack.decode(logged[b"e"])
            place = next(i for i, (name, _) in enumerate(fields) if name == "present.sentiment")
            entry[4], entry[9] = older, [("warm" if i == place else None) for i in range(len(fields))]
            raw.xadd(log, {**logged, b"e": msgspec.msgpack.encode(entry)})
            raw.set(keys.words_key(older), packed)
        done = await exported(at.client, tmp_path)
    assert (done.nameless, done.unreadable) == (0, 0)
    assert {row["strategy"]: row["feature.present.sentiment"] for row in rows_of(tmp_path)} == {
        strategy().version: 0.5, older: "warm",
    }  # fmt: skip


async def test_what_cannot_be_named_or_read_is_counted(clean_store_url: str, tmp_path: Path) -> None:
    """Entries that mean nothing are left out and counted; those of a strategy without words have no features."""
    async with world(clean_store_url) as at:
        await at.decided("anna")
        with Redis.from_url(clean_store_url) as raw:
            log = keys.log_key(keys.bucket("anna"))
            ((_, logged),) = raw.xrange(log)
            lost = logged[b"e"].replace(strategy().version.encode(), b"older@3f9a0c11d2e4")
            raw.xadd(log, {**logged, b"e": lost})
            raw.xadd(log, {b"i": b"anna", b"e": b"\xc1 no entry"})
        done = await exported(at.client, tmp_path)
    assert (done.decisions, done.nameless, done.unreadable) == (4, 2, 1)


async def test_steps_are_bounded_and_more_than_a_page_is_told(clean_store_url: str, tmp_path: Path) -> None:
    """However much is logged, a part holds little more than a step, and many decisions of one person are all told."""
    async with world(clean_store_url) as at:
        made = {one["decision_id"] for one in await at.decided("anna", MANY)}
        for name in ("bea", "carl", "dora", "emil"):
            made |= {one["decision_id"] for one in await at.decided(name, 3)}
        done = await exported(at.client, tmp_path, step_rows=8)
    assert {row["decision_id"] for row in rows_of(tmp_path)} == made
    assert done.parts > 4


async def test_a_log_that_breaks_off_is_an_error(clean_store_url: str, tmp_path: Path) -> None:
    """Bad positions are refused with their place, and so is a batch of nobody."""
    async with world(clean_store_url) as at:
        for positions in ({4096: ("", "")}, {1: ("yesterday", "")}, {1: ("", "1-1-1")}):
            with pytest.raises(CallFailed) as failed:
                [part async for part in at.client.log.read(positions)]
            assert failed.value.code == "INVALID_ARGUMENT"
            assert failed.value.violations[0].field.startswith("positions[0].")
        with pytest.raises(CallFailed, match="send 1 to 1,000"):
            await at.client.log.erased([])
        assert await at.client.log.erased(["anna", "nobody"]) == {}


async def test_the_command_can_be_killed_at_any_time(clean_store_url: str, tmp_path: Path) -> None:
    """`tact log export` is killed while it runs, again and again; then it has everything, each row once."""
    async with world(clean_store_url) as at:
        made = {one["decision_id"] for name in range(30) for one in await at.decided(f"c-{name}", 2)}
        command = [*TACT, "log", "export", "--out", str(tmp_path / "log"), "--target", at.target, "--json"]
        for wait_s in (0.9, 1.2):
            killed = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.DEVNULL)
            await asyncio.sleep(wait_s)  # a moment of its run, whichever it is
            if killed.returncode is None:
                os.kill(killed.pid, signal.SIGKILL)
            await killed.wait()
        last = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
        said, _ = await last.communicate()
    assert json.loads(said)["out"] == str(tmp_path / "log"), said
    rows = [(row["decision_id"], row["placement"]) for row in rows_of(tmp_path / "log")]
    assert len(rows) == len(set(rows)) == 2 * len(made)
    assert {row[0] for row in rows} == made


def test_no_service_is_said_in_a_line(free_port: int, tmp_path: Path) -> None:
    """Without a service, the command says so, and writes nothing."""
    ran = typed("log", "export", "--out", tmp_path / "log", "--target", f"127.0.0.1:{free_port}")
    assert ran.returncode == 1
    assert "no service answers" in ran.stderr
    assert not list((tmp_path / "log").glob("decisions*"))


def test_serving_does_not_load_arrow() -> None:
    """A serving process loads none of the libraries that tables need."""
    code = "import service.app, sys; sys.exit(any(name.startswith('pyarrow') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
