"""The images of the documents can be made again at any time, and are small."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from tests.live.desktop.conftest import NARROW, WIDE
from tests.live.desktop.images import images
from tests.live.desktop.people import Service

KEPT = Path(__file__).parents[3] / "docs" / "images"
MOST_BYTES = 150_000
LEAST_COLOURS = 24


def test_images_are_made(browser: Browser, service: Service, tmp_path: Path) -> None:
    """Light, dark and narrow: each is a drawn page of its size, and not heavier than a document may load."""
    customer = service.welcomes("anna-of-the-images")
    service.tell(customer, (0.5, "ticket.opened", {"ticket": "t-1", "topic": "network"}))
    made = {path.name: path for path in images(browser, service, customer, "t-1", tmp_path)}
    assert sorted(made) == ["desktop-dark.png", "desktop-light.png", "desktop-narrow.png"]
    for name, path in made.items():
        size = NARROW if "narrow" in name else WIDE
        with Image.open(path) as image:
            assert image.size == (size["width"], size["height"])
            assert len(image.getcolors() or []) >= LEAST_COLOURS
        assert path.stat().st_size < MOST_BYTES


def test_the_documents_have_them() -> None:
    """Each image that is made is kept where the documents show it."""
    for name in ("desktop-dark.png", "desktop-light.png", "desktop-narrow.png"):
        assert 10_000 < (KEPT / name).stat().st_size < MOST_BYTES
