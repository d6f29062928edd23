"""Following folders: what changed is taken up once it is still, what is bad is refused once, the last good goes on."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from models.propensity import Folded
from service.errors import StoreError
from service.reloading import PACE, Load, Pace, Reloading
from service.store.retention import Retention
from service.store.settings import StoreRefused
from service.telemetry import Counts
from service.verifying import Verifier
from service.versions import Folders, Version, load_version
from tests.service.editions import BAD, write_edition

load_alone = partial(load_version, verify=Verifier(waits=False).verify)  # there is no model to verify
NOW_MS = 1_790_000_000_000


class Following:
    """A folder that is followed, and what was put in force; `fails` is raised instead of that, once each."""

    def __init__(self, folder: Path, reloading: Callable[[Following], Reloading]) -> None:
        self.folder = folder
        self.taken: list[str] = []
        self.fails: list[Exception] = []
        self.counts = Counts()
        self.reloading = reloading(self)

    async def put_in_force(self, version: Version) -> None:
        """Note the version, or fail as told."""
        if self.fails:
            raise self.fails.pop()
        self.taken.append(edition_of(version))

    async def looks(self, times: int = 2) -> list[str]:
        """Look so many times, and return what was put in force so far."""
        for _ in range(times):
            await self.reloading.look()
        return self.taken

    def counted(self, name: str) -> int:
        """Return a count, whatever its labels."""
        return sum(self.counts.told()[name].values())


def edition_of(version: Version) -> str:
    """Return which edition a version is."""
    return version.strategy.actions[0].says.partition(" ")[0]


async def following(
    folder: Path, load: Load = load_alone, keep: Retention | None = None, *, follows: bool = True, pace: Pace = PACE
) -> Following:
    """Follow a folder, of the first edition unless it is there."""
    if not await asyncio.to_thread(folder.exists):
        write_edition(folder, 0)
    folders = Folders(folder, None, keep or Retention())
    seen = folders.look()
    first = await load_alone(folders)

    def reloading(one: Following) -> Reloading:
        return Reloading(
            folders, seen, first, one.put_in_force, one.counts, lambda: NOW_MS, load,
            follows=follows, pace=pace,
        )  # fmt: skip

    return Following(folder, reloading)


async def test_a_folder_that_does_not_change_is_not_loaded_again(tmp_path: Path) -> None:
    """However often it is looked at."""

    async def load(folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        raise AssertionError("it was loaded")

    one = await following(tmp_path / "served", load)
    assert await one.looks(10) == []
    assert one.reloading.refused is None


async def test_a_change_is_taken_up_when_two_looks_agree(tmp_path: Path) -> None:
    """What is written between two looks is waited for; the folder is loaded once it is still."""
    one = await following(tmp_path / "served")
    for number in (1, 2, 3):
        write_edition(one.folder, number)
        assert await one.looks(1) == []
    assert await one.looks(3) == ["e3e"]
    assert one.counted("strategy.reloaded") == 1


async def test_who_asks_need_not_wait_for_the_second_look(tmp_path: Path) -> None:
    """Whoever says `now` knows that the folder is complete."""
    one = await following(tmp_path / "served")
    write_edition(one.folder, 1)
    await one.reloading.look(asked=True)
    assert one.taken == ["e1e"]


async def test_what_changes_while_it_is_read_is_not_taken(tmp_path: Path) -> None:
    """Half of one edition and half of another is neither; the folder is read again when it is still."""
    written = iter((2,))

    async def load(folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        version = await load_alone(folders, verified, beside=beside)
        for number in written:
            write_edition(folders.strategy, number)
        return version

    one = await following(tmp_path / "served", load)
    write_edition(one.folder, 1)
    assert await one.looks(2) == []
    assert await one.looks(2) == ["e2e"]


@pytest.mark.parametrize("way", ["link", "rename", "touch-back", "keep-dates"])
async def test_however_a_folder_changes_it_is_seen(tmp_path: Path, way: str) -> None:
    """Another target of a link, another folder under the name, a copy with the dates and the size of the old one."""
    first, second = write_edition(tmp_path / "first", 0), write_edition(tmp_path / "second", 1)
    served = tmp_path / "served"
    if way == "link":
        served.symlink_to(first)
    else:
        first.rename(served)
    one = await following(served)
    if way == "link":
        served.unlink()
        served.symlink_to(second)
    elif way == "rename":
        served.rename(first)
        second.rename(served)
    else:
        for path in second.iterdir():
            about = (served / path.name).stat()
            assert about.st_size == path.stat().st_size
            if way == "keep-dates":
                shutil.copyfile(path, served / path.name)
            else:
                path.replace(served / path.name)
            os.utime(served / path.name, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert await one.looks() == ["e1e"]


async def test_what_is_written_again_as_it_is_changes_nothing(tmp_path: Path) -> None:
    """The same words are the same version."""
    one = await following(tmp_path / "served")
    write_edition(one.folder, 0)
    assert await one.looks() == []
    assert one.counted("strategy.reloaded") == one.counted("strategy.refused") == 0


async def test_other_files_are_nobodys_business(tmp_path: Path) -> None:
    """An editor's own files, hidden ones and notes do not make a version."""

    async def load(folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        raise AssertionError("it was loaded")

    one = await following(tmp_path / "served", load)
    for name in (".caps.yaml.swp", ".hidden.yaml", "README.md", "caps.yaml~"):
        (one.folder / name).write_text("anything")
    assert await one.looks(3) == []


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_version_is_refused_once_and_said_once(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log, one count, and every problem with its file; then it is over when the folder is mended."""
    one = await following(tmp_path / "served")
    BAD[name](one.folder)
    assert await one.looks(6) == []
    assert one.reloading.refused is not None
    assert (one.reloading.refused.what, one.reloading.refused.stands) == ("strategy", True)
    assert ".yaml:" in one.reloading.refused.problems[0]
    for path in one.folder.iterdir():
        path.touch()
    assert await one.looks(4) == []
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [one.counted("strategy.refused"), len(lines)] == [1, 1]
    assert one.reloading.refused.problems[0] in lines[0].getMessage()
    write_edition(one.folder, 0)
    assert await one.looks() == []
    assert not one.reloading.refused.stands
    write_edition(one.folder, 1)
    assert await one.looks() == ["e1e"]


async def test_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    """The last good version goes on, and the folder is taken up again when it is back."""
    one = await following(tmp_path / "served")
    one.folder.rename(tmp_path / "elsewhere")
    assert await one.looks() == []
    assert one.reloading.refused is not None
    assert one.reloading.refused.stands
    write_edition(one.folder, 1)
    assert await one.looks() == ["e1e"]


async def test_a_version_that_forgets_too_early_is_refused(tmp_path: Path) -> None:
    """Caps that count longer than the context is kept are refused here as at the start."""
    one = await following(tmp_path / "served", keep=Retention.parse("context=8d"))
    path = one.folder / "caps.yaml"
    path.write_text(path.read_text().replace("within: 7d", "within: 30d"))
    assert await one.looks() == []
    assert one.reloading.refused is not None
    assert "--keep" in one.reloading.refused.problems[0]


async def test_what_the_store_forbids_is_refused(tmp_path: Path) -> None:
    """Each sentence of the store is a problem."""
    one = await following(tmp_path / "served")
    one.fails = [StoreRefused("a field moved\nanother one too")]
    write_edition(one.folder, 1)
    assert await one.looks(4) == []
    assert one.reloading.refused is not None
    assert one.reloading.refused.problems == ("a field moved", "another one too")


async def test_a_version_waits_for_the_store(tmp_path: Path) -> None:
    """A store that is away refuses nothing: the version is loaded once, and in force as soon as the store is there."""
    loads = []

    async def load(folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        loads.append(folders)
        return await load_alone(folders, verified, beside=beside)

    one = await following(tmp_path / "served", load)
    one.fails = [StoreError("away"), StoreError("away")]
    write_edition(one.folder, 1)
    assert await one.looks(3) == []
    assert await one.looks(1) == ["e1e"]
    assert (len(loads), one.reloading.refused, one.counted("strategy.refused")) == (1, None, 0)


async def test_a_defect_refuses_a_version_without_its_words(tmp_path: Path) -> None:
    """Whatever goes wrong while it is loaded, the last good version goes on, and the next good one is taken."""
    fails = iter((ZeroDivisionError("anna's secret"),))

    async def load(folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        for error in fails:
            raise error
        return await load_alone(folders, verified, beside=beside)

    one = await following(tmp_path / "served", load)
    write_edition(one.folder, 1)
    assert await one.looks() == []
    assert one.reloading.refused is not None
    assert one.reloading.refused.problems == ("It fails in a way that was not foreseen (ZeroDivisionError).",)
    write_edition(one.folder, 2)
    assert await one.looks() == ["e2e"]


async def test_it_follows_by_itself_until_it_is_closed(tmp_path: Path) -> None:
    """Opened, it takes a change up within two seconds; closed, it looks no more."""
    one = await following(tmp_path / "served")
    one.reloading.open()
    write_edition(one.folder, 1)
    async with asyncio.timeout(2.0):
        while one.taken != ["e1e"]:  # noqa: ASYNC110 - what it waits for is another task's doing
            await asyncio.sleep(0.01)
    await one.reloading.close()
    write_edition(one.folder, 2)
    await asyncio.sleep(0.6)
    assert one.taken == ["e1e"]
