"""What the store's own settings must be, looked at once before serving."""

from __future__ import annotations

from typing import Protocol

from service.store.connection import Argument, Reply, StoreError, StoreReplied

WANTED_POLICY = "noeviction"


class StoreRefused(StoreError):
    """Tact does not run on a store set like this; the message says what is set, why not, and what to do."""


class Execute(Protocol):
    """Send one command to the store and return its reply."""

    async def __call__(self, *args: Argument) -> Reply:
        """Send one command to the store and return its reply."""
        ...


async def check_store(execute: Execute) -> list[str]:
    """Return a warning sentence for each setting that is a risk; raise `StoreRefused` for one that breaks promises."""
    await _refuse_without_functions(execute)
    return [*await _check_eviction(execute), *await _check_persistence(execute), *await _check_erasure(execute)]


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
