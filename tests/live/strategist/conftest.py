"""A service that customers of the demo's world came to for hours, and a browser that shows what it did."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from service.cli.lines import Tally
from service.cli.loading import record_events, set_consents
from service.cli.visits import Visits, read_visits
from service.core.loader import load_strategy
from service.rpc.client import TactClient
from tests.cli.commands import DEMO, ROOT, Process
from tests.live.desktop.conftest import axe, browser, looking  # noqa: F401 - fixtures are known by their names
from tests.live.desktop.people import Service
from tests.profile import cases, full
from training.worlds import demo
from training.worlds.files import moment_ms

CUSTOMERS = cases(40, 400)
CAME = cases(60, 1200)
PAGE = "/strategist.html"


@pytest.fixture(scope="package")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service after hours of visits; in the full profile a model decides, and another one is beside it."""
    folder = tmp_path_factory.mktemp("strategist")
    moment = datetime.now(UTC).isoformat()
    demo.write_world(demo.World(CUSTOMERS, 1, moment_ms(moment), DEMO), folder)
    models = _models(folder) if full() else ()
    flags = ("--strategy", DEMO, "--port", "0", "--desktop", "--web-port", "0", "--store-wait", "5", "--no-reload")
    with Process(
        "serve", "--json", "--allow-as-of", "--store", f"embedded:{folder / 'store'}", *flags, *models
    ) as process:
        process.serving()
        with ThreadPoolExecutor(1) as thread:  # this one has the loop of the browser
            thread.submit(lambda: asyncio.run(_live(process.target, folder))).result()
        yield Service(f"http://127.0.0.1:{process.said['web_port']}")


async def _live(target: str, folder: Path) -> None:
    schema = load_strategy(DEMO).schema
    async with TactClient(target, schema=schema) as client:
        await set_consents(client, folder / "consents.jsonl", Tally.of_consents(), lambda *_: None)
        await record_events(client, folder / "events.jsonl", Tally(), schema, lambda *_: None)
        await Visits(client).came(read_visits(folder / "visits.jsonl"), CAME)


def _models(folder: Path) -> tuple[object, ...]:
    """Train two models on the world's pilot, one to decide and one beside it; return the flags."""
    files = (f"--{name}={folder / name}.jsonl" for name in ("events", "decisions"))
    fit = [sys.executable, "-m", "training", "fit", f"--strategy={DEMO}", *files, "--forests=0", "--json"]
    made = []
    for seed in (0, 1):
        done = subprocess.run([*fit, f"--out={folder}", f"--seed={seed}"], cwd=ROOT, capture_output=True, check=True)
        made.append(json.loads(done.stdout)["artifact"])
    return "--model", made[0], "--challenger", made[1]


@pytest.fixture
def strategist(browser: Browser, worked: Service) -> Iterator[Page]:  # noqa: F811 - a fixture
    """Return the strategist's page over the last 24 hours."""
    with looking(browser, worked) as page:
        opened(page)
        yield page


def opened(page: Page, window: str = "day") -> None:
    """Open the page over a window, and wait until everything is counted."""
    page.add_init_script(f"localStorage.setItem('tact.window', '{window}')")
    page.goto(PAGE)
    page.locator(".live[data-state=live]", has_text="Up to date").wait_for()
