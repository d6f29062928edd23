"""Images of the strategist's page, of a running `tact demo`.

python -m tests.live.strategist.images http://127.0.0.1:50052 docs/images
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.live.desktop.conftest import NARROW, WIDE
from tests.live.desktop.images import COLOURS
from tests.live.strategist.conftest import opened

Scheme = Literal["light", "dark"]
KINDS: dict[str, tuple[Scheme, str]] = {
    "strategist-light.png": ("light", ""),
    "strategist-dark.png": ("dark", "actions"),
    "strategist-narrow.png": ("light", ""),
}
"""What is made: in which colours, and from which part of the page on."""


def images(browser: Browser, address: str, folder: Path) -> Iterator[Path]:
    """Make the images: the head of the page in light, what becomes of offers in dark, and the head on a phone."""
    for name, (scheme, part) in KINDS.items():
        size = NARROW if "narrow" in name else WIDE
        context = browser.new_context(base_url=address, viewport=size, color_scheme=scheme, locale="en-GB")
        page = context.new_page()
        opened(page)
        if part:
            page.locator(f".parts-nav a[href='#{part}']").click()
        page.wait_for_timeout(400)
        with Image.open(BytesIO(page.screenshot())) as image:
            image.quantize(COLOURS).save(folder / name, optimize=True)
        context.close()
        yield folder / name


def main(address: str, folder: str) -> None:
    """Make the images of a running demo."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for path in images(browser, address, Path(folder)):
            print(path, path.stat().st_size)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
