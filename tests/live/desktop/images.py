"""Images of the desktop, of a running `tact demo`.

python -m tests.live.desktop.images http://127.0.0.1:50052 docs/images
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.live.desktop.conftest import NARROW, WIDE
from tests.live.desktop.people import Service

Scheme = Literal["light", "dark"]
COLOURS = 224
"""How many colours an image has: flat pages need few, and are a third as large."""


def images(browser: Browser, service: Service, customer: str, ticket: str, folder: Path) -> Iterator[Path]:
    """Make the images: an open ticket in dark, the offer once it is closed in light, and its withdrawal on a phone.

    `customer` has the open `ticket` and would be made an offer without it; both are as before at the end.
    """
    with_ticket = {"ticket": ticket, "topic": "network"}
    with _looking(browser, service, customer, "dark") as page:
        page.keyboard.press("c")
        expect(page.locator("[data-verdict]").first).to_be_visible()
        yield _taken(page, folder / "desktop-dark.png")
    service.tell(customer, (0.0, "ticket.closed", {"ticket": ticket}))
    with _looking(browser, service, customer, "light") as page:
        yield _taken(page, folder / "desktop-light.png")
        page.set_viewport_size(NARROW)
        service.tell(customer, (0.0, "ticket.opened", with_ticket))
        expect(page.locator("[data-withdrawn]").first).to_be_visible()
        yield _taken(page, folder / "desktop-narrow.png")


def main(address: str, folder: str) -> None:
    """Make the images of the demo's Anna, whose line is down."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for path in images(browser, Service(address), "anna-ticket", "anna-ticket-1", Path(folder)):
            print(path, path.stat().st_size)
        browser.close()


class _looking:  # noqa: N801 - reads as `with`
    def __init__(self, browser: Browser, service: Service, customer: str, scheme: Scheme) -> None:
        self._context = browser.new_context(
            base_url=service.address, viewport=WIDE, locale="en-GB", color_scheme=scheme,
            reduced_motion="reduce",
        )  # fmt: skip
        self._customer = customer

    def __enter__(self) -> Page:
        page = self._context.new_page()
        page.goto(f"/#{self._customer}")
        expect(page.locator("#why")).to_be_visible()
        expect(page.locator(".timeline")).to_be_visible()
        return page

    def __exit__(self, *raised: object) -> None:
        self._context.close()


def _taken(page: Page, path: Path) -> Path:
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)
    with Image.open(BytesIO(page.screenshot())) as image:
        image.quantize(COLOURS).save(path, optimize=True)
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
