"""Following folders when something is in the way: what could not be judged or taken yet is not forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from models.propensity import Folded
from service.core.loader import load_strategy
from service.errors import StoreError
from service.reloading import Pace
from service.verifying import NotVerified
from service.versions import Folders, Version
from tests.service.editions import write_edition
from tests.service.test_following import Following, following, load_alone

QUICK = Pace(look_s=0.02, settle_s=0.1, verify_again_s=0.0)
STRICTER = ("guardrails", "eligibility", "caps")


@asynccontextmanager
async def opened(one: Following) -> AsyncIterator[Following]:
    """Let it follow by itself, meanwhile."""
    one.reloading.open()
    try:
        yield one
    finally:
        await one.reloading.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, which must be soon."""
    async with asyncio.timeout(5.0):
        while not holds():  # noqa: ASYNC110 - what it waits for is another task's doing
            await asyncio.sleep(0.005)


class Dying:
    """Loads versions, whose model cannot be verified so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.tried = 0

    async def __call__(self, folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        """Load what the folders hold, or fail as a verifier does that was killed."""
        self.tried += 1
        if self.tried <= self.times:
            raise NotVerified("It ended with -9.")
        return await load_alone(folders, verified, beside=beside)


@pytest.mark.parametrize("died", [1, 4])
async def test_a_model_whose_verifier_died_is_verified_again(tmp_path: Path, died: int) -> None:
    """Nothing is known against it: it is not refused, and in force as soon as somebody verifies it."""
    one = await following(tmp_path / "served", Dying(died), pace=QUICK)
    write_edition(one.folder, 1)
    assert await one.looks(died + 2) == ["e1e"]
    assert (one.reloading.refused, one.counted("strategy.refused")) == (None, 0)


async def test_a_model_that_nobody_can_verify_is_refused_in_the_end(tmp_path: Path) -> None:
    """After five times, with the reason; whoever asks, and every change, has it verified again."""
    load = Dying(5)
    one = await following(tmp_path / "served", load, pace=QUICK)
    write_edition(one.folder, 1)
    assert await one.looks(12) == []
    assert (load.tried, one.counts.told()["strategy.refused"]) == (5, {"model": 1})
    assert one.reloading.refused is not None
    assert (one.reloading.refused.stands, one.reloading.refused.problems) == (True, ("It ended with -9.",))
    await one.reloading.look(asked=True)
    assert one.taken == ["e1e"]
    assert not one.reloading.refused.stands


async def test_a_model_is_verified_again_only_after_a_while(tmp_path: Path) -> None:
    """A verifier that dies is not begun anew with every look."""
    load = Dying(5)
    one = await following(tmp_path / "served", load, pace=Pace(verify_again_s=60.0))
    write_edition(one.folder, 1)
    assert await one.looks(8) == []
    assert load.tried == 1


@pytest.mark.parametrize("follows", [True, False])
async def test_what_was_asked_for_is_taken_when_the_store_is_back(tmp_path: Path, follows: bool) -> None:
    """Asked for once while the store is away, also without following: it is in force as soon as the store is there."""
    one = await following(tmp_path / "served", follows=follows, pace=QUICK)
    one.fails = [StoreError("away"), StoreError("away")]
    async with opened(one):
        write_edition(one.folder, 1)
        one.reloading.look_now()
        await until(lambda: one.taken == ["e1e"])
    assert one.reloading.refused is None


async def test_what_changed_while_it_was_read_is_read_again_without_following(tmp_path: Path) -> None:
    """Whoever asked gets what the folder holds in the end, and after that nothing until the next time."""
    written = iter((2,))

    async def load(folders: Folders, verified: Folded | None, *, beside: bool) -> Version:
        version = await load_alone(folders, verified, beside=beside)
        for number in written:
            write_edition(folders.strategy, number)
        return version

    one = await following(tmp_path / "served", load, follows=False, pace=QUICK)
    async with opened(one):
        write_edition(one.folder, 1)
        one.reloading.look_now()
        await until(lambda: one.taken == ["e2e"])
        write_edition(one.folder, 3)
        await asyncio.sleep(0.3)
    assert one.taken == ["e2e"]


@pytest.mark.parametrize("section", STRICTER)
async def test_a_folder_without_rules_that_were_there_must_be_still_for_longer(tmp_path: Path, section: str) -> None:
    """A file that is written anew is not there for a moment: nothing is decided without its rules meanwhile."""
    one = await following(tmp_path / "served")
    path = one.folder / f"{section}.yaml"
    text = path.read_text()
    path.unlink()
    assert await one.looks(4) == []
    assert one.reloading.refused is None
    path.write_text(text.replace("says: ", "says: Now ", 1))
    assert await one.looks(2) == ["e0e"]
    assert one.counted("strategy.rules_gone") == 0


async def test_a_retired_rule_is_named_when_it_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A strategy with fewer rules is in force within two seconds, with a warning and a count for each."""
    one = await following(tmp_path / "served")
    path = one.folder / "caps.yaml"
    rule = load_strategy(one.folder).caps[0].id
    head, *rules = path.read_text().split("\n  - ")
    async with opened(one):
        path.write_text("\n  - ".join((head, *rules[1:])))
        async with asyncio.timeout(2.0):
            while not one.taken:  # noqa: ASYNC110 - what it waits for is another task's doing
                await asyncio.sleep(0.01)
    assert one.counts.told()["strategy.rules_gone"] == {rule: 1}
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line.endswith(f": {rule}")


async def test_a_version_without_any_guardrail_is_refused(tmp_path: Path) -> None:
    """However still the folder is and whoever asks: the remedy is said, and the last good version goes on."""
    one = await following(tmp_path / "served", pace=QUICK)
    path = one.folder / "guardrails.yaml"
    text, guardrails = path.read_text(), load_strategy(one.folder).guardrails
    path.unlink()
    await one.looks(2)
    await asyncio.sleep(0.15)
    assert await one.looks(1) == []
    await one.reloading.look(asked=True)
    assert one.taken == []
    assert one.reloading.refused is not None
    (problem,) = one.reloading.refused.problems
    assert all(rule.id in problem for rule in guardrails)
    assert "start the service anew" in problem
    path.write_text(text)
    assert await one.looks() == []
    assert not one.reloading.refused.stands
