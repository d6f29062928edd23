"""A store that refuses writes: decisions go on, and nothing is acknowledged that it does not have (F-9, F-10, F-11)."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from redis.exceptions import RedisError

from service.app import start
from service.config import Settings, StorePlace
from service.rpc.calling import CallFailed
from service.rpc.client import Ask, Event, Outcome, TactClient
from service.rpc.plain import Plain
from service.store.error_prefixes import REFUSALS
from tests.cli.commands import DEMO
from tests.edge.durability.servers import Server, program, until
from tests.edge.durability.workload import SINCE

HEALS_WITHIN_S = 4.0
AOF = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", 0, "--maxmemory-policy", "noeviction")


@asynccontextmanager
async def served(store: Server) -> AsyncIterator[TactClient]:
    """Serve the demo on a store."""
    running = await start(Settings(store=StorePlace.parse(store.url), strategy=DEMO, port=0))
    try:
        async with TactClient(running.address, timeout_s=3.0) as client:
            yield client
    finally:
        await running.stop(0.0)


async def writes(client: TactClient, decision: str, action: str) -> dict[str, str]:
    """Write one of each; return with which status each ended."""
    bought: dict[str, Plain] = {"order": "o", "category": "phone", "amount": 1.0}
    wanted: dict[str, Callable[[], Awaitable[object]]] = {
        "event": lambda: client.record_events([Event("new", "anna", "purchase", SINCE, bought)]),
        "consent": lambda: client.set_consent("anna", "full", ["web"]),
        "outcome": lambda: client.record_outcomes([Outcome(decision, action, "clicked")]),
    }
    ended: dict[str, str] = {}
    for what, write in wanted.items():
        try:
            await write()
            ended[what] = "OK"
        except CallFailed as failed:
            ended[what] = failed.code
    return ended


async def refuses(client: TactClient, provoke: Callable[[], object], heal: Callable[[], object], label: str) -> None:
    """See that a refusing store costs no answer, that no write is acknowledged, and that it heals."""
    await client.set_consent("anna", "full", ["email"])
    told = await client.decide(Ask("anna", "web", ("greeting",)))
    action = told["answers"][0]["greeting"]["action_id"]
    before = REFUSALS.seen[label]
    provoke()
    answer = await client.decide(Ask("anna", "web", ("greeting",)))
    assert answer["degraded_reasons"][0]["code"] == "store_unavailable"
    assert answer["decision_id"] == ""
    ended = await writes(client, told["decision_id"], action)
    assert set(ended.values()) == {"UNAVAILABLE"}, ended
    assert REFUSALS.seen[label] > before
    heal()
    began = time.monotonic()
    while "UNAVAILABLE" in (ended := await writes(client, told["decision_id"], action)).values():
        assert time.monotonic() - began < HEALS_WITHIN_S, ended
    assert set(ended.values()) == {"OK"}
    assert (await client.decide(Ask("anna", "web", ("greeting",))))["decision_id"]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Return a folder: a file system of sixteen megabytes, where this user may mount one."""
    folder.mkdir()
    if os.geteuid() != 0:
        yield folder
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        yield folder
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_store_that_refuses_takes_nothing_in(tmp_path: Path) -> None:
    """OOM, READONLY, a full disk: no cap is counted, so nothing is offered, and no write is acknowledged."""
    with small_disk(tmp_path / "disk") as disk, Server(disk / "store", *AOF, program=program("valkey")) as store:
        async with served(store) as client:
            await refuses(client, lambda: _limit(store, 1), lambda: _limit(store, 0), "oom")
            await refuses(
                client,
                lambda: store.ask("REPLICAOF", "127.0.0.1", 1),
                lambda: store.ask("REPLICAOF", "NO", "ONE"),
                "readonly",
            )
            if disk.is_mount():
                await refuses(client, lambda: _fill(disk, store), lambda: _free(disk, store), "misconf")


def _limit(store: Server, most_bytes: int) -> None:
    store.ask("CONFIG", "SET", "maxmemory", most_bytes)


def _fill(disk: Path, store: Server) -> None:
    """Leave no room on the disk, and see the store notice."""
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    with suppress(RedisError):
        for _ in range(1000):  # what the last pages still take, until it is refused
            store.ask("SET", "tact:filler", "x" * 2000)
    assert _status(store) == "err"


def _free(disk: Path, store: Server) -> None:
    """Make room again, and see the store write."""
    (disk / "filler").unlink()
    until(lambda: _status(store) == "ok", 10, "the file is written again")


def _status(store: Server) -> str:
    return str(store.ask("INFO", "persistence")["aof_last_write_status"])
