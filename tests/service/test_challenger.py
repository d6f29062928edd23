"""A live service with a challenger: it is scored and logged beside each decision, and never in the way of one.

And poisoned models under a live service: each is refused, the last good one serves on, and nothing of them is run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from redis import Redis

from service.app import Running, start
from service.config import Settings, StorePlace
from service.core import plan
from service.core.control import RefusedVersion
from service.rpc.client import Ask, TactClient
from tests.models.poisons import POISONS, REPLACED
from tests.service.served import write_served
from tests.service.test_model_reload import leads_to, other_arrays, until

WITHIN_S = 10.0
ASK = Ask("c1", "web", ("hero",))
LIVE = tuple(name for name in POISONS if not name.endswith(tuple(REPLACED)))
"""The poisons that a live service is given; files that are gone or cut off are what it waits for the rest of."""


@asynccontextmanager
async def served(url: str, folder: Path, model: Path, challenger: Path | None) -> AsyncIterator[Running]:
    """Serve the small world with models behind links."""
    write_served(folder / "strategy")
    leads_to(folder / "model", model)
    if challenger is not None:
        leads_to(folder / "rival", challenger)
    rival = folder / "rival" if challenger is not None else None
    settings = Settings(
        store=StorePlace.parse(url),
        strategy=folder / "strategy",
        model=folder / "model",
        challenger=rival,
        port=0,
        store_wait_s=5.0,
    )
    running = await start(settings)
    try:
        yield running
    finally:
        await running.stop()


def entries(url: str) -> list[plan.Entry]:
    """Return all decisions that are logged, in the order of time."""
    with Redis.from_url(url) as store:
        logs = [store.xrange(key) for key in store.scan_iter("*", _type="stream")]
    found = [plan.unpack(fields[b"e"]) for log in logs for _, fields in log if b"e" in fields]
    return sorted(found, key=lambda entry: entry.at_ms)


def refused_anew(running: Running, before: RefusedVersion | None) -> bool:
    """Tell whether something else is refused than before."""
    return running.reloading.refused is not None and running.reloading.refused is not before


async def refused(running: Running, holds: Callable[[], bool]) -> str:
    """Return why what the folders hold now is refused."""
    await until(
        lambda: running.reloading.refused is not None and running.reloading.refused.stands and holds(), WITHIN_S
    )
    told = running.reloading.refused
    assert told is not None
    return f"{told.what}: {told.problems[0]}"


async def test_a_challenger_is_logged_beside_and_follows_its_folder(
    clean_store_url: str, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    """Its scores stand in the entry; a bad one is refused and told, decisions go on, and a mended one is back."""
    first, second = models
    async with (
        served(clean_store_url, tmp_path, first, second) as running,
        TactClient(running.address, timeout_s=10.0) as client,
    ):
        answer = await client.decide(ASK)
        assert answer["versions"]["model"].endswith(first.name)
        status = await client.control.status()
        assert status["challenger"].endswith(second.name)
        (entry,) = entries(clean_store_url)
        assert entry.shadow is not None
        assert (entry.shadow.model[-12:], entry.shadow.failed) == (second.name, "")
        assert {c.action for c in entry.placements[0].candidates} <= {s.action for s in entry.shadow.placements[0]}
        assert sum(one["value"] for one in status["counts"] if one["name"] == "shadow") == 1

        leads_to(tmp_path / "rival", other_arrays(second, tmp_path / "others"))
        assert "challenger" in await refused(running, lambda: running.generations.current.version.challenger is None)
        assert running.reloading.refused is not None
        assert "arrays and estimators differ" in running.reloading.refused.problems[0]
        again = await client.decide(ASK)
        assert again["answers"] == answer["answers"]
        assert again["versions"] == answer["versions"]
        assert entries(clean_store_url)[-1].shadow is None

        leads_to(tmp_path / "rival", first)
        await until(lambda: "is the model that decides" in str(running.reloading.refused), WITHIN_S)
        leads_to(tmp_path / "rival", second)
        await until(lambda: running.generations.current.version.challenger is not None, WITHIN_S)
        assert running.reloading.refused is not None
        assert not running.reloading.refused.stands
        leads_to(tmp_path / "model", second)  # promoted: it decides, and is no challenger of itself
        await until(lambda: running.model.endswith(second.name), WITHIN_S)
        assert (await client.control.status())["challenger"] == ""


async def test_a_bad_challenger_does_not_keep_a_service_from_starting(
    clean_store_url: str, tmp_path: Path, models: tuple[Path, Path]
) -> None:
    """The model decides without it; status and health say why there is none."""
    (tmp_path / "nothing").mkdir()
    async with (
        served(clean_store_url, tmp_path, models[0], tmp_path / "nothing") as running,
        TactClient(running.address, timeout_s=10.0) as client,
    ):
        assert (await client.decide(ASK))["answers"][0]
        status = await client.control.status()
        assert (status["challenger"], status["refused"]["what"]) == ("", "challenger")
        assert "manifest.json cannot be read" in status["refused"]["problems"][0]


async def test_poisoned_models_are_refused_and_the_last_good_one_serves_on(
    tmp_path: Path, models: tuple[Path, Path]
) -> None:
    """Whatever is put in the model's place, decisions go on by the last good version, and no canary sings."""
    first, second = models
    song = tmp_path / "the-canary-sang"
    async with (
        served(f"embedded:{tmp_path / 'store'}", tmp_path, first, None) as running,
        TactClient(running.address, timeout_s=10.0) as client,
    ):
        for number, what in enumerate(LIVE):
            poison, words = POISONS[what]
            folder = Path(shutil.copytree(second, tmp_path / f"poisoned-{number}"))
            poison(folder, song)
            before = running.reloading.refused
            leads_to(tmp_path / "model", folder)
            running.reloading.look_now()
            await until(partial(refused_anew, running, before), WITHIN_S)
            assert re.search(words, str(running.reloading.refused)), what
            assert running.model.endswith(first.name), what
        assert (await client.decide(ASK))["versions"]["model"].endswith(first.name)
        leads_to(tmp_path / "model", second)
        await until(lambda: running.model.endswith(second.name), WITHIN_S)
        assert not song.exists()
