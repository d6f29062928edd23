"""What workers share is made once: the embedded store, and the verdict on a model."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil

from service.config import StorePlace
from service.workers.messages import AskVerdict
from service.workers.sharing import Sharing
from tests.cli.commands import until
from tests.service.workers.crew import verifying


async def test_who_cannot_verify_gives_no_verdict(tmp_path: Path) -> None:
    """When the process that verifies dies, nothing is known of the model, and that is said."""
    sharing = Sharing(StorePlace.parse("redis://127.0.0.1:1/0"), waits=True)
    try:
        asked = asyncio.create_task(sharing.verdict(AskVerdict(1, str(tmp_path), "x")))
        await asyncio.to_thread(until, verifying)
        verifying()[0].kill()
        found = await asked
        assert found.unknown
        assert "could not be verified" in found.refused
    finally:
        await sharing.close()


async def test_one_store_is_started_for_all(tmp_path: Path) -> None:
    """However many ask at once, there is one store, with one URL; it ends with what is shared."""
    sharing = Sharing(StorePlace.parse(f"embedded:{tmp_path / 'store'}"), waits=False)
    try:
        first, *others = await asyncio.gather(*(sharing.store() for _ in range(4)))
        assert first.url.startswith("redis://127.0.0.1:")
        assert set(others) == {first}
        assert not sharing.store_ended
    finally:
        await sharing.close()
    assert not [one for one in psutil.Process().children(recursive=True) if str(tmp_path) in " ".join(one.cmdline())]


async def test_what_no_store_has_in_its_folder_is_said(tmp_path: Path) -> None:
    """A log that cannot be written to is named, at once, as a single process names it; nothing has ended by itself."""
    (tmp_path / "store" / "server.log").mkdir(parents=True)
    sharing = Sharing(StorePlace.parse(f"embedded:{tmp_path / 'store'}"), waits=False)
    try:
        assert (await sharing.store()).refused == f"{tmp_path / 'store' / 'server.log'}: Is a directory"
        assert not sharing.store_ended
        (tmp_path / "store" / "server.log").rmdir()
        assert (await sharing.store()).url
    finally:
        await sharing.close()


async def test_a_store_that_cannot_be_had_is_said_and_tried_again(tmp_path: Path) -> None:
    """A folder that another service uses is refused in words; once that one is gone, the next question starts it."""
    place = StorePlace.parse(f"embedded:{tmp_path / 'store'}")
    before, after = Sharing(place, waits=False), Sharing(place, waits=False)
    try:
        assert (await before.store()).url
        assert "in use" in (await after.store()).refused
        assert not after.store_ended
        await before.close()
        assert (await after.store()).url
    finally:
        await before.close()
        await after.close()
