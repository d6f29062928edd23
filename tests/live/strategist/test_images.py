"""The images of the documents can be made again at any time, and are small."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from tests.live.desktop.conftest import NARROW, WIDE
from tests.live.desktop.people import Service
from tests.live.desktop.test_images import KEPT, LEAST_COLOURS, MOST_BYTES
from tests.live.strategist.images import KINDS, images


def test_images_are_made(browser: Browser, worked: Service, tmp_path: Path) -> None:
    """Light, dark and narrow: each is a drawn page of its size, and not heavier than a document may load."""
    for path in images(browser, worked.address, tmp_path):
        size = NARROW if "narrow" in path.name else WIDE
        with Image.open(path) as image:
            assert image.size == (size["width"], size["height"])
            assert len(image.getcolors() or []) >= LEAST_COLOURS
        assert path.stat().st_size < MOST_BYTES


def test_the_documents_have_them() -> None:
    """Each image that is made is kept where the documents show it."""
    for name in KINDS:
        assert 10_000 < (KEPT / name).stat().st_size < MOST_BYTES
