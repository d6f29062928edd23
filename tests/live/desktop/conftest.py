"""A service with its pages, and a browser that looks at them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from tests.cli.commands import DEMO, Process
from tests.conftest import absent
from tests.live.desktop.people import Service
from tests.profile import full

EXPLORES = "explore: 0.05"
LONGEST_WAIT_MS = 20_000
"""On a machine that does much else; what is waited for is mostly there at once."""

MOTION: Literal["no-preference", "reduce"] = "no-preference" if full() else "reduce"
"""What moves on the page is only waited for; who looks at it is left to the full profile."""

expect.set_options(timeout=LONGEST_WAIT_MS)
WIDE, NARROW = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)


@contextmanager
def served(folder: Path, *flags: object) -> Iterator[Service]:
    """Run a service that serves its pages, on a store of its own, until the end."""
    ports = ("--port", "0", "--desktop", "--web-port", "0")
    usual = ("--store", f"embedded:{folder / 'store'}", "--store-wait", "5", "--no-reload")
    with Process("serve", "--json", *ports, *usual, *flags) as process:
        process.serving()
        yield Service(f"http://127.0.0.1:{process.said['web_port']}")


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a running service with the demo's strategy, which tries nothing out: what it says is the best."""
    folder = tmp_path_factory.mktemp("desktop")
    strategy = Path(shutil.copytree(DEMO, folder / "demo"))
    head = strategy / "strategy.yaml"
    words = head.read_text(encoding="utf-8")
    assert EXPLORES in words
    head.write_text(words.replace(EXPLORES, "explore: 0.0"), encoding="utf-8")
    with served(folder, "--strategy", strategy) as service:
        yield service


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium."""
    program = shutil.which("chromium")
    if program is None:
        absent("There is no chromium on the PATH (Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """Return a page of a browser that remembers nothing."""
    with looking(browser, service) as page:
        yield page


@pytest.fixture
def customer(service: Service, request: pytest.FixtureRequest) -> str:
    """Return a customer of this test's own, who would like fibre."""
    return service.welcomes(f"tess-{request.node.name.removeprefix('test_')[:40]}")


@contextmanager
def looking(browser: Browser, service: Service) -> Iterator[Page]:
    """Give a page of a service; that anything fails in its console fails the test, but for what a test took away."""
    context = browser.new_context(
        base_url=service.address, viewport=WIDE, locale="en-GB", color_scheme="light", reduced_motion=MOTION
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if _complains(said, service.address) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(LONGEST_WAIT_MS)
    yield page
    context.close()
    assert complaints == []


def _complains(said: ConsoleMessage, address: str) -> bool:
    """Tell whether it is an error; to the service itself there is always a way but where `set_offline` took it away."""
    away = "net::ERR_INTERNET_DISCONNECTED" in said.text and said.location["url"].startswith(f"{address}/")
    return said.type == "error" and not away


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the source of axe-core, which looks for barriers."""
    source = Path(__file__).parents[3] / "service" / "web" / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        absent("There is no axe-core; `npm ci` in service/web brings it.")
    return source.read_text(encoding="utf-8")
