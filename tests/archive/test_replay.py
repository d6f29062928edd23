"""Decisions of a company that changes its strategies and models are had again elsewhere, to the last byte."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from service.app import start
from service.archive.blocks import Part, PartWriter
from service.archive.folder import FolderLog
from service.archive.verifying import chains
from service.config import Settings, StorePlace
from service.core.plan import Entry, unpack
from service.rpc.client import Ask, TactClient
from service.rpc.client_supply import Report
from service.store.embedded import EmbeddedStore
from service.store.keys import BUCKETS, log_key
from tests.archive.world import EDITIONS, lived
from tests.cli.commands import ROOT, Ran, tact, typed
from tests.store.patience import patient

DECISIONS = int(os.environ.get("TACT_DECISIONS", "80"))
SINCE = ("--from", "2026-01-01T00:00:00Z")
LONG_S = 170.0
TRUCKS = ROOT / "strategies" / "trucks"
FLIPS = 4
COVERED = 15
DRAWING = ("softmax", "thompson", "control", "holdout", "epsilon_greedy")


@pytest.fixture
def own_store_url(tmp_path: Path) -> Iterator[str]:
    """Return the URL of a store of its own; both kinds log alike, and once is enough."""
    with EmbeddedStore(tmp_path / "store") as url:
        yield url


async def logged(url: str) -> list[Entry]:
    """Return all entries of the log."""
    async with patient(url) as connections:
        pages = [await connections.execute("XRANGE", log_key(f"{n:03x}"), "-", "+") for n in range(BUCKETS)]
    return [unpack(dict(zip(row[::2], row[1::2], strict=True))[b"e"]) for page in pages for _, row in page]


def told(ran: Ran) -> dict[str, Any]:
    """Return what a command said that succeeded."""
    assert ran.returncode == 0, (ran.stdout[-600:], ran.stderr)
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def covers(entries: list[Entry]) -> Counter[str]:
    """Count the decisions that show what replaying has to cope with."""
    found: Counter[str] = Counter()
    for one in entries:
        assert one.seen is not None
        policies = {placed.policy for placed in one.placements}
        shows = {
            "two placements": len(one.placements) > 1, "a challenger": one.shadow is not None,
            "a cap": bool(one.seen.used), "a refusal": bool(one.seen.refusals), "a promise": bool(one.seen.promised),
            "a switch": bool(one.seen.off), "learned": bool(one.learned), "a segment": bool(one.segment),
            "no permission": not one.seen.permitted, "explored": any(p.explored for p in one.placements),
            **{policy: policy in policies for policy in DRAWING},
        }  # fmt: skip
        found.update(name for name, holds in shows.items() if holds)
    return found


async def test_every_decision_is_had_again_in_another_process(own_store_url: str, tmp_path: Path) -> None:
    """From the store and from an archive alone: entries to the last byte, and answers to the last word."""
    company = await lived(own_store_url, tmp_path / "company", DECISIONS)
    entries = await logged(own_store_url)
    assert {one.decision_id for one in entries} == company.answers.keys()
    assert len({one.strategy for one in entries}) == len(EDITIONS)
    assert len({one.model for one in entries}) == 2
    found = covers(entries)
    assert len(found) == COVERED, found
    (tmp_path / "company").rename(tmp_path / "gone")
    place: tuple[object, ...] = ("--store", own_store_url)
    archive = tmp_path / "archive"
    archived = told(await asyncio.to_thread(typed, "log", "archive", "--out", archive, *place, "--json"))
    assert (archived["decisions"], archived["strategies"], archived["models"]) == (len(entries), len(EDITIONS), 3)
    shown = ("replay", *SINCE, "--show", "--json")
    for replayed in (
        told(await asyncio.to_thread(typed, *shown, *place, "--jobs", 1)),
        told(tact(*shown, "--archive", archive, "--jobs", 2, timeout_s=LONG_S)),
    ):
        assert replayed["fates"] == {"identical": len(entries)}
        assert {one["decision_id"]: one["answer"] for one in replayed["told"]} == company.answers
    for where in (place, ("--archive", archive)):
        verified = told(await asyncio.to_thread(typed, "log", "verify", *where, "--json"))
        assert (verified["whole"], verified["decisions"]) == (True, len(entries))
        assert verified["outcomes"] == archived["outcomes"]
    for _ in range(FLIPS):
        changed = flipped(archive, tmp_path / "copy", Random(company.dice.random()))
        assert faults(tmp_path / "copy") == {changed}


async def test_decisions_about_what_runs_out_are_had_again(own_store_url: str, tmp_path: Path) -> None:
    """What there was of it then is in the entry, and what was held for whom is believed as it is logged."""
    settings = Settings(store=StorePlace.parse(own_store_url), strategy=TRUCKS, port=0, store_wait_s=5.0)
    running = await start(settings)
    try:
        async with TactClient(running.address, schema=running.strategy.schema, timeout_s=30.0) as client:
            now = datetime.now(UTC)
            await client.report_supply([Report("truck", "hamburg", 9, now, now + timedelta(hours=4))])
            said = Counter[str]()
            for number in range(40):
                who = f"somebody-{number}"
                await client.set_consent(who, "personal", ())
                ask = Ask(who, "web", ("main", "note"), {"present.branch": "hamburg"})
                said[(await client.decide(ask))["answers"][0].get("offer", {}).get("action_id", "")] += 1
    finally:
        await running.stop()
    assert len(said) > 1, said
    assert any(one.takes for one in await logged(own_store_url))
    replayed = told(await asyncio.to_thread(typed, "replay", *SINCE, "--store", own_store_url, "--json", "--jobs", 1))
    assert replayed["fates"] == {"identical": 40}


def flipped(archive: Path, copy: Path, dice: Random) -> tuple[int, str]:
    """Copy an archive with one bit of one field of one entry changed, and stamp it anew; return where that is."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(archive, copy)
    (path,) = copy.glob("log-*")
    blocks = [list(entries) for _, entries in Part(path).all()]
    block = dice.choice(blocks)
    place = dice.randrange(len(block))
    entry = block[place]
    at = dice.choice([n for n, part in enumerate(entry.flat) if n % 2 and part])
    value = bytearray(entry.flat[at])
    value[dice.randrange(len(value))] ^= 1 << dice.randrange(8)
    block[place] = replace(entry, flat=(*entry.flat[:at], bytes(value), *entry.flat[at + 1 :]))
    with open(path, "wb") as file:
        writer = PartWriter(file)
        for entries in blocks:
            writer.add(entries)
        writer.end()
    return entry.bucket, entry.place


def faults(archive: Path) -> set[tuple[int, str]]:
    """Return where the chain of an archive is not whole."""
    walked = chains(FolderLog(archive))
    return {(bucket, str(fault.at)) for bucket, found in walked for one in found.values() for fault in one.faults}
