"""What the store's own settings must be, looked at once before serving."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from service.store.connection import StoreError, StoreForbidden, StoreReplied, StoreUnavailable
from service.store.way import Execute

WANTED_POLICY = "noeviction"

T = TypeVar("T")


class StoreRefused(StoreError):
    """Tact does not run on a store set like this; the message says what is set, why not, and what to do."""


async def check_store(execute: Execute, replicas: int = 0) -> list[str]:
    """Return a warning sentence for each setting that is a risk; raise `StoreRefused` for one that breaks promises.

    So many `replicas` are to confirm what is written.
    """
    await _refuse_without_functions(execute)
    return [
        *await _check_eviction(execute),
        *await _check_persistence(execute),
        *await _check_erasure(execute),
        *await _check_coverage(execute),
        *(await _check_replicas(execute, replicas) if replicas else ()),
    ]


async def check_servers(servers: Sequence[Execute], replicas: int = 0) -> list[str]:
    """Do as `check_store` does with each server of a store that answers; raise a `StoreError` where none does."""
    checked = await asyncio.gather(*(check_store(execute, replicas) for execute in servers), return_exceptions=True)
    return list(dict.fromkeys(warning for warnings in _answered(checked) for warning in warnings))


async def server_runs(servers: Sequence[Execute]) -> str:
    """Return what tells the runs of all servers that answer from the next; raise a `StoreError` where none does."""
    runs = await asyncio.gather(*(server_run(execute) for execute in servers), return_exceptions=True)
    return " ".join(sorted(_answered(runs)))


def _answered(said: Sequence[T | BaseException]) -> list[T]:
    """Return what servers said; raise what none may say, and where no one said anything, why."""
    faults = [error for error in said if isinstance(error, BaseException)]
    for error in faults:
        if isinstance(error, StoreRefused | StoreForbidden) or not isinstance(error, StoreError):
            raise error
    if len(faults) == len(said):
        raise faults[0] if faults else StoreUnavailable("The store has no servers.")
    return [one for one in said if not isinstance(one, BaseException)]


async def server_run(execute: Execute) -> str:
    """Return what tells one run of the store's server from the next; the same for all where INFO is forbidden."""
    return (await _info(execute, "server")).get("run_id", "unknown")


async def _refuse_without_functions(execute: Execute) -> None:
    try:
        known = (await execute("COMMAND", "INFO", "FCALL"))[0] is not None
    except StoreReplied:
        major = (await _info(execute, "server")).get("redis_version", "").partition(".")[0]
        known = not major.isdigit() or int(major) >= 7  # where it cannot be seen, loading the functions will tell
    if not known:
        raise StoreRefused(
            "The store has no functions (FCALL), which reads and commits run in. "
            "Use Redis 7.0 or later, or any Valkey, or the embedded store."
        )


async def _check_eviction(execute: Execute) -> list[str]:
    policy = await _setting(execute, "maxmemory-policy") or (await _info(execute, "memory")).get("maxmemory_policy")
    if policy is None:
        return [f"The store does not tell its maxmemory-policy; make sure that it is {WANTED_POLICY}."]
    if policy != WANTED_POLICY:
        raise StoreRefused(
            f"The store's maxmemory-policy is {policy}: when memory runs short it silently drops contact caps and "
            f"consent, and customers would be contacted against their will. Set it to {WANTED_POLICY} "
            f"(CONFIG SET maxmemory-policy {WANTED_POLICY}, and in the store's configuration file)."
        )
    return []


async def _check_persistence(execute: Execute) -> list[str]:
    append_only = await _setting(execute, "appendonly")
    if append_only is None:
        append_only = {"0": "no", "1": "yes"}.get((await _info(execute, "persistence")).get("aof_enabled", ""))
    if append_only == "yes":
        return []
    if await _setting(execute, "save"):
        return [
            "The store only takes snapshots: when it dies, every consent, contact count and decision since the last "
            "one is lost. Turn its append-only file on (CONFIG SET appendonly yes, and in its configuration file)."
        ]
    if append_only is None:
        return ["The store does not tell whether it is persistent; make sure that its append-only file is on."]
    return [
        "The store is not persistent: when it restarts, every consent, contact count and decision is lost. "
        "Turn its append-only file on (CONFIG SET appendonly yes, and in the store's configuration file)."
    ]


async def _check_erasure(execute: Execute) -> list[str]:
    """Return what of an erased customer would stay behind in a store that is set like this."""
    warnings = []
    if await _setting(execute, "stream-node-max-entries") not in ("1", None):
        warnings.append(
            "The store packs entries of the decision log together: erased ones stay in its memory and files until "
            "their neighbours go. Set stream-node-max-entries to 1 (CONFIG SET, and in its configuration file)."
        )
    if await _setting(execute, "slowlog-max-len") not in ("0", None):
        warnings.append(
            "The store's slow log quotes customer ids and values, which an erasure does not reach. Set slowlog-max-len "
            "to 0, or reset it after an erasure (SLOWLOG RESET)."
        )
    return warnings


async def _check_replicas(execute: Execute, replicas: int) -> list[str]:
    """Return what would keep replicas from confirming, and what a master that was cut off would still take in."""
    warnings, there = [], (await _info(execute, "replication")).get("connected_slaves", "")
    if there.isdigit() and int(there) < replicas:
        warnings.append(
            f"The store has {there} replicas, and --durability durable wants {replicas} to confirm what is written: "
            "until they are there, every write ends as UNAVAILABLE and every decision is a safe greeting."
        )
    least = await _setting(execute, "min-replicas-to-write")
    if least is None or (least.isdigit() and int(least) < replicas):
        warnings.append(
            f"The store's min-replicas-to-write is {least or 'not told'}: a master that was cut off goes on taking "
            f"writes in that nobody confirms, and they are lost. Set it to {replicas} on every server, and "
            f"min-replicas-max-lag to 2 (CONFIG SET min-replicas-to-write {replicas}, and in the configuration files)."
        )
    return warnings


async def _check_coverage(execute: Execute) -> list[str]:
    """Return what a cluster that is set like this does when it loses a server."""
    if await _setting(execute, "cluster-enabled") != "yes":
        return []
    if await _setting(execute, "cluster-require-full-coverage") != "yes":
        return []
    return [
        "The cluster refuses everything while one of its masters is gone, for customers of the others too. "
        "Set cluster-require-full-coverage to no (CONFIG SET, and in the configuration file of each server)."
    ]


async def _setting(execute: Execute, name: str) -> str | None:
    """Return a setting; None where CONFIG is forbidden, as managed stores do, or the setting unknown."""
    try:
        reply = await execute("CONFIG", "GET", name)
    except StoreReplied:
        return None
    return _text(reply[1]) if reply else None


async def _info(execute: Execute, section: str) -> dict[str, str]:
    """Return a section of INFO; empty where that is forbidden."""
    try:
        lines = _text(await execute("INFO", section)).splitlines()
    except StoreReplied:
        return {}
    return {name: value for name, separator, value in (line.partition(":") for line in lines) if separator}


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
