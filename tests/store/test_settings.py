"""A store that would break promises is refused at start, in words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.store.connection import Argument, Connections, Reply, StoreReplied
from service.store.embedded import EmbeddedStore
from service.store.settings import StoreRefused, check_store
from tests.store.patience import patient


@pytest.fixture
def own_url(tmp_path: Path, store_program: Path | None) -> Iterator[str]:
    """Return the URL of a store that no other test uses."""
    with EmbeddedStore(tmp_path / "store", server=store_program) as url:
        yield url


@asynccontextmanager
async def managed(url: str, *forbidden: str) -> AsyncIterator[Connections]:
    """Connect as a user who may not use these commands, as managed stores have it."""
    async with patient(url) as admin:
        await admin.execute("ACL", "SETUSER", "tact", "on", ">secret", "~*", "+@all", *forbidden)
    async with patient(url.replace("//", "//tact:secret@")) as store:
        yield store


async def test_the_embedded_settings_pass(own_url: str) -> None:
    """A store as we start it has nothing to warn about."""
    async with patient(own_url) as store:
        assert await check_store(store.execute) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
@pytest.mark.parametrize("forbidden", [(), ("-config",)], ids=["CONFIG", "INFO"])
async def test_eviction_is_refused(own_url: str, policy: str, forbidden: tuple[str, ...]) -> None:
    """Any policy that evicts is refused: what is set, why not, what to do; also where CONFIG is forbidden."""
    async with patient(own_url) as store:
        await store.execute("CONFIG", "SET", "maxmemory-policy", policy)
    async with managed(own_url, *forbidden) as store:
        with pytest.raises(StoreRefused, match=f"is {policy}: .* drops contact caps and consent.*Set it to noeviction"):
            await check_store(store.execute)


@pytest.mark.parametrize("forbidden", [(), ("-config",)], ids=["CONFIG", "INFO"])
async def test_a_store_that_forgets_is_warned_about(own_url: str, forbidden: tuple[str, ...]) -> None:
    """Without append-only file and save points there is one warning, also where CONFIG is forbidden."""
    async with patient(own_url) as store:
        await store.execute("CONFIG", "SET", "appendonly", "no")
    async with managed(own_url, *forbidden) as store:
        [warning] = await check_store(store.execute)
    assert "not persistent" in warning
    assert "appendonly yes" in warning


async def test_snapshots_alone_are_warned_about(own_url: str) -> None:
    """A store with save points and no append-only file loses what came since the last one, and the warning says so."""
    async with patient(own_url) as store:
        await store.execute("CONFIG", "SET", "appendonly", "no")
        await store.execute("CONFIG", "SET", "save", "60 1")
        (warning,) = await check_store(store.execute)
    assert "snapshots" in warning
    assert "appendonly yes" in warning


async def test_what_a_store_does_not_tell_is_warned_about(own_url: str) -> None:
    """Where neither CONFIG nor INFO is allowed, both questions are passed on to the reader."""
    async with managed(own_url, "-config", "-info", "-command") as store:
        warnings = await check_store(store.execute)
    assert [("maxmemory-policy" in warning, "persistent" in warning) for warning in warnings] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("command_forbidden", [False, True])
async def test_a_store_without_functions_is_refused(command_forbidden: bool) -> None:
    """Redis before 7.0, which has no FCALL, is refused; told by COMMAND, or by its version where that is forbidden.

    The answers are those of Redis 6.2, which cannot be had here.
    """

    async def redis_6(*args: Argument) -> Reply:
        if args[0] == "COMMAND" and not command_forbidden:
            return [None]
        if args == ("INFO", "server"):
            return b"# Server\r\nredis_version:6.2.14\r\n"
        raise StoreReplied("NOPERM", "this user has no permissions")

    with pytest.raises(StoreRefused, match=r"no functions .*Redis 7\.0 or later"):
        await check_store(redis_6)


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [("stream-node-max-entries", "100", "stream-node-max-entries to 1"), ("slowlog-max-len", "128", "SLOWLOG RESET")],
)
async def test_what_an_erasure_would_not_reach_is_warned_about(
    own_url: str, setting: str, value: str, said: str
) -> None:
    """A store that keeps deleted entries of a stream, or quotes values in its slow log, is warned about."""
    async with patient(own_url) as store:
        await store.execute("CONFIG", "SET", setting, value)
        [warning] = await check_store(store.execute)
    assert said in warning
