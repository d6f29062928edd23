"""Models under reload: a retrained one takes over within two seconds, a forged one never does."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil

from models.artifacts import ESTIMATORS, FOLDED, ArtifactRefused
from service.app import Running, start
from service.config import Settings, StorePlace
from service.rpc.client import Answer, Ask, TactClient
from tests.models.forgery import npz, restamp
from tests.profile import cases
from tests.service.served import FEATURES, write_served

IN_FORCE_WITHIN_S = 2.0
SWAPS = cases(10, 100)


async def until(holds: Callable[[], bool], within_s: float) -> float:
    """Return after how many seconds something holds, which must be in time."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what it waits for is done by the service, which tells nobody
            await asyncio.sleep(0.01)
    return time.monotonic() - began


def leads_to(link: Path, folder: Path) -> None:
    """Let a link lead to another folder, in one step."""
    new = link.with_name("new-link")
    new.symlink_to(folder, target_is_directory=True)
    new.replace(link)


def other_arrays(artifact: Path, folder: Path) -> Path:
    """Copy an artefact with other arrays than its estimators give, stamped as a forger would."""
    shutil.copytree(artifact, folder)
    with np.load(folder / FOLDED) as archive:
        arrays = dict(archive)
    (folder / FOLDED).write_bytes(npz(**{**arrays, "bias": arrays["bias"] + 0.5}))
    restamp(folder)
    return folder


def verifiers() -> list[psutil.Process]:
    """Return the processes that verify for this one."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "--waiting" in child.cmdline():
                found.append(child)
    return found


async def served(folder: Path, model: Path) -> Running:
    """Serve the small world with a model behind a link."""
    strategy, store = write_served(folder / "strategy"), StorePlace.parse(f"embedded:{folder / 'store'}")
    leads_to(folder / "model", model)
    return await start(Settings(store=store, strategy=strategy, model=folder / "model", port=0, store_wait_s=5.0))


async def refuses(running: Running, words: str, serves: Path) -> None:
    """See that a version is refused with these words, while a model goes on."""
    await until(lambda: words in str(running.reloading.refused), 5.0)
    assert running.reloading.refused is not None
    assert running.reloading.refused.stands
    assert running.reloading.refused.what == "model"
    assert running.model.endswith(serves.name)


async def test_models_and_strategies_follow_each_other(tmp_path: Path, models: tuple[Path, Path]) -> None:
    """A retrained model decides within two seconds; what does not fit together is refused until it does."""
    first, second = models
    link = tmp_path / "model"
    running = await served(tmp_path, first)
    try:
        async with TactClient(running.address, timeout_s=10.0) as client:
            before = (await client.decide(Ask("c1", "web", ("hero",))))["versions"]
            assert before["model"].endswith(first.name)
            leads_to(link, second)
            await until(lambda: running.model.endswith(second.name), IN_FORCE_WITHIN_S)
            now = (await client.decide(Ask("c1", "web", ("hero",))))["versions"]
            assert (now["strategy"], now["model"][-12:]) == (before["strategy"], second.name)

        shutil.copytree(second, tmp_path / "changed")
        (tmp_path / "changed" / ESTIMATORS).write_bytes(b"not what it was")
        leads_to(link, tmp_path / "changed")
        await refuses(running, "its SHA-256 is not the one", second)
        leads_to(link, other_arrays(second, tmp_path / "others"))
        await refuses(running, "arrays and estimators differ", second)
        write_served(tmp_path / "strategy", FEATURES.replace(", present.mood", ""))
        leads_to(link, first)
        await refuses(running, "made for other features", second)
        write_served(tmp_path / "strategy")
        await until(lambda: running.model.endswith(first.name), 5.0)

        (verifier,) = verifiers()
        verifier.kill()  # it is only slower then, the next time
        leads_to(link, second)
        await until(lambda: running.model.endswith(second.name), 60.0)
        assert running.reloading.refused is not None
        assert not running.reloading.refused.stands
    finally:
        await running.stop()
    assert verifiers() == []


def spoilt(artifact: Path, folder: Path, number: int) -> Path:
    """Copy an artefact and damage it, each time in another way: cut off, a byte flipped, a file missing."""
    made = shutil.copytree(artifact, folder / f"spoilt-{number}")
    arrays = made / FOLDED
    content = arrays.read_bytes()
    if number % 9 == 2:
        arrays.write_bytes(content[: len(content) // 2])
    elif number % 9 == 5:
        at = number % len(content)
        arrays.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    else:
        arrays.unlink()
    return made


def versions(first: Path, second: Path, folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield what is put in force, and whether it is good: every third is not."""
    good = itertools.cycle((second, first))
    for number in range(SWAPS):
        yield (spoilt(first, folder, number), False) if number % 3 == 2 else (next(good), True)


async def swap(running: Running, version: Path, *, good: bool) -> None:
    """Put a version in force, or see that it is refused and the one before goes on."""
    before = running.model
    try:
        await running.use_model(version)
    except ArtifactRefused:
        assert not good
        assert running.model == before
    else:
        assert good
        assert running.model.endswith(version.name)


async def test_models_change_under_load(tmp_path: Path, models: tuple[Path, Path]) -> None:
    """F-15: good ones and damaged ones follow each other; no question fails, and each answer names a good one."""
    running = await served(tmp_path, models[0])
    ended, told = asyncio.Event(), list[Answer]()
    try:
        async with TactClient(running.address, timeout_s=5.0) as client:

            async def ask() -> None:
                while not ended.is_set():
                    told.append(await client.decide(Ask(f"customer-{len(told) % 50}", "web", ("hero",))))
                    await asyncio.sleep(0.005)

            asking = asyncio.create_task(ask())
            for version, good in versions(*models, tmp_path):
                await swap(running, version, good=good)
                await asyncio.sleep(0.02)
            ended.set()
            await asking
    finally:
        await running.stop(grace_s=0.0)
    named = {str(answer["versions"]["model"]).rpartition("@")[2] for answer in told}
    assert named == {model.name.rpartition("@")[2] for model in models}
    assert {answer["rung"] for answer in told} == {"full"}
    assert len(told) > SWAPS
